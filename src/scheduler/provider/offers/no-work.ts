import { satisfiesIsolation } from '../../../domain/capability.ts';
import { formatSize } from '../../../lib/quantity.ts';
import type { Executor } from '../../../sandbox/interface.ts';
import type { EvidenceProducer } from '../../../tee/interface.ts';
import type { NoWorkExplanation, ProviderStatus } from '../../interface.ts';
import type { SlotUse } from '../attempts/dispatcher.ts';
import type { JobProviderOptions } from '../options.ts';
import type { PolicyRefusal } from '../policy/decide.ts';
import type { Footprint } from '../queue/host-gauge.ts';
import { strongest } from './admission.ts';

/** Whether peers can ask at all; `network` provides it. */
export interface Reachability {
  status(): { readonly connections: number; readonly isDegraded: boolean; readonly listen: readonly string[] };
}

export interface WorkSituation {
  readonly executors: readonly Executor[];
  readonly reachability: ReturnType<Reachability['status']>;
  readonly isDraining: boolean;
  /** Set by the operator, until it says otherwise. */
  readonly closed: ProviderStatus['closed'];
  /** What the policy answers to everybody now. */
  readonly standingRefusal: PolicyRefusal | null;
  readonly slots: SlotUse;
  readonly queue: ProviderStatus['queue'];
  /** What the host has for jobs, what they hold of it included; null where it is not measured. */
  readonly room: (Footprint & { readonly held: Footprint }) | null;
  /** What the daemon has too much of; null while it keeps up. */
  readonly overload: string | null;
  /** Detail of the last request that paid too little; null if none did or work came all the same. */
  readonly lastPriceRefusal: string | null;
  /** Null where this node runs in no trusted execution environment. */
  readonly evidence: Pick<EvidenceProducer, 'kind' | 'hasGpus'> | null;
}

type Condition = NoWorkExplanation['conditions'][number];

/** Every condition that work needs, met or not, with what to change. */
export function judgeConditions(options: JobProviderOptions, situation: WorkSituation): readonly Condition[] {
  return [
    describeProviding(options, situation),
    describePolicy(options, situation),
    describeExecutors(situation),
    describeIsolation(options, situation),
    describeEvidence(situation),
    describePeers(situation),
    describeRequesters(options),
    describePrice(options, situation),
    describeSlots(situation),
    describeQueue(options, situation),
    ...describeHost(options, situation),
  ];
}

/** One sentence for people: the first unmet condition, else the most frequent refusal, else that nobody asked. */
export function summarise(
  conditions: readonly Condition[],
  activity: Pick<NoWorkExplanation, 'refusals' | 'leasesTaken' | 'lastRequestAtMs'>,
): string {
  const unmet = conditions.find((condition) => !condition.isMet);
  if (unmet !== undefined) return `No work can come: ${unmet.detail}.`;
  if (activity.lastRequestAtMs === null) return 'All conditions are met; no requester has asked since the start.';
  const [refusal] = activity.refusals;
  if (activity.leasesTaken > 0) return `All conditions are met; ${activity.leasesTaken} leases were taken.`;
  if (refusal === undefined) return 'All conditions are met; offers were made and none was taken.';
  return `All conditions are met; most requests were refused with ${refusal.code}: ${refusal.lastDetail}.`;
}

function describeProviding({ isEnabled }: JobProviderOptions, { isDraining, closed }: WorkSituation): Condition {
  if (isDraining) {
    const detail = 'the node is draining: it finishes what it has and then stops';
    return { name: 'providing', isMet: false, detail, remedy: 'Start the node again.' };
  }
  if (closed !== null) {
    const since = new Date(closed.sinceMs).toISOString();
    const how = closed.reason === 'panic' ? 'stopped by `node panic`' : 'drained by `node drain`';
    const detail = `the node was ${how} at ${since} and takes no new work`;
    return { name: 'providing', isMet: false, detail, remedy: 'Run `fogproof node resume`.' };
  }
  if (isEnabled) return { name: 'providing', isMet: true, detail: 'providing is switched on', remedy: null };
  const detail = 'providing is switched off on this node';
  return { name: 'providing', isMet: false, detail, remedy: 'Set `provide.enabled` to true and restart the node.' };
}

function describePolicy({ policy }: JobProviderOptions, { standingRefusal }: WorkSituation): Condition {
  const name = 'policy';
  if (standingRefusal === null) {
    return { name, isMet: true, detail: 'the policy lets some work in at this time', remedy: null };
  }
  const { rule, message } = standingRefusal;
  if (rule !== 'policy.quietHours') {
    const remedy = `Change \`${rule}\` and restart the node.`;
    return { name, isMet: false, detail: `the policy lets nothing in: ${message} (${rule})`, remedy };
  }
  const { zone, windows } = policy.quietHours;
  const detail = `these are quiet hours (${windows.join('; ')}, ${zone}): what runs goes on, and nothing new begins`;
  return { name, isMet: false, detail, remedy: 'Wait until they are over, or change `policy.quietHours.windows`.' };
}

function describeExecutors({ executors }: WorkSituation): Condition {
  const working = executors.filter((executor) => executor.isolation.length > 0);
  const isMet = working.length > 0;
  const detail = isMet
    ? `working executors: ${working.map((executor) => executor.kind).join(', ')}`
    : 'no executor works on this host';
  return { name: 'executor', isMet, detail, remedy: isMet ? null : 'Run `fogproof doctor`.' };
}

