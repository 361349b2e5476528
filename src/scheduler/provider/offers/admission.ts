import {
  type CapabilityClass,
  type ExecutorKind,
  ISOLATION_LEVELS,
  type IsolationLevel,
  satisfiesIsolation,
  type TeeKind,
} from '../../../domain/capability.ts';
import { findGpuClass, findGpuModelKey } from '../../../domain/gpu.ts';
import type { PeerKey } from '../../../domain/ids.ts';
import type { ResourceAmount, Resources } from '../../../domain/job.ts';
import type { OfferAsk } from '../../../domain/messages.ts';
import type { JobTerms } from '../../../domain/offer.ts';
import type { Refusal } from '../../../domain/refusal.ts';
import type { Clock } from '../../../lib/clock.ts';
import { computePrice } from '../../../market/pricing.ts';
import type { GpuUnit } from '../../../sandbox/gpu/interface.ts';
import type { Executor } from '../../../sandbox/interface.ts';
import type { EvidenceProducer } from '../../../tee/interface.ts';
import { MIN_RUN_MS } from '../constants.ts';
import type { GpuChoice, GpuDesk } from '../gpus/gpu-desk.ts';
import type { PoisonJobs } from '../leases/poison-jobs.ts';
import type { JobProviderOptions } from '../options.ts';
import type { PolicyRefusal } from '../policy/decide.ts';
import type { PolicyDesk } from '../policy/policy-desk.ts';
import { priorityOf } from '../queue/urgency.ts';
import { createRefusal } from './refusals.ts';

export interface AdmissionModules {
  readonly self: PeerKey;
  readonly executors: readonly Executor[];
  readonly poison: PoisonJobs;
  readonly policy: Pick<PolicyDesk, 'judgeOffer'>;
  /** Absent where this node runs in no trusted execution environment. */
  readonly evidence?: Pick<EvidenceProducer, 'kind' | 'hasGpus'> | undefined;
  readonly gpus: Pick<GpuDesk, 'choose'>;
  readonly clock: Clock;
}

export interface Admitted {
  readonly executor: Executor;
  readonly isolation: IsolationLevel;
  /** Of which environment evidence will be shown; null where none is asked for. */
  readonly evidence: TeeKind | null;
  /** Free at this moment; empty: none are asked for. */
  readonly gpus: readonly GpuUnit[];
  /** Of one attempt, in base units. */
  readonly price: bigint;
}

export interface RefusedByRule {
  readonly kind: 'refused';
  readonly refusal: Refusal;
  /** The setting of the operator's policy that decided; absent where another reason did. */
  readonly rule?: string;
}

export type AdmissionAnswer = { readonly kind: 'admitted'; readonly admitted: Admitted } | RefusedByRule;

/** Class that a kind of work without GPUs is priced in. */
export const CLASS_OF_KIND = {
  wasm: 'cpu',
  command: 'cpu',
  container: 'cpu',
  inference: 'cpu',
} as const satisfies Record<ExecutorKind, CapabilityClass>;

/** How a need that a host does not meet is refused. */
const UNMET_REFUSALS: Readonly<Record<string, Refusal['code'] | undefined>> = {
  SANDBOX_LIMIT_UNAVAILABLE: 'RESOURCES_TOO_LARGE',
  SANDBOX_HOST_ROOT_OFF: 'IMAGE_NOT_ALLOWED',
};

/** Whether policy, host and price allow a job, judged by its terms alone. Free slots are the dispatcher's to judge. */
export class Admission {
  readonly #modules: AdmissionModules;
  readonly #options: JobProviderOptions;

  constructor(modules: AdmissionModules, options: JobProviderOptions) {
    this.#modules = modules;
    this.#options = options;
  }

