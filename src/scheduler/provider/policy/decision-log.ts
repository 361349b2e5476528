import type { LeaseId, PeerKey } from '../../../domain/ids.ts';
import type { OfferAsk } from '../../../domain/messages.ts';
import type { Receipt } from '../../../domain/receipt.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { AuditTrail } from '../../../telemetry/interface.ts';
import type { Attempt } from '../attempts/attempt.ts';
import type { RefusedByRule } from '../offers/admission.ts';

/** The same answer to the same requester is one entry for so long, ms, with the number of times: asking costs nothing. */
const REPEAT_MS = 60_000;
/** Refusals that are counted; of further ones the oldest is written at once. */
const MAX_COUNTED = 1_024;

interface Refused {
  readonly of: 'offer' | 'lease';
  readonly requester: PeerKey;
  readonly subject: string;
}

interface Repeats extends Refused {
  readonly code: string;
  readonly rule: string | null;
  times: number;
  readonly timer: Disposable;
}

/** What one attempt came to, as the log has it: no text of it. */
export interface EndedAttempt {
  readonly requester: PeerKey;
  readonly job: string;
  readonly lease: LeaseId;
  readonly outcome: Receipt['result']['outcome'];
  readonly cpuTimeMs: number;
}

/** Puts the decisions of a provider into the audit log. */
export class DecisionLog implements Disposable {
  readonly #modules: { readonly audit: AuditTrail; readonly clock: Clock };
  readonly #repeats = new Map<string, Repeats>();

  constructor(modules: { readonly audit: AuditTrail; readonly clock: Clock }) {
    this.#modules = modules;
  }

  offered(requester: PeerKey, { subject, terms, attempts }: Omit<OfferAsk, 'op'>, offer: string): void {
    this.#modules.audit.note({ kind: 'offer', requester, subject, offer, workload: terms.workloadKind, attempts });
  }

  refused(
    asked: Refused,
    { refusal: { code }, rule = null }: Pick<RefusedByRule, 'refusal'> & { rule?: string | null },
  ): void {
    const key = [asked.of, asked.requester, code, rule].join(' ');
    const known = this.#repeats.get(key);
    if (known !== undefined) {
      known.times += 1;
      return;
    }
    this.#modules.audit.note({ kind: 'refusal', ...asked, code, rule, times: 1 });
    const [oldest] = this.#repeats.keys();
    if (oldest !== undefined && this.#repeats.size >= MAX_COUNTED) this.#tell(oldest);
    const timer = this.#modules.clock.schedule(REPEAT_MS, () => this.#tell(key));
    this.#repeats.set(key, { ...asked, code, rule, times: 0, timer });
  }

  leased(attempts: readonly Attempt[]): void {
    const [first] = attempts;
    if (first === undefined) return;
    const { requester, jobId: job, id: lease } = first;
    const { offer } = first.lease.value;
    this.#modules.audit.note({ kind: 'lease', requester, offer, job, lease, attempts: attempts.length });
  }

  /** Of those of a batch nothing is written: the lease and the end say how many there were. */
  started({ requester, jobId: job, id: lease, run }: Attempt): void {
    if (!run.options.isBatch) this.#modules.audit.note({ kind: 'attempt-start', requester, job, lease });
  }

  /** @param group of one requester */
  ended(group: readonly EndedAttempt[]): void {
    const [first] = group;
    if (first === undefined) return;
    const { requester, job, lease } = first;
    const outcomes: Record<string, number> = {};
    for (const { outcome } of group) {
      const code = outcome.kind === 'completed' ? 'completed' : outcome.code;
      outcomes[code] = (outcomes[code] ?? 0) + 1;
    }
    const cpuTimeMs = group.reduce((sum, attempt) => sum + attempt.cpuTimeMs, 0);
    this.#modules.audit.note({ kind: 'attempt-end', requester, job, lease, outcomes, cpuTimeMs });
  }

  /** Writes what was counted. */
  [Symbol.dispose](): void {
    for (const key of this.#repeats.keys()) this.#tell(key);
  }

  #tell(key: string): void {
    const repeats = this.#repeats.get(key);
    if (repeats === undefined) return;
    this.#repeats.delete(key);
    const { timer, ...refusal } = repeats;
    timer[Symbol.dispose]();
    if (refusal.times > 0) this.#modules.audit.note({ kind: 'refusal', ...refusal });
  }
}
