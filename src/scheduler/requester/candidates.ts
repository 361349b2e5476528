import { satisfiesIsolation } from '../../domain/capability.ts';
import { listPolicyKinds } from '../../domain/confidential.ts';
import { type GpuRequest, isGpuWanted } from '../../domain/gpu.ts';
import type { PeerKey } from '../../domain/ids.ts';
import type { Confidential, Job } from '../../domain/job.ts';
import type { NodeRecord } from '../../domain/node-record.ts';
import type { JobTerms } from '../../domain/offer.ts';
import { findNeeds } from '../../domain/program-needs.ts';
import type { PeerBook } from '../../network/interface.ts';
import type { ReputationView } from '../interface.ts';
import { chooseBand, exploresNewcomers } from './explore-newcomers.ts';
import type { ProviderStandings } from './provider-standings.ts';

/** What a provider is told before it answers: never the input. */
export function createTerms(job: Job): JobTerms {
  const needs = findNeeds(job.workload);
  return {
    workloadKind: job.workload.kind,
    resources: job.resources,
    isolation: job.isolation,
    deadlineMs: job.deadlineMs,
    priceCeiling: job.priceCeiling,
    commitReveal: job.replication.replicas > 1,
    ...(job.priority === undefined ? {} : { priority: job.priority }),
    ...(job.confidential === undefined ? {} : { confidential: createEvidenceTerms(job.confidential) }),
    ...(needs === null ? {} : { needs }),
  };
}

function createEvidenceTerms({ policy }: Confidential): NonNullable<JobTerms['confidential']> {
  const { kinds, gpus } = listPolicyKinds(policy);
  return { kinds: [...kinds], gpus };
}

/** Why a provider's record rules it out for a job; null if it does not. */
export function findMisfit(record: NodeRecord, job: Job): string | null {
  if (!record.role.provides) return 'it does not take jobs';
  if (!record.capabilities.includes(job.capabilityClass)) return `it is not of capability class ${job.capabilityClass}`;
  const executors = record.executors.filter((executor) => executor.kind === job.workload.kind);
  if (executors.length === 0) return `it has no executor for ${job.workload.kind} jobs`;
  const lacking = findGpuMisfit(record, job.resources.gpus);
  if (lacking !== null) return lacking;
  const isIsolated = executors.some((executor) =>
    executor.isolation.some((level) => satisfiesIsolation(level, job.isolation)),
  );
  return isIsolated ? null : `it cannot isolate jobs with ${job.isolation} or stronger`;
}

/** Slices are not told in records: whoever has the model may have cut it. */
function findGpuMisfit({ claims }: NodeRecord, asked: GpuRequest | undefined): string | null {
  if (asked === undefined) return null;
  const { count, mig, minMemoryBytes } = asked;
  const whole = mig === null ? { ...asked } : { ...asked, mig: null, minMemoryBytes: 0 };
  const fitting = claims.gpus.filter(({ model, memoryBytes }) => isGpuWanted(whole, { model, memoryBytes, mig: null }));
  if (fitting.length >= (mig === null ? count : 1)) return null;
  const models = asked.models.length === 0 ? 'GPUs' : asked.models.join(' or ');
  return `it tells of ${fitting.length} ${models} with ${minMemoryBytes} bytes or more, and ${count} are asked for`;
}

/** Standing price of an hour in the job's class, in base units; 0 where none is named. */
function findPrice(record: NodeRecord, job: Job): bigint {
  const entry = record.pricesPerHour.find((price) => price.capabilityClass === job.capabilityClass);
  return BigInt(entry?.price ?? '0');
}

export interface RankingModules {
  readonly peers: Pick<PeerBook, 'providers' | 'get'>;
  readonly standings: ProviderStandings;
  /** Absent: every provider is as good as new. */
  readonly reputation?: ReputationView | undefined;
}

interface Rank {
  readonly provider: PeerKey;
  readonly instrumenter: string;
  readonly failures: number;
  readonly band: number;
  readonly price: bigint;
  readonly isFull: boolean;
  readonly isConnected: boolean;
  readonly active: number;
  /** One that the own VRF chose: nobody else could make it one. */
  readonly isNeighbour: boolean;
  readonly latencyMs: number;
}

/**
 * Providers whose record fits the job, best first: few failures of late, of good repute, cheap, with room, connected, idle,
 * neighbours, near.
 * In the direct market a standing price is taken at once, so the order of asking is the choice.
 */
export function rankCandidates(modules: RankingModules, job: Job): PeerKey[] {
  const { peers, standings, reputation } = modules;
  const isExploring = exploresNewcomers(job);
  const ranks: Rank[] = [];
  for (const { value: record } of peers.providers()) {
    if (findMisfit(record, job) !== null) continue;
    const provider = record.peer;
    const info = peers.get(provider);
    const active = standings.active(provider);
    const slots = record.executors.reduce((sum, executor) => sum + executor.slots, 0);
    const own = { isExploring, isTrusted: standings.isTrusted(provider), isFull: active >= slots };
    ranks.push({
      provider,
      instrumenter: record.executors.find((executor) => executor.kind === job.workload.kind)?.instrumenter ?? '',
      failures: standings.failures(provider),
      band: reputation === undefined ? 0 : chooseBand(reputation.scoreOf(provider), own),
      price: findPrice(record, job),
      isFull: active >= slots,
      isConnected: info?.isConnected ?? false,
      active,
      isNeighbour: info?.neighbour === 'outbound' || info?.neighbour === 'both',
      latencyMs: info?.latencyMs ?? Number.MAX_SAFE_INTEGER,
    });
  }
  return preferCommonInstrumenter(ranks.sort(compareRanks), job).map((rank) => rank.provider);
}

/** Replicas must share an instrumenter: those with the most common one come first. */
function preferCommonInstrumenter(ranks: readonly Rank[], job: Job): readonly Rank[] {
  if (job.replication.replicas === 1) return ranks;
  const counts = new Map<string, number>();
  for (const { instrumenter } of ranks) counts.set(instrumenter, (counts.get(instrumenter) ?? 0) + 1);
  const [common] = [...counts].sort(([, a], [, b]) => b - a)[0] ?? [];
  const isCommon = (rank: Rank): boolean => rank.instrumenter === common;
  return [...ranks.filter(isCommon), ...ranks.filter((rank) => !isCommon(rank))];
}

function compareRanks(a: Rank, b: Rank): number {
  if (a.failures !== b.failures) return a.failures - b.failures;
  if (a.band !== b.band) return b.band - a.band;
  if (a.price !== b.price) return a.price < b.price ? -1 : 1;
  if (a.isFull !== b.isFull) return a.isFull ? 1 : -1;
  if (a.isConnected !== b.isConnected) return a.isConnected ? -1 : 1;
  if (a.active !== b.active) return a.active - b.active;
  if (a.isNeighbour !== b.isNeighbour) return a.isNeighbour ? -1 : 1;
  if (a.latencyMs !== b.latencyMs) return a.latencyMs - b.latencyMs;
  return a.provider < b.provider ? -1 : 1;
}
