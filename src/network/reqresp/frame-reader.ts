import { FRAME_PREFIX_BYTES } from '../constants.ts';

export interface FrameReaderEvents {
  /** A whole frame, without its length: a view of the chunk it came in, which is never reused. */
  onFrame(frame: Uint8Array): void;
  /** The length of the next frame is above the limit; nothing more is read. */
  onOversize(sizeBytes: number): void;
}

/** Cuts a byte stream into frames. Frames that arrive in one piece are handed on without a copy. */
export class FrameReader {
  readonly #events: FrameReaderEvents;
  readonly #maxBytes: number;
  readonly #prefix = new Uint8Array(FRAME_PREFIX_BYTES);
  #prefixFilled = 0;
  #frame: Uint8Array | null = null;
  #frameFilled = 0;
  #isStopped = false;

  constructor(events: FrameReaderEvents, maxBytes: number) {
    this.#events = events;
    this.#maxBytes = maxBytes;
  }

  /** True between the first and the last byte of a frame. */
  get isInsideFrame(): boolean {
    return this.#prefixFilled > 0;
  }

  stop(): void {
    this.#isStopped = true;
    this.#frame = null;
    this.#prefixFilled = 0;
  }

  push(chunk: Uint8Array): void {
    let offset = 0;
    while (offset < chunk.length && !this.#isStopped) {
      offset =
        this.#prefixFilled < FRAME_PREFIX_BYTES ? this.#readPrefix(chunk, offset) : this.#readBody(chunk, offset);
    }
  }

  #readPrefix(chunk: Uint8Array, start: number): number {
    let offset = start;
    while (offset < chunk.length && this.#prefixFilled < FRAME_PREFIX_BYTES) {
      this.#prefix[this.#prefixFilled++] = chunk[offset++] as number;
    }
    if (this.#prefixFilled < FRAME_PREFIX_BYTES) return offset;
    const [a = 0, b = 0, c = 0, d = 0] = this.#prefix;
    const length = a * 0x100_0000 + b * 0x1_0000 + c * 0x100 + d;
    if (length > this.#maxBytes) {
      this.stop();
      this.#events.onOversize(length);
      return offset;
    }
    if (length <= chunk.length - offset) {
      this.#prefixFilled = 0;
      this.#events.onFrame(chunk.subarray(offset, offset + length));
      return offset + length;
    }
    this.#frame = new Uint8Array(length);
    this.#frameFilled = 0;
    return offset;
  }

  #readBody(chunk: Uint8Array, offset: number): number {
    const frame = this.#frame as Uint8Array;
    const part = chunk.subarray(offset, offset + frame.length - this.#frameFilled);
    frame.set(part, this.#frameFilled);
    this.#frameFilled += part.length;
    if (this.#frameFilled === frame.length) {
      this.#frame = null;
      this.#prefixFilled = 0;
      this.#events.onFrame(frame);
    }
    return offset + part.length;
  }
}
