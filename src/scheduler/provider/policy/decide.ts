import type { ExecutorKind } from '../../../domain/capability.ts';
import type { BlobId, PeerKey } from '../../../domain/ids.ts';
import type { RefusalCode } from '../../../domain/refusal.ts';
import { formatDuration } from '../../../lib/quantity.ts';
import type { OperatorPolicy } from './operator-policy.ts';

/** What somebody asks this node to do. */
export interface PolicyTask {
  readonly requester: PeerKey;
  /** The node asks itself: its operator's jobs have no quota. */
  readonly isOwn: boolean;
  readonly network: string;
  readonly kind: ExecutorKind;
  /** What it runs; null while only the terms are known: rules about images are judged with the lease. */
  readonly images: readonly BlobId[] | null;
  /** Those of them that a list of allowed images has to have; absent: all. */
  readonly leadingImages?: readonly BlobId[];
  /** 1 but for jobs that are asked for together. */
  readonly attempts: number;
}

/** What the requester has here and has had here, this task apart. */
export interface RequesterUsage {
  /** Attempts that have not ended, and those that it holds offers for. */
  readonly concurrentAttempts: number;
  readonly attemptsLastHour: number;
  readonly cpuTimeLastDayMs: number;
  /** When a part of the attempts of the hour, or of the day's processor time, is over, ms from now. */
  readonly nextHourlyReliefMs: number;
  readonly nextDailyReliefMs: number;
}

export const NO_USAGE: RequesterUsage = {
  concurrentAttempts: 0,
  attemptsLastHour: 0,
  cpuTimeLastDayMs: 0,
  nextHourlyReliefMs: 0,
  nextDailyReliefMs: 0,
};

export interface PolicyRefusal {
  readonly kind: 'refusal';
  readonly code: RefusalCode;
  /** The setting that decided, for the operator. */
  readonly rule: PolicyRule;
  /** For whoever asked: the reason and figures of its own, nothing of the operator's lists. */
  readonly message: string;
  readonly retryAfterMs?: number;
}
export type PolicyDecision = { readonly kind: 'allow' } | PolicyRefusal;

type Verdict = Omit<PolicyRefusal, 'kind' | 'rule'> | undefined;
interface Question {
  readonly task: PolicyTask;
  readonly policy: OperatorPolicy;
  readonly usage: RequesterUsage;
  readonly nowMs: number;
}

/** Longest wait that an answer names, ms (domain/refusal.ts), and the shortest that is worth a question. */
const RETRY_MS = { shortest: 1_000, longest: 3_600_000 } as const;

/** In this order, each list of denials before all that is allowed: the first that refuses decides, whatever follows. */
const RULES = {
  'policy.deny.networks': ({ task, policy }) => (policy.deny.networks.has(task.network) ? NETWORK_REFUSED : undefined),
  'policy.deny.requesters': ({ task, policy }) =>
    policy.deny.requesters.has(task.requester) ? REQUESTER_REFUSED : undefined,
  'policy.deny.kinds': ({ task, policy }) => (policy.deny.kinds.has(task.kind) ? refuseKind(task) : undefined),
  'policy.deny.images': ({ task, policy }) =>
    task.images?.some((image) => policy.deny.images.has(image)) === true ? IMAGE_REFUSED : undefined,
  'policy.allow.networks': ({ task, policy }) =>
    isIn(policy.allow.networks, task.network) ? undefined : NETWORK_REFUSED,
  'provide.allowRequesters': ({ task, policy }) =>
    task.isOwn || isIn(policy.allow.requesters, task.requester) ? undefined : REQUESTER_UNNAMED,
  'policy.allow.kinds': ({ task, policy }) => (isIn(policy.allow.kinds, task.kind) ? undefined : refuseKind(task)),
  'policy.allow.images': ({ task, policy }) => judgeAllowedImages(task, policy.allow.images),
  'policy.quietHours': judgeQuietHours,
  'policy.quotas.concurrentAttempts': judgeConcurrent,
  'policy.quotas.attemptsPerHour': judgeHour,
  'policy.quotas.cpuTimePerDayMs': judgeDay,
} as const satisfies Readonly<Record<string, (question: Question) => Verdict>>;

export type PolicyRule = keyof typeof RULES;
const ORDERED = Object.entries(RULES) as readonly (readonly [PolicyRule, (question: Question) => Verdict])[];

