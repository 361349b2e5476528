import type { Stream } from '@libp2p/interface';
import { concatBytes } from '../../lib/bytes.ts';
import { WRITE_HIGH_WATER_BYTES } from '../constants.ts';

/** Above this, in bytes, a piece is written by itself rather than copied together with others. */
const MAX_JOINED_BYTES = 64 * 1024;

/**
 * Writes frames to a stream: those of one turn of the microtask queue leave in one piece, and `send` waits while the
 * reader is behind. The stream itself is reset when `maxWriteBufferLength` is passed.
 */
export class FrameWriter {
  readonly #stream: Stream;
  #pieces: Uint8Array[] = [];
  #waiters: (() => void)[] = [];
  #queuedBytes = 0;
  #isScheduled = false;
  #isClosed = false;

  constructor(stream: Stream) {
    this.#stream = stream;
    stream.addEventListener('drain', () => this.#release());
  }

  /** Queues the pieces of a frame whatever the reader does: for frames whose number is bounded by the other side's requests. */
  write(...pieces: readonly Uint8Array[]): void {
    if (this.#isClosed) return;
    for (const piece of pieces) {
      this.#pieces.push(piece);
      this.#queuedBytes += piece.length;
    }
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => this.#flush());
  }

  /** Queues the pieces of a frame as soon as the reader keeps up. They must not change afterwards. */
  async send(...pieces: readonly Uint8Array[]): Promise<void> {
    while (this.#isFull() && !this.#isClosed) {
      await new Promise<void>((resolve) => {
        this.#waiters.push(resolve);
      });
    }
    this.write(...pieces);
  }

  close(): void {
    this.#isClosed = true;
    this.#pieces = [];
    this.#release();
  }

  #isFull(): boolean {
    return this.#stream.writableNeedsDrain || this.#queuedBytes >= WRITE_HIGH_WATER_BYTES;
  }

  #flush(): void {
    this.#isScheduled = false;
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#queuedBytes = 0;
    if (this.#isClosed) return;
    try {
      for (const bytes of joinSmall(pieces)) this.#stream.send(bytes);
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

/** The same bytes in fewer pieces: small neighbours in one, large ones as they are. */
function* joinSmall(pieces: readonly Uint8Array[]): Generator<Uint8Array> {
  let small: Uint8Array[] = [];
  const join = (): Uint8Array => {
    const [first] = small;
    const joined = small.length === 1 && first !== undefined ? first : concatBytes(...small);
    small = [];
    return joined;
  };
  for (const piece of pieces) {
    if (piece.length <= MAX_JOINED_BYTES) small.push(piece);
    else {
      if (small.length > 0) yield join();
      yield piece;
    }
  }
  if (small.length > 0) yield join();
}
