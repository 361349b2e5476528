import { checkAttempt } from '../../../bundle/checks/attempt.ts';
import { checkSignature } from '../../../bundle/checks/check.ts';
import type { OpenedAttempt, OpenedEvidence } from '../../../bundle/open-evidence.ts';
import type { SnapshotInFile } from '../../../bundle/snapshot-register.ts';
import type { IsolationLevel } from '../../../domain/capability.ts';
import { type BlobId, LeaseId } from '../../../domain/ids.ts';
import type { Job } from '../../../domain/job.ts';
import type { Lease } from '../../../domain/lease.ts';
import type { Receipt } from '../../../domain/receipt.ts';
import type { Signed } from '../../../domain/signed.ts';
import { findProgramBlob } from '../../../domain/workload.ts';
import { formatRawId } from '../../../lib/cid.ts';
import type { OpenedChain } from '../../../proofs/verify-chain.ts';
import type { ExecutionResult, ExecutionTask, Executor, InputFile, ResumeState } from '../../../sandbox/interface.ts';
import { compareResults } from './compare-results.ts';
import type { RecordedFiles } from './compare-round-files.ts';
import type { FalseSnapshot, ReplayRange, ReplayReport, ReplayRow } from './interface.ts';
import type { ReplayBundle } from './replay-bundle.ts';
import { chooseStart, createRecord, type ReplayRecord, sortSnapshots } from './replay-record.ts';
import { findDifference, listNotReached } from './replay-rows.ts';
import { ReplaySink } from './replay-sink.ts';

/** A replay has no limit of its own but the person's patience: machines differ in speed. */
const MAX_WALL_TIME_MS = 30 * 24 * 3_600_000;

export interface ReplayModules {
  readonly bundle: ReplayBundle;
  /** What this program instruments with. */
  readonly instrumenter: string;
  /** Called only where there is something to run. */
  readonly openExecutor: () => Promise<ReplayExecutor>;
  readonly onProgress: (progress: { readonly step: number; readonly fuel: number }) => void;
  readonly onDifference: (row: ReplayRow) => void;
}

export interface ReplayExecutor {
  readonly executor: Pick<Executor, 'execute'>;
  readonly isolation: IsolationLevel;
}

export interface ReplayOptions {
  readonly range: ReplayRange;
  readonly signal: AbortSignal;
}

/** What is replayed, once its evidence holds. */
interface Subject {
  readonly attempt: OpenedAttempt;
  readonly job: Job;
  readonly lease: Signed<Lease>;
  readonly receipt: Receipt;
  readonly chain: OpenedChain;
}

const NOT_RUN = {
  missing: [],
  invalid: [],
  begin: null,
  rows: [],
  difference: null,
  resultDifferences: null,
  falseSnapshots: [],
  run: null,
} as const;

/** Runs an attempt again, or the part of it that was asked for. @throws SandboxError, BundleError, the signal's reason */
export async function replayAttempt(
  modules: ReplayModules,
  attempt: OpenedAttempt,
  options: ReplayOptions,
): Promise<ReplayReport> {
  const { evidence } = modules.bundle;
  const head = describeAttempt(attempt);
  const invalid = listInvalid(evidence, attempt);
  if (invalid.length > 0) return { ...head, ...NOT_RUN, verdict: 'invalid', invalid };
  const subject = openSubject(evidence, attempt);
  if (typeof subject === 'string') return { ...head, ...NOT_RUN, verdict: 'unchecked', missing: [subject] };
  const missing = listMissing(modules, subject);
  if (missing.length > 0) return { ...head, ...NOT_RUN, verdict: 'unchecked', missing };
  return { ...head, ...(await runSubject(modules, subject, options)) };
}

function describeAttempt({ label, lease }: OpenedAttempt) {
  const opened = lease.kind === 'opened' ? lease.signed : undefined;
  return {
    label,
    lease: (opened?.id ?? '') as string as LeaseId,
    provider: opened?.value.provider ?? '',
    replica: opened?.value.replica ?? 0,
  };
}

/** Signatures and terms of this attempt alone: `bundle verify` judges the whole file. */
function listInvalid({ job }: OpenedEvidence, attempt: OpenedAttempt): readonly string[] {
  const requester = job.kind === 'opened' ? job.signed.value.requester : undefined;
  const checks = [
    checkSignature('job signature', job, requester),
    ...(job.kind === 'opened' ? checkAttempt(attempt, job.signed) : []),
  ];
  return checks.flatMap(({ name, verdict }) => (verdict.kind === 'invalid' ? [`${name}: ${verdict.reason}`] : []));
}