const IMAGE_RULES: readonly PolicyRule[] = ['policy.deny.images', 'policy.allow.images'];
const ORDERED_OF_IMAGES = ORDERED.filter(([rule]) => IMAGE_RULES.includes(rule));

const NETWORK_REFUSED = { code: 'NETWORK_NOT_ALLOWED', message: 'it takes no jobs in this network' } as const;
const REQUESTER_REFUSED = { code: 'REQUESTER_NOT_ALLOWED', message: 'it takes no jobs of this requester' } as const;
const REQUESTER_UNNAMED = { code: 'REQUESTER_NOT_ALLOWED', message: 'it works for named requesters only' } as const;
const IMAGE_REFUSED = { code: 'IMAGE_NOT_ALLOWED', message: 'it does not run this program' } as const;

/** Whether a policy lets a task in: pure, so that the same question always has the same answer. @param nowMs Unix ms */
export function decide(task: PolicyTask, policy: OperatorPolicy, usage: RequesterUsage, nowMs: number): PolicyDecision {
  return findRefusal(ORDERED, { task, policy, usage, nowMs });
}

/** The rules about what it runs alone: the others were judged with its offer, which holds. */
export function decideImages(task: PolicyTask, policy: OperatorPolicy): PolicyDecision {
  return findRefusal(ORDERED_OF_IMAGES, { task, policy, usage: NO_USAGE, nowMs: 0 });
}

function findRefusal(rules: typeof ORDERED, question: Question): PolicyDecision {
  for (const [rule, judge] of rules) {
    const verdict = judge(question);
    if (verdict !== undefined) return { kind: 'refusal', rule, ...verdict };
  }
  return { kind: 'allow' };
}

function isIn<Item>(allowed: ReadonlySet<Item> | null, item: Item): boolean {
  return allowed === null || allowed.has(item);
}

function refuseKind({ kind }: PolicyTask): Verdict {
  return { code: 'KIND_NOT_ALLOWED', message: `it takes no '${kind}' jobs` };
}

/** A task that names nothing that could be looked up is not on any list. */
function judgeAllowedImages({ images, leadingImages }: PolicyTask, allowed: ReadonlySet<BlobId> | null): Verdict {
  if (images === null || allowed === null) return undefined;
  const leading = leadingImages ?? images;
  return leading.length > 0 && leading.every((image) => allowed.has(image)) ? undefined : IMAGE_REFUSED;
}

function judgeQuietHours({ policy, nowMs }: Question): Verdict {
  const leftMs = policy.quietHours.leftMs(nowMs);
  if (leftMs <= 0) return undefined;
  return { code: 'QUIET_HOURS', message: 'it begins nothing new at this time', retryAfterMs: clampRetry(leftMs) };
}

function judgeConcurrent({ task, policy, usage }: Question): Verdict {
  const most = policy.quotas.concurrentAttempts;
  const asked = usage.concurrentAttempts + task.attempts;
  if (task.isOwn || most === null || asked <= most) return undefined;
  const message = `${usage.concurrentAttempts} attempts of this requester are live, ${task.attempts} asked for, at most ${most} at a time`;
  // Whoever asks for more than may ever be has nothing to wait for.
  const retry = task.attempts > most ? {} : { retryAfterMs: RETRY_MS.shortest };
  return { code: 'QUOTA_EXCEEDED', message, ...retry };
}

function judgeHour({ task, policy, usage }: Question): Verdict {
  const most = policy.quotas.attemptsPerHour;
  if (task.isOwn || most === null || usage.attemptsLastHour + task.attempts <= most) return undefined;
  const message = `${usage.attemptsLastHour} attempts of this requester in an hour, ${task.attempts} asked for, at most ${most}`;
  const retry = task.attempts > most ? {} : { retryAfterMs: clampRetry(usage.nextHourlyReliefMs) };
  return { code: 'QUOTA_EXCEEDED', message, ...retry };
}

function judgeDay({ task, policy, usage }: Question): Verdict {
  const most = policy.quotas.cpuTimePerDayMs;
  if (task.isOwn || most === null || usage.cpuTimeLastDayMs < most) return undefined;
  const message = `${formatDuration(usage.cpuTimeLastDayMs)} of processor time for this requester in a day, at most ${formatDuration(most)}`;
  return { code: 'QUOTA_EXCEEDED', message, retryAfterMs: clampRetry(usage.nextDailyReliefMs) };
}

function clampRetry(waitMs: number): number {
  return Math.ceil(Math.min(RETRY_MS.longest, Math.max(RETRY_MS.shortest, waitMs)));
}