  judge(requester: PeerKey, request: OfferAsk): AdmissionAnswer {
    const { terms } = request;
    const early = this.#judgeProviding(requester);
    if (early !== undefined) return { kind: 'refused', refusal: early };
    const decision = this.#modules.policy.judgeOffer(requester, { ...request, kind: terms.workloadKind });
    if (decision.kind === 'refusal') return refuseByRule(decision);
    const refusal =
      this.#judgeResources(terms.resources) ??
      this.#judgeDeadline(terms.deadlineMs) ??
      this.judgeJob(request.subject) ??
      this.#judgeEvidence(terms.confidential);
    if (refusal !== undefined) return { kind: 'refused', refusal };
    const host = this.#chooseExecutor(requester, terms);
    if (host.kind === 'refused') return host;
    const lent = this.#chooseGpus(request, host.executor);
    return lent.kind === 'refused'
      ? lent
      : this.#judgePrice(terms, { executor: host.executor, isolation: host.isolation, gpus: lent.units });
  }

  /** Level that a requester's jobs need at least, whatever they ask for. */
  requiredIsolation(requester: PeerKey): IsolationLevel {
    const isTrusted = requester === this.#modules.self || this.#options.trustedRequesters.includes(requester);
    return isTrusted ? ISOLATION_LEVELS[0] : this.#options.isolationForStrangers;
  }

  judgeJob(job: string): Refusal | undefined {
    const { poison } = this.#modules;
    if (!poison.isQuarantined(job)) return undefined;
    return createRefusal('QUARANTINED', `it crashed its executor ${poison.crashes(job)} times`);
  }

  #judgeProviding(requester: PeerKey): Refusal | undefined {
    const { isEnabled, ownJobs } = this.#options;
    if (!isEnabled) return createRefusal('EXECUTOR_UNAVAILABLE', 'providing is switched off on this node');
    if (requester !== this.#modules.self || ownJobs === 'run') return undefined;
    return createRefusal('OWN_JOB', 'its policy is to run no jobs of its own');
  }

  #judgeResources(asked: Resources): Refusal | undefined {
    const names = Object.keys(this.#options.limits) as ResourceAmount[];
    const excess = names.find((name) => (asked[name] ?? 0) > this.#options.limits[name]);
    if (excess === undefined) return undefined;
    const detail = `${excess}: ${asked[excess]} asked for, at most ${this.#options.limits[excess]} lent`;
    return createRefusal('RESOURCES_TOO_LARGE', detail);
  }

  #judgeDeadline(deadlineMs: number): Refusal | undefined {
    const leftMs = deadlineMs - this.#modules.clock.nowMs();
    if (leftMs >= MIN_RUN_MS) return undefined;
    return createRefusal('DEADLINE_TOO_SOON', `${leftMs} ms are left, at least ${MIN_RUN_MS} are needed`);
  }

