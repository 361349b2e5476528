/**
 * reputation owns what peers have signed about each other's attempts: the rules by which an observation counts, the set of
 * those that do, the sums and posteriors that follow from them (beta-model.ts, pure), and the own observations until they
 * are published.
 * It does not own transport (network carries observations through `ObservationSource`), what an attempt came to (scheduler
 * says so through `ObservationSink`), nor whom anybody chooses.
 * Parts: beta-model · observation-rules (judge-observation.ts) · ObservationLedger (memory, deterministic, no I/O: simulations
 * use it as it is) · ObservationStore (disk) · OwnObservations (sign, store, publish) · LedgerReputation (all of them).
 */
import type { JobId, LeaseId, ObjectId, PeerKey, UnixMs } from '../domain/ids.ts';
import type { ObservationItem, ObservedOutcome, SubjectRole } from '../domain/observation.ts';
import type { SignedWire } from '../domain/signed.ts';
import type { Verdict } from '../lib/verdict.ts';
import type { Dimension, Posterior, Tier } from './beta-model.ts';

/** One peer at one moment, over all dimensions by their points. */
export interface ReputationScore {
  /** From 0 to 1: the lower ends of the 95 % credible intervals. A newcomer has 0.025. */
  readonly lowerBound: number;
  /** A newcomer has 0.5. */
  readonly mean: number;
  /** Evidence in the dimension that has most of it; 0 is a newcomer, 1 an attempt that one token was paid for. */
  readonly weight: number;
  /** From 0 to 1000. */
  readonly view: number;
  readonly tier: Tier;
}

/** Another party's attempt as one side saw it, not signed yet. */
export interface ObservationDraft {
  readonly subject: PeerKey;
  readonly role: SubjectRole;
  readonly job: JobId;
  readonly lease: LeaseId;
  readonly receipt: ObjectId | null;
  readonly outcome: ObservedOutcome;
  /** Set: `outcome` says nothing, and `observedAtMs` is the receipt's `finishedAtMs`. */
  readonly rating: number | null;
  readonly observedAtMs: UnixMs;
  /** As the rules want it: the receipt; the lease and its acceptance; the lease. */
  readonly evidence: readonly SignedWire[];
}

/** Takes what this node has observed. */
export interface ObservationSink {
  /** Whether one more of this peer would count in the epoch of now. Free of I/O; may be asked thousands of times a second. */
  hasRoom(subject: PeerKey, role: SubjectRole, kind: 'success' | 'failure'): boolean;
  /** Signed and on disk when it resolves; a lease that was observed, or rated, before changes nothing. */
  record(drafts: readonly ObservationDraft[]): Promise<void>;
}

/** Takes what the user of this node thinks of providers. */
export interface RatingSink extends Pick<ObservationSink, 'record'> {
  /**
   * Whether one more rating of this provider's attempt of that time would count.
   * @param waiting times of its attempts whose ratings are not signed yet
   */
  hasRatingRoom(provider: PeerKey, attemptAtMs: UnixMs, waiting: readonly UnixMs[]): Promise<boolean>;
  /** What this node has signed of a lease, from 1 to 5; null: nothing that counts. */
  findRating(lease: LeaseId): Promise<number | null>;
}

/** The observations of one epoch that count here. */
export interface EpochDigest {
  readonly epoch: number;
  readonly count: number;
  /** SHA-256 of their ids in order. */
  readonly hash: Uint8Array;
}

/** What the network exchanges with other peers; limits stand in domain/messages.ts. */
export interface ObservationSource {
  /**
   * Judges one and takes it in if it counts. @param publisher whose gossip message it is; null where it was asked for
   */
  take(item: ObservationItem, publisher: PeerKey | null): Promise<Verdict>;
  /** Of epochs that have any, newest first. */
  digests(): Promise<readonly EpochDigest[]>;
  /** Ids of an epoch after `after`, in order. */
  listIds(epoch: number, after: ObjectId | null): Promise<readonly ObjectId[]>;
  /** Those of `ids` that are not here and might count. */
  findMissing(epoch: number, ids: readonly ObjectId[]): Promise<readonly ObjectId[]>;
  /** Observations that came without evidence: their observers are to be asked for them. */
  listUnchecked(): readonly { readonly id: ObjectId; readonly observer: PeerKey }[];
  /** With their evidence; those that are not here are left out. */
  load(ids: readonly ObjectId[]): AsyncIterable<ObservationItem>;
  /** As a provider; counts a little in the gossip score of a peer. Absent: it does not count. */
  scoreOf?(subject: PeerKey): ReputationScore;
}

/** Publishes own observations; the network provides it. */
export interface ObservationPublisher {
  /** Gives how many peers it was sent to. @throws the network's coded error if it does not run */
  publish(items: readonly ObservationItem[]): Promise<{ readonly recipients: number }>;
}

/** One dimension of one peer. */
export interface DimensionView extends Posterior {
  readonly dimension: Dimension;
  readonly points: number;
  /** Lower end of the 95 % credible interval. */
  readonly lowerBound: number;
}

/** Why an observation has the weight that it has. */
export interface ObservationView {
  readonly id: ObjectId;
  readonly observer: PeerKey;
  readonly job: JobId;
  readonly lease: LeaseId;
  readonly receipt: ObjectId | null;
  readonly outcome: ObservedOutcome;
  readonly rating: number | null;
  readonly observedAtMs: UnixMs;
  readonly epoch: number;
  /** In attempts that one token was paid for: as it was, and decayed to now. */
  readonly weight: number;
  readonly decayedWeight: number;
  readonly reason: string;
}

export interface ReputationReport {
  readonly subject: PeerKey;
  readonly role: SubjectRole;
  readonly epoch: number;
  readonly score: ReputationScore;
  readonly dimensions: readonly DimensionView[];
  /** That are kept one by one; older ones are in the folded sums. */
  readonly observations: number;
  readonly observers: number;
  /** Newest epoch that was folded; null: none. */
  readonly foldedEpoch: number | null;
}

export interface ReputationSummary {
  readonly subject: PeerKey;
  readonly role: SubjectRole;
  readonly score: ReputationScore;
  readonly observations: number;
  readonly observers: number;
}

/** For a person. */
export interface ReputationReader {
  /** This node. */
  readonly self: PeerKey;
  show(subject: PeerKey, role: SubjectRole): Promise<ReputationReport>;
  /** Newest first. */
  explain(subject: PeerKey, role: SubjectRole, limit: number): Promise<readonly ObservationView[]>;
  /** Best first. */
  list(role: SubjectRole, limit: number): Promise<readonly ReputationSummary[]>;
}
