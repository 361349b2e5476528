import { createDeadline } from '../../lib/abort.ts';
import { isAbortError } from '../../lib/errors.ts';
import type { CallOptions, Commitment, TransactionRecord, TransactionSender } from '../interface.ts';
import { PROGRESS_INTERVAL_MS } from './constants.ts';
import type { Problem } from './problem.ts';

export function isLanded(transaction: TransactionRecord): boolean {
  return transaction.state === 'confirmed' || transaction.state === 'finalized';
}

/** Waits for transactions, and says meanwhile what keeps them. */
export class TransactionWatch {
  readonly #sender: TransactionSender;
  readonly #onProblem: (problem: Problem | null) => void;

  constructor(modules: {
    readonly sender: TransactionSender;
    readonly onProblem: (problem: Problem | null) => void;
  }) {
    this.#sender = modules.sender;
    this.#onProblem = modules.onProblem;
  }

  /** As long as it takes: an unreachable chain is waited for. @throws AbortError, ChainError */
  async wait(key: string, options: CallOptions & { readonly until: Commitment }): Promise<TransactionRecord> {
    for (;;) {
      using turn = createDeadline(PROGRESS_INTERVAL_MS, options.signal);
      try {
        const transaction = await this.#sender.wait(key, { ...options, signal: turn.signal });
        if (isLanded(transaction)) this.#onProblem(null);
        return transaction;
      } catch (error) {
        options.signal.throwIfAborted();
        if (!turn.signal.aborted || !isAbortError(error)) throw error;
      }
      this.#onProblem((await this.#sender.get(key))?.problem ?? null);
    }
  }
}
