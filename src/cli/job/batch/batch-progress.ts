import { formatDuration } from '../../../lib/quantity.ts';
import { type ShownBatch, totalsOf } from './render-batch.ts';

/** The rate is that of the last so many ms. */
const RATE_WINDOW_MS = 10_000;

interface Sample {
  readonly atMs: number;
  readonly ended: number;
}

/** One line that says how a batch comes on: counts, rate, time that is left at this rate. */
export class BatchProgress {
  #samples: Sample[] = [];

  describe(view: ShownBatch, nowMs: number): string {
    const { completed, failed, running, waiting } = totalsOf(view);
    const ended = completed + failed;
    this.#samples = [...this.#samples.filter(({ atMs }) => atMs >= nowMs - RATE_WINDOW_MS), { atMs: nowMs, ended }];
    const rate = this.#computeRate();
    const left = view.size - ended;
    const parts = [
      `${completed} of ${view.size} done`,
      ...(failed === 0 ? [] : [`${failed} failed`]),
      `${running} running`,
      `${waiting} waiting`,
      ...(view.submitted === view.size ? [] : [`${view.size - view.submitted} to submit`]),
      ...(rate === 0 ? [] : [`${formatRate(rate)}/s`, `${formatDuration(Math.ceil(left / rate) * 1000)} left`]),
    ];
    return parts.join(' │ ');
  }

  /** Jobs a second. */
  #computeRate(): number {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (first === undefined || last === undefined || last.atMs === first.atMs) return 0;
    return ((last.ended - first.ended) * 1000) / (last.atMs - first.atMs);
  }
}

function formatRate(rate: number): string {
  return rate >= 10 ? String(Math.round(rate)) : rate.toFixed(1);
}