function openSubject({ job }: OpenedEvidence, attempt: OpenedAttempt): Subject | string {
  const { label, lease, receipt, chain } = attempt;
  if (job.kind === 'refused' || lease.kind === 'refused' || receipt.kind === 'refused')
    return `the evidence of ${label}`;
  switch (chain.kind) {
    case 'none':
      return `checkpoints: ${label} made none`;
    case 'missing':
      return `the checkpoint chain of ${label} (${chain.blob})`;
    case 'refused':
      return `a checkpoint chain of ${label} that holds`;
    case 'verified': {
      const { value } = receipt.signed;
      return { attempt, job: job.signed.value, lease: lease.signed, receipt: value, chain: chain.chain };
    }
    default:
      return chain satisfies never;
  }
}

function listMissing({ bundle, instrumenter: own }: ReplayModules, { job, receipt }: Subject): readonly string[] {
  const { workload, inputs } = job;
  const { instrumenter } = receipt.result;
  if (workload.kind !== 'wasm') return ['a kind of work that can be replayed: a command need not do the same twice'];
  return [
    ...(instrumenter === own
      ? []
      : [`the instrumenter ${instrumenter}, which its states were made with: this program has ${own}`]),
    ...(job.confidential === undefined ? [] : ['the content key of the job: its inputs are sealed']),
    ...(bundle.has(workload.module) ? [] : [`the module (${workload.module}) in the file`]),
    ...inputs
      .filter(({ blob }) => !bundle.has(blob))
      .map(({ path, blob }) => `the input ${path} (${blob}) in the file`),
  ];
}

type RunReport = Omit<ReplayReport, keyof ReturnType<typeof describeAttempt>>;

async function runSubject(
  modules: ReplayModules,
  subject: Subject,
  { range, signal }: ReplayOptions,
): Promise<RunReport> {
  const { bundle, openExecutor, onProgress, onDifference } = modules;
  const { attempt, job, receipt, chain } = subject;
  const record = createRecord(attempt, chain, { job, receipt });
  const { sound, unsound } = sortSnapshots(bundle.snapshots, record, listLeases(subject));
  const start = chooseStart(sound, range.from);
  const to = record.isEnded ? range.to : Math.min(range.to, record.lastStep);
  const openFalse = (step: number) =>
    Promise.all(
      unsound.filter((one) => one.step === step).map(async (one) => (await bundle.openSnapshot(one)).body.state),
    );
  const openRecorded = (step: number) =>
    openFiles(
      bundle,
      sound.find((one) => one.step === step),
    );
  const sink = new ReplaySink({ record, openFalse, openRecorded, onProgress, onDifference }, { to });
  const { executor, isolation } = await openExecutor();
  const result = await executor.execute(await createTask(bundle, job, { isolation, start }), sink, { signal });
  signal.throwIfAborted();
  const begin = { step: start?.step ?? 0, at: start === undefined ? 'beginning' : 'snapshot' } as const;
  return await judge(modules, subject, { sink, result, record, begin, unsound, to, isolation });
}

async function openFiles(bundle: ReplayBundle, snapshot: SnapshotInFile | undefined): Promise<RecordedFiles | null> {
  if (snapshot === undefined) return null;
  const { body } = await bundle.openSnapshot(snapshot);
  return { state: body.state, readPiece: (digest) => bundle.readPiece(digest) };
}

function listLeases({ lease, attempt }: Subject): ReadonlySet<string> {
  const earlier = attempt.inherited.flatMap((one) => (one.lease.kind === 'opened' ? [one.lease.signed.id] : []));
  return new Set<string>([lease.id, ...earlier]);
}

async function createTask(
  bundle: ReplayBundle,
  job: Job,
  { isolation, start }: { readonly isolation: IsolationLevel; readonly start: SnapshotInFile | undefined },
): Promise<ExecutionTask> {
  const inputs: InputFile[] = [];
  const program = findProgramBlob(job.workload);
  for (const { path, blob } of job.inputs) inputs.push({ path, bytes: await bundle.readBlob(blob) });
  return {
    requester: job.requester,
    isolation,
    workload: job.workload,
    module: program === null ? null : await bundle.readBlob(program.blob),
    inputs,
    resources: { ...job.resources, wallTimeMs: MAX_WALL_TIME_MS },
    checkpoints: job.checkpoints?.schedule ?? null,
    resume: start === undefined ? null : await createResume(bundle, start),
  };
}

