import type { Counter } from '../../../telemetry/interface.ts';
import { MAX_UNREAD_BYTES } from '../constants.ts';

export interface UnreadAnswer {
  /** Lets go of all that waits in it, and ends. */
  close(): void;
}

/**
 * What has ended and waits in answers for its reader. Live attempts are bounded by themselves; of ended ones somebody who
 * reads nothing could have any number held. Beyond a bound for all of them the answer in which most waits is ended. What
 * was in it is on disk, for whoever attaches.
 */
export class UnreadAnswers {
  readonly #dropped: Pick<Counter, 'increment'>;
  readonly #bytes = new Map<UnreadAnswer, number>();
  #totalBytes = 0;

  constructor({ unreadAnswers }: { readonly unreadAnswers: Pick<Counter, 'increment'> }) {
    this.#dropped = unreadAnswers;
  }

  get totalBytes(): number {
    return this.#totalBytes;
  }

  /** What waits in an answer now, bytes. */
  note(answer: UnreadAnswer, bytes: number): void {
    this.#totalBytes += bytes - (this.#bytes.get(answer) ?? 0);
    if (bytes > 0) this.#bytes.set(answer, bytes);
    else this.#bytes.delete(answer);
    while (this.#totalBytes > MAX_UNREAD_BYTES) this.#closeLargest();
  }

  #closeLargest(): void {
    const [largest] = [...this.#bytes].reduce((most, each) => (each[1] > most[1] ? each : most));
    this.note(largest, 0);
    this.#dropped.increment();
    largest.close();
  }
}
