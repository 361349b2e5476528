import type { BlobStore } from '../../blob/interface.ts';
import type { Checkpoint } from '../../domain/checkpoint.ts';
import { type LeaseId, UnixMs } from '../../domain/ids.ts';
import type { Job } from '../../domain/job.ts';
import type { Signed } from '../../domain/signed.ts';
import type { PeerBook } from '../../network/interface.ts';
import type { Logger } from '../../telemetry/interface.ts';
import type { CheckpointStore } from '../checkpoint-store.ts';
import type { JobView, ReputationView } from '../interface.ts';
import type { JobMachineState } from '../job-machine-state.ts';
import type { HeldPoint } from '../job-resume.ts';
import type { JobStore } from '../job-store.ts';
import { jobIdOf } from '../object-ids.ts';
import type { JobRequesterOptions } from '../options.ts';
import type { BlobFetching } from '../transfer/interface.ts';
import { Agreement } from './agreement.ts';
import type { Announcer } from './announcing/announcer.ts';
import type { AttemptCase } from './attempt-case.ts';
import { AttemptDesk, type AttemptDeskModules, type DeskHooks } from './attempt-desk.ts';
import { CheckpointBook } from './checkpoint-book.ts';
import { type ConfidentialParts, createConfidentialRun } from './confidential/create-confidential-run.ts';
import type { JobEventHub } from './event-hub.ts';
import { JobLedger, type JobLedgerModules } from './job-ledger.ts';
import { countsOrdinals, JobLog, type StoredLogs } from './job-log.ts';
import type { JobPins } from './job-pins.ts';
import { PauseAsks } from './pause-asks.ts';
import { ResultChains } from './result-chains.ts';
import { type HeldSnapshots, SnapshotKeeper, type SnapshotSource } from './snapshot-keeper.ts';

export interface JobRunModules extends Omit<AttemptDeskModules, 'ledger' | 'log' | 'book' | 'keeper'> {
  readonly peers: PeerBook;
  readonly announcer?: Announcer | undefined;
  readonly reputation?: ReputationView | undefined;
  readonly blobs: BlobStore;
  readonly transfers: BlobFetching;
  readonly store: JobStore;
  readonly checkpoints: CheckpointStore;
  readonly snapshots: { readonly source: SnapshotSource; readonly store: HeldSnapshots };
  readonly hub: JobEventHub;
  readonly pins: JobPins;
  /** Absent: no job is confidential. */
  readonly confidential?: ConfidentialParts | undefined;
  readonly logger: Logger;
  /** The job has ended and this is on disk. */
  readonly onEnded: (view: JobView) => void;
  /** It cannot go on: our own store failed. It is taken up again at the next start. */
  readonly onHalted: (error: unknown) => void;
}

/** What is known of a job's checkpoints, after a restart. */
export interface KnownCheckpoints {
  readonly held: readonly HeldPoint[];
  readonly newest: ReadonlyMap<LeaseId, Checkpoint>;
}

export const NO_CHECKPOINTS: KnownCheckpoints = { held: [], newest: new Map() };

export interface JobRunOptions {
  readonly requester: JobRequesterOptions;
  readonly job: Signed<Job>;
  /** Seals the job's snapshots; null where they are not sealed. */
  readonly snapshotKey: Uint8Array | null;
  /** Of a confidential job, encrypted. */
  readonly sealedSecrets?: Uint8Array | undefined;
  readonly state: JobMachineState;
  readonly sequence: number;
  readonly cases: readonly AttemptCase[];
  /** Stored so far, after a restart. */
  readonly logs: StoredLogs;
  /** Of the batch that carried it before: it may still write lines that came before those of this run. */
  readonly earlierLog?: Pick<JobLog, 'flush'> | null;
  readonly checkpoints: KnownCheckpoints;
}

export interface RunHooks extends DeskHooks {
  readonly describeEnd: JobLedgerModules['describeEnd'];
  readonly signal: AbortSignal;
}

export interface JobRunParts {
  readonly ledger: JobLedger;
  readonly book: CheckpointBook;
  readonly keeper: SnapshotKeeper;
  readonly desk: AttemptDesk;
  readonly agreement: Agreement;
  readonly pauses: PauseAsks;
  readonly chains: ResultChains;
}

export function createJobRunParts(modules: JobRunModules, options: JobRunOptions, hooks: RunHooks): JobRunParts {
  const { job, snapshotKey } = options;
  const id = jobIdOf(job);
  const { onChange } = hooks;
  const book = new CheckpointBook(
    { store: modules.checkpoints, hub: modules.hub, flushLogs: () => log.flush() },
    { job: id, ...options.checkpoints },
  );
  const { describeEnd } = hooks;
  const ledger = new JobLedger(
    { store: modules.store, hub: modules.hub, describeEnd, summarize: (lease) => book.summarize(lease) },
    options,
  );
  const log = new JobLog(
    {
      store: modules.store,
      hub: modules.hub,
      dropped: modules.metrics.logsDropped,
      flushEarlier: async () => {
        await options.earlierLog?.flush();
        await book.flush();
      },
    },
    { job: id, ...options.logs, countsOrdinals: countsOrdinals(job.value) },
  );
  const keeper = createKeeper(modules, options, { ledger, book, hooks });
  const parts = { ...modules, ledger, log, book, keeper };
  const confidential = createConfidentialRun(parts, options);
  const desk = new AttemptDesk(parts, { ...options.requester, job, snapshotKey, confidential, hooks });
  for (const attempt of options.cases) desk.cases.set(attempt.id, attempt);
  const beforeGaps = async function* (lease: LeaseId) {
    await book.flush();
    yield* modules.checkpoints.beforeGaps(id, lease);
  };
  return {
    ledger,
    book,
    keeper,
    desk,
    agreement: new Agreement(
      { ...parts, cases: desk.cases, onChange },
      { ...options.requester, job, signal: hooks.signal },
    ),
    pauses: new PauseAsks(modules),
    chains: new ResultChains({ ...modules, newest: (lease) => book.newest(lease), beforeGaps }, { job }),
  };
}

function createKeeper(
  modules: JobRunModules,
  { job, snapshotKey, requester }: JobRunOptions,
  parts: { readonly ledger: JobLedger; readonly book: CheckpointBook; readonly hooks: RunHooks },
): SnapshotKeeper {
  const { ledger, book, hooks } = parts;
  const { source, store: snapshots } = modules.snapshots;
  return new SnapshotKeeper(
    { ...modules, book, source, snapshots },
    {
      job,
      snapshotKey,
      self: modules.signer.peer,
      keepForMs: requester.snapshotKeepForMs,
      listLeases: (replica) =>
        new Set(ledger.state.attempts.flatMap((attempt) => (attempt.replica === replica ? [attempt.lease] : []))),
      onChange: hooks.onChange,
      onFault: (lease, code, reason) => {
        const atMs = UnixMs(modules.clock.nowMs());
        const failed = {
          kind: 'attempt-failed',
          atMs,
          lease,
          code,
          reason: reason.slice(0, 300),
          isCounted: true,
        } as const;
        const applied = ledger.apply(failed);
        if (applied.kind === 'rejected') return;
        applied.persisted.catch(hooks.onDefect);
        hooks.onChange();
      },
      onDefect: hooks.onDefect,
    },
  );
}
