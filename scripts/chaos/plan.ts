/** What a seed stands for: the nodes, the jobs and the faults of one scenario, in order. */
import { seededRandom } from '../crash-anchoring/leaves.ts';
import type { Arm } from './crash-points.ts';
import { armPoint, type PointCare } from './point-care.ts';

export const FAULT_KINDS = {
  kill: 'killed (SIGKILL to its process group)',
  'kill all': 'all daemons killed at once',
  'kill in recovery': 'killed, and again at one of its first writes after the start',
  'restart loop': 'started and killed within 2 s, 10 times',
  'stop in order': 'stopped in order and started again',
  freeze: 'frozen for 2 to 20 s (SIGSTOP, SIGCONT)',
  'cut pair': 'the network between two nodes cut',
  isolate: 'cut off from all others',
  delay: 'network delayed by 50 to 400 ms',
  loss: 'pieces lost on the network',
  throttle: 'network at 16 to 128 KiB/s',
  corrupt: 'bits flipped, connections reset',
  'full disk': 'disk full',
  'slow disk': 'each commit delayed',
  'clock forward': 'wall clock set forward by minutes',
  'clock back': 'wall clock set back by minutes',
  'second daemon': 'a second daemon on the same data folder',
  rogue: 'a peer that sends garbage',
  overtake: 'cut off until another provider had committed in its place',
  tidy: 'its operator adds a small blob and removes it',
  'put back': 'its operator adds a small blob, large ones that take its room, and the small one again',
} as const;
export type FaultKind = keyof typeof FAULT_KINDS;

export interface PlannedFault {
  readonly kind: FaultKind;
  /** Number of the node, modulo how many there are; of the other one where two are hit. */
  readonly target: number;
  readonly other: number;
  /** After the one before, and once a job is under way, ms. */
  readonly waitMs: number;
  /** How long it lasts, ms. */
  readonly holdMs: number;
  /** How strong it is, from 0 to 1. */
  readonly strength: number;
}

/** What a scenario is made of: any fault, kills alone, or armed crash points alone. */
export const PROFILES = ['mixed', 'kills', 'points'] as const;
export type Profile = (typeof PROFILES)[number];

export interface Plan {
  readonly seed: number;
  readonly profile: Profile;
  readonly requesters: number;
  readonly providers: number;
  /** Number of the node with a small disk. */
  readonly smallDisk: number;
  readonly faults: readonly PlannedFault[];
  /** Crash points of requesters and of providers, each to be come to as often as it is in here. */
  readonly arms: { readonly requester: readonly Arm[]; readonly provider: readonly Arm[] };
  /** Numbers of job kinds, in the order in which they are submitted; then from the beginning. */
  readonly jobs: readonly number[];
  /** How long jobs of several replicas may last, ms: when providers die, too few may be left that may still take one. */
  readonly replicasLastMs: number;
  /** Each large input is another one, and there is little room for blobs. */
  readonly hasOwnInputs: boolean;
  /** How much later all daemons start again after the first jobs, ms; 0 if they do not. */
  readonly agesByMs: number;
}

export interface PlanOptions {
  readonly seed: number;
  readonly profile: Profile;
  readonly jobKinds: number;
  /** For `points`: those to be come to. */
  readonly arms?: Plan['arms'];
  readonly care?: PointCare;
  /** Of the faults that the seed stands for only so many are done. */
  readonly mostFaults?: number;
  readonly replicasLastMs?: number;
}

type Draw = (below: number) => number;

const FAULTS: Record<Exclude<Profile, 'points'>, number> = { mixed: 12, kills: 60 };
/** More than are done before all points were come to. */
const UNREST = 80;
/** How often each kind is drawn in a mixed scenario. */
const WEIGHTS: Record<FaultKind, number> = {
  kill: 8,
  'kill all': 1,
  'kill in recovery': 3,
  'restart loop': 1,
  'stop in order': 2,
  freeze: 3,
  'cut pair': 3,
  isolate: 3,
  delay: 2,
  loss: 2,
  throttle: 2,
  corrupt: 3,
  'full disk': 2,
  'slow disk': 2,
  'clock forward': 2,
  'clock back': 2,
  'second daemon': 1,
  rogue: 1,
  // It is for jobs of two replicas, and only for what comes too late.
  overtake: 0,
  // What a provider is told by its own operator alone.
  tidy: 0,
  'put back': 0,
};
const KILLS: readonly FaultKind[] = ['kill', 'kill', 'kill', 'kill', 'kill in recovery', 'kill all'];
const BAG: readonly FaultKind[] = (Object.keys(WEIGHTS) as FaultKind[]).flatMap((kind) =>
  Array.from({ length: WEIGHTS[kind] }, () => kind),
);
const SHORTEST_MS = 2_000;
const MOST_FREEZE_MS = 20_000;
const JOBS = 64;
const REPLICAS_LAST_MS: Record<Profile, number> = { mixed: 300_000, kills: 300_000, points: 90_000 };
/** More than observations are kept one by one (7 days), and peers that do not answer (14). */
const AGE_MS = 15 * 24 * 3_600_000;