async function createResume(bundle: ReplayBundle, start: SnapshotInFile): Promise<ResumeState> {
  const opened = await bundle.openSnapshot(start);
  return { step: start.step, state: opened.body.state, pieces: bundle.readPieces(opened) };
}

interface Ended {
  readonly sink: ReplaySink;
  readonly result: ExecutionResult;
  readonly record: ReplayRecord;
  readonly begin: NonNullable<ReplayReport['begin']>;
  readonly unsound: readonly SnapshotInFile[];
  readonly to: number;
  readonly isolation: IsolationLevel;
}

async function judge(modules: ReplayModules, { job, receipt }: Subject, ended: Ended): Promise<RunReport> {
  const { sink, result, record, begin, unsound, to, isolation } = ended;
  const { outcome } = result;
  const isHalted = outcome.kind === 'attempt-failed' && outcome.code === 'PAUSED';
  const isCut = outcome.kind === 'attempt-failed' && !isHalted;
  const isAtEnd = !isHalted && !isCut && record.isEnded;
  const covered = { from: begin.step, to: isCut || isHalted ? sink.lastStep : Math.min(to, Number.MAX_SAFE_INTEGER) };
  const rows = [...sink.rows, ...listNotReached(record, sink.rows, covered)].toSorted((a, b) => a.step - b.step);
  const compared = isAtEnd ? await compareResults(result, receipt.result, { job, readBlob: readerOf(modules) }) : null;
  const missing = [
    ...(isCut ? [`a replay to the end of what was asked for: it ended with ${outcome.code} (${outcome.detail})`] : []),
    ...(sink.rows.length === 0 ? ['checkpoints: the replay made none'] : []),
    ...describeUncompared(rows),
    ...describeOtherModule(result, receipt),
    ...(compared?.missing ?? []),
  ];
  const difference = sink.rows.length === 0 ? null : findDifference(rows);
  const differs = difference !== null || unsound.length > 0 || (compared?.differences.length ?? 0) > 0;
  const incomparable = describeOtherModule(result, receipt).length > 0 || sink.rows.length === 0;
  return {
    verdict: differs && !incomparable ? 'different' : missing.length > 0 ? 'unchecked' : 'equal',
    missing,
    invalid: [],
    begin,
    rows,
    difference,
    resultDifferences: compared?.differences ?? null,
    falseSnapshots: unsound.map((snapshot) => describeFalse(snapshot, record, sink)),
    run: {
      isolation,
      instrumenter: modules.instrumenter,
      fuel: result.fuel,
      steps: result.steps,
      cpuTimeMs: result.usage.cpuTimeMs,
      wallTimeMs: result.usage.wallTimeMs,
    },
  };
}

/** States that need not be equal were not found to be within anything either. */
function describeUncompared(rows: readonly ReplayRow[]): readonly string[] {
  const steps = rows.filter(({ verdict }) => verdict === 'uncompared').map(({ step }) => step);
  if (steps.length === 0) return [];
  const named = steps.length > 8 ? `${steps.slice(0, 8).join(', ')} and ${steps.length - 8} more` : steps.join(', ');
  return [`snapshots of rounds whose files differ from the replay's, to compare them within tolerances: ${named}`];
}

function readerOf({ bundle }: ReplayModules): (blob: BlobId) => Promise<Uint8Array | undefined> {
  return async (blob) => (bundle.has(blob) ? await bundle.readBlob(blob) : undefined);
}

/** Fuel is counted by what the instrumenter added: another module is another measure (docs/stepping.md section 4). */
function describeOtherModule({ instrumentedModuleDigest }: ExecutionResult, { result }: Receipt): readonly string[] {
  if (instrumentedModuleDigest === null || result.instrumentedModule === null) return [];
  const found = formatRawId(instrumentedModuleDigest);
  if (found === (result.instrumentedModule as string)) return [];
  return [`the instrumented module ${result.instrumentedModule}: here it is ${found}`];
}

function describeFalse(snapshot: SnapshotInFile, record: ReplayRecord, sink: ReplaySink): FalseSnapshot {
  const { step, statedStep } = snapshot;
  const reason =
    statedStep !== step
      ? `it is of step ${statedStep}`
      : record.roots.has(step)
        ? 'it does not have the state root that was committed to'
        : 'no checkpoint after this step is recorded';
  return { step, reason, pieces: sink.falseParts.get(step) ?? null };
}
