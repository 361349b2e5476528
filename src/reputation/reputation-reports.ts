import type { PeerKey } from '../domain/ids.ts';
import type { SubjectRole } from '../domain/observation.ts';
import { OBSERVATION_RULES } from '../domain/observation-rules.ts';
import { DIMENSION_POINTS, DIMENSIONS, isCapped, WEIGHT_ONE } from './beta-model.ts';
import type { ObservationView, ReputationReport, ReputationSummary } from './interface.ts';
import type { CountedObservation } from './observation-ledger.ts';
import type { ObservationSet } from './observation-set.ts';
import type { UncheckedShelf } from './unchecked-shelf.ts';

/** What a person is told. */
export class ReputationReports {
  readonly #modules: { readonly set: ObservationSet; readonly shelf: UncheckedShelf };

  constructor(modules: { readonly set: ObservationSet; readonly shelf: UncheckedShelf }) {
    this.#modules = modules;
  }

  show(subject: PeerKey, role: SubjectRole): ReputationReport {
    const { book, epoch, ledger } = this.#modules.set;
    const posteriors = book.posteriorsOf(subject, role, epoch);
    return {
      subject,
      role,
      epoch,
      score: book.scoreOf(subject, role, epoch),
      dimensions: DIMENSIONS.map((dimension) => ({
        dimension,
        points: DIMENSION_POINTS[dimension],
        ...posteriors[dimension],
        lowerBound: book.lowerBound(posteriors[dimension]),
      })),
      ...this.#count(subject, role),
      foldedEpoch: ledger.foldedEpoch,
    };
  }

  /** Those that weigh nothing come last. */
  explain(subject: PeerKey, role: SubjectRole, limit: number): readonly ObservationView[] {
    const { set, shelf } = this.#modules;
    const counted = [...set.ledger.ofSubject(subject, role)]
      .sort((a, b) => b.observedAtMs - a.observedAtMs)
      .map((observation) => this.#describe(observation));
    const unchecked = shelf
      .list()
      .filter(({ value }) => value.subject === subject && value.role === role)
      .map(({ id, value }): ObservationView => {
        const { observer, job, lease, receipt, outcome, rating, observedAtMs, epoch } = value;
        const seen = { id, observer, job, lease, receipt, outcome, rating, observedAtMs, epoch };
        return { ...seen, weight: 0, decayedWeight: 0, reason: OBSERVATION_RULES.OBSERVATION_UNCHECKED.meaning };
      });
    return [...counted, ...unchecked].slice(0, limit);
  }

  list(role: SubjectRole, limit: number): readonly ReputationSummary[] {
    const { book, epoch } = this.#modules.set;
    return book
      .subjects(role)
      .map((subject) => ({ subject, role, score: book.scoreOf(subject, role, epoch) }))
      .sort((a, b) => b.score.lowerBound - a.score.lowerBound || (a.subject < b.subject ? -1 : 1))
      .slice(0, limit)
      .map((summary) => ({ ...summary, ...this.#count(summary.subject, role) }));
  }

  #count(subject: PeerKey, role: SubjectRole): { readonly observations: number; readonly observers: number } {
    const observations = [...this.#modules.set.ledger.ofSubject(subject, role)];
    return { observations: observations.length, observers: new Set(observations.map(({ observer }) => observer)).size };
  }

  #describe(counted: CountedObservation): ObservationView {
    const { role: _, subject: _subject, weight, ...observation } = counted;
    const { book, epoch } = this.#modules.set;
    return {
      ...observation,
      weight: toTokens(weight),
      decayedWeight: toTokens(book.decayWeight(weight, observation.epoch, epoch)),
      reason: isCapped(weight)
        ? 'nobody is known to have paid for the attempt'
        : 'by the payment and the stake behind the attempt',
    };
  }
}

const toTokens = (weight: bigint): number => Number(weight) / Number(WEIGHT_ONE);