/** The same for the same options, for ever. */
export function createPlan(options: PlanOptions): Plan {
  const { seed, profile, arms, care } = options;
  const draw = seededRandom(seed);
  // Points are armed one by one in each node: the more nodes, the sooner it is done.
  const requesters = profile === 'points' ? 2 : 1 + draw(2);
  const providers = 3 + draw(2);
  const smallDisk = draw(requesters + providers);
  const jobs = Array.from({ length: Math.max(JOBS, options.jobKinds) }, (_, index) => drawJob(index, options, draw));
  const unrest = care?.unrest ?? [];
  const faults =
    profile === 'points'
      ? Array.from({ length: unrest.length === 0 ? 0 : UNREST }, () =>
          drawUnrest(unrest, { requesters, providers }, draw),
        )
      : Array.from({ length: FAULTS[profile] }, () => drawFault(profile, draw));
  return {
    seed,
    profile,
    requesters,
    providers,
    smallDisk,
    faults: faults.slice(0, options.mostFaults),
    arms: arms ?? { requester: [], provider: [] },
    // Each kind once, before any comes again: a short scenario has all of them.
    jobs: [...shuffle(jobs.slice(0, options.jobKinds), draw), ...shuffle(jobs.slice(options.jobKinds), draw)],
    replicasLastMs: options.replicasLastMs ?? REPLICAS_LAST_MS[profile],
    hasOwnInputs: profile === 'points',
    agesByMs: care?.isAged === true ? AGE_MS : 0,
  };
}

function drawJob(index: number, { jobKinds, care }: PlanOptions, draw: Draw): number {
  if (index < jobKinds) return index;
  const favoured = care?.favoured ?? [];
  if (favoured.length > 0 && draw(2) === 0) return favoured[draw(favoured.length)] ?? 0;
  return draw(jobKinds);
}

function drawUnrest(
  kinds: readonly FaultKind[],
  { requesters, providers }: Pick<Plan, 'requesters' | 'providers'>,
  draw: Draw,
): PlannedFault {
  return {
    kind: kinds[draw(kinds.length)] ?? 'freeze',
    target: requesters + draw(providers),
    other: draw(1_000),
    waitMs: draw(2_500),
    holdMs: 800 + draw(7_200),
    strength: draw(1_001) / 1_000,
  };
}

function drawFault(profile: 'mixed' | 'kills', draw: Draw): PlannedFault {
  const kinds = profile === 'kills' ? KILLS : BAG;
  const kind = kinds[draw(kinds.length)] ?? 'kill';
  const longestMs = kind === 'freeze' ? MOST_FREEZE_MS : 8_000;
  return {
    kind,
    target: draw(1_000),
    other: draw(1_000),
    waitMs: profile === 'kills' ? 50 + draw(900) : 200 + draw(2_500),
    holdMs: SHORTEST_MS + draw(longestMs - SHORTEST_MS + 1),
    strength: draw(1_001) / 1_000,
  };
}

function shuffle(numbers: readonly number[], draw: Draw): readonly number[] {
  const mixed = [...numbers];
  for (let at = mixed.length - 1; at > 0; at -= 1) {
    const from = draw(at + 1);
    const [one, other] = [mixed[at] ?? 0, mixed[from] ?? 0];
    mixed[at] = other;
    mixed[from] = one;
  }
  return mixed;
}

export const setsClocks = ({ faults }: Plan): boolean => faults.some(({ kind }) => kind.startsWith('clock'));

/** The arms of a scenario by points: each side of the points given, in a random order. */
export function drawArms(points: readonly string[], seed: number): readonly Arm[] {
  const draw = seededRandom(seed);
  const all = points.flatMap((point) => armPoint(point, draw));
  return shuffle(
    all.map((_, index) => index),
    draw,
  ).flatMap((index) => all[index] ?? []);
}
