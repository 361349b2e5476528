/**
 * scheduler owns jobs and attempts: the requester's job machine, store, matching, following of attempts; the provider's
 * admission, reservations, running of attempts; recovery of both. Not transport (network), execution (sandbox), prices
 * (market) nor verdicts on evidence (bundle). requester/ and provider/ speak only over the `offer`, `job`, `attest` and
 * `blob` protocols, also within one node.
 */
import type { AnchorLeaf } from '../domain/anchor.ts';
import type { BundleAttempt, UnrevealedReplica } from '../domain/bundle.ts';
import type { TeeKind } from '../domain/capability.ts';
import type { CommitmentSet } from '../domain/commitment.ts';
import type { BlobId, JobId, LeaseId, PeerKey, UnixMs } from '../domain/ids.ts';
import type { Confidential, Job } from '../domain/job.ts';
import type { JobBatchId } from '../domain/job-batch.ts';
import type { Outcome, OutputFile, SandboxReport } from '../domain/receipt.ts';
import type { Refusal } from '../domain/refusal.ts';
import type { Signed } from '../domain/signed.ts';
import type { PathDifference } from '../proofs/compare-results.ts';
import type { ReputationScore } from '../reputation/interface.ts';

/** Terminal states are the last four; a job never leaves them. */
export const JOB_STATES = [
  'seeking',
  'running',
  'paused',
  'revealing',
  'completed',
  'failed',
  'cancelled',
  'expired',
] as const;
export type JobState = (typeof JOB_STATES)[number];

export const ATTEMPT_STATES = [
  'leased',
  'queued',
  'running',
  'unreachable',
  'committed',
  'revealed',
  'failed',
  'lost',
  'cancelled',
  /** Ended at a checkpoint because its requester paused the job. */
  'paused',
] as const;
export type AttemptState = (typeof ATTEMPT_STATES)[number];

export interface AttemptView {
  readonly lease: LeaseId;
  readonly provider: PeerKey;
  readonly replica: number;
  readonly attempt: number;
  readonly state: AttemptState;
  readonly leasedAtMs: UnixMs;
  readonly leaseEndsAtMs: UnixMs;
  /** How long after its end the provider keeps the result for a requester that is away, ms, as it signed. Absent: it did not say. */
  readonly resultsKeptForMs?: number;
  readonly progress: { readonly fuel: number | null; readonly step: number; readonly cpuTimeMs: number } | null;
  /** Why it ended, where it did not end well. */
  readonly reason: string | null;
  /** Its newest checkpoint, and the newest step of which a snapshot is held by the holder. Absent: it makes none. */
  readonly checkpoint?: { readonly step: number; readonly head: string; readonly heldStep: number | null };
  /** The attempt and step that it went on from. */
  readonly resumedFrom?: { readonly lease: LeaseId; readonly step: number };
  /** Evidence that was found valid before anything was released to it. Absent: none was, or the job is not confidential. */
  readonly evidence?: EvidenceView;
}

export interface EvidenceView {
  /** `simulated` shows nothing of any hardware. */
  readonly kind: TeeKind;
  /** Of the code that runs there, as the kind measures it, hex; such as the SEV-SNP launch digest. */
  readonly measurement: string;
  /** NVIDIA GPUs have shown evidence too. */
  readonly gpus: boolean;
  /** The evidence itself, as it was judged. */
  readonly blob: BlobId;
  readonly judgedAtMs: UnixMs;
}

export interface JobView {
  readonly job: JobId;
  readonly name: string;
  readonly state: JobState;
  readonly desired: 'run' | 'pause' | 'cancel';
  readonly createdAtMs: UnixMs;
  readonly deadlineMs: UnixMs;
  readonly endedAtMs: UnixMs | null;
  readonly replicas: number;
  readonly quorum: number;
  readonly attempts: readonly AttemptView[];
  /** Set in a terminal state that has a result. */
  readonly result: JobResultView | null;
  /** Set in `failed`, `cancelled` and `expired`: a code and a sentence. */
  readonly failure: { readonly code: string; readonly message: string } | null;
}

