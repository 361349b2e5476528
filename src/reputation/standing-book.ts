import type { PeerKey } from '../domain/ids.ts';
import { SUBJECT_ROLES, type SubjectRole } from '../domain/observation.ts';
import {
  addSums,
  combineDimensions,
  computeContribution,
  computePosterior,
  type DecayedSums,
  DecayTable,
  DIMENSIONS,
  type Dimension,
  type DimensionSums,
  decaySums,
  EMPTY_SUMS,
  type EpochSums,
  findTier,
  foldEpoch,
  type Posterior,
  subtractSums,
  sumDecayed,
} from './beta-model.ts';
import { type CredibleBound, PRIOR_LOWER_BOUND } from './credible-bound.ts';
import type { ReputationScore } from './interface.ts';
import { type CountedObservation, type LedgerWatcher, subjectKey } from './observation-ledger.ts';

export interface StandingOptions {
  readonly halfLifeEpochs: number;
  /** Subjects of which folded sums are kept. */
  readonly maxFolded: number;
}

interface Standing {
  readonly subject: PeerKey;
  readonly role: SubjectRole;
  /** Of folded epochs. */
  base: DecayedSums | null;
  /** Of the epochs after those, each with how many observations it is of. */
  readonly epochs: Map<number, { sums: DimensionSums; count: number }>;
  cached: { readonly epoch: number; readonly score: ReputationScore } | null;
}

/** The sums of one subject in one epoch, as they enter its snapshot. */
export interface SubjectSums {
  readonly subject: PeerKey;
  readonly role: SubjectRole;
  readonly sums: DimensionSums;
}

export interface FoldedStanding {
  readonly subject: PeerKey;
  readonly role: SubjectRole;
  readonly base: DecayedSums;
}

export const NEWCOMER_SCORE: ReputationScore = {
  lowerBound: PRIOR_LOWER_BOUND,
  mean: 0.5,
  weight: 0,
  view: Math.round(PRIOR_LOWER_BOUND * 1000),
  tier: findTier(PRIOR_LOWER_BOUND * 1000),
};

/** The sums of every subject, kept up with a ledger, and what follows from them. No I/O; the epoch is the caller's. */
export class StandingBook implements LedgerWatcher {
  readonly #options: StandingOptions;
  readonly #table: DecayTable;
  readonly #standings = new Map<string, Standing>();
  #bound: CredibleBound | null = null;

  constructor(options: StandingOptions) {
    this.#options = options;
    this.#table = new DecayTable(options);
  }

