import type { Resources } from '../../domain/job.ts';
import { WASI_SCRATCH_BYTES } from '../../wasm/runtime/constants.ts';
import { CONTROL_SLACK_BYTES, MAX_CONTROL_BYTES, METRICS_BYTES_PER_LOG_BYTE } from './constants.ts';

/** Most bytes of the files under /checkpoint (docs/stepping.md section 7). */
export function computeCheckpointLimit({ outputBytes }: Pick<Resources, 'outputBytes'>): number {
  return outputBytes + WASI_SCRATCH_BYTES;
}

/** Size of the file system at /fogproof. */
export function computeControlBytes({ logBytes }: Pick<Resources, 'logBytes'>): number {
  return Math.min(logBytes * METRICS_BYTES_PER_LOG_BYTE + CONTROL_SLACK_BYTES, MAX_CONTROL_BYTES);
}

/** What a program with training rounds finds in its environment, whatever its job says: the round that it goes on from, 0 for none. */
export function createRoundEnvironment(round: number, every: number): Readonly<Record<string, string>> {
  return { FOGPROOF_ROUND: String(round), FOGPROOF_EVERY: String(every) };
}
