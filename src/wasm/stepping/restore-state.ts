import { PAGE_BYTES } from '../constants.ts';
import type { CheckpointPlan } from './checkpoint-plan.ts';
import type { CheckpointerModules } from './checkpointer.ts';
import { type CheckedImage, refuseImage } from './resume-image.ts';

/** What a state is put into. */
export interface RestoreTarget extends Omit<CheckpointerModules, 'plan'> {
  readonly plan: CheckpointPlan | null;
}

/**
 * Makes a fresh instance what it was at a checkpoint: memory, globals, output and all that the host counts.
 * @throws WasmError WASM_RESUME_REFUSED where the pieces are not as many or not as long as they have to be
 * @throws RangeError where the host has no memory
 */
export function restoreState(image: CheckedImage, target: RestoreTarget): void {
  const { context, globals, output, plan } = target;
  const { host } = image;
  context.memory.growTo(host.pages * PAGE_BYTES);
  if (host.isOutputWritten) output.restore(host.outputBytes);
  readPieces(image, target);
  globals.write(image.globals);
  plan?.restore(host.nextFuel);
  context.restore({
    fuelUsed: host.fuel,
    step: host.steps,
    randomBytes: host.randomBytes,
    logBytes: host.logBytes,
    logs: host.logs,
    metrics: host.metrics,
    metricsHash: host.metricsHash,
  });
}

function readPieces(image: CheckedImage, { context, output }: RestoreTarget): void {
  const { host, places, pieceCount } = image;
  const memory = context.memory.whole;
  const targetAt = (position: number): Uint8Array =>
    position < host.pages
      ? memory.subarray(position * PAGE_BYTES, (position + 1) * PAGE_BYTES)
      : output.piece(position - host.pages);
  const positions = Array.from({ length: pieceCount }, (): number[] => []);
  places.forEach((place, position) => {
    // Instantiating wrote the module's data, so that a page of zeros is not one yet.
    if (place === -1) targetAt(position).fill(0);
    else positions[place]?.push(position);
  });
  let read = 0;
  for (const piece of image.pieces) {
    for (const position of positions[read] ?? refuseImage(`it has more than ${pieceCount} pieces`)) {
      const target = targetAt(position);
      if (target.length !== piece.length) refuseImage(`piece ${read} has ${piece.length} bytes`);
      target.set(piece);
    }
    read++;
  }
  if (read !== pieceCount) refuseImage(`it has ${read} pieces in place of ${pieceCount}`);
}
