import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { privateKeyToProtobuf } from '@libp2p/crypto/keys';
import type { PeerKey } from '../../src/domain/ids.ts';
import type { Identity } from '../../src/identity/interface.ts';
import type { Need } from './needs.ts';

const SOURCE = fileURLToPath(new URL('../interop/go-peer', import.meta.url));
/** Kept: what is up to date is not linked again. */
const BINARY = fileURLToPath(new URL('../../node_modules/.cache/fogproof/go-peer', import.meta.url));
/** From nothing: 494 packages are compiled. */
const BUILD_TIMEOUT_MS = 900_000;
const MODULES_TIMEOUT_MS = 300_000;
const READY_TIMEOUT_MS = 20_000;
/** Longer than the peer's own limit of a command. */
const CALL_TIMEOUT_MS = 25_000;

const ENVIRONMENT = { ...process.env, GOFLAGS: '', GOTOOLCHAIN: 'local' };
const run = promisify(execFile);

export interface GoPeerBinary {
  readonly need: Need;
  readonly path: string;
}

/**
 * Compiles the peer, or finds it compiled. A machine without the toolchain or its modules gives a need that is not met; a
 * program that does not compile is a failure.
 */
export async function buildGoPeer(): Promise<GoPeerBinary> {
  const reason = await findMissing();
  if (reason !== null) return { need: { isMet: false, kind: 'toolchain', reason }, path: BINARY };
  const line = ['build', '-trimpath', '-buildvcs=false', '-o', BINARY, '.'];
  await run('go', line, { cwd: SOURCE, env: ENVIRONMENT, timeout: BUILD_TIMEOUT_MS });
  return { need: { isMet: true, kind: 'toolchain', reason: '' }, path: BINARY };
}

async function findMissing(): Promise<string | null> {
  const version = /go1\.(\d+)/.exec(spawnSync('go', ['version'], { encoding: 'utf8' }).stdout ?? '');
  if (Number(version?.[1] ?? 0) < 25) return 'Go 1.25 or newer on PATH (go.dev/dl)';
  try {
    // Only those modules that the peer is made of; `go mod download` would bring all that they name.
    await run('go', ['list', '-deps', '.'], { cwd: SOURCE, env: ENVIRONMENT, timeout: MODULES_TIMEOUT_MS });
    return null;
  } catch {
    return 'the modules of test/interop/go-peer/go.mod, from the Go module cache or a proxy (go env GOPROXY)';
  }
}

export interface GoPeerOptions {
  /** Holds the peer's key; nothing else of it is used. */
  readonly identity: Identity;
  readonly networkId: string;
  readonly security?: readonly ('tls' | 'noise')[];
}

export interface GoMessage {
  readonly topic: string;
  readonly from: string;
  readonly receivedFrom: string;
  readonly data: Uint8Array;
}

interface Line {
  readonly id?: number;
  readonly ok?: unknown;
  readonly error?: string;
  readonly event?: string;
  readonly addresses?: readonly string[];
  readonly topic?: string;
  readonly from?: string;
  readonly receivedFrom?: string;
  readonly data?: string;
}

/** A running peer on go-libp2p. Disposing ends its process. */
export class GoPeer implements AsyncDisposable {
  readonly peer: PeerKey;
  readonly messages: GoMessage[] = [];
  readonly #process: ChildProcess;
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  readonly #ready = Promise.withResolvers<string>();
  readonly #listeners = new Set<() => void>();
  readonly #log: string[] = [];
  #nextId = 1;

  private constructor(path: string, options: GoPeerOptions) {
    this.peer = options.identity.peer;
    this.#process = spawn(path, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, GOLOG_LOG_LEVEL: 'error' } });
    const { stdout, stderr } = this.#process;
    if (stdout === null || stderr === null) throw new TypeError('the peer has no pipes');
    createInterface({ input: stdout }).on('line', (line) => this.#take(JSON.parse(line) as Line));
    createInterface({ input: stderr }).on('line', (line) => this.#log.push(line));
    this.#process.once('exit', () => this.#end());
    this.#send({
      network: options.networkId,
      security: options.security ?? ['tls', 'noise'],
      privateKey: Buffer.from(privateKeyToProtobuf(options.identity.privateKey)).toString('base64'),
      listen: '/ip4/127.0.0.1/tcp/0',
    });
  }

  static async start(path: string, options: GoPeerOptions): Promise<{ readonly go: GoPeer; readonly address: string }> {
    const go = new GoPeer(path, options);
    try {
      return { go, address: await withDeadline(go.#ready.promise, READY_TIMEOUT_MS, 'the Go peer is ready') };
    } catch (error) {
      await go[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** What the peer answers. @throws Error with what it says where the command failed */
  call<Answer>(op: string, fields: Readonly<Record<string, unknown>> = {}): Promise<Answer> {
    const id = this.#nextId++;
    const answer = Promise.withResolvers<unknown>();
    this.#waiting.set(id, answer);
    this.#send({ id, op, ...fields });
    return withDeadline(answer.promise, CALL_TIMEOUT_MS, `the Go peer answers ${op}`) as Promise<Answer>;
  }

  /** The first message, come or to come, for which `isWanted`. */
  async message(isWanted: (message: GoMessage) => boolean): Promise<GoMessage> {
    const found = Promise.withResolvers<GoMessage>();
    const look = (): void => {
      const message = this.messages.find(isWanted);
      if (message !== undefined) found.resolve(message);
    };
    this.#listeners.add(look);
    look();
    try {
      return await withDeadline(found.promise, CALL_TIMEOUT_MS, 'the Go peer hears the message');
    } finally {
      this.#listeners.delete(look);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const exited = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exited;
  }

  #send(line: object): void {
    this.#process.stdin?.write(`${JSON.stringify(line)}\n`, () => undefined);
  }

  #take(line: Line): void {
    if (line.event === 'ready') this.#ready.resolve(line.addresses?.[0] ?? '');
    else if (line.event === 'message') this.#hear(line);
    const waiting = line.id === undefined ? undefined : this.#waiting.get(line.id);
    if (line.id === undefined || waiting === undefined) return;
    this.#waiting.delete(line.id);
    if (line.error === undefined) waiting.resolve(line.ok);
    else waiting.reject(new Error(line.error));
  }

  #hear({ topic = '', from = '', receivedFrom = '', data = '' }: Line): void {
    this.messages.push({ topic, from, receivedFrom, data: new Uint8Array(Buffer.from(data, 'base64')) });
    for (const listener of this.#listeners) listener();
  }

  #end(): void {
    const error = new Error(`the Go peer ended:\n${this.#log.join('\n')}`);
    this.#ready.reject(error);
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

async function withDeadline<Value>(promise: Promise<Value>, timeoutMs: number, what: string): Promise<Value> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`waited ${timeoutMs} ms in vain until ${what}`)), timeoutMs);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
