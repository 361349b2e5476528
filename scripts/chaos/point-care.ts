/** What a scenario by points does so that jobs come to the points that they come to by themselves too seldom. */
import { type Arm, SIDES } from './crash-points.ts';
import { JOB_KINDS, type JobKind } from './jobs.ts';
import type { FaultKind } from './plan.ts';

export interface PointCare {
  /** Numbers of the kinds of job that come to open points; half of the jobs are of these. */
  readonly favoured: readonly number[];
  /** What is done to providers, time and again, while the points are open. */
  readonly unrest: readonly FaultKind[];
  /** First there are jobs, then all daemons start again when what was observed of them is folded and peers are forgotten. */
  readonly isAged: boolean;
}

/** What a node's life comes to once, or once in an epoch: whoever waits for a second time waits in vain. */
const SELDOM =
  /^(meta|known-peers=delete|observation-|observations|neighbour-|blob|reputation-|disk\/blobs|job-ratings|rating-outbox=delete|job-objects=late|job-history=(job-failed|reattached|replica-abandoned|deadline-passed))/;
/** Leases run out, and some of the providers come back before the job has ended; or the clock was set under the lease. */
const UNREST: readonly (readonly [RegExp, readonly FaultKind[]])[] = [
  [
    /=(late|job-failed|reattached|replica-abandoned|unreachable|returned)$/,
    ['freeze', 'isolate', 'isolate', 'cut pair'],
  ],
  [/^blob-bytes=delete$/, ['tidy']],
  [/^blob-evictions=delete$/, ['put back']],
  [/=late$/, ['overtake', 'overtake', 'overtake', 'clock forward', 'clock back']],
];
const AGED = /^(known-peers=delete|observations=delete|observation-wires=delete|reputation-)/;
/** Kinds of job by the points that they are for. */
const FAVOURED: readonly (readonly [RegExp, (kind: JobKind) => boolean])[] = [
  [/^(blob|disk\/blobs)/, ({ hasBlob }) => hasBlob],
  [/=job-failed$/, ({ retries }) => retries === 0],
  [/=deadline-passed$/, ({ endsAfterMs }) => endsAfterMs !== null],
  [/=(late|replica-abandoned)$/, ({ replicas }) => replicas > 1],
  [/^public-blobs/, ({ sharesBlob }) => sharesBlob],
  [/^job-batches/, ({ hasPlaces }) => hasPlaces],
  [/^(job-ratings|rating-outbox)/, ({ isRated }) => isRated],
  [/^job-(history=released|objects=release)$/, ({ isConfidential }) => isConfidential],
  [/=reattached$/, ({ treatment, everySteps }) => treatment === 'leave' && everySteps !== null],
];

export function careFor(points: readonly string[]): PointCare {
  const wanted = FAVOURED.filter(([of]) => points.some((point) => of.test(point)));
  const favoured = JOB_KINDS.flatMap((kind, index) =>
    // It takes many until blobs make room for others.
    wanted.some(([, isFor]) => isFor(kind)) ? Array.from({ length: kind.hasBlob ? 3 : 1 }, () => index) : [],
  );
  return {
    favoured,
    unrest: UNREST.flatMap(([of, kinds]) => (points.some((point) => of.test(point)) ? kinds : [])),
    isAged: points.some((point) => AGED.test(point)),
  };
}

/** Both sides of a point, each at one of its first passes. */
export function armPoint(point: string, draw: (below: number) => number): readonly Arm[] {
  return SIDES.map((side): Arm => ({ point, side, nth: SELDOM.test(point) ? 1 : 1 + draw(3) }));
}

/** How often in one scenario a daemon is to die at it at most. */
export const mostDeathsAt = (point: string): number => (SELDOM.test(point) ? 3 : 1);
