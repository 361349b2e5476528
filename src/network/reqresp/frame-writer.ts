import type { Stream } from '@libp2p/interface';
import { concatBytes } from '../../lib/bytes.ts';
import { WRITE_HIGH_WATER_BYTES } from '../constants.ts';

/**
 * Writes frames to a stream: those of one turn of the microtask queue leave in one piece, and `send` waits while the
 * reader is behind. The stream itself is reset when `maxWriteBufferLength` is passed.
 */
export class FrameWriter {
  readonly #stream: Stream;
  #frames: Uint8Array[] = [];
  #waiters: (() => void)[] = [];
  #queuedBytes = 0;
  #isScheduled = false;
  #isClosed = false;

  constructor(stream: Stream) {
    this.#stream = stream;
    stream.addEventListener('drain', () => this.#release());
  }

  /** Queues a frame whatever the reader does: for frames whose number is bounded by the other side's requests. */
  write(frame: Uint8Array): void {
    if (this.#isClosed) return;
    this.#frames.push(frame);
    this.#queuedBytes += frame.length;
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => this.#flush());
  }

  /** Queues a frame as soon as the reader keeps up. */
  async send(frame: Uint8Array): Promise<void> {
    while (this.#isFull() && !this.#isClosed) {
      await new Promise<void>((resolve) => {
        this.#waiters.push(resolve);
      });
    }
    this.write(frame);
  }

  close(): void {
    this.#isClosed = true;
    this.#frames = [];
    this.#release();
  }

  #isFull(): boolean {
    return this.#stream.writableNeedsDrain || this.#queuedBytes >= WRITE_HIGH_WATER_BYTES;
  }

  #flush(): void {
    this.#isScheduled = false;
    const frames = this.#frames;
    this.#frames = [];
    this.#queuedBytes = 0;
    if (this.#isClosed || frames.length === 0) return;
    const [first] = frames;
    const bytes = frames.length === 1 && first !== undefined ? first : concatBytes(...frames);
    try {
      this.#stream.send(bytes);
    } catch {
      // The stream is closing; its close event fails what waits.
      this.close();
      return;
    }
    if (!this.#stream.writableNeedsDrain) this.#release();
  }

  #release(): void {
    if (this.#waiters.length === 0) return;
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const resume of waiters) resume();
  }
}
