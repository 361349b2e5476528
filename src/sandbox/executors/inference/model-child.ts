import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../../../lib/clock.ts';
import { describeError } from '../../../lib/errors.ts';
import { CGROUP_REMOVE_ATTEMPTS, CGROUP_REMOVE_WAIT_MS, MAX_STDERR_BYTES } from '../../constants.ts';
import { SandboxError } from '../../errors.ts';
import { type LaunchedChild, launch } from '../../isolation/launch.ts';
import type { LaunchPlan } from '../../isolation/launch-plan.ts';
import { type Cgroup, type CgroupFactory, nameGroup } from '../../limits/cgroup.ts';
import { FrameWriter } from '../../protocol/fields.ts';
import { FrameSplitter } from '../../protocol/frame-splitter.ts';
import { readProcessCpuMs } from '../wasm/process-cpu.ts';
import { type LoadOrder, ORDER, REPLY, type Reply, type RunOrder } from './child-protocol.ts';
import { INFERENCE_OVERHEAD_BYTES, INFERENCE_OVERHEAD_TASKS, INFERENCE_START_TIMEOUT_MS } from './constants.ts';
import { parseReply } from './parse-reply.ts';

export interface ModelChildLaunch {
  readonly plan: LaunchPlan;
  readonly cgroups: CgroupFactory | null;
  /** Of its jobs; its own comes on top. */
  readonly memoryBytes: number;
  readonly threads: number;
}

/** How a child ended while it had something to do. */
export interface ChildEnd {
  readonly isOutOfMemory: boolean;
  readonly description: string;
}

/** Takes the replies to one order; true ends it. @throws SandboxError SANDBOX_PROTOCOL for what does not belong there */
export interface ReplyReceiver {
  message(reply: Reply): boolean;
  data(bytes: Uint8Array): boolean;
}

export type OrderEnd = { readonly kind: 'answered' } | { readonly kind: 'gone'; readonly end: ChildEnd };

interface Pending {
  readonly receiver: ReplyReceiver;
  readonly resolve: (end: OrderEnd) => void;
}

let childCount = 0;

/** A sandboxed process that holds models of one requester, and carries out one order at a time. */
export class ModelChild {
  readonly #clock: Clock;
  readonly #plan: LaunchPlan;
  readonly #launched: LaunchedChild;
  readonly #cgroup: Cgroup | null;
  readonly #memoryBytes: number;
  readonly #splitter = new FrameSplitter();
  readonly #ready = Promise.withResolvers<string>();
  readonly #closed = Promise.withResolvers<void>();
  #pending: Pending | null = null;
  #pid: number | null = null;
  #stderr = '';
  #fault: string | null = null;
  #isOverMemory = false;
  #isEnded = false;

  /** Starts the process; wait for `start` before the first order. @throws where a process cannot be started at all */
  constructor(clock: Clock, { plan, cgroups, memoryBytes, threads }: ModelChildLaunch) {
    this.#clock = clock;
    this.#plan = plan;
    this.#memoryBytes = memoryBytes + INFERENCE_OVERHEAD_BYTES;
    childCount += 1;
    this.#cgroup =
      cgroups?.create(nameGroup(`inference-${childCount}`), {
        memoryBytes: this.#memoryBytes,
        tasks: INFERENCE_OVERHEAD_TASKS + threads,
        milliCpus: 1000 * threads,
      }) ?? null;
    this.#launched = launch(plan, this.#cgroup?.procsFiles ?? []);
    this.#ready.promise.catch(() => {});
    this.#listen();
  }

  get isAlive(): boolean {
    return !this.#isEnded && this.#fault === null;
  }

  /** Process id of the sandboxed program; null before `start`. */
  get pid(): number | null {
    return this.#pid;
  }

