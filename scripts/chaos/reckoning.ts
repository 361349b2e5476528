/** What became of the jobs of a scenario, each judged by its kind and by what was done to its parties. */
import type { BlobId } from '../../src/domain/ids.ts';
import { POISON_LIMIT } from '../../src/scheduler/provider/constants.ts';
import type { Outcome } from '../crash-stepping/outcome.ts';
import type { EndedJob } from './client.ts';
import type { Acknowledged } from './client-journal.ts';
import { QUARANTINED } from './excuses.ts';
import type { Fleet } from './fleet.ts';
import type { JobLife } from './harm.ts';
import type { JobKind } from './jobs.ts';
import { judgeJob } from './judge.ts';
import type { Tally } from './tally.ts';

export interface Ended {
  readonly kind: JobKind;
  readonly ended: EndedJob;
  /** When the harness saw it, ms. */
  readonly untilMs: number;
}

export interface ReckoningModules {
  readonly fleet: Pick<Fleet, 'harms' | 'namesOf' | 'providers'>;
  readonly tally: Tally;
  readonly expected: ReadonlyMap<string, Outcome>;
  readonly commonOutput: BlobId;
  /** Cancelled by the harness, since each provider refused them for good. */
  readonly released: ReadonlySet<string>;
}

/** @returns what is wrong with how it ended */
export function reckonJob(job: Acknowledged, given: Ended, modules: ReckoningModules): readonly string[] {
  const { fleet, tally, expected } = modules;
  const { kind, ended, untilMs } = given;
  const right = adapt(expected.get(kind.name), job.output, modules.commonOutput);
  if (right === undefined) return [];
  if (modules.released.has(job.job) && ended.view.state === 'cancelled') return reckonQuarantined(job, kind, modules);
  const providers = fleet.namesOf(ended.view.attempts.map(({ provider }) => provider));
  const life: JobLife = { requester: job.requester, providers, fromMs: job.sinceMs, untilMs };
  const harms = fleet.harms.during(life);
  const judgement = judgeJob(kind, right, ended, {
    hasLostProvider: harms.some(({ harm, node }) => harm === 'died' && node !== job.requester),
    wasHarmed: harms.length > 0,
  });
  if (judgement.kind === 'short') tally.shortLogs += 1;
  if (judgement.kind === 'excused') tally.excuse(judgement.reason);
  if (judgement.kind !== 'wrong') return [];
  return judgement.problems.map((problem) => `${job.job}: ${problem} [${ended.explanation}]`);
}

/** A provider refuses a job for good once it has died under it so often: not before. */
function reckonQuarantined(
  { job, sinceMs }: Acknowledged,
  { name }: JobKind,
  { fleet, tally }: ReckoningModules,
): readonly string[] {
  const spared = fleet.providers.filter((provider) => fleet.harms.countDeaths(provider.name, sinceMs) < POISON_LIMIT);
  if (spared.length === 0) {
    tally.excuse(`${name}: ${QUARANTINED}`);
    return [];
  }
  const names = spared.map((provider) => provider.name).join(', ');
  return [`${job}: ${name} was refused for good by all, and ${names} died fewer than ${POISON_LIMIT} times since`];
}

/** To an input of the job's own. */
function adapt(right: Outcome | undefined, output: BlobId | null, common: BlobId): Outcome | undefined {
  if (right === undefined || output === null) return right;
  return { ...right, result: right.result.replaceAll(common, output) };
}
