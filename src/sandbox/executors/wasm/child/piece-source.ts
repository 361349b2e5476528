import { InternalError } from '../../../../lib/errors.ts';
import type { RequestInput } from './request-input.ts';

/**
 * The pieces of a state to go on from, read from the pipe as they are asked for: a piece is valid until the next one, so
 * that a state of gigabytes is never in memory twice.
 */
export class PieceSource implements Iterable<Uint8Array> {
  private readonly input: RequestInput;
  private readonly sizes: readonly number[];
  private readonly buffer: Uint8Array;
  private taken = 0;

  constructor(input: RequestInput, sizes: readonly number[]) {
    this.input = input;
    this.sizes = sizes;
    this.buffer = new Uint8Array(sizes.reduce((largest, size) => Math.max(largest, size), 0));
  }

  *[Symbol.iterator](): Generator<Uint8Array> {
    for (let size = this.sizes[this.taken]; size !== undefined; size = this.sizes[this.taken]) {
      const piece = this.buffer.subarray(0, size);
      this.taken += 1;
      if (!this.input.readInto(piece)) throw new InternalError('the parent has gone');
      yield piece;
    }
  }

  /** Reads what nobody asked for, so that the next request is at the front of the pipe. */
  drain(): void {
    for (const _piece of this);
  }
}
