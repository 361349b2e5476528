import { createHash } from 'node:crypto';
import type { InstrumentOptions } from '../../wasm/instrument/instrument.ts';

export interface InstrumentedSource {
  /** SHA-256 of the original module. */
  readonly sha256: Uint8Array;
  /** Name and version of the rewriting rules. */
  readonly instrumenter: string;
  /** Of a module that is instrumented whole. */
  readonly options: Pick<InstrumentOptions, 'maxPages' | 'isStepping'>;
}

/** All that the rewritten bytes depend on, as the hex name of an entry. */
export function computeCacheKey({ sha256, instrumenter, options }: InstrumentedSource): string {
  const hash = createHash('sha256').update('fogproof/instrumented@1\0').update(sha256);
  hash.update(`\0${instrumenter}\0${options.maxPages}\0${options.isStepping ? 'stepping' : 'any'}`);
  return hash.digest('hex');
}
