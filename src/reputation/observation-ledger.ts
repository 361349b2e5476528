import type { JobId, LeaseId, ObjectId, PeerKey, UnixMs } from '../domain/ids.ts';
import {
  kindOfObservation,
  type ObservationKind,
  type ObservedOutcome,
  type SubjectRole,
} from '../domain/observation.ts';
import type { ObservationRuleCode } from '../domain/observation-rules.ts';
import { IndexedHeap } from '../lib/indexed-heap.ts';
import { isCapped } from './beta-model.ts';

/** An observation that passed the rules, with its weight (10^-6). */
export interface CountedObservation {
  readonly id: ObjectId;
  readonly observer: PeerKey;
  readonly subject: PeerKey;
  readonly role: SubjectRole;
  readonly job: JobId;
  readonly lease: LeaseId;
  readonly receipt: ObjectId | null;
  readonly outcome: ObservedOutcome;
  readonly rating: number | null;
  readonly observedAtMs: UnixMs;
  readonly epoch: number;
  readonly weight: bigint;
}

/** `displaced`: those that had to go for it. */
export type ObservationAddition =
  | { readonly kind: 'added'; readonly displaced: readonly CountedObservation[] }
  | { readonly kind: 'refused'; readonly code: ObservationRuleCode };

export interface LedgerOptions {
  readonly maxObservations: number;
  readonly maxPerSubject: number;
  /** Unpaid observations of one pair of peers that count in one epoch. */
  readonly cappedPerPair: number;
}

/** Told of what counts from now on and of what does not any more. */
export interface LedgerWatcher {
  onAdded(observation: CountedObservation): void;
  onRemoved(observation: CountedObservation): void;
}

/**
 * The set of observations that count, within its bounds. What stays of any number of observations does not depend on the
 * order in which they come: of one observer's observations of one lease, and of the unpaid ones of a pair of peers in one
 * epoch, those with the lowest ids, ratings and others each for themselves; where there is no room, what weighs least, then
 * what is older, then what has the higher id goes. (Two observations of one lease in different epochs, or of different
 * weights, are the exception: a lease has one time and one payment, so that signing both is a fault of its observer, and
 * which of them counts may differ.)
 */
export class ObservationLedger {
  readonly #options: LedgerOptions;
  readonly #watchers: readonly LedgerWatcher[];
  readonly #byId = new Map<ObjectId, CountedObservation>();
  readonly #byLease = new Map<string, CountedObservation>();
  readonly #byPair = new Map<string, Set<CountedObservation>>();
  readonly #bySubject = new Map<string, Set<CountedObservation>>();
  readonly #byEpoch = new Map<number, Set<CountedObservation>>();
  readonly #worst = new IndexedHeap<CountedObservation>(isWorse);
  #foldedEpoch: number | null = null;

  constructor(watchers: readonly LedgerWatcher[], options: LedgerOptions) {
    this.#watchers = watchers;
    this.#options = options;
  }

  get size(): number {
    return this.#byId.size;
  }

  /** Newest epoch that takes no more observations. */
  get foldedEpoch(): number | null {
    return this.#foldedEpoch;
  }

  get(id: ObjectId): CountedObservation | undefined {
    return this.#byId.get(id);
  }

  findOfLease(observer: PeerKey, lease: LeaseId, kind: ObservationKind): CountedObservation | undefined {
    return this.#byLease.get(leaseKey({ observer, lease }, kind));
  }

  /** How many unpaid ones of a pair count in an epoch. */
  countCapped(pair: PairFields, kind: ObservationKind): number {
    return this.#byPair.get(pairKey(pair, kind))?.size ?? 0;
  }

  ofSubject(subject: PeerKey, role: SubjectRole): Iterable<CountedObservation> {
    return this.#bySubject.get(subjectKey({ subject, role })) ?? [];
  }

  epochs(): Iterable<number> {
    return this.#byEpoch.keys();
  }

  ofEpoch(epoch: number): Iterable<CountedObservation> {
    return this.#byEpoch.get(epoch) ?? [];
  }

  /** Why it would not be taken; null if it would. */
  findRefusal(observation: CountedObservation): ObservationRuleCode | null {
    const place = this.#findPlace(observation);
    return typeof place === 'string' ? place : null;
  }