  #judgeEvidence(asked: JobTerms['confidential']): Refusal | undefined {
    if (asked === undefined) return undefined;
    const { evidence } = this.#modules;
    const kinds = asked.kinds.join(', ');
    if (evidence === undefined) return createRefusal('NO_EVIDENCE', `${kinds} asked for, it runs in none`);
    if (!asked.kinds.includes(evidence.kind)) {
      return createRefusal('NO_EVIDENCE', `${kinds} asked for, it runs in ${evidence.kind}`);
    }
    if (!asked.gpus || evidence.hasGpus) return undefined;
    return createRefusal('NO_EVIDENCE', 'evidence of GPUs asked for, it can show none');
  }

  #chooseExecutor(
    requester: PeerKey,
    terms: JobTerms,
  ): { readonly kind: 'chosen'; readonly executor: Executor; readonly isolation: IsolationLevel } | RefusedHost {
    const executor = this.#modules.executors.find(
      (candidate) => candidate.kind === terms.workloadKind && candidate.isolation.length > 0,
    );
    // The strongest level that works here: a job never runs weaker than this host could run it.
    const isolation = executor === undefined ? undefined : strongest(executor.isolation);
    if (executor === undefined || isolation === undefined) {
      return refusedHost('EXECUTOR_UNAVAILABLE', `no executor for '${terms.workloadKind}' jobs works on this host`);
    }
    if (!satisfiesIsolation(isolation, terms.isolation)) {
      return refusedHost(
        'ISOLATION_UNAVAILABLE',
        `'${terms.isolation}' demanded, '${isolation}' is the strongest here`,
      );
    }
    const required = this.requiredIsolation(requester);
    if (!satisfiesIsolation(isolation, required)) {
      return refusedHost(
        'ISOLATION_POLICY',
        `'${required}' required for strangers, '${isolation}' is the strongest here`,
      );
    }
    const unmet = terms.needs === undefined ? null : (executor.findUnmetNeed?.(terms.needs) ?? null);
    if (unmet !== null) return refusedHost(UNMET_REFUSALS[unmet.code] ?? 'EXECUTOR_UNAVAILABLE', unmet.message);
    return { kind: 'chosen', executor, isolation };
  }

  #chooseGpus({ terms, attempts }: OfferAsk, { kind, lendsGpus }: Executor): GpuChoice {
    const { gpus } = terms.resources;
    if (gpus === undefined) return { kind: 'chosen', units: [] };
    if (lendsGpus !== true) return refusedHost('GPU_UNAVAILABLE', `'${kind}' jobs are given no GPUs here`);
    if (attempts > 1) return refusedHost('GPU_UNAVAILABLE', 'jobs with GPUs are taken one by one, and not in batches');
    return this.#modules.gpus.choose(gpus);
  }

  #judgePrice(terms: JobTerms, host: Pick<Admitted, 'executor' | 'isolation' | 'gpus'>): AdmissionAnswer {
    const price = computePrice({ classPricePerHour: this.#classPrice(terms, host.gpus) }, terms.resources.wallTimeMs, {
      priority: priorityOf(terms),
    });
    if (price > BigInt(terms.priceCeiling)) {
      const urgency = terms.priority === undefined ? '' : `, priority ${terms.priority}`;
      const detail = `ceiling ${terms.priceCeiling}, standing price of this attempt ${price} (base units${urgency})`;
      return { kind: 'refused', refusal: createRefusal('PRICE_TOO_LOW', detail) };
    }
    const evidence = terms.confidential === undefined ? null : (this.#modules.evidence?.kind ?? null);
    return { kind: 'admitted', admitted: { ...host, price, evidence } };
  }

  /** Of GPUs each is priced as its own class. Confidential work is of `tee`, and never cheaper than what it runs on. */
  #classPrice({ workloadKind, confidential }: JobTerms, gpus: readonly GpuUnit[]): bigint {
    const each = gpus.map(({ model }) => this.standingPrice(findGpuClass(findGpuModelKey(model))));
    const ofGpus = each.reduce((sum, price) => sum + price, 0n);
    const plain = gpus.length > 0 ? ofGpus : this.standingPrice(CLASS_OF_KIND[workloadKind]);
    const tee = confidential === undefined ? plain : this.standingPrice('tee');
    return tee > plain ? tee : plain;
  }

  standingPrice(capabilityClass: CapabilityClass): bigint {
    const standing = this.#options.pricesPerHour.find((entry) => entry.capabilityClass === capabilityClass);
    return BigInt(standing?.price ?? '0');
  }
}

type RefusedHost = Omit<RefusedByRule, 'rule'>;

/** As whoever asked is told: the operator's lists stay here. */
export function refuseByRule({ code, message, retryAfterMs, rule }: PolicyRefusal): RefusedByRule {
  return { kind: 'refused', refusal: createRefusal(code, message, retryAfterMs), rule };
}

function refusedHost(code: Refusal['code'], detail: string): RefusedHost {
  return { kind: 'refused', refusal: createRefusal(code, detail) };
}

/** The strongest of some levels. */
export function strongest(levels: readonly IsolationLevel[]): IsolationLevel | undefined {
  return ISOLATION_LEVELS.findLast((level) => levels.includes(level));
}
