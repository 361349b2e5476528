import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SystemClock } from '../../src/lib/clock.ts';
import { ControlSocketServer } from '../../src/rpc/control-socket.ts';
import type { MethodTable } from '../../src/rpc/json-rpc.ts';
import { LineDecoder } from '../../src/rpc/line-decoder.ts';
import type { ControlSocketOptions } from '../../src/rpc/options.ts';
import type { LogFields, Logger, MetricsRegistry } from '../../src/telemetry/interface.ts';

export interface LoggedLine {
  readonly level: string;
  readonly fields: LogFields;
  readonly message: string;
}

/** Keeps what is logged. */
export function createRecordingLogger(lines: LoggedLine[] = []): Logger & { readonly lines: LoggedLine[] } {
  const record = (level: string) => (fields: LogFields, message: string) => void lines.push({ level, fields, message });
  return {
    lines,
    debug: record('debug'),
    info: record('info'),
    warn: record('warn'),
    error: record('error'),
    fatal: record('fatal'),
    child: () => createRecordingLogger(lines),
  };
}

/** Keeps counts by name and labels. */
export function createRecordingMetrics(): MetricsRegistry & { readonly counts: Map<string, number> } {
  const counts = new Map<string, number>();
  const keyOf = (name: string, labels: object = {}): string => `${name}${JSON.stringify(labels)}`;
  const add = (key: string, by: number) => void counts.set(key, (counts.get(key) ?? 0) + by);
  return {
    counts,
    counter: (name) => ({ increment: (labels, by = 1) => add(keyOf(name, labels), by) }),
    gauge: (name) => ({ set: (value, labels) => void counts.set(keyOf(name, labels), value) }),
    histogram: (name) => ({ observe: (_value, labels) => add(keyOf(name, labels), 1) }),
    render: async () => JSON.stringify([...counts]),
  };
}

export async function createTemporaryFolder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'fogproof-rpc-'));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

export async function startServer(methods: MethodTable, options: Partial<ControlSocketOptions> = {}) {
  const folder = await createTemporaryFolder();
  const path = options.path ?? join(folder.path, 'node.sock');
  const logger = createRecordingLogger();
  const metrics = createRecordingMetrics();
  const server = new ControlSocketServer({ methods, clock: new SystemClock(), logger, metrics }, { ...options, path });
  await server.start();
  return {
    server,
    path,
    logger,
    metrics,
    [Symbol.asyncDispose]: async () => {
      await server.stop();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** A client that sends what it is told and hands out the lines that come. */
export async function connectRaw(path: string) {
  const socket = createConnection(path);
  await once(socket, 'connect');
  return new RawClient(socket);
}

export class RawClient {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  readonly #decoder = new LineDecoder(64 * 1024 * 1024);
  readonly #lines: unknown[] = [];
  #wake: (() => void) | undefined;
  #isClosed = false;

  constructor(socket: Socket) {
    this.socket = socket;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    socket.on('error', () => {});
    socket.once('close', () => {
      this.#isClosed = true;
      this.#wake?.();
      resolve();
    });
    socket.on('data', (chunk: Buffer) => {
      for (const line of this.#decoder.push(chunk)) if (line.kind === 'line') this.#lines.push(JSON.parse(line.text));
      this.#wake?.();
    });
  }

  send(text: string | Uint8Array): void {
    this.socket.write(text);
  }

  /** The next line; undefined when the connection is closed. */
  async next(): Promise<unknown> {
    while (this.#lines.length === 0) {
      if (this.#isClosed) return undefined;
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this.#lines.shift();
  }

  async ask(request: unknown): Promise<unknown> {
    this.send(`${JSON.stringify(request)}\n`);
    return this.next();
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}