  add(observation: CountedObservation): ObservationAddition {
    const place = this.#findPlace(observation);
    if (typeof place === 'string') return { kind: 'refused', code: place };
    for (const displaced of place) this.remove(displaced.id);
    this.#byId.set(observation.id, observation);
    const kind = kindOfObservation(observation);
    this.#byLease.set(leaseKey(observation, kind), observation);
    if (isCapped(observation.weight)) enter(this.#byPair, pairKey(observation, kind), observation);
    enter(this.#bySubject, subjectKey(observation), observation);
    enter(this.#byEpoch, observation.epoch, observation);
    this.#worst.add(observation);
    for (const watcher of this.#watchers) watcher.onAdded(observation);
    return { kind: 'added', displaced: [...place] };
  }

  /** False if it was not there. */
  remove(id: ObjectId): boolean {
    const observation = this.#byId.get(id);
    if (observation === undefined) return false;
    this.#byId.delete(id);
    const kind = kindOfObservation(observation);
    this.#byLease.delete(leaseKey(observation, kind));
    leave(this.#byPair, pairKey(observation, kind), observation);
    leave(this.#bySubject, subjectKey(observation), observation);
    leave(this.#byEpoch, observation.epoch, observation);
    this.#worst.remove(observation);
    for (const watcher of this.#watchers) watcher.onRemoved(observation);
    return true;
  }

  /** Takes no more observations of this epoch and of those before, and gives up those that are there. */
  fold(epoch: number): readonly CountedObservation[] {
    this.#foldedEpoch = Math.max(epoch, this.#foldedEpoch ?? epoch);
    const folded = [...this.#byId.values()].filter((observation) => observation.epoch <= epoch);
    for (const { id } of folded) this.remove(id);
    return folded;
  }

  /** Those that have to go for it, or why it is not taken. */
  #findPlace(observation: CountedObservation): ReadonlySet<CountedObservation> | ObservationRuleCode {
    if (this.#byId.has(observation.id)) return 'OBSERVATION_SEEN';
    if (this.#foldedEpoch !== null && observation.epoch <= this.#foldedEpoch) return 'OBSERVATION_TOO_OLD';
    const displaced = new Set<CountedObservation>();
    const kind = kindOfObservation(observation);
    const rival = this.#byLease.get(leaseKey(observation, kind));
    if (rival !== undefined) {
      if (rival.id < observation.id) return 'OBSERVATION_LEASE_TAKEN';
      displaced.add(rival);
    }
    const { cappedPerPair, maxPerSubject, maxObservations } = this.#options;
    const pair = isCapped(observation.weight) ? this.#byPair.get(pairKey(observation, kind)) : undefined;
    if (!makeRoom(pair, { observation, displaced, max: cappedPerPair })) return 'OBSERVATION_OVER_CAP';
    const ofSubject = this.#bySubject.get(subjectKey(observation));
    if (!makeRoom(ofSubject, { observation, displaced, max: maxPerSubject })) return 'OBSERVATION_CROWDED_OUT';
    if (this.size - displaced.size < maxObservations) return displaced;
    const worst = this.#worst.peek();
    if (worst === undefined || !isWorse(worst, observation)) return 'OBSERVATION_CROWDED_OUT';
    return displaced.add(worst);
  }
}

type PairFields = Pick<CountedObservation, 'observer' | 'subject' | 'role' | 'epoch'>;
const leaseKey = ({ observer, lease }: Pick<CountedObservation, 'observer' | 'lease'>, kind: ObservationKind) =>
  `${kind}/${observer}/${lease}`;
const pairKey = ({ observer, subject, role, epoch }: PairFields, kind: ObservationKind) =>
  `${kind}/${observer}/${subject}/${role}/${epoch}`;

export function subjectKey({ subject, role }: Pick<CountedObservation, 'subject' | 'role'>): string {
  return `${role}/${subject}`;
}

/** Goes before the other where there is no room. Among those of equal weight and epoch the lowest ids stay. */
function isWorse(a: CountedObservation, b: CountedObservation): boolean {
  if (a.weight !== b.weight) return a.weight < b.weight;
  if (a.epoch !== b.epoch) return a.epoch < b.epoch;
  return a.id > b.id;
}

interface RoomRequest {
  readonly observation: CountedObservation;
  readonly displaced: Set<CountedObservation>;
  readonly max: number;
}

/** False if the group is full of better ones; else the worst of it is displaced where it has to be. */
function makeRoom(
  group: ReadonlySet<CountedObservation> | undefined,
  { observation, displaced, max }: RoomRequest,
): boolean {
  if (group === undefined || group.size < max) return max > 0;
  const staying = [...group].filter((other) => !displaced.has(other));
  if (staying.length < max) return true;
  const worst = staying.reduce((a, b) => (isWorse(a, b) ? a : b));
  if (!isWorse(worst, observation)) return false;
  displaced.add(worst);
  return true;
}

function enter<Key>(groups: Map<Key, Set<CountedObservation>>, key: Key, observation: CountedObservation): void {
  const group = groups.get(key);
  if (group === undefined) groups.set(key, new Set([observation]));
  else group.add(observation);
}

function leave<Key>(groups: Map<Key, Set<CountedObservation>>, key: Key, observation: CountedObservation): void {
  const group = groups.get(key);
  if (group?.delete(observation) === true && group.size === 0) groups.delete(key);
}
