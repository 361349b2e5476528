import type { Clock } from '../../../lib/clock.ts';
import { estimateInlineBytes } from '../attempts/event-log.ts';
import type { Run } from '../attempts/run.ts';
import {
  FRAME_BUDGET_BYTES,
  MAX_WAITING_RECEIPTS,
  RECEIPT_BATCH,
  RECEIPT_GATHER_MS,
  RECEIPT_OVERHEAD_BYTES,
} from '../constants.ts';
import type { ConcludedAttempt, Concluder } from './concluder.ts';

export interface ReceiptPressModules {
  readonly concluder: Pick<Concluder, 'concludeGroup'>;
  readonly clock: Clock;
  /** Called after each group was written. */
  readonly onPressed: () => void;
}

/**
 * Gathers what a batch's attempts came to, so that one signature, one write and one frame serve many of them: up to 128,
 * or what came within a few ms, or all that the batch still had. One group is written at a time; more gather meanwhile.
 */
export class ReceiptPress {
  readonly #modules: ReceiptPressModules;
  readonly #run: Run;
  readonly #waiting: ConcludedAttempt[] = [];
  #timer: Disposable | null = null;
  #isPressing = false;
  #roomWanted: (() => void)[] = [];

  constructor(modules: ReceiptPressModules, options: { readonly run: Run }) {
    this.#modules = modules;
    this.#run = options.run;
  }

  /** Resolves when there is room for another: at once, unless the journal is slower than the program. */
  add(concluded: ConcludedAttempt): Promise<void> {
    this.#waiting.push(concluded);
    if (this.#isFull()) void this.#press();
    else this.#timer ??= this.#modules.clock.schedule(RECEIPT_GATHER_MS, () => void this.#press());
    if (this.#waiting.length < MAX_WAITING_RECEIPTS) return Promise.resolve();
    return new Promise((resolve) => this.#roomWanted.push(resolve));
  }

  #isFull(): boolean {
    return this.#waiting.length >= RECEIPT_BATCH || this.#waiting.length >= this.#run.live.size;
  }

  async #press(): Promise<void> {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    if (this.#isPressing) return;
    this.#isPressing = true;
    try {
      do {
        await this.#modules.concluder.concludeGroup(this.#takeGroup());
        this.#modules.onPressed();
        for (const resolve of this.#roomWanted.splice(0)) resolve();
      } while (this.#waiting.length > 0 && this.#isFull());
    } finally {
      this.#isPressing = false;
      if (this.#waiting.length > 0) {
        this.#timer ??= this.#modules.clock.schedule(RECEIPT_GATHER_MS, () => void this.#press());
      }
    }
  }

  /** At most 128, and of what fits one frame unless the first alone is larger. */
  #takeGroup(): ConcludedAttempt[] {
    let sizeBytes = 0;
    const fitting = this.#waiting.findIndex((concluded, index) => {
      sizeBytes += estimateBytes(concluded);
      return index > 0 && sizeBytes > FRAME_BUDGET_BYTES;
    });
    return this.#waiting.splice(0, Math.min(RECEIPT_BATCH, fitting < 0 ? this.#waiting.length : fitting));
  }
}

function estimateBytes({ conclusion }: ConcludedAttempt): number {
  const outputBytes = conclusion.result.outputs.reduce((sum, output) => sum + output.path.length * 3 + 64, 0);
  return RECEIPT_OVERHEAD_BYTES + outputBytes + estimateInlineBytes(conclusion.inline);
}
