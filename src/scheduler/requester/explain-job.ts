import type { TeeKind } from '../../domain/capability.ts';
import { listPolicyKinds } from '../../domain/confidential.ts';
import type { Job } from '../../domain/job.ts';
import type { NodeRecord } from '../../domain/node-record.ts';
import { REFUSALS, type RefusalCode } from '../../domain/refusal.ts';
import type { AnnouncementsView, JobExplanation, JobView } from '../interface.ts';
import type { Asked } from '../job-records.ts';
import { findMisfit } from './candidates.ts';

export interface ExplainRequest {
  readonly view: JobView;
  readonly job: Job;
  readonly asked: readonly Asked[];
  /** Absent: nothing was announced. */
  readonly announced?: AnnouncementsView | undefined;
  /** Valid records of providers known now. */
  readonly records: readonly NodeRecord[];
  readonly nowMs: number;
}

/** What to do about a refusal, beside what its detail says. */
const REMEDIES = {
  AT_CAPACITY: 'wait, or connect to more providers: all that answered are busy',
  DRAINING: 'connect to more providers: some take no new work',
  PRICE_TOO_LOW: 'raise `priceCeiling` to at least the price in the answers',
  ISOLATION_UNAVAILABLE: 'ask for weaker isolation, or connect to providers that have it (`fogproof doctor` there)',
  ISOLATION_POLICY: "the provider's operator may add this peer to its trusted requesters, or install bubblewrap",
  REQUESTER_NOT_ALLOWED: "the provider's operator may add this peer to its allowed requesters",
  KIND_NOT_ALLOWED: 'connect to providers that allow this kind of job',
  IMAGE_NOT_ALLOWED: "the provider's operator may allow what the job runs, by its digest",
  NETWORK_NOT_ALLOWED: 'connect to more providers of this network',
  QUOTA_EXCEEDED: 'wait, or connect to more providers: this one gives a requester only so much in a time',
  QUIET_HOURS: 'wait until its quiet hours are over, or connect to more providers',
  EXECUTOR_UNAVAILABLE: 'connect to providers with an executor for this kind of job',
  RESOURCES_TOO_LARGE: 'lower `resources` to the limits in the answers',
  GPU_UNAVAILABLE: 'wait, ask for less in `resources.gpus`, or connect to providers that have such GPUs',
  DEADLINE_TOO_SOON: 'give the job a later deadline',
  QUARANTINED: 'the program crashed its executor there: test it with `fogproof job validate` and on this node first',
  OFFER_UNKNOWN: 'the offer expired before the lease arrived: the connection or this node is slow',
  LEASE_MISMATCH: 'the nodes may run different versions or network parameters: compare `fogproof --version`',
  DUPLICATE_LEASE: 'nothing to do: another offer is sought',
  RATE_LIMITED: 'submit fewer jobs at a time, or connect to more providers',
  OWN_JOB: 'connect to other providers: this node does not take its own jobs',
  NOT_PAUSABLE: 'give the job `checkpoints`, and submit it alone rather than in a batch',
  SNAPSHOT_NOT_HELD: 'nothing to do: the job goes on from an older snapshot or begins anew',
  NO_EVIDENCE: 'connect to providers inside the confidential hardware that the policy accepts, or accept more kinds',
  EVIDENCE_FAILED: "the provider's operator may run `fogproof attest --self-test`",
  RELEASE_INVALID: 'nothing to do: another provider is sought',
  HOLD_REFUSED: 'name another holder, or none: then this node holds the snapshots itself',
} as const satisfies Record<RefusalCode, string>;

export function explainJob(request: ExplainRequest): JobExplanation {
  const { view, asked, announced } = request;
  const { job, state } = view;
  const told = announced === undefined ? {} : { announced };
  return { job, state, summary: summarize(request), asked, ...told, hints: listHints(request) };
}