function describeIsolation(options: JobProviderOptions, { executors }: WorkSituation): Condition {
  const available = strongest(executors.flatMap((executor) => executor.isolation));
  const required = options.isolationForStrangers;
  const isMet = available !== undefined && satisfiesIsolation(available, required);
  return {
    name: 'isolation',
    isMet,
    detail: `strangers' jobs need '${required}', the strongest level on this host is '${available ?? 'none'}'`,
    remedy: isMet ? null : 'Install bubblewrap (`fogproof doctor` says how), or trust requesters by name.',
  };
}

/** Always met: without evidence all but confidential work can come. */
function describeEvidence({ evidence }: WorkSituation): Condition {
  return { name: 'confidential', isMet: true, detail: formatEvidence(evidence), remedy: null };
}

function formatEvidence(evidence: WorkSituation['evidence']): string {
  if (evidence === null) return 'it runs in no trusted execution environment: confidential jobs go elsewhere';
  const of = evidence.kind === 'simulated' ? 'simulated (SIMULATED, no hardware)' : evidence.kind;
  return `it shows evidence of ${of}, ${evidence.hasGpus ? 'and of its GPUs' : 'and of no GPUs'}`;
}

function describePeers({ reachability }: WorkSituation): Condition {
  const { connections, isDegraded, listen } = reachability;
  const isMet = connections > 0;
  const bootstrap = isDegraded ? '; no bootstrap peer answered' : '';
  return {
    name: 'peers',
    isMet,
    detail: `${count(connections, 'connection')}, listening on ${count(listen.length, 'address', 'addresses')}${bootstrap}`,
    remedy: isMet ? null : 'Check the bootstrap list and the firewall; see `fogproof peers`.',
  };
}

function describeRequesters({ allowRequesters }: JobProviderOptions): Condition {
  if (allowRequesters === 'anyone') {
    return { name: 'requesters', isMet: true, detail: 'anyone may ask', remedy: null };
  }
  const isMet = allowRequesters.length > 0;
  const detail = `${allowRequesters.length} named requesters may ask`;
  return { name: 'requesters', isMet, detail, remedy: isMet ? null : 'Name requesters, or allow anyone.' };
}

function describePrice({ pricesPerHour }: JobProviderOptions, { lastPriceRefusal }: WorkSituation): Condition {
  if (lastPriceRefusal !== null) {
    const detail = `requesters pay less than the standing price: ${lastPriceRefusal}`;
    return { name: 'price', isMet: false, detail, remedy: 'Lower the standing price in `provide.pricesPerHour`.' };
  }
  const prices = pricesPerHour.map(({ capabilityClass, price }) => `${capabilityClass} ${price}`);
  const detail = prices.length === 0 ? 'it works for nothing' : `standing prices an hour: ${prices.join(', ')}`;
  return { name: 'price', isMet: true, detail, remedy: null };
}

function describeSlots({ slots }: WorkSituation): Condition {
  const isMet = slots.total > 0;
  const detail = `${slots.total} slots: ${slots.running} running, ${slots.reserved} reserved`;
  return { name: 'slots', isMet, detail, remedy: isMet ? null : 'Set `provide.slots` to at least 1.' };
}

function describeQueue(
  { queue }: JobProviderOptions,
  { queue: { attempts, expectedWaitMs } }: WorkSituation,
): Condition {
  const isMet = expectedWaitMs <= queue.maxWaitMs || queue.attempts === 0;
  const detail = `${count(attempts, 'attempt')} waiting, a new job would start in ${expectedWaitMs} ms, at most ${queue.maxWaitMs} ms are promised`;
  return { name: 'queue', isMet, detail, remedy: isMet ? null : 'Raise `provide.slots`, or wait: this node is busy.' };
}

/** Only where the host is measured. */
function describeHost({ host }: JobProviderOptions, { room, overload }: WorkSituation): readonly Condition[] {
  if (room === null) return [];
  const { held } = room;
  return [
    {
      name: 'memory',
      isMet: room.memoryBytes > held.memoryBytes,
      detail: `${formatSize(room.memoryBytes)} for jobs, ${formatSize(held.memoryBytes)} of it held; ${formatSize(host.reserveMemoryBytes)} are left to the host`,
      remedy: room.memoryBytes > held.memoryBytes ? null : 'Free memory, or lower `provide.host.reserveMemoryBytes`.',
    },
    {
      name: 'disk',
      isMet: room.diskBytes > held.diskBytes,
      detail: `${formatSize(room.diskBytes)} for outputs, ${formatSize(held.diskBytes)} of it held; ${formatSize(host.reserveDiskBytes)} are left to the host`,
      remedy: room.diskBytes > held.diskBytes ? null : 'Free disk space, or lower `provide.host.reserveDiskBytes`.',
    },
    {
      name: 'load',
      isMet: overload === null,
      detail: overload ?? 'the daemon keeps up',
      remedy: overload === null ? null : 'Lower `provide.slots`, or stop what else runs on this host.',
    },
  ];
}

function count(figure: number, one: string, many = `${one}s`): string {
  return `${figure} ${figure === 1 ? one : many}`;
}
