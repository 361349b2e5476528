import { CID } from 'multiformats/cid';
import { ANNOUNCEMENT, type Announcement } from '../../src/domain/announcement.ts';
import { ObjectId, UnixMs } from '../../src/domain/ids.ts';
import type { Signed } from '../../src/domain/signed.ts';
import { computeRawCid } from '../../src/lib/cid.ts';
import { SystemRandom } from '../../src/lib/random.ts';
import type { EnvelopeSigner } from '../../src/proofs/interface.ts';
import { signObject } from '../../src/proofs/signed-object.ts';

const random = new SystemRandom();

/** An object id that nothing has. */
export function randomSubject(): ObjectId {
  return ObjectId(CID.createV1(0x71, computeRawCid(random.bytes(16)).multihash).toString());
}

export function buildAnnouncement(
  requester: Pick<EnvelopeSigner, 'peer'>,
  nowMs: number,
  changes: Partial<Announcement> = {},
): Announcement {
  return {
    type: 'fogproof/announcement@1',
    network: 'test',
    subject: randomSubject(),
    requester: requester.peer,
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
    expiresAtMs: UnixMs(nowMs + 10_000),
    ...changes,
  };
}

export function signAnnouncement(
  requester: EnvelopeSigner,
  nowMs: number,
  changes: Partial<Announcement> = {},
): Promise<Signed<Announcement>> {
  return signObject(ANNOUNCEMENT, buildAnnouncement(requester, nowMs, changes), requester);
}