/** With how the provider of the accepted result answered the items of a model. */
export interface JobResultView extends Pick<SandboxReport, 'inference'> {
  readonly outcome: Outcome;
  readonly outputs: readonly OutputFile[];
  readonly outputRoot: string;
  /** Null where the kind of work has none. */
  readonly fuel: number | null;
  readonly steps: number;
  /** Leases whose results agree with the accepted one, and those that differ. */
  readonly agreeing: readonly LeaseId[];
  readonly dissenting: readonly LeaseId[];
  /**
   * Those of `agreeing` that are not byte-identical, with the largest difference between any of them and the accepted
   * one; null where all files are the same. Absent: all are byte-identical.
   */
  readonly withinTolerance?:
    | { readonly leases: readonly LeaseId[]; readonly largest: DifferenceView | null }
    | undefined;
}

/** `share` is a decimal: the difference over what is tolerated there. */
export type DifferenceView = Omit<PathDifference, 'share'> & { readonly share: string };

/** What was announced of a job, to whom, and what came back. */
export interface AnnouncementsView {
  /** Announcements that went out. */
  readonly count: number;
  readonly lastAtMs: UnixMs | null;
  /** Peers that the last one was sent to; they pass it on. */
  readonly lastRecipients: number;
  /** Offers that came: `unwanted` ones were too late, or from a provider that has it or failed it. */
  readonly given: { readonly wanted: number; readonly unwanted: number; readonly invalid: number };
  /** Why the last one could not be sent. */
  readonly failure: string | null;
}

/** Why a job waits or failed: what is missing now, who was asked and what each answered. */
export interface JobExplanation {
  readonly job: JobId;
  readonly state: JobState;
  readonly summary: string;
  readonly asked: readonly {
    readonly provider: PeerKey;
    readonly atMs: UnixMs;
    readonly answer:
      | { readonly kind: 'offered' }
      | { readonly kind: 'refused'; readonly refusal: Refusal }
      | { readonly kind: 'unreachable'; readonly reason: string };
  }[];
  /** Absent: nothing was announced, since the known peers sufficed. */
  readonly announced?: AnnouncementsView;
  readonly hints: readonly string[];
}

export type JobEvent =
  | { readonly kind: 'state'; readonly job: JobId; readonly atMs: UnixMs; readonly state: JobState }
  | { readonly kind: 'attempt'; readonly job: JobId; readonly atMs: UnixMs; readonly attempt: AttemptView }
  | {
      readonly kind: 'checkpoint';
      readonly job: JobId;
      readonly lease: LeaseId;
      readonly replica: number;
      readonly atMs: UnixMs;
      readonly step: number;
      readonly stateRoot: string;
      readonly snapshot: CheckpointView['snapshot'];
    }
  | {
      readonly kind: 'log';
      readonly job: JobId;
      readonly lease: LeaseId;
      readonly replica: number;
      readonly atMs: UnixMs;
      readonly stream: 'stdout' | 'stderr' | 'log';
      readonly text: string;
      /** Place among the logs and metrics of its replica, equal for all replicas; absent where the job does not step. */
      readonly ordinal?: number | undefined;
    }
  | {
      readonly kind: 'metric';
      readonly job: JobId;
      readonly lease: LeaseId;
      readonly replica: number;
      readonly atMs: UnixMs;
      readonly name: string;
      readonly value: string;
      readonly step: number;
      readonly ordinal?: number | undefined;
    };

/** One checkpoint of an attempt as its requester knows it: signed by the provider, its chain checked up to here. */
export interface CheckpointView {
  readonly lease: LeaseId;
  readonly provider: PeerKey;
  readonly replica: number;
  readonly step: number;
  readonly fuel: number | null;
  readonly atMs: UnixMs;
  /** Hex. */
  readonly head: string;
  readonly stateRoot: string;
  /** `held`: all of it is on the holder's disk; `announced`: only the provider has it. */
  readonly snapshot: 'held' | 'announced' | 'none';
}

/** What a submitter describes; the requester fills in identity, network, nonce and times. Blobs are stored already. */
export type JobDraft = Omit<Job, 'type' | 'network' | 'requester' | 'nonce' | 'createdAtMs' | 'confidential'> & {
  /** Inputs are blobs in plain, of this node alone; the job names what they are sealed into. `policy` as in domain/job.ts. */
  readonly confidential?: Pick<Confidential, 'policy'> | undefined;
};

