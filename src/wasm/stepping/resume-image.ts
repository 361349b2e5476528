import { PAGE_BYTES } from '../constants.ts';
import { WasmError } from '../errors.ts';
import type { InstrumentedModule } from '../instrument/instrument.ts';
import { LOG_OVERHEAD_BYTES, METRIC_OVERHEAD_BYTES } from '../runtime/constants.ts';
import { MetricsChain } from '../runtime/metrics-chain.ts';
import type { ProgramTask } from '../runtime/program-context.ts';
import { findThresholdFault } from './checkpoint-plan.ts';
import { DIGEST_BYTES } from './constants.ts';
import { findGlobalsFault } from './global-state.ts';
import { type HostState, parseHostState } from './host-state.ts';
import type { ResumeImage } from './interface.ts';
import { indexPieces } from './piece-index.ts';

/**
 * A state that fits the module and the job. Its pieces are still to be read; that they are what their digests say shows
 * in the state root of the first checkpoint.
 */
export interface CheckedImage {
  readonly host: HostState;
  readonly globals: Uint8Array;
  /** For each page, then each piece of output, its place in `pieces`; -1 for 65,536 zeros. */
  readonly places: Int32Array;
  readonly pieceCount: number;
  readonly pieces: Iterable<Uint8Array>;
}

export function refuseImage(reason: string): never {
  throw new WasmError({ code: 'WASM_RESUME_REFUSED', reason });
}

/** @throws WasmError WASM_RESUME_REFUSED */
export function checkResumeImage(image: ResumeImage, module: InstrumentedModule, task: ProgramTask): CheckedImage {
  const { state } = image;
  if (state.kind !== 'memory') return refuseImage('it is of a program that does not step');
  const host = parseHostState(state.host) ?? refuseImage('its host state is malformed');
  if (host.steps !== image.step) refuseImage(`it is of step ${host.steps}, not ${image.step}`);
  checkHost(host, task);
  const { memory } = module;
  if (memory === null || host.pages < memory.minPages || host.pages > memory.maxPages) {
    refuseImage(`it has ${host.pages} pages of memory`);
  }
  const globalsFault = findGlobalsFault(module.mutableGlobals, state.globals);
  if (globalsFault !== null) refuseImage(globalsFault);
  if (state.pages.length !== host.pages * DIGEST_BYTES) refuseImage('its pages are not as many as it says');
  if (state.output.length !== Math.ceil(host.outputBytes / PAGE_BYTES) * DIGEST_BYTES) {
    refuseImage('its output is not as long as it says');
  }
  const { places, firsts } = indexPieces(state.pages, state.output);
  return { host, globals: state.globals, places, pieceCount: firsts.length, pieces: image.pieces };
}

function checkHost(host: HostState, task: ProgramTask): void {
  if (host.isDone && host.steps === 0) refuseImage('it is done without a step');
  if (host.fuel > task.fuel) refuseImage('more fuel than the job has is used');
  if (host.outputBytes > task.outputBytes) refuseImage('it has more output than the job allows');
  if (host.logBytes > task.logBytes) refuseImage('it has more logs than the job allows');
  const leastBytes = host.logs * LOG_OVERHEAD_BYTES + host.metrics * METRIC_OVERHEAD_BYTES;
  if (leastBytes > host.logBytes) refuseImage('it has more logs and metrics than bytes of them');
  const hasEmptyHash = Buffer.from(new MetricsChain().head).equals(host.metricsHash);
  if (host.metrics === 0 && !hasEmptyHash) refuseImage('it has a metrics hash and no metrics');
  const { checkpoints } = task;
  const fault = checkpoints === null ? null : findThresholdFault(checkpoints, host.nextFuel, host.fuel);
  if (fault !== null) refuseImage(fault);
}
