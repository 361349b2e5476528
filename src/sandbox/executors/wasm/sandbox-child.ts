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
  HEARTBEAT_MS,
  MAX_STDERR_BYTES,
} from '../../constants.ts';
import { SandboxError } from '../../errors.ts';
import type { ExecutionSink, InputFile } from '../../interface.ts';
import { type LaunchedChild, launch } from '../../isolation/launch.ts';
import type { LaunchPlan } from '../../isolation/launch-plan.ts';
import { type Cgroup, type CgroupFactory, nameGroup } from '../../limits/cgroup.ts';
import { FrameWriter } from '../../protocol/fields.ts';
import { FrameSplitter, parseAnswer } from '../../protocol/parse-answer.ts';
import { type RunRequest, writeDrop, writeModuleHead, writeRun } from '../../protocol/requests.ts';
import { readProcessCpuMs } from './process-cpu.ts';
import { type ResultAnswer, TaskAnswers } from './task-answers.ts';

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
  readonly wallTimeMs: number;
}

export type TaskEnd =
  | { readonly kind: 'result'; readonly answer: ResultAnswer; readonly outputs: readonly InputFile[] }
  | {
      readonly kind: 'killed';
      readonly outcome: Extract<Outcome, { kind: 'attempt-failed' }>;
      readonly answers: TaskAnswers;
    };

interface RunningTask {
  readonly answers: TaskAnswers;
  readonly resolve: (end: TaskEnd) => void;
  heardAtMs: number;
  cpuAtFirstBeatMs: number | null;
}

let childCount = 0;

/** One sandboxed process: it serves one requester, one task at a time, and is never used again after a kill. */
export class SandboxChild {
  private readonly clock: Clock;
  private readonly launched: LaunchedChild;
  private readonly cgroup: Cgroup | null;
  private readonly splitter = new FrameSplitter();
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
        memoryBytes: options.maxMemoryBytes + CHILD_OVERHEAD_BYTES,
        tasks: CHILD_MAX_TASKS,
      }) ?? null;
    this.launched = launch(options.plan, this.cgroup?.procsFiles ?? []);
    this.ready.promise.catch(() => {});
    this.listen();
  }

  get isAlive(): boolean {
    return !this.isEnded && this.fault === null;
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
    const answers = new TaskAnswers(sink, task.request);
    this.task = { answers, resolve, heardAtMs: this.clock.monotonicMs(), cpuAtFirstBeatMs: null };
    const stop = (code: 'WALL_TIME' | 'CANCELLED', detail: string): void => {
      this.endTask({ kind: 'killed', outcome: { kind: 'attempt-failed', code, detail }, answers });
      this.kill(detail);
    };
    const onAbort = (): void => stop('CANCELLED', 'cancelled');
    const timer = this.clock.schedule(task.wallTimeMs, () => stop('WALL_TIME', `ran for ${task.wallTimeMs} ms`));
    const heartbeat = this.scheduleHeartbeat();
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    else if (this.isAlive) this.send(task);
    else this.endTask(this.describeCrash(answers));
    return promise.finally(() => {
      timer[Symbol.dispose]();
      heartbeat[Symbol.dispose]();
      signal.removeEventListener('abort', onAbort);
    });
  }

  /** Ends the process at once; what runs in it is lost. */
  kill(reason: string): void {
    this.fault ??= reason;
    if (!this.isEnded) this.launched.process.kill('SIGKILL');
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
      writeModuleHead(writer, task.request.digest, task.module.length);
      requests.write(writer.view().slice());
      requests.write(task.module);
      writer.clear();
    } else this.modules.delete(task.moduleKey);
    this.modules.add(task.moduleKey);
    writeRun(writer, task.request);
    requests.write(writer.view());
    for (const input of task.inputs) if (input.bytes.length > 0) requests.write(input.bytes);
    requests.uncork();
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
      this.splitter.push(bytes, (frame) => this.takeFrame(frame));
    } catch (error) {
      this.kill(describeError(error));
    }
  }

  private takeFrame(frame: Uint8Array): void {
    const answer = parseAnswer(frame);
    const { task } = this;
    if (task === null) {
      if (answer.kind !== 'ready') throw new SandboxError({ code: 'SANDBOX_PROTOCOL', reason: 'an answer to nothing' });
      return this.ready.resolve();
    }
    task.heardAtMs = this.clock.monotonicMs();
    const result = task.answers.take(answer);
    if (result !== null) this.endTask({ kind: 'result', answer: result, outputs: task.answers.outputs });
  }

  private endTask(end: TaskEnd): void {
    const { task } = this;
    this.task = null;
    task?.resolve(end);
  }

  /** While the program says nothing, CPU time that it takes is a sign of life. */
  private scheduleHeartbeat(): Disposable {
    let timer: Disposable | null = null;
    const beat = (): void => {
      this.beat();
      timer = this.clock.schedule(HEARTBEAT_MS, beat);
    };
    timer = this.clock.schedule(HEARTBEAT_MS, beat);
    return { [Symbol.dispose]: () => timer?.[Symbol.dispose]() };
  }

  private beat(): void {
    const { task } = this;
    if (task === null || this.innerPid === null) return;
    const cpuMs = readProcessCpuMs(this.innerPid);
    if (cpuMs === null) return;
    task.cpuAtFirstBeatMs ??= cpuMs;
    if (this.clock.monotonicMs() - task.heardAtMs < HEARTBEAT_MS) return;
    const cpuTimeMs = cpuMs - task.cpuAtFirstBeatMs;
    if (cpuTimeMs <= task.answers.cpuTimeMs) return;
    task.answers.cpuTimeMs = Math.round(cpuTimeMs);
    task.answers.giveProgress();
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