/** The objects of a finished job, for a bundle: every attempt with a receipt, dissenting ones too. */
export interface JobEvidence {
  readonly job: Signed<Job>;
  /** With `lastProgress` where the run outlasted the first term of its lease: else its renewal is `unchecked`. */
  readonly attempts: readonly BundleAttempt[];
  readonly commitmentSet: CommitmentSet | null;
  /** Replicas that are in the set and did not reveal; absent is none. */
  readonly unrevealed?: readonly UnrevealedReplica[];
  readonly missingReplicas: readonly { readonly replica: number; readonly reason: string }[];
}

/** Takes receipts to be anchored; `chain`'s AnchorService satisfies it. */
export interface ReceiptAnchors {
  /** Durable when it resolves; a leaf that it has is as good as added. */
  add(leaves: readonly AnchorLeaf[]): Promise<void>;
}

/** What others and this node have seen of providers; `reputation` satisfies it. */
export interface ReputationView {
  scoreOf(provider: PeerKey): ReputationScore;
}

/** How the jobs of a batch stand. */
export interface JobBatchView {
  readonly batch: JobBatchId;
  readonly name: string;
  /** Jobs that it is to have. */
  readonly size: number;
  readonly createdAtMs: UnixMs;
  /** Set: it takes no more jobs. */
  readonly cancelledAtMs: UnixMs | null;
  /** Jobs that it has. */
  readonly submitted: number;
  readonly states: Readonly<Record<JobState, number>>;
  /** Codes of jobs that ended without a completed result, the most frequent first; rare ones together as OTHER. */
  readonly failures: readonly { readonly code: string; readonly count: number }[];
  /** When the last job ended, once it has all that it is to have (or was cancelled) and none of them is active. */
  readonly endedAtMs: UnixMs | null;
}

export interface BatchEntry {
  /** Place in the batch, from 0. */
  readonly index: number;
  readonly draft: JobDraft;
}

export interface BatchJob {
  readonly index: number;
  readonly job: JobId;
  /** Null: its entry in the store cannot be read. */
  readonly view: JobView | null;
}

/** Jobs that are described together. Their submission may be repeated, in whole or in part: no place gets a second job. */
export interface JobBatchService {
  /** Durable when it resolves; the same again changes nothing. @throws SchedulerError SCHEDULER_BATCH_CONFLICT if it is there with another size or digest */
  open(batch: {
    readonly batch: JobBatchId;
    readonly name: string;
    readonly size: number;
    /** What its jobs are, as whoever submits has it. */
    readonly digest: string;
  }): Promise<JobBatchView>;
  /**
   * The jobs at these places, in the order given: new ones, or those that are there already, whatever their draft says.
   * Durable when it resolves. @throws SchedulerError SCHEDULER_UNKNOWN_BATCH, SCHEDULER_BATCH_CANCELLED, SCHEDULER_BATCH_PLACE
   */
  submit(batch: JobBatchId, entries: readonly BatchEntry[]): Promise<readonly JobId[]>;
  /** @throws SchedulerError SCHEDULER_UNKNOWN_BATCH, as all below */
  show(batch: JobBatchId): Promise<JobBatchView>;
  /** Newest first. */
  list(filter: { readonly limit: number }): Promise<readonly JobBatchView[]>;
  /** In order of their places. */
  jobs(
    batch: JobBatchId,
    page: { readonly fromIndex: number; readonly limit: number; readonly state?: JobState },
  ): Promise<readonly BatchJob[]>;
  /** It takes no more jobs, and those that it has are cancelled. */
  cancel(batch: JobBatchId): Promise<JobBatchView>;
  /** How it stands now and, some times a second, whenever that has changed; until it has ended. */
  follow(batch: JobBatchId, options: { readonly signal: AbortSignal }): AsyncIterable<JobBatchView>;
}

