import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { raceSignal } from '../../../lib/abort.ts';
import { describeError } from '../../../lib/errors.ts';
import { RESUME_BATCH_BYTES } from '../../constants.ts';
import { SandboxError } from '../../errors.ts';

export interface PieceFeedOptions {
  /** Of each piece that the state consists of. */
  readonly sizes: readonly number[];
  /** Aborts when the task is over. */
  readonly signal: AbortSignal;
}

/**
 * Writes the pieces of a state to a child. It is always one piece ahead: the last one is written only after the source
 * has ended as it should, so a program never starts from a state that is not whole.
 */
export class PieceFeed {
  private readonly source: AsyncIterator<Uint8Array>;
  private readonly options: PieceFeedOptions;
  private ahead: Uint8Array | null = null;
  private taken = 0;
  private hasEnded = false;

  constructor(pieces: AsyncIterable<Uint8Array>, options: PieceFeedOptions) {
    this.source = pieces[Symbol.asyncIterator]();
    this.options = options;
  }

  /** The source has ended where it should; the last piece may still have to be written. */
  get isWhole(): boolean {
    return this.hasEnded;
  }

  /** Takes the first piece, or sees that there is none. @throws SandboxError SANDBOX_RESUME_STATE */
  async open(): Promise<void> {
    this.ahead = await this.take();
  }

  /** @throws SandboxError SANDBOX_RESUME_STATE; AbortError or the signal's reason */
  async writeTo(requests: Writable): Promise<void> {
    let batchBytes = 0;
    requests.cork();
    try {
      while (this.ahead !== null) {
        const piece = this.ahead;
        this.ahead = await this.take();
        requests.write(piece);
        batchBytes += piece.length;
        if (batchBytes < RESUME_BATCH_BYTES) continue;
        batchBytes = 0;
        await this.flush(requests);
      }
    } finally {
      requests.uncork();
    }
  }

  /** Lets the source go, however far it was read. */
  close(): void {
    this.source.return?.().catch(() => undefined);
  }

  private async flush(requests: Writable): Promise<void> {
    requests.uncork();
    if (requests.writableNeedDrain) await once(requests, 'drain', { signal: this.options.signal });
    requests.cork();
  }

  /** The next piece; null at the end, where it should be. */
  private async take(): Promise<Uint8Array | null> {
    const { sizes, signal } = this.options;
    const next = await this.askSource(signal);
    const size = sizes[this.taken];
    if (next.done === true) {
      if (size !== undefined) return refuse(`it has ${sizes.length} pieces and only ${this.taken} came`);
      this.hasEnded = true;
      return null;
    }
    if (size === undefined) return refuse(`more came than its ${sizes.length} pieces`);
    if (next.value.length !== size)
      return refuse(`piece ${this.taken} has ${next.value.length} bytes in place of ${size}`);
    this.taken += 1;
    return next.value;
  }

  private async askSource(signal: AbortSignal): Promise<IteratorResult<Uint8Array>> {
    try {
      return await raceSignal(this.source.next(), signal);
    } catch (error) {
      signal.throwIfAborted();
      throw new SandboxError({ code: 'SANDBOX_RESUME_STATE', reason: describeError(error) }, { cause: error });
    }
  }
}

function refuse(reason: string): never {
  throw new SandboxError({ code: 'SANDBOX_RESUME_STATE', reason });
}
