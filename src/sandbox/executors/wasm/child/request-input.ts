import { readSync } from 'node:fs';
import { CHILD_BUFFER_BYTES, REQUEST_FD } from '../../../constants.ts';

/** Blocking reads of the request pipe: between tasks the child sleeps in read(2) and runs no event loop. */
export class RequestInput {
  private readonly buffer = new Uint8Array(CHILD_BUFFER_BYTES);
  private start = 0;
  private end = 0;

  /** A copy of the next `length` bytes; null if the parent has gone. */
  read(length: number): Uint8Array | null {
    const target = new Uint8Array(length);
    const buffered = Math.min(length, this.end - this.start);
    target.set(this.buffer.subarray(this.start, this.start + buffered));
    this.start += buffered;
    let done = buffered;
    while (done < length) {
      if (length - done >= this.buffer.length) {
        const count = readSync(REQUEST_FD, target, done, length - done, null);
        if (count === 0) return null;
        done += count;
        continue;
      }
      if (!this.fill()) return null;
      const part = this.buffer.subarray(0, Math.min(this.end, length - done));
      target.set(part, done);
      this.start = part.length;
      done += part.length;
    }
    return target;
  }

  private fill(): boolean {
    this.start = 0;
    this.end = readSync(REQUEST_FD, this.buffer, 0, this.buffer.length, null);
    return this.end > 0;
  }

  /** The next frame: type and fields. */
  readFrame(): Uint8Array | null {
    const head = this.read(4);
    if (head === null) return null;
    return this.read(new DataView(head.buffer).getUint32(0));
  }
}
