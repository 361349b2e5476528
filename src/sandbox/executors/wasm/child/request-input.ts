import { readSync } from 'node:fs';
import { InternalError } from '../../../../lib/errors.ts';
import { CHILD_BUFFER_BYTES, REQUEST_FD } from '../../../constants.ts';

/** Blocking reads of the request pipe: between tasks the child sleeps in read(2) and runs no event loop. */
export class RequestInput {
  private readonly buffer = new Uint8Array(CHILD_BUFFER_BYTES);
  private start = 0;
  private end = 0;

  /** Fills the target with the next bytes; false if the parent has gone. */
  readInto(target: Uint8Array): boolean {
    let done = this.takeBuffered(target);
    while (done < target.length) {
      if (target.length - done >= this.buffer.length) {
        const count = readSync(REQUEST_FD, target, done, target.length - done, null);
        if (count === 0) return false;
        done += count;
      } else {
        if (!this.fill()) return false;
        done += this.takeBuffered(target.subarray(done));
      }
    }
    return true;
  }

  private takeBuffered(target: Uint8Array): number {
    const part = this.buffer.subarray(this.start, Math.min(this.end, this.start + target.length));
    target.set(part);
    this.start += part.length;
    return part.length;
  }

  private fill(): boolean {
    this.start = 0;
    this.end = readSync(REQUEST_FD, this.buffer, 0, this.buffer.length, null);
    return this.end > 0;
  }

  /** The next bytes of a task that is under way. */
  read(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    if (!this.readInto(bytes)) throw new InternalError('the parent has gone');
    return bytes;
  }

  /** The next frame: type and fields; null if the parent has gone. */
  readFrame(): Uint8Array | null {
    const head = new Uint8Array(4);
    if (!this.readInto(head)) return null;
    return this.read(new DataView(head.buffer).getUint32(0));
  }
}
