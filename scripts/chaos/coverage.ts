/**
 * What of the journal no run came to: namespaces of the database, kinds of event in a job's history and kinds of signed
 * object. A reason that is known is data here; what has none is a finding, so that a new namespace is not left out unseen.
 */

import { jobMachineEventSchema } from '../../src/scheduler/job-machine-events.ts';
import { ATTEMPT_OBJECTS } from '../../src/scheduler/job-records.ts';
import { NAMESPACES } from '../../src/storage/namespaces.ts';
import type { Tally } from './tally.ts';

export interface Unreached {
  /** A namespace, or a point such as `job-history=released`. */
  readonly step: string;
  /** Null: unknown. */
  readonly reason: string | null;
}

const NO_CHAIN = 'the networks of these runs have no chain';
const ANCHORING = `${NO_CHAIN}; \`npm run crash:anchoring\` kills an anchoring process at random moments, not at each write`;

/** Never come to. */
const OUT_OF_REACH: Readonly<Record<string, string>> = {
  'operator-work':
    'operators drain and panic, and none does here; test/e2e/operator.test.ts restarts a drained node, and kills none',
  'anchor-batches': ANCHORING,
  'anchor-leaves': ANCHORING,
  'anchor-trees': ANCHORING,
  'receipt-outbox': `${NO_CHAIN}, so nothing is noted for it; test/unit/scheduler/receipt-outbox.test.ts restarts a node that had not handed over`,
  'chain-transactions': `${NO_CHAIN}; test/integration/chain/journal-crash.test.ts ends a sender before and after its writes and sends, in one process`,
  'chain-cursors': `${NO_CHAIN}; test/integration/chain/follow.test.ts starts a reader again, and kills none`,
  'beacon-rounds': `${NO_CHAIN}, and the beacon without one keeps nothing; test/unit/beacon/chain-beacon.test.ts starts one again, and kills none`,
};

const BY_DEATHS = 'only when a daemon dies under a job, or a lease runs out';
const BY_AGE = 'only in scenarios by points, which start 15 days later';
const BY_ROOM = 'only where there is little room for blobs: in scenarios by points';
/** Come to by the faults of many scenarios; a run until all points were died at has to come to them. */
const SELDOM: Readonly<Record<string, string>> = {
  'poison-jobs': BY_DEATHS,
  'blob-evictions': BY_ROOM,
  'reputation-standings': BY_AGE,
  'reputation-snapshots': BY_AGE,
  'job-history=unreachable': BY_DEATHS,
  'job-history=reattached': BY_DEATHS,
  'job-history=lease-expired': BY_DEATHS,
  'job-history=returned': BY_DEATHS,
  'job-history=replica-abandoned': BY_DEATHS,
  'job-history=attempt-paused': 'only when the pause reaches an attempt before its end',
  'job-history=job-failed': 'only when a job without retries, or without a quorum, fails',
  'job-history=attempt-failed': BY_DEATHS,
  'job-objects=late': 'only when a result comes after its lease, and the job is still open',
};

export interface CoverageOptions {
  /** All points were to be died at: what comes seldom has to have come. */
  readonly isCampaign: boolean;
}

/** All that a daemon may come to. */
export function listSteps(): readonly string[] {
  const kinds = jobMachineEventSchema.options.flatMap(({ shape }) => [...shape.kind.values]);
  return [
    ...Object.keys(NAMESPACES),
    ...kinds.map((kind) => `job-history=${kind}`),
    ...[...ATTEMPT_OBJECTS, 'set'].map((kind) => `job-objects=${kind}`),
  ];
}

export function listUnreached(tally: Pick<Tally, 'points'>, { isCampaign }: CoverageOptions): readonly Unreached[] {
  const reached = listReached(tally);
  return listSteps()
    .filter((step) => !reached.has(step))
    .map((step) => {
      const reason = OUT_OF_REACH[step] ?? (isCampaign ? undefined : SELDOM[step]);
      return { step, reason: reason ?? null };
    });
}

/** Steps that nobody knows why they were not come to, and reasons that are not so. */
export function findGaps(tally: Pick<Tally, 'points'>, options: CoverageOptions): readonly string[] {
  const reached = listReached(tally);
  const unknown = listUnreached(tally, options).filter(({ reason }) => reason === null);
  return [
    ...unknown.map(({ step }) => `no run came to ${step}, and no reason is known (scripts/chaos/coverage.ts)`),
    ...Object.keys(OUT_OF_REACH)
      .filter((step) => reached.has(step))
      .map((step) => `a run came to ${step}, which is said to be out of reach (scripts/chaos/coverage.ts)`),
  ];
}

/** By points and by their namespaces. */
function listReached(tally: Pick<Tally, 'points'>): ReadonlySet<string> {
  const points = [...tally.points('requester'), ...tally.points('provider')].map(({ point }) => point);
  return new Set(points.flatMap((point) => [point, point.split('=')[0] ?? point]));
}
