import type { ExecutorKind } from '../../../domain/capability.ts';
import type { PeerKey } from '../../../domain/ids.ts';
import { listImages, listLeadingImages } from '../../../domain/image.ts';
import type { Job } from '../../../domain/job.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { Dispatcher } from '../attempts/dispatcher.ts';
import type { OfferBook } from '../offers/offer-book.ts';
import { decide, decideImages, NO_USAGE, type PolicyDecision, type PolicyTask, type RequesterUsage } from './decide.ts';
import type { OperatorPolicy } from './operator-policy.ts';
import type { UsageLedger } from './usage-ledger.ts';

export interface PolicyDeskModules {
  readonly self: PeerKey;
  readonly usage: UsageLedger;
  readonly dispatcher: Pick<Dispatcher, 'runs'>;
  readonly offers: Pick<OfferBook, 'attemptsOf'>;
  readonly clock: Clock;
}

/** Asks the operator's policy, with what the requester has here and has had. */
export class PolicyDesk {
  readonly #modules: PolicyDeskModules;
  readonly #options: { readonly networkId: string; readonly policy: OperatorPolicy };

  constructor(modules: PolicyDeskModules, options: { readonly networkId: string; readonly policy: OperatorPolicy }) {
    this.#modules = modules;
    this.#options = options;
  }

  get policy(): OperatorPolicy {
    return this.#options.policy;
  }

  /** By the terms alone. */
  judgeOffer(requester: PeerKey, ask: { readonly kind: ExecutorKind; readonly attempts: number }): PolicyDecision {
    const task = { ...this.#describe(requester, ask.kind), attempts: ask.attempts };
    return decide(task, this.policy, this.#read(requester), this.#modules.clock.nowMs());
  }

  /** By what the job runs, which the terms do not say. */
  judgeJob({ requester, workload }: Job): PolicyDecision {
    const { allow, deny } = this.policy;
    if (allow.images === null && deny.images.size === 0) return { kind: 'allow' };
    const images = { images: listImages(workload), leadingImages: listLeadingImages(workload) };
    const task = { ...this.#describe(requester, workload.kind), ...images };
    return decideImages(task, this.policy);
  }

  /** What keeps any work at all away now; undefined if nothing does. */
  judgeStanding(kinds: readonly ExecutorKind[]): Extract<PolicyDecision, { kind: 'refusal' }> | undefined {
    const nowMs = this.#modules.clock.nowMs();
    // As if a peer that no list names asked: a refusal of each kind is one of everybody.
    const decisions = kinds.map((kind) => {
      const task = { ...this.#describe(this.#modules.self, kind), isOwn: true };
      return decide(task, this.policy, NO_USAGE, nowMs);
    });
    const refusals = decisions.filter((decision) => decision.kind === 'refusal');
    return refusals.length === decisions.length ? refusals[0] : undefined;
  }

  #describe(requester: PeerKey, kind: ExecutorKind): PolicyTask {
    const { networkId: network } = this.#options;
    return { requester, isOwn: requester === this.#modules.self, network, kind, images: null, attempts: 1 };
  }

  /** What runs counts with the processor time that it has told of so far. */
  #read(requester: PeerKey): RequesterUsage {
    const { usage, dispatcher, offers, clock } = this.#modules;
    const recorded = usage.read(requester, clock.nowMs());
    const reserved = offers.attemptsOf(requester);
    let live = 0;
    let runningMs = 0;
    for (const run of dispatcher.runs) {
      if (run.options.requester !== requester) continue;
      live += run.live.size;
      for (const attempt of run.lanes) runningMs += attempt.progress.cpuTimeMs;
    }
    return {
      ...recorded,
      concurrentAttempts: live + reserved,
      attemptsLastHour: recorded.attemptsLastHour + reserved,
      cpuTimeLastDayMs: recorded.cpuTimeLastDayMs + Math.trunc(runningMs),
    };
  }
}
