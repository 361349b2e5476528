import type { BlobStore, SnapshotStore } from '../../blob/interface.ts';
import type { LeaseId } from '../../domain/ids.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import type { JobAnnouncements, PeerBook, PeerTransport } from '../../network/interface.ts';
import type { EnvelopeSigner } from '../../proofs/interface.ts';
import type { GpuSource } from '../../sandbox/gpu/interface.ts';
import type { Executor, HostCapacity } from '../../sandbox/interface.ts';
import type { Database } from '../../storage/interface.ts';
import type { Confidentiality, EvidenceProducer } from '../../tee/interface.ts';
import type { AuditTrail, Logger, MetricsRegistry } from '../../telemetry/interface.ts';
import type { AttemptNotes } from '../attempt-notes.ts';
import type { BlobGrants } from '../blob-access.ts';
import type { OfferRouter } from '../offer-router.ts';
import type { ReceiptNotes } from '../receipt-notes.ts';
import type { SnapshotFetcher } from '../snapshots/snapshot-fetcher.ts';
import type { BlobFetching } from '../transfer/interface.ts';
import { AnnouncementDesk } from './announced/announcement-desk.ts';
import type { Attempt, StopReason } from './attempts/attempt.ts';
import { AttemptRunner } from './attempts/attempt-runner.ts';
import { AttemptTable } from './attempts/attempt-table.ts';
import { Dispatcher } from './attempts/dispatcher.ts';
import { InputLoader } from './attempts/input-loader.ts';
import { Pulse } from './attempts/pulse.ts';
import type { Run } from './attempts/run.ts';
import { UnreadAnswers } from './attempts/unread-answers.ts';
import { AttemptJournal } from './checkpoints/attempt-journal.ts';
import { CheckpointDesk } from './checkpoints/checkpoint-desk.ts';
import { HoldNotices } from './checkpoints/hold-notices.ts';
import { ResumeLoader } from './checkpoints/resume-loader.ts';
import { SnapshotDuties } from './checkpoints/snapshot-duties.ts';
import { SnapshotKeeper } from './checkpoints/snapshot-keeper.ts';
import { AttestDesk } from './confidential/attest-desk.ts';
import { GpuDesk } from './gpus/gpu-desk.ts';
import { GpuSampler } from './gpus/gpu-sampler.ts';
import { NO_GPUS } from './gpus/no-gpus.ts';
import { HeldSnapshots } from './holder/held-snapshots.ts';
import { SnapshotHolder } from './holder/snapshot-holder.ts';
import { JobDesk } from './job-desk.ts';
import { AttemptRestorer } from './leases/attempt-restorer.ts';
import { LeaseDesk } from './leases/lease-desk.ts';
import { LeaseFollower } from './leases/lease-follower.ts';
import { LeaseIntake } from './leases/lease-intake.ts';
import { LeaseStore } from './leases/lease-store.ts';
import { PoisonJobs } from './leases/poison-jobs.ts';
import { createProviderMetrics } from './metrics.ts';
import { Admission } from './offers/admission.ts';
import type { Reachability } from './offers/no-work.ts';
import { OfferBook } from './offers/offer-book.ts';
import { OfferDesk } from './offers/offer-desk.ts';
import { RefusalTally } from './offers/refusals.ts';
import type { JobProviderOptions } from './options.ts';
import { DecisionLog } from './policy/decision-log.ts';
import { compilePolicy } from './policy/operator-policy.ts';
import { PolicyDesk } from './policy/policy-desk.ts';
import { UsageLedger } from './policy/usage-ledger.ts';
import { WorkSwitch } from './policy/work-switch.ts';
import { HostGauge } from './queue/host-gauge.ts';
import { QueuePlanner } from './queue/queue-planner.ts';
import { ServiceTimes } from './queue/service-times.ts';
import { CommitReveal } from './results/commit-reveal.ts';
import { Concluder } from './results/concluder.ts';
import { ResultKeeper } from './results/result-keeper.ts';

