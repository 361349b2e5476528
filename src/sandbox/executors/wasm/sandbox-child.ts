import { setTimeout as delay } from 'node:timers/promises';
import type { Outcome } from '../../../domain/receipt.ts';
import type { Clock } from '../../../lib/clock.ts';
import { describeError } from '../../../lib/errors.ts';
import {
  CGROUP_REMOVE_ATTEMPTS,
  CGROUP_REMOVE_WAIT_MS,
  CHILD_MAX_MODULES,
  CHILD_MAX_TASKS,
  CHILD_OVERHEAD_BYTES,
  CHILD_START_TIMEOUT_MS,
  MAX_SHADOW_BYTES,
  MAX_STDERR_BYTES,
} from '../../constants.ts';
import { SandboxError } from '../../errors.ts';
import type { ExecutionSink, InputFile } from '../../interface.ts';
import { type LaunchedChild, launch } from '../../isolation/launch.ts';
import type { LaunchPlan } from '../../isolation/launch-plan.ts';
import { type Cgroup, type CgroupFactory, nameGroup } from '../../limits/cgroup.ts';
import { FrameWriter } from '../../protocol/fields.ts';
import { FrameSplitter } from '../../protocol/frame-splitter.ts';
import { type Answer, parseAnswer } from '../../protocol/parse-answer.ts';
import {
  type OrderRequest,
  type RunRequest,
  writeDrop,
  writeModuleHead,
  writeOrder,
  writeRun,
} from '../../protocol/requests.ts';
import { AnswerQueue } from './answer-queue.ts';
import { CheckpointExchange, SinkRejection } from './checkpoint-exchange.ts';
import { CpuHeartbeat } from './cpu-heartbeat.ts';
import { PieceFeed } from './piece-feed.ts';
import { readHost } from './state-check.ts';
import { FRESH_START, type ResultAnswer, TaskAnswers, type TaskStart } from './task-answers.ts';

export interface ChildLaunch {
  readonly plan: LaunchPlan;
  readonly cgroups: CgroupFactory | null;
  readonly maxMemoryBytes: number;
}

export interface ChildTask {
  readonly request: RunRequest;
  readonly module: Uint8Array;
  /** Hex of `request.digest`. */
  readonly moduleKey: string;
  readonly inputs: readonly InputFile[];
  /** `module` is the content of an instrumented module (protocol/instrumented-content.ts), under a digest of its own. */
  readonly isInstrumented?: boolean;
  /** What is made of the module is given as an output, and nothing runs. */
  readonly onlyInstruments?: boolean;
  /** Of the state in `request.resume`. */
  readonly pieces: AsyncIterable<Uint8Array> | null;
  readonly wallTimeMs: number;
}

export type TaskEnd =
  | { readonly kind: 'result'; readonly answer: ResultAnswer; readonly outputs: readonly InputFile[] }
  | {
      readonly kind: 'killed';
      readonly outcome: Extract<Outcome, { kind: 'attempt-failed' }>;
      readonly answers: TaskAnswers;
    }
  /** Ended by what is outside of the sandbox: the receiver of its checkpoints, or the state that it was to go on from. */
  | { readonly kind: 'refused'; readonly error: unknown };

interface RunningTask {
  readonly answers: TaskAnswers;
  readonly heartbeat: CpuHeartbeat;
  readonly resolve: (end: TaskEnd) => void;
  /** The state's pieces on their way to the child. */
  readonly feed: PieceFeed | null;
  /** Ends the feed with the task. */
  readonly over: AbortController | null;
}

let childCount = 0;

/** One sandboxed process: it serves one requester, one task at a time, and is never used again after a kill. */
export class SandboxChild {
  private readonly clock: Clock;
  private readonly launched: LaunchedChild;
  private readonly cgroup: Cgroup | null;
  private readonly splitter = new FrameSplitter();
  private readonly queue: AnswerQueue;
  private readonly modules = new Set<string>();
  private readonly ready = Promise.withResolvers<void>();
  private readonly closed = Promise.withResolvers<void>();
  private readonly plan: LaunchPlan;
  private task: RunningTask | null = null;
  private stderr = '';
  private fault: string | null = null;
  private innerPid: number | null = null;
  private isEnded = false;

  /** Starts the process; wait for `start` before giving it a task. @throws where a process cannot be started at all */
  constructor(clock: Clock, options: ChildLaunch) {
    this.clock = clock;
    this.plan = options.plan;
    this.cgroup =
      options.cgroups?.create(nameGroup(++childCount), {
        memoryBytes: computeChildMemory(options.maxMemoryBytes),
        tasks: CHILD_MAX_TASKS,
      }) ?? null;
    this.launched = launch(options.plan, this.cgroup?.procsFiles ?? []);
    this.ready.promise.catch(() => {});
    this.queue = new AnswerQueue({
      pipe: this.launched.answers,
      handle: (frame) => this.takeFrame(frame),
      fail: (error) => this.fail(error),
    });
    this.listen();
  }

  get isAlive(): boolean {
    return !this.isEnded && this.fault === null;
  }

