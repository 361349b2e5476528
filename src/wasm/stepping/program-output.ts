import { PAGE_BYTES } from '../constants.ts';

/** The one output of a stepping module: bytes that are appended and never changed. */
export class ProgramOutput {
  private buffer: Uint8Array = new Uint8Array(0);
  private used = 0;
  private written = false;

  get length(): number {
    return this.used;
  }

  /** `output_write` was called, were it with no bytes. */
  get isWritten(): boolean {
    return this.written;
  }

  /** Valid until the next `append`. */
  get bytes(): Uint8Array {
    return this.buffer.subarray(0, this.used);
  }

  append(bytes: Uint8Array): void {
    const length = this.used + bytes.length;
    if (length > this.buffer.length) {
      const grown = new Uint8Array(Math.max(length, this.buffer.length * 2));
      grown.set(this.bytes);
      this.buffer = grown;
    }
    this.buffer.set(bytes, this.used);
    this.used = length;
    this.written = true;
  }

  /** Makes room for so many bytes, to be written piece by piece. */
  restore(sizeBytes: number): void {
    this.buffer = new Uint8Array(sizeBytes);
    this.used = sizeBytes;
    this.written = true;
  }

  /** A piece of 65,536 bytes, the last one shorter (docs/stepping.md section 3.3). */
  piece(index: number): Uint8Array {
    return this.bytes.subarray(index * PAGE_BYTES, (index + 1) * PAGE_BYTES);
  }
}