export interface RequesterService {
  readonly batches: JobBatchService;
  /** Durable when it resolves; the same draft twice is two jobs. @throws SchedulerError */
  submit(draft: JobDraft): Promise<JobView>;
  /** Many jobs of one replica each, signed, leased and received together. @throws SchedulerError */
  submitMany(drafts: readonly JobDraft[]): Promise<readonly JobId[]>;
  show(job: JobId): Promise<JobView>;
  explain(job: JobId): Promise<JobExplanation>;
  /** Newest first. */
  list(filter: { readonly state?: JobState; readonly limit: number }): Promise<readonly JobView[]>;
  cancel(job: JobId): Promise<JobView>;
  /** Its attempts end at their next checkpoint; it waits until `resume`. @throws SchedulerError SCHEDULER_NOT_PAUSABLE, SCHEDULER_JOB_ENDED */
  pause(job: JobId): Promise<JobView>;
  /** Goes on from the newest snapshots. As good as done if it is not paused. @throws SchedulerError SCHEDULER_JOB_ENDED */
  resume(job: JobId): Promise<JobView>;
  /** Of each attempt the newest 1,024, ascending by replica, attempt and step. @throws SchedulerError SCHEDULER_JOB_UNKNOWN */
  checkpoints(job: JobId): Promise<readonly CheckpointView[]>;
  /** The recorded events of a job, then (with `follow`) live ones until it ends. */
  events(job: JobId, options: { readonly follow: boolean; readonly signal: AbortSignal }): AsyncIterable<JobEvent>;
  /** Resolves when the job is in a terminal state. */
  wait(job: JobId, options: { readonly signal: AbortSignal }): Promise<JobView>;
  /** @throws SchedulerError SCHEDULER_NO_RESULT before there is one */
  evidence(job: JobId): Promise<JobEvidence>;
  /**
   * What an output file says, from the bytes of its blob: of a confidential job they are opened. Nothing of it may be used
   * before its end. @throws TeeError TEE_NOT_OPENED if they are not what its provider sealed there
   */
  openOutput(job: JobId, path: string, stored: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
}

/** What the user of this node thinks of the provider of one attempt. */
export interface RatingView {
  readonly lease: LeaseId;
  readonly replica: number;
  readonly provider: PeerKey;
  /** From 1 to 5. */
  readonly stars: number;
  /** The rating in whose place it comes. */
  readonly replaced: number | null;
}

export interface JobRatings {
  readonly job: JobId;
  readonly ratings: readonly RatingView[];
  /** When they are signed, together with others: until then another rating takes their place. */
  readonly signedAtMs: UnixMs;
}

export interface RatingService {
  /**
   * Rates the providers of the accepted result, or the one of a replica: all of them or, if one cannot be, none. Durable
   * when it resolves. @throws SchedulerError SCHEDULER_NO_RESULT, SCHEDULER_NOT_RATABLE, SCHEDULER_RATED_ALREADY,
   * SCHEDULER_RATING_LATE, SCHEDULER_RATINGS_FULL
   */
  rate(view: JobView, rating: { readonly stars: number; readonly replica: number | null }): Promise<JobRatings>;
}

export interface ProviderStatus {
  readonly isEnabled: boolean;
  readonly isDraining: boolean;
  /** By its operator, also over restarts; null while new work is taken. */
  readonly closed: { readonly reason: 'drain' | 'panic'; readonly sinceMs: UnixMs } | null;
  readonly slots: { readonly total: number; readonly reserved: number; readonly running: number };
  /** Leased attempts that wait for a slot; how long a new job of normal priority is expected to, ms, 0 is at once. */
  readonly queue: { readonly attempts: number; readonly expectedWaitMs: number };
  readonly attempts: readonly {
    readonly lease: LeaseId;
    readonly job: JobId;
    readonly requester: PeerKey;
    readonly phase: string;
  }[];
  readonly completed: number;
  readonly failed: number;
}

/** `node why-no-work`: conditions that keep work away, then what was refused and why. */
export interface NoWorkExplanation {
  readonly summary: string;
  readonly conditions: readonly {
    readonly name: string;
    readonly isMet: boolean;
    readonly detail: string;
    readonly remedy: string | null;
  }[];
  readonly refusals: readonly {
    readonly code: string;
    readonly count: number;
    readonly lastDetail: string;
    /** Setting of the policy that decided, if one did. */
    readonly lastRule: string | null;
    readonly lastAtMs: UnixMs;
  }[];
  readonly offersMade: number;
  readonly leasesTaken: number;
  readonly lastRequestAtMs: UnixMs | null;
}

export interface ProviderService {
  status(): ProviderStatus;
  explainNoWork(): Promise<NoWorkExplanation>;
  /** Takes no new work, in this process; resolves when what runs has ended. */
  drain(options: { readonly signal: AbortSignal }): Promise<void>;
  /** Takes no new work, also after a restart, until `open`; both are durable when they resolve. */
  close(): Promise<void>;
  open(): Promise<void>;
  /** As `close`, and ends all that waits or runs, with receipts that say so. Gives how many, once they have ended. */
  panic(options: { readonly signal: AbortSignal }): Promise<number>;
}