  /** True if a task with this `moduleKey` needs no bytes of its module. */
  holds(moduleKey: string): boolean {
    return this.modules.has(moduleKey);
  }

  /** Process id of the sandboxed program; null before `start`. */
  get pid(): number | null {
    return this.innerPid;
  }

  /** Resolves when the child is ready. @throws SandboxError SANDBOX_CHILD_START_FAILED */
  async start(): Promise<void> {
    const timer = this.clock.schedule(CHILD_START_TIMEOUT_MS, () => {
      this.kill(`not ready within ${CHILD_START_TIMEOUT_MS} ms`);
    });
    try {
      await this.ready.promise;
      this.innerPid = await this.launched.pid;
    } finally {
      timer[Symbol.dispose]();
    }
  }

  /** Runs a task; the signal kills the child. Never rejects. */
  run(task: ChildTask, sink: ExecutionSink, signal: AbortSignal): Promise<TaskEnd> {
    const { promise, resolve } = Promise.withResolvers<TaskEnd>();
    const running = this.createTask(task, sink, resolve);
    const { answers } = running;
    this.task = running;
    const stop = (code: 'WALL_TIME' | 'CANCELLED', detail: string): void => {
      this.endTask({ kind: 'killed', outcome: { kind: 'attempt-failed', code, detail }, answers });
      this.kill(detail);
    };
    const onAbort = (): void => stop('CANCELLED', 'cancelled');
    const timer = this.clock.schedule(task.wallTimeMs, () => stop('WALL_TIME', `ran for ${task.wallTimeMs} ms`));
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    else if (!this.isAlive) this.endTask(this.describeCrash(answers));
    else if (running.feed === null) this.send(task);
    else void this.sendResumed(task, running, running.feed);
    return promise.finally(() => {
      timer[Symbol.dispose]();
      running.heartbeat[Symbol.dispose]();
      running.over?.abort();
      signal.removeEventListener('abort', onAbort);
    });
  }

  private createTask(task: ChildTask, sink: ExecutionSink, resolve: RunningTask['resolve']): RunningTask {
    const { request, pieces } = task;
    const start = findStart(request);
    const exchange =
      request.checkpoints === null
        ? null
        : new CheckpointExchange(
            { sink, sendOrder: (order) => this.sendOrder(order) },
            { ...request, startStep: start.step, tellsEnd: hasOwnCheckpoints(request) },
          );
    const answers = new TaskAnswers(sink, { ...request, start }, exchange);
    const heartbeat = new CpuHeartbeat(this.clock, this.innerPid ?? 0, answers);
    if (request.resume === null || pieces === null) return { answers, resolve, heartbeat, feed: null, over: null };
    const over = new AbortController();
    const feed = new PieceFeed(pieces, { sizes: request.resume.pieceSizes, signal: over.signal });
    return { answers, resolve, heartbeat, feed, over };
  }

  /** Ends the process at once; what runs in it is lost. */
  kill(reason: string): void {
    this.fault ??= reason;
    this.queue.close();
    if (!this.isEnded) this.launched.kill();
  }

  /** Ends the process and waits until it is gone. */
  async close(): Promise<void> {
    this.kill('closed');
    await this.closed.promise;
  }

  private send(task: ChildTask): void {
    const { requests } = this.launched;
    const writer = new FrameWriter(512);
    requests.cork();
    if (!this.modules.has(task.moduleKey)) {
      this.dropOldModules(writer);
      const { isInstrumented = false, module } = task;
      writeModuleHead(writer, task.request.digest, { sizeBytes: module.length, isInstrumented });
      requests.write(writer.view().slice());
      requests.write(task.module);
      writer.clear();
    } else this.modules.delete(task.moduleKey);
    this.modules.add(task.moduleKey);
    writeRun(writer, task.request, task.onlyInstruments === true ? 'instrument' : 'run');
    requests.write(writer.view());
    for (const input of task.inputs) if (input.bytes.length > 0) requests.write(input.bytes);
    requests.uncork();
  }

  /** Nothing is sent before the first piece is at hand, so a source that gives nothing costs no child. */
  private async sendResumed(task: ChildTask, running: RunningTask, feed: PieceFeed): Promise<void> {
    let isSent = false;
    try {
      await feed.open();
      if (this.task !== running) return;
      isSent = true;
      this.send(task);
      await feed.writeTo(this.launched.requests);
    } catch (error) {
      if (this.task !== running) return;
      this.endTask({ kind: 'refused', error });
      if (isSent) this.kill('a state did not come whole');
    } finally {
      feed.close();
    }
  }

  private sendOrder(order: OrderRequest): void {
    const writer = new FrameWriter(16 + 4 * order.wanted.length);
    writeOrder(writer, order);
    this.launched.requests.write(writer.view());
  }

  private dropOldModules(writer: FrameWriter): void {
    for (const key of this.modules) {
      if (this.modules.size < CHILD_MAX_MODULES) return;
      this.modules.delete(key);
      writeDrop(writer, Buffer.from(key, 'hex'));
    }
  }

