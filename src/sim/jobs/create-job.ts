import { BlobId, type PeerKey, UnixMs } from '../../domain/ids.ts';
import type { Job } from '../../domain/job.ts';
import { computeRawId } from '../../lib/cid.ts';
import type { SeededRandom } from '../random/seeded-random.ts';
import { SIMULATED_CLASS } from './create-provider.ts';

/** Design section 12: three other providers are tried. */
const RETRIES = 3;
const DEADLINE_MS = 3_600_000;
const MODULE = BlobId(computeRawId(new Uint8Array(8)));

/** A job as a person would submit it, with the defaults. */
export function createJob(random: SeededRandom, requester: PeerKey, nowMs: number): Job {
  return {
    type: 'fogproof/job@1',
    network: 'simulation',
    requester,
    nonce: random.bytes(16),
    name: 'simulated',
    createdAtMs: UnixMs(nowMs),
    deadlineMs: UnixMs(nowMs + DEADLINE_MS),
    capabilityClass: SIMULATED_CLASS,
    workload: {
      kind: 'wasm',
      module: MODULE,
      moduleSizeBytes: 8,
      abi: 'wasi',
      arguments: [],
      environment: {},
      seed: random.bytes(32),
    },
    inputs: [],
    resources: { memoryBytes: 65_536, fuel: 1, wallTimeMs: 600_000, outputBytes: 0, logBytes: 0 },
    isolation: 'process',
    replication: { replicas: 1, quorum: 1, diversity: 'peer' },
    retries: RETRIES,
    market: 'direct',
    priceCeiling: '1000000',
  };
}
