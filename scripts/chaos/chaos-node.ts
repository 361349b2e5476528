import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RpcClient } from '../../src/rpc/client.ts';
import { connectSocket } from '../../src/rpc/socket-client.ts';
import type { Actor, RunningDaemon, Stage } from '../demo/stage.ts';
import { type Control, NO_CONTROL, readNotes, writeControl } from './control-file.ts';
import type { HarmLedger } from './harm.ts';
import type { TcpProxy } from './tcp-proxy.ts';

const ARMED_NODE = new URL('armed-node.ts', import.meta.url).pathname;
const POLL_MS = 25;
/** How long a stop that was asked for may take, ms; the daemon is killed then. */
const STOP_TIMEOUT_MS = 20_000;

export interface ChaosNodeSetup {
  readonly stage: Stage;
  readonly actor: Actor;
  readonly from: 'dist' | 'src';
  /** Folder of the control file and the notes; not on the daemon's own disk. */
  readonly folder: string;
  readonly port: number;
  readonly proxy: TcpProxy;
  readonly peer: string;
  readonly settings: Readonly<Record<string, unknown>>;
  /** Where it is noted what was done to it. */
  readonly harms: HarmLedger;
}

/** How a life of a daemon ended. */
export interface Death {
  readonly name: string;
  readonly life: number;
  readonly signal: NodeJS.Signals | null;
  readonly exitCode: number | null;
  /** The points at which it killed itself: all that it was armed with and that one commit passes. */
  readonly points: readonly string[];
  readonly wasUp: boolean;
  readonly logFile: string;
}

/** One daemon of a run of faults, in as many lives as it takes. */
export class ChaosNode {
  readonly name: string;
  readonly peer: string;
  readonly home: string;
  readonly proxy: TcpProxy;
  /** Of its present life; undefined until it answers on its socket. */
  client: RpcClient | undefined;
  life = 0;
  #ageMs = 0;
  readonly #setup: ChaosNodeSetup;
  #daemon: RunningDaemon | undefined;
  #control: Control = NO_CONTROL;
  #crashAt = '';

  constructor(setup: ChaosNodeSetup) {
    this.#setup = setup;
    this.name = setup.actor.name;
    this.home = setup.actor.home;
    this.peer = setup.peer;
    this.proxy = setup.proxy;
    mkdirSync(setup.folder, { recursive: true });
    writeControl(setup.folder, NO_CONTROL);
  }

  get folder(): string {
    return this.#setup.folder;
  }

  /** Where others reach it. */
  get address(): string {
    return `/ip4/127.0.0.1/tcp/${this.proxy.port}/p2p/${this.peer}`;
  }

  get provides(): boolean {
    return this.#setup.settings['provide.enabled'] !== false;
  }

  get pid(): number | undefined {
    const child = this.#daemon?.process;
    return child === undefined || child.exitCode !== null || child.signalCode !== null ? undefined : child.pid;
  }

  /** Dies at these points in its next life, from its first write on. */
  set crashAt(arms: string) {
    this.#crashAt = arms;
  }

  /** Starts a life. @returns a promise of its end; `untilUp` waits for its beginning */
  start(bootstrap: readonly string[]): Promise<Death> {
    const { stage, actor, from, folder, port, settings } = this.#setup;
    this.life += 1;
    const overrides = {
      ...settings,
      listen: [`/ip4/127.0.0.1/tcp/${port}`],
      announce: [this.address],
      bootstrap,
      mdns: false,
    };
    const environment = { FOGPROOF_CHAOS_FOLDER: folder, FOGPROOF_CHAOS_FROM: from, FOGPROOF_CRASH_AT: this.#crashAt };
    this.#crashAt = '';
    const named = { ...actor, name: `${actor.name}.${this.life}` };
    const daemon = stage.startDaemon(named, [ARMED_NODE, JSON.stringify(overrides)], environment);
    this.#daemon = daemon;
    void this.#connect(daemon);
    return this.#end(daemon, this.life);
  }

  async #connect(daemon: RunningDaemon): Promise<void> {
    while (daemon === this.#daemon && daemon.process.exitCode === null && daemon.process.signalCode === null) {
      const client = await connectSocket(daemon.socket).catch(() => undefined);
      if (client !== undefined) {
        // Another life may have begun in between.
        if (daemon !== this.#daemon) return;
        this.client = client;
        this.#setup.harms.end('died', this.name);
        return;
      }
      await sleep(POLL_MS);
    }
  }

  async #end(daemon: RunningDaemon, life: number): Promise<Death> {
    const notesBefore = readNotes(this.folder).length;
    const [exitCode, signal] = (await once(daemon.process, 'exit')) as [number | null, NodeJS.Signals | null];
    const client = this.client;
    this.client = undefined;
    // One that died while it started has died once more.
    this.#setup.harms.end('died', this.name);
    this.#setup.harms.begin('died', this.name);
    this.#setup.harms.end('frozen', this.name);
    await client?.[Symbol.asyncDispose]();
    const points = readNotes(this.folder)
      .slice(notesBefore)
      .flatMap((note) => ('died' in note && note.pid === daemon.process.pid ? [note.died] : []));
    return { name: this.name, life, signal, exitCode, points, wasUp: client !== undefined, logFile: daemon.logFile };
  }

  /** SIGKILL to it and its children. @returns whether there was anything to kill */
  kill(): boolean {
    return this.#signalGroup('SIGKILL');
  }

  freeze(): boolean {
    this.#setup.harms.begin('frozen', this.name);
    return this.#signalGroup('SIGSTOP');
  }

  thaw(): boolean {
    const isThawed = this.#signalGroup('SIGCONT');
    this.#setup.harms.end('frozen', this.name);
    return isThawed;
  }

  #signalGroup(signal: NodeJS.Signals): boolean {
    const { pid } = this;
    if (pid === undefined) return false;
    try {
      process.kill(-pid, signal);
      return true;
    } catch {
      // It ended by itself in between.
      return false;
    }
  }

  /** How far its clock is ahead for good, ms: to whatever else is done to its clock this is added. */
  get ageMs(): number {
    return this.#ageMs;
  }

  age(byMs: number): void {
    this.#ageMs += byMs;
    this.control({});
  }

  control(change: Partial<Control>): void {
    this.#control = { ...this.#control, ...change };
    this.#setup.harms.set('clock', this.name, this.#control.clockOffsetMs !== 0);
    this.#setup.harms.set('slow disk', this.name, this.#control.writeDelayMs > 0);
    const clockOffsetMs = this.#control.clockOffsetMs + this.#ageMs;
    writeControl(this.folder, { ...this.#control, clockOffsetMs });
  }

  /** Stops it in order. @returns whether it ended by itself in time */
  async stop(): Promise<boolean> {
    const child = this.#daemon?.process;
    const { pid } = this;
    if (child === undefined || pid === undefined) return true;
    const exited = once(child, 'exit').then(() => true);
    child.kill('SIGTERM');
    const hasEnded = await Promise.race([exited, sleep(STOP_TIMEOUT_MS, false, { ref: false })]);
    if (!hasEnded) this.kill();
    await exited;
    return hasEnded;
  }

  readLog(): string {
    return this.#daemon === undefined ? '' : readFileSync(this.#daemon.logFile, 'utf8');
  }

  /** The points that any of its lives came to. */
  readPoints(): readonly string[] {
    return [...new Set(readNotes(this.folder).flatMap((note) => ('point' in note ? [note.point] : [])))];
  }
}