function summarize({ view, asked, announced, nowMs }: ExplainRequest): string {
  if (view.failure !== null) return `it ${describeEnd(view)}: ${view.failure.code}, ${view.failure.message}`;
  if (view.state === 'completed') return 'it completed and its result was verified';
  if (view.desired === 'cancel') return 'it is being cancelled';
  if (view.state === 'paused') return describePaused(view);
  if (view.state === 'revealing') return 'all replicas have committed and reveal their results';
  if (nowMs >= view.deadlineMs)
    return 'its deadline has passed: what was finished before and is kept for it is collected';
  const standing = view.attempts.filter(({ state }) => ['leased', 'queued', 'running', 'committed'].includes(state));
  const unreachable = view.attempts.filter(({ state }) => state === 'unreachable');
  const open = view.replicas - standing.length - unreachable.length;
  const isPausing = view.desired === 'pause';
  const parts = [
    ...(isPausing ? ['it is being paused: its attempts stop at their next checkpoint'] : []),
    ...(standing.length > 0 ? [`${standing.length} of ${view.replicas} replicas are with a provider`] : []),
    ...(unreachable.length > 0
      ? [`${unreachable.length} unreachable: replaced when their leases end unless they return`]
      : []),
    ...(open > 0 && !isPausing
      ? [`${open} of ${view.replicas} replicas wait for a provider (${describeSearched(asked, announced)})`]
      : []),
  ];
  return parts.join('; ');
}

function describeSearched(asked: readonly Asked[], announced: AnnouncementsView | undefined): string {
  if (announced === undefined || announced.count === 0) return `${asked.length} asked`;
  const times = announced.count === 1 ? 'once' : `${announced.count} times`;
  const { wanted, unwanted, invalid } = announced.given;
  const peers = announced.lastRecipients === 1 ? '1 peer' : `${announced.lastRecipients} peers`;
  return `${asked.length} asked; announced ${times}, last to ${peers}; ${wanted + unwanted + invalid} offers came back`;
}

function describePaused(view: JobView): string {
  const held = view.attempts.flatMap(({ checkpoint }) => checkpoint?.heldStep ?? []);
  const from =
    held.length === 0
      ? 'no snapshot is held yet: it would begin anew'
      : `snapshots up to step ${Math.max(...held)} are held`;
  const done = view.attempts.filter(({ state }) => state === 'committed').length;
  const committed = done === 0 ? '' : `; ${done} of ${view.replicas} replicas are done and wait for the others`;
  return `it is paused, and nothing of it runs; ${from}${committed}`;
}

function describeEnd(view: JobView): string {
  return view.state === 'failed' ? 'failed' : view.state === 'expired' ? 'expired' : 'was cancelled';
}

function listHints(request: ExplainRequest): string[] {
  const { view, job, asked, announced, records } = request;
  if (view.state === 'completed' || view.state === 'cancelled') return [];
  const fitting = records.filter((record) => findMisfit(record, job) === null);
  if (view.desired === 'pause') return hintPaused(view);
  return [
    ...hintEvidence(request, fitting),
    ...hintProviders(records, fitting, job),
    ...hintReplicas(view, fitting),
    ...hintAnnounced(announced),
    ...hintRefusals(asked, job),
    ...hintUnreachable(asked),
    ...hintFailures(view),
    ...hintExhausted(view, fitting),
  ];
}

function hintPaused({ job, state, deadlineMs }: JobView): string[] {
  const resume = `go on with \`fogproof job resume ${job}\``;
  const deadline = `its deadline, ${new Date(deadlineMs).toISOString()}, goes on while it is paused`;
  return state === 'paused' ? [resume, deadline] : [`wait for its next checkpoint, or ${resume}`, deadline];
}

function hintProviders(records: readonly NodeRecord[], fitting: readonly NodeRecord[], job: Job): string[] {
  if (records.length === 0) return ['no providers known: add a bootstrap peer, or wait until the node is connected'];
  if (fitting.length > 0) return [];
  const misfits = Map.groupBy(records, (record) => findMisfit(record, job) ?? '');
  return [...misfits].map(([reason, group]) => `${group.length} of ${records.length} known providers: ${reason}`);
}