export interface JobProviderModules {
  readonly identity: EnvelopeSigner;
  readonly transport: PeerTransport;
  readonly blobs: BlobStore;
  /** Shared with the node's requester. */
  readonly transfers: BlobFetching;
  readonly grants: BlobGrants;
  readonly executors: readonly Executor[];
  /** Absent where the host is not measured: slots are the only limit then. */
  readonly host?: HostCapacity;
  readonly database: Database;
  /** Absent where no snapshots are kept: attempts then make checkpoints only. */
  readonly snapshots?: { readonly store: SnapshotStore; readonly fetcher: Pick<SnapshotFetcher, 'fetch'> };
  /** Absent where this node runs in no trusted execution environment: it takes no confidential jobs then. */
  readonly confidential?: { readonly confidentiality: Confidentiality; readonly producer: EvidenceProducer };
  /** Absent where nothing is anchored. */
  readonly receiptNotes?: ReceiptNotes;
  /** Absent where nobody observes requesters. */
  readonly attemptNotes?: AttemptNotes;
  /** Absent: this node answers those only who ask it. */
  readonly announcements?: JobAnnouncements;
  /** Of the announced work, the more others may take it, the later this node answers. Absent: as if there were none. */
  readonly peers?: Pick<PeerBook, 'providers'>;
  /** Shared with the node's requester: one handler serves the `offer` protocol for both. Absent: there is no requester. */
  readonly offerRouter?: OfferRouter;
  /** Where its decisions go. */
  readonly audit: AuditTrail;
  /** Absent where no GPUs are lent. */
  readonly gpus?: GpuSource;
  /** `Network` satisfies it. */
  readonly reachability: Reachability;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

/** What the parts ask of the provider that holds them. */
export interface ProviderHooks {
  readonly isDraining: () => boolean;
  /** Runs an attempt; resolves when its lane is free again. */
  readonly execute: (attempt: Attempt) => Promise<void>;
  readonly begin: (run: Run) => void;
  readonly stop: (attempt: Attempt, reason: StopReason) => void;
}

export type ProviderParts = ReturnType<typeof createProviderParts>;

/** The parts of a provider, bottom up. */
export function createProviderParts(modules: JobProviderModules, options: JobProviderOptions, hooks: ProviderHooks) {
  const shared = { ...createShared(modules, options, hooks), ...createSnapshotParts(modules, options) };
  const { identity } = modules;
  const keeper = new ResultKeeper({ ...shared, grants: modules.grants }, options);
  const withKeeper = { ...shared, keeper };
  const { stop } = hooks;
  const attest =
    modules.confidential === undefined
      ? null
      : new AttestDesk({ ...shared, ...modules.confidential, self: identity.peer, stop });
  const runner = new AttemptRunner({ ...shared, attest, desk: shared.checkpoints }, options);
  const concluder = new Concluder({ ...withKeeper, attemptNotes: modules.attemptNotes }, options);
  const commitReveal = new CommitReveal(withKeeper);
  const offerDesk = new OfferDesk({ ...shared, isDraining: hooks.isDraining }, options);
  const announcementDesk = new AnnouncementDesk({
    ...shared,
    self: identity.peer,
    transport: modules.transport,
    proposer: offerDesk,
    countProviders: () => modules.peers?.providers().length ?? 0,
    isDraining: hooks.isDraining,
  });
  const intake = new LeaseIntake(shared, options);
  const follower = new LeaseFollower(shared);
  const restorer = new AttemptRestorer({ ...shared, executors: modules.executors }, options);
  const isLive = (lease: LeaseId): boolean => shared.table.get(lease) !== undefined;
  const isKnown = async (lease: LeaseId): Promise<boolean> =>
    isLive(lease) || (await shared.store.get(lease)) !== undefined;
  const { isDraining } = hooks;
  const createRun = intake.createRun.bind(intake);
  const desk = new LeaseDesk({ ...shared, self: identity.peer, isDraining, isLive, isKnown, createRun }, options);
  const jobDesk = new JobDesk({
    ...withKeeper,
    desk,
    intake,
    follower,
    commitReveal,
    begin: hooks.begin,
    stop,
  });
  const pulse = new Pulse({ ...shared, stop }, options);
  return { ...withKeeper, attest, runner, concluder, offerDesk, announcementDesk, intake, jobDesk, pulse, restorer };
}

function createShared(modules: JobProviderModules, options: JobProviderOptions, hooks: ProviderHooks) {
  const { identity, blobs, executors, database, clock, random } = modules;
  const { logger, metrics } = describeTelemetry(modules);
  const store = new LeaseStore(database, modules.receiptNotes);
  const poison = new PoisonJobs(database);
  const offers = new OfferBook(clock);
  const gauge = new HostGauge({ host: modules.host, clock, logger }, options.host);
  const services = new ServiceTimes();
  const dispatcher = new Dispatcher({ offers, gauge, services, clock, execute: hooks.execute, metrics }, options);
  const planner = new QueuePlanner({ dispatcher, offers, gauge, services, clock }, options);
  const { self, ...policyParts } = createPolicyParts(modules, options, { dispatcher, offers });
  const { policy } = policyParts;
  const evidence = modules.confidential?.producer;
  const source = modules.gpus ?? NO_GPUS;
  const gpus = new GpuDesk({ source, offers, runs: () => dispatcher.runs, clock });
  const sampler = new GpuSampler({ source, clock, metrics });
  const admission = new Admission({ self, executors, poison, policy, evidence, gpus, clock }, options);
  const refusals = new RefusalTally(clock);
  const table = new AttemptTable();
  const unread = new UnreadAnswers(metrics);
  return {
    identity,
    blobs,
    clock,
    random,
    logger,
    metrics,
    store,
    poison,
    offers,
    gauge,
    dispatcher,
    planner,
    gpus,
    sampler,
    admission,
    refusals,
    table,
    unread,
    ...policyParts,
  };
}

/** What the operator has said, and what is known of those it is said of. */
function createPolicyParts(
  { identity, database, clock, audit }: JobProviderModules,
  options: JobProviderOptions,
  work: { readonly dispatcher: Dispatcher; readonly offers: OfferBook },
) {
  const self = identity.peer;
  const usage = new UsageLedger(database);
  const compiled = { networkId: options.networkId, policy: compilePolicy(options.policy, options) };
  const policy = new PolicyDesk({ ...work, self, usage, clock }, compiled);
  return { self, usage, policy, work: new WorkSwitch(database), decisions: new DecisionLog({ audit, clock }) };
}

/** What keeps the states of attempts: of its own, and of others'. */
function createSnapshotParts(modules: JobProviderModules, options: JobProviderOptions) {
  const { identity, transport, blobs, grants, database, clock } = modules;
  const { logger, metrics } = describeTelemetry(modules);
  const common = { grants, clock, logger, metrics };
  const self = identity.peer;
  const store = modules.snapshots?.store ?? null;
  const journal = new AttemptJournal(database);
  const inputs = new InputLoader({ blobs, transfers: modules.transfers, self, clock, logger });
  const ownDuties = new SnapshotDuties(database, 'provider');
  const snapshots = new SnapshotKeeper({ ...common, store, duties: ownDuties }, options.snapshots);
  const notices = new HoldNotices({ ...common, transport, journal }, options.snapshots);
  const resume = new ResumeLoader({
    ...common,
    snapshots: modules.snapshots ?? null,
    keeper: snapshots,
    transport,
    self,
  });
  const checkpoints = new CheckpointDesk(
    { ...common, identity, journal, keeper: snapshots, notices, store, inputs },
    options.snapshots,
  );
  const { keepForMs, hold } = options.snapshots;
  const heldDuties = new SnapshotDuties(database, 'holder');
  const held =
    store === null ? null : new HeldSnapshots({ ...common, store, duties: heldDuties }, { ...hold, keepForMs });
  const fetcher = modules.snapshots?.fetcher ?? null;
  const { networkId, trustedRequesters } = options;
  const holder = new SnapshotHolder(
    { ...common, self, held, fetcher, keeper: snapshots },
    { networkId, trustedRequesters, hold },
  );
  return { journal, inputs, snapshots, notices, resume, checkpoints, holder };
}

function describeTelemetry({ logger, metrics }: JobProviderModules) {
  return { logger: logger.child({ module: 'provider' }), metrics: createProviderMetrics(metrics) };
}
