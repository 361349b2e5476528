import type { BlobStore } from '../../blob/interface.ts';
import type { LeaseId } from '../../domain/ids.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Random } from '../../lib/random.ts';
import type { PeerTransport } from '../../network/interface.ts';
import type { EnvelopeSigner } from '../../proofs/interface.ts';
import type { Executor } from '../../sandbox/interface.ts';
import type { Database } from '../../storage/interface.ts';
import type { Logger, MetricsRegistry } from '../../telemetry/interface.ts';
import type { BlobGrants } from '../blob-access.ts';
import type { ReceiptNotes } from '../receipt-notes.ts';
import type { Attempt, StopReason } from './attempts/attempt.ts';
import { AttemptRunner } from './attempts/attempt-runner.ts';
import { AttemptTable } from './attempts/attempt-table.ts';
import { Dispatcher } from './attempts/dispatcher.ts';
import { InputLoader } from './attempts/input-loader.ts';
import { Pulse } from './attempts/pulse.ts';
import type { Run } from './attempts/run.ts';
import { JobDesk } from './job-desk.ts';
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
import { CommitReveal } from './results/commit-reveal.ts';
import { Concluder } from './results/concluder.ts';
import { ResultKeeper } from './results/result-keeper.ts';

export interface JobProviderModules {
  readonly identity: EnvelopeSigner;
  readonly transport: PeerTransport;
  readonly blobs: BlobStore;
  readonly grants: BlobGrants;
  readonly executors: readonly Executor[];
  readonly database: Database;
  /** Absent where nothing is anchored. */
  readonly receiptNotes?: ReceiptNotes;
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
  const shared = createShared(modules, options, hooks);
  const { identity, transport, blobs } = modules;
  const inputs = new InputLoader({ blobs, transport, self: identity.peer });
  const runner = new AttemptRunner({ ...shared, inputs }, options);
  const concluder = new Concluder(shared, options);
  const commitReveal = new CommitReveal(shared);
  const offerDesk = new OfferDesk({ ...shared, isDraining: hooks.isDraining }, options);
  const intake = new LeaseIntake(shared);
  const follower = new LeaseFollower(shared);
  const isLive = (lease: LeaseId): boolean => shared.table.get(lease) !== undefined;
  const isKnown = async (lease: LeaseId): Promise<boolean> =>
    isLive(lease) || (await shared.store.get(lease)) !== undefined;
  const { isDraining } = hooks;
  const createRun = intake.createRun.bind(intake);
  const desk = new LeaseDesk({ ...shared, self: identity.peer, isDraining, isLive, isKnown, createRun }, options);
  const jobDesk = new JobDesk({
    ...shared,
    desk,
    intake,
    follower,
    commitReveal,
    begin: hooks.begin,
    stop: hooks.stop,
  });
  const pulse = new Pulse({ ...shared, stop: hooks.stop }, options);
  return { ...shared, runner, concluder, offerDesk, intake, jobDesk, pulse };
}

function createShared(modules: JobProviderModules, options: JobProviderOptions, hooks: ProviderHooks) {
  const { identity, blobs, grants, executors, database, clock, random } = modules;
  const logger = modules.logger.child({ module: 'provider' });
  const metrics = createProviderMetrics(modules.metrics);
  const store = new LeaseStore(database, modules.receiptNotes);
  const poison = new PoisonJobs(database);
  const offers = new OfferBook(clock);
  const dispatcher = new Dispatcher({ offers, execute: hooks.execute, metrics }, options);
  const keeper = new ResultKeeper({ store, blobs, grants, clock, logger }, options);
  const admission = new Admission({ self: identity.peer, executors, poison, clock }, options);
  const refusals = new RefusalTally(clock);
  const table = new AttemptTable();
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
    dispatcher,
    keeper,
    admission,
    refusals,
    table,
  };
}