/** Nothing of a confidential job leaves this node but the question, as long as nobody can show the evidence. */
function hintEvidence({ view, job, asked }: ExplainRequest, fitting: readonly NodeRecord[]): string[] {
  if (job.confidential === undefined || view.attempts.length > 0) return [];
  const { kinds, gpus } = listPolicyKinds(job.confidential.policy);
  const named = `${kinds.map(nameTee).join(' or ')}${gpus ? ' with NVIDIA GPUs' : ''}`;
  const areAllWithout = asked.every(({ answer }) => answer.kind === 'refused' && answer.refusal.code === 'NO_EVIDENCE');
  if (fitting.length > 0 && !areAllWithout) return [];
  return [
    `no trusted execution environment of the kind ${named} is known on this network: nothing of the job was sent`,
  ];
}

function nameTee(kind: TeeKind): string {
  return kind === 'simulated' ? 'SIMULATED' : kind;
}

function hintReplicas(view: JobView, fitting: readonly NodeRecord[]): string[] {
  if (fitting.length === 0 || fitting.length >= view.replicas) return [];
  return [
    `${view.replicas} replicas need as many different providers, and ${fitting.length} known ones fit: ` +
      'connect to more, or ask for fewer replicas',
  ];
}

function hintRefusals(asked: readonly Asked[], job: Job): string[] {
  const refusals = asked.flatMap(({ answer }) => (answer.kind === 'refused' ? [answer.refusal] : []));
  const groups = Map.groupBy(refusals, (refusal) => refusal.code);
  return [...groups].map(([code, group]) => {
    const share = group.length === asked.length ? `all ${group.length} refused` : `${group.length} refused`;
    const details = [...new Set(group.map((refusal) => refusal.detail))].filter(Boolean).slice(0, 3).join('; ');
    const price = code === 'PRICE_TOO_LOW' ? suggestPrice(group, job) : null;
    return `${share}: ${code} (${REFUSALS[code]}${details && `: ${details}`}); ${price ?? REMEDIES[code]}`;
  });
}

/** The lowest figure above the ceiling that any answer names. */
function suggestPrice(refusals: readonly { readonly detail: string }[], job: Job): string | null {
  const ceiling = BigInt(job.priceCeiling);
  const named = refusals
    .flatMap(({ detail }) => detail.match(/\d{1,39}/g) ?? [])
    .map(BigInt)
    .filter((price) => price > ceiling);
  const lowest = named.reduce<bigint | null>((least, price) => (least === null || price < least ? price : least), null);
  return lowest === null ? null : `raise the price ceiling to at least ${lowest}`;
}

function hintAnnounced(announced: AnnouncementsView | undefined): string[] {
  if (announced === undefined) return [];
  const { count, lastAtMs, lastRecipients, given, failure } = announced;
  const when = lastAtMs === null ? '' : `, last at ${new Date(lastAtMs).toISOString()} to ${lastRecipients} peers`;
  const came = `${given.wanted} offers taken, ${given.unwanted} too late or not wanted, ${given.invalid} not valid`;
  return [
    ...(count > 0 ? [`announced ${count} times${when}; what came back: ${came}`] : []),
    ...(count > 0 && lastRecipients === 0
      ? ['nobody that takes such jobs is connected, and the DHT named none that could be reached']
      : []),
    ...(failure === null ? [] : [`the last announcement could not be sent: ${failure}`]),
  ];
}

function hintExhausted(view: JobView, fitting: readonly NodeRecord[]): string[] {
  if (view.state !== 'seeking' || fitting.length === 0) return [];
  const failed = new Set(view.attempts.map(({ provider }) => provider));
  if (!fitting.every(({ peer }) => failed.has(peer))) return [];
  return ['every known provider that fits has failed it: connect to more, or cancel it; it waits until its deadline'];
}

function hintUnreachable(asked: readonly Asked[]): string[] {
  const unreachable = asked.flatMap(({ answer }) => (answer.kind === 'unreachable' ? [answer.reason] : []));
  const [first] = unreachable;
  return first === undefined ? [] : [`${unreachable.length} gave no usable answer, such as: ${first}`];
}

function hintFailures(view: JobView): string[] {
  const failed = view.attempts.filter(({ state }) => state === 'failed' || state === 'lost');
  const last = failed.at(-1);
  return last === undefined
    ? []
    : [
        `${failed.length === 1 ? 'one attempt' : `${failed.length} attempts`} gave no result, the last: ${last.reason ?? last.state}`,
      ];
}