  /** Until then every bound is that of the prior. */
  useBound(bound: CredibleBound): void {
    this.#bound = bound;
    for (const standing of this.#standings.values()) standing.cached = null;
  }

  get isEmpty(): boolean {
    return this.#standings.size === 0;
  }

  onAdded(observation: CountedObservation): void {
    const standing = this.#open(observation);
    const known = standing.epochs.get(observation.epoch) ?? { sums: EMPTY_SUMS, count: 0 };
    const sums = addSums(known.sums, computeContribution(observation, observation.weight));
    standing.epochs.set(observation.epoch, { sums, count: known.count + 1 });
    standing.cached = null;
  }

  onRemoved(observation: CountedObservation): void {
    const standing = this.#standings.get(subjectKey(observation));
    const known = standing?.epochs.get(observation.epoch);
    if (standing === undefined || known === undefined) return;
    standing.cached = null;
    if (known.count > 1) {
      const sums = subtractSums(known.sums, computeContribution(observation, observation.weight));
      standing.epochs.set(observation.epoch, { sums, count: known.count - 1 });
      return;
    }
    standing.epochs.delete(observation.epoch);
    if (standing.epochs.size === 0 && standing.base === null) this.#standings.delete(subjectKey(observation));
  }

  scoreOf(subject: PeerKey, role: SubjectRole, epoch: number): ReputationScore {
    const standing = this.#standings.get(subjectKey({ subject, role }));
    if (standing === undefined || this.#bound === null) return NEWCOMER_SCORE;
    if (standing.cached?.epoch !== epoch) standing.cached = { epoch, score: this.#computeScore(standing, epoch) };
    return standing.cached.score;
  }

  posteriorsOf(subject: PeerKey, role: SubjectRole, epoch: number): Readonly<Record<Dimension, Posterior>> {
    const standing = this.#standings.get(subjectKey({ subject, role }));
    const { sums } =
      standing === undefined
        ? { sums: EMPTY_SUMS }
        : sumDecayed(standing.base, listEpochs(standing), { epoch, table: this.#table });
    return mapDimensions((dimension) => computePosterior(sums[dimension]));
  }

  lowerBound(posterior: Posterior): number {
    return this.#bound?.lower(posterior) ?? PRIOR_LOWER_BOUND;
  }

  /** What is left in an epoch of a weight of another. */
  decayWeight(weight: bigint, from: number, epoch: number): bigint {
    return (weight * this.#table.factor(epoch - from)) >> 32n;
  }

  subjects(role: SubjectRole): PeerKey[] {
    return [...this.#standings.values()].flatMap((standing) => (standing.role === role ? standing.subject : []));
  }

  /** The sums of an epoch, in order of role and subject. */
  sumsOfEpoch(epoch: number): readonly SubjectSums[] {
    return [...this.#standings]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([, { subject, role, epochs }]) => {
        const known = epochs.get(epoch);
        return known === undefined ? [] : { subject, role, sums: known.sums };
      });
  }

  /** Adds the sums of an epoch to the folded ones; its observations leave the ledger, and with them these sums, after that. */
  fold(epoch: number): readonly FoldedStanding[] {
    const folded: FoldedStanding[] = [];
    for (const standing of this.#standings.values()) {
      const known = standing.epochs.get(epoch);
      if (known === undefined) continue;
      standing.base = foldEpoch(standing.base, { epoch, sums: known.sums }, this.#table);
      standing.cached = null;
      folded.push({ subject: standing.subject, role: standing.role, base: standing.base });
    }
    return folded;
  }

  restore({ subject, role, base }: FoldedStanding): void {
    const standing = this.#open({ subject, role });
    standing.base = base;
    standing.cached = null;
  }

  /** Folded sums beyond the bound: those with the least evidence left go. */
  dropWeakest(epoch: number): readonly FoldedStanding[] {
    const folded = [...this.#standings.values()].flatMap((standing) => {
      const { base, subject, role } = standing;
      return base === null ? [] : [{ standing, subject, role, base, left: weighLeft(base, epoch, this.#table) }];
    });
    const excess = folded.length - this.#options.maxFolded;
    if (excess <= 0) return [];
    const dropped = folded.sort((a, b) => (a.left === b.left ? 0 : a.left < b.left ? -1 : 1)).slice(0, excess);
    for (const { standing } of dropped) {
      standing.base = null;
      standing.cached = null;
      if (standing.epochs.size === 0) this.#standings.delete(subjectKey(standing));
    }
    return dropped;
  }

  #open({ subject, role }: { readonly subject: PeerKey; readonly role: SubjectRole }): Standing {
    const key = subjectKey({ subject, role });
    let standing = this.#standings.get(key);
    if (standing === undefined) {
      standing = { subject, role, base: null, epochs: new Map(), cached: null };
      this.#standings.set(key, standing);
    }
    return standing;
  }

  #computeScore(standing: Standing, epoch: number): ReputationScore {
    const posteriors = this.posteriorsOf(standing.subject, standing.role, epoch);
    const lowerBound = combineDimensions(mapDimensions((dimension) => this.lowerBound(posteriors[dimension])));
    const view = Math.round(lowerBound * 1000);
    return {
      lowerBound,
      mean: combineDimensions(mapDimensions((dimension) => posteriors[dimension].mean)),
      weight: Math.max(...DIMENSIONS.map((dimension) => posteriors[dimension].weight)),
      view,
      tier: findTier(view),
    };
  }
}

export const isSubjectRole = (text: string): text is SubjectRole => SUBJECT_ROLES.some((role) => role === text);

function listEpochs({ epochs }: Standing): EpochSums[] {
  return [...epochs].map(([epoch, { sums }]) => ({ epoch, sums }));
}

function mapDimensions<Value>(create: (dimension: Dimension) => Value): Record<Dimension, Value> {
  return {
    completion: create('completion'),
    timeliness: create('timeliness'),
    ratings: create('ratings'),
    correctness: create('correctness'),
    availability: create('availability'),
  };
}

function weighLeft(base: DecayedSums, epoch: number, table: DecayTable): bigint {
  const { sums } = decaySums(base, epoch, table);
  return DIMENSIONS.reduce((sum, dimension) => sum + sums[dimension].success + sums[dimension].failure, 0n);
}
