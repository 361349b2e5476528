import { UnixMs } from '../../../domain/ids.ts';
import type { Refusal, RefusalCode } from '../../../domain/refusal.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { NoWorkExplanation } from '../../interface.ts';
import { MAX_DETAIL_CHARS } from '../constants.ts';

/** @param retryAfterMs when it is worth asking again; without, whoever asks decides */
export function createRefusal(code: RefusalCode, detail: string, retryAfterMs?: number): Refusal {
  const refusal = { code, detail: detail.slice(0, MAX_DETAIL_CHARS) };
  return retryAfterMs === undefined ? refusal : { ...refusal, retryAfterMs };
}

type TalliedRefusal = NoWorkExplanation['refusals'][number];

/** What was refused and why, one entry a code. */
export class RefusalTally {
  readonly #clock: Clock;
  readonly #byCode = new Map<RefusalCode, TalliedRefusal>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param rule the setting of the operator's policy that decided, where one did */
  count(refusal: Refusal, rule: string | null = null): void {
    const before = this.#byCode.get(refusal.code)?.count ?? 0;
    this.#byCode.set(refusal.code, {
      code: refusal.code,
      count: before + 1,
      lastDetail: refusal.detail,
      lastRule: rule,
      lastAtMs: UnixMs(this.#clock.nowMs()),
    });
  }

  /** Most frequent first. */
  list(): readonly TalliedRefusal[] {
    return [...this.#byCode.values()].sort((a, b) => b.count - a.count);
  }
}
