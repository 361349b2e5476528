/**
 * Makes the checkpoints of a program that reports training rounds by files (docs/training.md). It is bound to no executor: whoever
 * runs the program gives two folders that it may write to, held open, and says when it begins and when nothing of it is left.
 */
import type { FileHandle } from 'node:fs/promises';
import type { CheckpointSchedule } from '../../domain/job.ts';
import type { Outcome } from '../../domain/receipt.ts';
import type { Clock } from '../../lib/clock.ts';
import { InternalError } from '../../lib/errors.ts';
import { LOG_OVERHEAD_BYTES } from '../../wasm/runtime/constants.ts';
import { RoundPlan } from '../../wasm/stepping/round-plan.ts';
import type { CheckpointOrder, ExecutionSink, InputFile, StateCheckpoint } from '../interface.ts';
import { MAX_TORN_LOOKS, ROUNDS_POLL_MS } from './constants.ts';
import { ControlFiles } from './control-files.ts';
import { type CheckpointCopy, copyCheckpoint } from './copy-checkpoint.ts';
import type { EventCount } from './event-count.ts';
import { describeFiles } from './files-state.ts';
import { MetricsTail } from './metrics-tail.ts';
import { type RoundReport, readReport } from './read-report.ts';
import { computeCheckpointLimit } from './round-folders.ts';

export type RoundFailure = Exclude<Outcome, { kind: 'completed' }>;

export interface RoundFolders {
  /** What the program sees as /checkpoint. */
  readonly checkpoint: FileHandle;
  /** What it sees as /fogproof: `listControlFiles` lie in it. */
  readonly control: FileHandle;
}

export interface RoundWatchModules {
  readonly clock: Clock;
  readonly sink: ExecutionSink;
  /** Shared with what else the program tells. */
  readonly count: EventCount;
  /** Ends the program; called at most once by this watch. */
  readonly stop: (failure: RoundFailure) => void;
}

export interface RoundWatchOptions {
  readonly schedule: CheckpointSchedule;
  /** Of the state that it goes on from; 0 is none. */
  readonly round: number;
  readonly outputBytes: number;
  /** Aborts when the program is to be halted at its next checkpoint. */
  readonly pausing: AbortSignal | null;
}

/** What the sink of checkpoints rejected with: not the program's failure, and whoever runs it has to hear of it. */
export class RoundSinkError extends Error {
  override readonly name = 'RoundSinkError';
}

export class RoundWatch {
  readonly #modules: RoundWatchModules;
  readonly #options: RoundWatchOptions;
  readonly #folders: RoundFolders;
  readonly #metrics: MetricsTail;
  readonly #plan: RoundPlan;
  readonly #maxBytes: number;
  #round: number;
  /** The last report that was dealt with. */
  #dealt: number;
  #tornLooks = 0;
  #control: ControlFiles | null = null;
  #timer: Disposable | null = null;
  #look: Promise<void> = Promise.resolve();
  #isStopped = false;
  #sinkError: RoundSinkError | null = null;

  constructor(folders: RoundFolders, modules: RoundWatchModules, options: RoundWatchOptions) {
    const { schedule, round } = options;
    if (schedule.kind !== 'rounds')
      throw new InternalError(`a program with rounds has no schedule by ${schedule.kind}`);
    this.#modules = modules;
    this.#options = options;
    this.#folders = folders;
    this.#metrics = new MetricsTail(folders.control, modules.sink, modules.count);
    this.#plan = new RoundPlan(schedule.every, round);
    this.#maxBytes = computeCheckpointLimit(options);
    this.#round = round;
    this.#dealt = round;
  }

  /** The last round that was reported. */
  get round(): number {
    return this.#round;
  }

  get metricsHash(): Uint8Array {
    return this.#metrics.hash;
  }

