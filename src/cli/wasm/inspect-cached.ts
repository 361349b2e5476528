import { hash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { computeDataPaths, resolveHome } from '../../config/paths.ts';
import { SystemClock } from '../../lib/clock.ts';
import { isDaemonError } from '../../lib/errors.ts';
import { computeCacheKey } from '../../sandbox/instrumented-cache/cache-key.ts';
import { DEFAULT_CACHE_BYTES, InstrumentedCache } from '../../sandbox/instrumented-cache/instrumented-cache.ts';
import { INSTRUMENTER } from '../../wasm/constants.ts';
import { type InspectedModule, inspectModule } from '../../wasm/inspect/inspect-module.ts';
import type { InstrumentedByAbi } from '../../wasm/inspect/interface.ts';
import type { AbiName } from '../../wasm/runtime/prepare-program.ts';
import type { CliContext } from '../interface.ts';

/** Looks for the rewritten module in the data folder's cache, and keeps there what had to be made. */
export async function inspectCached(
  bytes: Uint8Array,
  options: { readonly maxPages: number },
  context: Pick<CliContext, 'environment' | 'home'>,
): Promise<InspectedModule & { readonly isCached: boolean }> {
  const cache = await openCache(context);
  if (cache === null) return { ...inspectModule(bytes, options), isCached: false };
  const sha256 = hash('sha256', bytes, 'buffer');
  const keyOf = (abi: AbiName): string =>
    computeCacheKey({
      sha256,
      instrumenter: INSTRUMENTER,
      options: { maxPages: options.maxPages, isStepping: abi === 'fogproof' },
    });
  const [wasi, fogproof] = await Promise.all([cache.get(keyOf('wasi')), cache.get(keyOf('fogproof'))]);
  const known: InstrumentedByAbi = { ...(wasi && { wasi }), ...(fogproof && { fogproof }) };
  const inspected = inspectModule(bytes, { ...options, known });
  const names: readonly AbiName[] = ['wasi', 'fogproof'];
  for (const abi of names) {
    const made = inspected.instrumented[abi];
    if (made !== undefined && known[abi] === undefined) await cache.put(keyOf(abi), made);
  }
  return { ...inspected, isCached: wasi !== null || fogproof !== null };
}

/** Null where there is no data folder: to look at a module does not make one. */
async function openCache({ environment, home }: Pick<CliContext, 'environment' | 'home'>) {
  const folder = findHome(environment, home);
  const isThere =
    folder !== null &&
    (await stat(folder).then(
      (found) => found.isDirectory(),
      () => false,
    ));
  if (!isThere) return null;
  const clock = new SystemClock();
  return new InstrumentedCache(
    { clock },
    { folder: computeDataPaths(folder).instrumented, maxBytes: DEFAULT_CACHE_BYTES },
  );
}

function findHome(environment: CliContext['environment'], home: string | undefined): string | null {
  try {
    return resolveHome(environment, home);
  } catch (error) {
    if (isDaemonError(error)) return null;
    throw error;
  }
}