  get cpuTimeMs(): number {
    return (this.#pid === null ? null : readProcessCpuMs(this.#pid)) ?? 0;
  }

  /** Resolves with the version of the runtime when it is loaded. @throws SandboxError SANDBOX_CHILD_START_FAILED */
  async start(): Promise<string> {
    const timer = this.#clock.schedule(INFERENCE_START_TIMEOUT_MS, () => {
      this.kill(`not ready within ${INFERENCE_START_TIMEOUT_MS} ms`);
    });
    try {
      const version = await this.#ready.promise;
      this.#pid = await this.#launched.pid;
      return version;
    } finally {
      timer[Symbol.dispose]();
    }
  }

  /** Never rejects. */
  load(order: LoadOrder, model: Uint8Array, receiver: ReplyReceiver): Promise<OrderEnd> {
    return this.#order(ORDER.load, order, { following: [model], receiver });
  }

  /** Nothing answers it. */
  drop(session: number): void {
    if (this.isAlive) this.#send(ORDER.drop, { session }, []);
  }

  /** `following`: the bytes of the arrays, in order. Never rejects. */
  run(order: RunOrder, following: readonly Uint8Array[], receiver: ReplyReceiver): Promise<OrderEnd> {
    return this.#order(ORDER.run, order, { following, receiver });
  }

  /** What it holds now and held at most, bytes; zeros if it has ended. Over its limit it is killed, where no group does that. */
  watchMemory(): { readonly heldBytes: number; readonly peakBytes: number } {
    const status = this.#pid === null ? '' : readStatus(this.#pid);
    const heldBytes = readKib(status, 'VmRSS');
    if (heldBytes > this.#memoryBytes) {
      this.#isOverMemory = true;
      this.kill('it took more memory than its job may have');
    }
    return { heldBytes, peakBytes: readKib(status, 'VmHWM') };
  }

  /** Ends the process at once. */
  kill(reason: string): void {
    this.#fault ??= reason;
    if (!this.#isEnded) this.#launched.process.kill('SIGKILL');
  }

  /** Ends the process and waits until it is gone. */
  async close(): Promise<void> {
    this.kill('closed');
    await this.#closed.promise;
  }

  #order(
    type: number,
    order: LoadOrder | RunOrder,
    { following, receiver }: { readonly following: readonly Uint8Array[]; readonly receiver: ReplyReceiver },
  ): Promise<OrderEnd> {
    const { promise, resolve } = Promise.withResolvers<OrderEnd>();
    this.#pending = { receiver, resolve };
    if (this.isAlive) this.#send(type, order, following);
    else if (this.#isEnded) this.#endPending({ kind: 'gone', end: this.#describeEnd() });
    return promise;
  }

  #send(type: number, order: object, following: readonly Uint8Array[]): void {
    const { requests } = this.#launched;
    const writer = new FrameWriter(512);
    writer.begin(type);
    writer.raw(new TextEncoder().encode(JSON.stringify(order)));
    writer.end();
    requests.cork();
    requests.write(writer.view());
    for (const bytes of following) if (bytes.length > 0) requests.write(bytes);
    requests.uncork();
  }

  #listen(): void {
    const { process: child, answers, errors } = this.#launched;
    answers.on('data', (bytes: Uint8Array) => this.#receive(bytes));
    errors.setEncoding('utf8');
    errors.on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-MAX_STDERR_BYTES);
    });
    child.once('error', (error) => {
      this.#fault ??= describeError(error);
    });
    child.once('close', () => this.#onClose());
  }

  #receive(bytes: Uint8Array): void {
    if (this.#fault !== null) return;
    try {
      this.#splitter.push(bytes, (frame) => this.#takeFrame(frame));
    } catch (error) {
      this.kill(describeError(error));
    }
  }

  #takeFrame(frame: Uint8Array): void {
    const [type] = frame;
    const body = frame.subarray(1);
    if (type === REPLY.data) {
      if (this.#pending === null) throw protocolError('bytes of nothing');
      if (this.#pending.receiver.data(body)) this.#endPending({ kind: 'answered' });
      return;
    }
    if (type !== REPLY.message) throw protocolError('an unknown reply');
    const reply = parseReply(body);
    if (reply.kind === 'ready') return this.#ready.resolve(reply.version);
    if (this.#pending === null) throw protocolError('a reply to nothing');
    if (this.#pending.receiver.message(reply)) this.#endPending({ kind: 'answered' });
  }

  #endPending(end: OrderEnd): void {
    const pending = this.#pending;
    this.#pending = null;
    pending?.resolve(end);
  }

  #onClose(): void {
    this.#isEnded = true;
    const end = this.#describeEnd();
    const { isolation } = this.#plan;
    this.#ready.reject(new SandboxError({ code: 'SANDBOX_CHILD_START_FAILED', isolation, reason: end.description }));
    this.#endPending({ kind: 'gone', end });
    void this.#removeGroup().then(() => this.#closed.resolve());
  }

  #describeEnd(): ChildEnd {
    const { exitCode, signalCode } = this.#launched.process;
    const how = this.#fault ?? (signalCode === null ? `exit code ${exitCode}` : `signal ${signalCode}`);
    const lines = this.#stderr.split('\n').filter((line) => /\S/.test(line));
    const why = lines.findLast((line) => /Error|error|denied|bwrap|ulimit/.test(line)) ?? lines.at(-1);
    const kills = this.#cgroup?.readUsage().memoryKills ?? 0;
    return {
      isOutOfMemory: this.#isOverMemory || kills > 0,
      description: (why === undefined ? how : `${how}: ${why.trim()}`).slice(0, 300),
    };
  }

  /** The kernel empties a group a little after its last process has ended. */
  async #removeGroup(): Promise<void> {
    for (let attempt = 0; attempt < CGROUP_REMOVE_ATTEMPTS; attempt += 1) {
      if (this.#cgroup === null || this.#cgroup.remove()) return;
      this.#cgroup.kill();
      await delay(CGROUP_REMOVE_WAIT_MS);
    }
  }
}

function protocolError(reason: string): SandboxError {
  return new SandboxError({ code: 'SANDBOX_PROTOCOL', reason });
}

function readStatus(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/status`, 'latin1');
  } catch {
    return '';
  }
}

/** proc_pid_status(5): sizes are in KiB. */
function readKib(status: string, name: string): number {
  const found = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1];
  return found === undefined ? 0 : Number(found) * 1024;
}