  private listen(): void {
    const { process: child, answers, errors } = this.launched;
    answers.on('data', (bytes: Uint8Array) => this.receive(bytes));
    errors.setEncoding('utf8');
    errors.on('data', (text: string) => {
      this.stderr = (this.stderr + text).slice(-MAX_STDERR_BYTES);
    });
    child.once('error', (error) => {
      this.fault ??= describeError(error);
    });
    child.once('close', () => this.onClose());
  }

  private onClose(): void {
    this.isEnded = true;
    this.ready.reject(
      new SandboxError({
        code: 'SANDBOX_CHILD_START_FAILED',
        isolation: this.plan.isolation,
        reason: this.describeEnd(),
      }),
    );
    if (this.task !== null) this.endTask(this.describeCrash(this.task.answers));
    void this.removeCgroup().then(() => this.closed.resolve());
  }

  /** The kernel empties a group a little after its last process has ended. */
  private async removeCgroup(): Promise<void> {
    for (let attempt = 0; attempt < CGROUP_REMOVE_ATTEMPTS; attempt++) {
      if (this.cgroup === null || this.cgroup.remove()) return;
      await delay(CGROUP_REMOVE_WAIT_MS);
    }
  }

  private receive(bytes: Uint8Array): void {
    if (this.fault !== null) return;
    try {
      this.splitter.push(bytes, (frame) => {
        this.task?.answers.assertNotAsking();
        this.queue.push(frame);
      });
    } catch (error) {
      this.fail(error);
    }
  }

  /** A child that broke the protocol, or a checkpoint that nobody takes. */
  private fail(error: unknown): void {
    if (error instanceof SinkRejection) this.endTask({ kind: 'refused', error: error.cause });
    this.kill(describeError(error));
  }

  private takeFrame(frame: Uint8Array): Promise<void> | null {
    if (this.fault !== null) return null;
    const answer = parseAnswer(frame);
    const { task } = this;
    if (task === null) {
      if (answer.kind !== 'ready') throw new SandboxError({ code: 'SANDBOX_PROTOCOL', reason: 'an answer to nothing' });
      this.ready.resolve();
      return null;
    }
    task.heartbeat.hear();
    if (task.feed?.isWhole === false) {
      throw new SandboxError({ code: 'SANDBOX_PROTOCOL', reason: 'an answer before its state has come' });
    }
    return this.takeAnswer(task, answer);
  }

  private takeAnswer(task: RunningTask, answer: Answer): Promise<void> | null {
    switch (answer.kind) {
      case 'checkpoint':
      case 'piece':
        return task.answers.takeSlow(answer).finally(() => task.heartbeat.hear());
      case 'resume-refused':
        this.endTask(refuseResume(task, answer.reason));
        return null;
      default: {
        const result = task.answers.take(answer);
        if (result !== null) this.endTask({ kind: 'result', answer: result, outputs: task.answers.outputs });
        return null;
      }
    }
  }

  private endTask(end: TaskEnd): void {
    const { task } = this;
    this.task = null;
    task?.answers.stop();
    task?.resolve(end);
  }

  private describeCrash(answers: TaskAnswers): TaskEnd {
    const outcome = { kind: 'attempt-failed', code: 'EXECUTOR_CRASHED', detail: this.describeEnd() } as const;
    return { kind: 'killed', outcome, answers };
  }

  private describeEnd(): string {
    const { exitCode, signalCode } = this.launched.process;
    const how = this.fault ?? (signalCode === null ? `exit code ${exitCode}` : `signal ${signalCode}`);
    const lines = this.stderr.split('\n').filter((line) => /\S/.test(line));
    const why = lines.find((line) => /Error|error|denied|bwrap|unshare|ulimit/.test(line)) ?? lines.at(-1);
    return (why === undefined ? how : `${how}: ${why.trim()}`).slice(0, 300);
  }
}

/** What a child may take: the largest job's memory, what is kept of it to find changed pages, and all that is not a job's. */
function computeChildMemory(maxMemoryBytes: number): number {
  return maxMemoryBytes + Math.min(maxMemoryBytes, MAX_SHADOW_BYTES) + CHILD_OVERHEAD_BYTES;
}

/** @throws SandboxError SANDBOX_PROTOCOL if there was nothing to refuse */
function refuseResume(task: RunningTask, reason: string): TaskEnd {
  if (task.feed === null) throw new SandboxError({ code: 'SANDBOX_PROTOCOL', reason: 'no state was given to refuse' });
  return { kind: 'refused', error: new SandboxError({ code: 'SANDBOX_RESUME_STATE', reason }) };
}

/** A WASI program has checkpoints only at the training rounds that it reports. */
function hasOwnCheckpoints({ abi, checkpoints }: RunRequest): boolean {
  return abi === 'fogproof' || checkpoints?.kind === 'rounds';
}

function findStart({ resume }: RunRequest): TaskStart {
  if (resume === null) return FRESH_START;
  const host = readHost(resume.state);
  if (host === null) return { ...FRESH_START, step: resume.step };
  return { step: resume.step, fuel: host.fuel, ordinal: host.logs + host.metrics, logBytes: host.logBytes };
}
