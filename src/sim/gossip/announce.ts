import type { Message } from '@libp2p/gossipsub';
import type { PeerId } from '@libp2p/interface';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { CID } from 'multiformats/cid';
import { ANNOUNCEMENT, type Announcement } from '../../domain/announcement.ts';
import { ObjectId, UnixMs } from '../../domain/ids.ts';
import { LocalIdentity } from '../../identity/local-identity.ts';
import { computeRawCid, DAG_CBOR_CODE } from '../../lib/cid.ts';
import { encodeAnnouncementWire } from '../../network/gossip/announcement-wire.ts';
import { topicId } from '../../network/gossip/topics.ts';
import { signObject } from '../../proofs/signed-object.ts';
import type { SeededRandom } from '../random/seeded-random.ts';

export const SIMULATED_NETWORK = 'simulation';

const SEED_BYTES = 32;
const LIFE_MS = 10_000;
/** No libp2p is there to look at it: the signature of gossipsub's own envelope is not what is examined. */
const NO_SIGNATURE = new Uint8Array(64);

export interface Publisher {
  readonly identity: LocalIdentity;
  readonly peerId: PeerId;
}

export async function createPublisher(random: SeededRandom): Promise<Publisher> {
  const identity = await LocalIdentity.fromSeed(random.bytes(SEED_BYTES));
  return { identity, peerId: peerIdFromPrivateKey(identity.privateKey) };
}

/** An announcement as the daemon would sign it, in the message that gossipsub would hand to the validator. */
export async function announce(publisher: Publisher, random: SeededRandom, nowMs: number): Promise<Message> {
  const { wire } = await signObject(ANNOUNCEMENT, describeWork(publisher, random, nowMs), publisher.identity);
  return wrapBytes(publisher, encodeAnnouncementWire(wire));
}

export function wrapBytes({ peerId, identity }: Publisher, data: Uint8Array): Message {
  return {
    type: 'signed',
    from: peerId,
    topic: topicId(SIMULATED_NETWORK, 'jobs/cpu'),
    data,
    sequenceNumber: 0n,
    signature: NO_SIGNATURE,
    key: identity.privateKey.publicKey,
  };
}

function describeWork({ identity }: Publisher, random: SeededRandom, nowMs: number): Announcement {
  return {
    type: 'fogproof/announcement@1',
    network: SIMULATED_NETWORK,
    subject: ObjectId(CID.createV1(DAG_CBOR_CODE, computeRawCid(random.bytes(16)).multihash).toString()),
    requester: identity.peer,
    capabilityClass: 'cpu',
    terms: {
      workloadKind: 'wasm',
      resources: { memoryBytes: 65_536, fuel: 1_000, wallTimeMs: 60_000, outputBytes: 1_000, logBytes: 1_000 },
      isolation: 'process',
      deadlineMs: UnixMs(nowMs + 600_000),
      priceCeiling: '0',
      commitReveal: false,
    },
    attempts: 1,
    wanted: 1,
    nonce: random.bytes(16),
    issuedAtMs: UnixMs(nowMs),
    expiresAtMs: UnixMs(nowMs + LIFE_MS),
  };
}
