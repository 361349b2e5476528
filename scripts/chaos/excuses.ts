/** How many of the jobs that faults may leave without a result they did leave so: a bound, lest an excuse hide a fault of ours. */
import { JOB_KINDS } from './jobs.ts';
import { mayBeExcused } from './judge.ts';
import type { Tally } from './tally.ts';

/** Ending of a job that each provider refuses for good; of any kind, and counted apart. */
export const QUARANTINED = 'QUARANTINED';
/**
 * Of 1,665 such jobs of the campaign of 2026-11-22, 59 scenarios, 108 were excused at most: 6.5 %. In one scenario few jobs
 * end, and one fault (a requester's clock ten minutes ahead) takes all that are under way, four to eight: so its bound is wide.
 */
const MOST_OF_SCENARIO = { share: 0.5, fewest: 8 };
const MOST_OF_RUN = { share: 0.15, fewest: 200 };

export interface ExcusedCount {
  readonly excused: number;
  /** Jobs that could be. */
  readonly of: number;
}

const EXCUSABLE: ReadonlySet<string> = new Set(JOB_KINDS.filter(mayBeExcused).map(({ name }) => name));

export function countExcused({ excused, jobsByKind }: Pick<Tally, 'excused' | 'jobsByKind'>): ExcusedCount {
  const sum = (counts: Iterable<readonly [string, number]>, isMeant: (name: string) => boolean): number =>
    [...counts].reduce((total, [name, count]) => (isMeant(name) ? total + count : total), 0);
  return {
    excused: sum(excused, (reason) => !reason.endsWith(QUARANTINED)),
    of: sum(jobsByKind, (kind) => EXCUSABLE.has(kind)),
  };
}

/** @returns what is too much, or null */
export function findExcess(scope: 'scenario' | 'run', tally: Pick<Tally, 'excused' | 'jobsByKind'>): string | null {
  const { share, fewest } = scope === 'run' ? MOST_OF_RUN : MOST_OF_SCENARIO;
  const { excused, of } = countExcused(tally);
  if (of < fewest || excused <= share * of) return null;
  return `${excused} of ${of} jobs that may be left without a result were: more than ${share * 100} % (${scope})`;
}