  /**
   * The checkpoint at the start, of the files that are laid out for the program, before anything of it runs. Stops it where it is to be
   * halted there.
   * @throws RoundSinkError
   */
  async begin(files: readonly InputFile[]): Promise<void> {
    this.#control = await ControlFiles.open(this.#folders.control);
    await this.#make('start', files);
    const { pausing } = this.#options;
    if (pausing?.aborted === true) await this.#askToPause();
    else pausing?.addEventListener('abort', this.#onPausing, { once: true });
    if (!this.#isStopped) this.#schedule();
  }

  /** Once no process of the program is left: what was told last, and where it completed, its last state. @throws RoundSinkError */
  async end(isCompleted: boolean): Promise<RoundFailure | null> {
    this.#halt();
    await this.#look;
    if (this.#sinkError !== null) throw this.#sinkError;
    const fault = await this.#metrics.read();
    this.#metrics.finish();
    const seen = await this.#see();
    if (!isCompleted) return null;
    if (fault !== null) return refused(fault);
    if (seen.kind === 'refused') return refused(seen.detail);
    const copy = await copyCheckpoint(this.#folders.checkpoint, { maxBytes: this.#maxBytes, report: null });
    if (copy.kind !== 'copied') return describeCopy(copy);
    await this.#make('end', copy.files);
    return null;
  }

  /** Looks no more. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#halt();
    await this.#look;
    const control = this.#control;
    this.#control = null;
    await control?.[Symbol.asyncDispose]();
  }

  #halt(): void {
    this.#isStopped = true;
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
    this.#options.pausing?.removeEventListener('abort', this.#onPausing);
  }

  readonly #onPausing = (): void => {
    void this.#askToPause();
  };

  async #askToPause(): Promise<void> {
    try {
      await this.#control?.tellPause();
    } catch {
      // It has ended meanwhile; what is not told is halted at its next checkpoint all the same.
    }
  }

  #schedule(): void {
    this.#timer = this.#modules.clock.schedule(ROUNDS_POLL_MS, () => {
      this.#look = this.#lookOnce();
    });
  }

  /** One look after another: what a program does meanwhile is seen by the next. */
  async #lookOnce(): Promise<void> {
    try {
      const fault = await this.#metrics.read();
      if (fault !== null) return this.#stop(refused(fault));
      const seen = await this.#see();
      if (seen.kind === 'refused') return this.#stop(refused(seen.detail));
      if (seen.report !== null && seen.report.round > this.#dealt) await this.#deal(seen.report);
    } catch (error) {
      this.#fail(error);
    } finally {
      if (!this.#isStopped) this.#schedule();
    }
  }

  #fail(error: unknown): void {
    this.#sinkError = error instanceof RoundSinkError ? error : new RoundSinkError('rounds', { cause: error });
    this.#stop({ kind: 'attempt-failed', code: 'INTERNAL', detail: 'its checkpoints could not be made' });
  }

  #stop(failure: RoundFailure): void {
    if (this.#isStopped) return;
    this.#halt();
    this.#modules.stop(failure);
  }

  async #see(): Promise<{ kind: 'seen'; report: RoundReport | null } | { kind: 'refused'; detail: string }> {
    const look = await readReport(this.#folders.checkpoint);
    if (look.kind === 'none') return { kind: 'seen', report: null };
    if (look.kind === 'refused') return look;
    const { round } = look.report;
    if (round < this.#round) {
      return { kind: 'refused', detail: `round ${round} was reported after round ${this.#round}` };
    }
    this.#round = round;
    return { kind: 'seen', report: look.report };
  }

  async #deal(report: RoundReport): Promise<void> {
    if (!this.#plan.isDue(report.round)) return await this.#settle(report.round);
    const copy = await copyCheckpoint(this.#folders.checkpoint, { maxBytes: this.#maxBytes, report });
    if (copy.kind === 'changed') return await this.#leaveTorn(report.round);
    if (copy.kind !== 'copied') return this.#stop(describeCopy(copy));
    if (this.#isStopped) return;
    // What it measured before it reported is told before the checkpoint is.
    await this.#metrics.read();
    if (!this.#plan.advance(report.round)) return await this.#settle(report.round);
    await this.#make('middle', copy.files);
  }

  /** Whoever waits for a round may go on. */
  async #settle(round: number): Promise<void> {
    this.#dealt = round;
    this.#tornLooks = 0;
    await this.#control?.tellTaken(round);
  }

  /** Nothing is lost but this checkpoint: the next report is looked at like this one. */
  async #leaveTorn(round: number): Promise<void> {
    this.#tornLooks += 1;
    if (this.#tornLooks < MAX_TORN_LOOKS) return;
    const text = `fogproof: round ${round} has no checkpoint: files under /checkpoint changed after it was reported`;
    const ordinal = this.#modules.count.take(text.length + LOG_OVERHEAD_BYTES);
    if (ordinal !== null) this.#modules.sink.log('log', text, ordinal);
    await this.#settle(round);
  }

  /** The program goes on when its files are copied and the order is known, while their pieces are still handed out. */
  async #make(place: StateCheckpoint['place'], files: readonly InputFile[]): Promise<void> {
    const described = await describeFiles(files);
    const order = await callSink(() =>
      this.#modules.sink.checkpoint({
        step: this.#round,
        fuel: null,
        place,
        stateRoot: described.stateRoot,
        metricsHash: this.#metrics.hash,
        ordinal: this.#modules.count.ordinal,
        state: described.state,
        pieces: described.pieces,
      }),
    );
    if (place === 'middle' && order.then === 'continue') await this.#settle(this.#round);
    await callSink(() => carryOut(order, described.readPiece));
    if (order.then !== 'halt') return;
    this.#stop({ kind: 'attempt-failed', code: 'PAUSED', detail: `halted after round ${this.#round}` });
  }
}

async function carryOut(order: CheckpointOrder, readPiece: (place: number) => Uint8Array): Promise<void> {
  for (const place of order.wanted) await order.receive(place, readPiece(place));
  await order.complete();
}

async function callSink<T>(task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    throw new RoundSinkError('a checkpoint was not taken', { cause: error });
  }
}

function describeCopy(copy: Exclude<CheckpointCopy, { kind: 'copied' }>): RoundFailure {
  switch (copy.kind) {
    case 'refused':
      return refused(copy.detail);
    case 'too-much':
      return { kind: 'program-failed', code: 'OUTPUT_LIMIT', detail: copy.detail.slice(0, 300) };
    case 'changed':
      return { kind: 'attempt-failed', code: 'INTERNAL', detail: 'its checkpoint changed when nothing of it was left' };
    default:
      return copy satisfies never;
  }
}

function refused(detail: string): RoundFailure {
  return { kind: 'program-failed', code: 'OUTPUT_REFUSED', detail: detail.slice(0, 300) };
}
