import { base58btc } from 'multiformats/bases/base58';
import { ObjectId, PeerKey, UnixMs } from '../../domain/ids.ts';
import { NODE_RECORD, type NodeRecord } from '../../domain/node-record.ts';
import { encodeObject } from '../../domain/object-type.ts';
import type { Signed } from '../../domain/signed.ts';
import { concatBytes } from '../../lib/bytes.ts';
import { computeObjectId } from '../../lib/cid.ts';
import type { SeededRandom } from '../random/seeded-random.ts';

/** How a provider treats the jobs of others. */
export type Behaviour =
  /** Runs them; one in two hundred fails for reasons of its own. */
  | 'honest'
  /** Countersigns leases and says nothing more. */
  | 'silent'
  /** Says that it can what it cannot: every attempt fails at once. */
  | 'lying'
  /** Serves for some epochs, then fails everything for some. */
  | 'on-off';

export interface Provider {
  /** The machine: where it is, and how far from others. */
  readonly number: number;
  readonly peer: PeerKey;
  readonly peerBytes: Uint8Array;
  readonly record: Signed<NodeRecord>;
  readonly behaviour: Behaviour;
  /** Attempts that it runs. */
  active: number;
}

export const SLOTS_PER_PROVIDER = 4;
export const SIMULATED_CLASS = 'gpu-consumer';

/** The multihash of a PeerId of an Ed25519 key: identity, 36 bytes, protobuf of key type 1 and 32 bytes. */
const PEER_PREFIX = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20);
const KEY_BYTES = 32;
const DAY_MS = 86_400_000;

export interface ProviderDescription {
  readonly number: number;
  readonly behaviour: Behaviour;
  readonly nowMs: number;
  /** Base units an hour. */
  readonly price: string;
}

/** A provider with a record as the daemon would publish it, but for its signature. */
export function createProvider(random: SeededRandom, description: ProviderDescription): Provider {
  const { number, behaviour, nowMs, price } = description;
  const peerBytes = concatBytes(PEER_PREFIX, random.bytes(KEY_BYTES));
  const peer = PeerKey(base58btc.encode(peerBytes).slice(1));
  const value: NodeRecord = {
    type: 'fogproof/node-record@1',
    network: 'simulation',
    peer,
    vrfPublicKey: random.bytes(KEY_BYTES),
    sequence: 1,
    issuedAtMs: UnixMs(nowMs),
    expiresAtMs: UnixMs(nowMs + DAY_MS),
    instance: random.bytes(16),
    addresses: [],
    software: 'fogproof/simulation',
    role: { provides: true, requests: true },
    claims: { claimClass: 'declared', region: null, cpuCores: 8, memoryBytes: 2 ** 34, diskBytes: 2 ** 38, gpus: [] },
    capabilities: [SIMULATED_CLASS],
    executors: [{ kind: 'wasm', isolation: ['process'], instrumenter: 'simulation', slots: SLOTS_PER_PROVIDER }],
    pricesPerHour: [{ capabilityClass: SIMULATED_CLASS, price }],
  };
  const payload = encodeObject(NODE_RECORD, value);
  const id = ObjectId(computeObjectId(payload));
  const record = { value, signer: peer, payload, id, wire: { kind: 'envelope', envelope: payload } } as const;
  return { number, peer, peerBytes, record, behaviour, active: 0 };
}
