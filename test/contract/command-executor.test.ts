import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { EgressHost } from '../../src/domain/egress.ts';
import type { CommandWorkload, Resources } from '../../src/domain/job.ts';
import { SystemClock } from '../../src/lib/clock.ts';
import { SandboxError } from '../../src/sandbox/errors.ts';
import { CommandExecutor } from '../../src/sandbox/executors/command/command-executor.ts';
import { DEFAULT_COMMAND_OPTIONS, NO_EGRESS } from '../../src/sandbox/executors/command/options.ts';
import { probeCommand } from '../../src/sandbox/executors/command/probe-command.ts';
import type { ExecutionTask, InputFile } from '../../src/sandbox/interface.ts';
import { NoopLogger } from '../../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../src/telemetry/noop-metrics.ts';
import { describeIf } from '../support/needs.ts';
import { ALICE, RecordingSink } from '../support/sandbox.ts';

const clock = new SystemClock();
const probe = await probeCommand(clock);
const NEED = { isMet: probe.kind === 'works', kind: 'host', reason: 'bubblewrap and user namespaces' } as const;
const MEBIBYTE = 2 ** 20;

interface Parts {
  readonly resources?: Partial<Resources>;
  readonly workload?: Partial<CommandWorkload>;
  readonly inputs?: readonly InputFile[];
  readonly module?: Uint8Array;
}

/** A script for the shell of this host. */
function createTask(script: string, { resources, workload, inputs = [], module }: Parts = {}): ExecutionTask {
  return {
    requester: ALICE,
    isolation: 'bubblewrap',
    workload: {
      kind: 'command',
      root: { kind: 'host' },
      program: '/bin/sh',
      arguments: ['-c', script],
      environment: {},
      limits: { cpus: 1000, processes: 16, scratchBytes: MEBIBYTE },
      ...workload,
    },
    module: module ?? null,
    inputs,
    resources: {
      memoryBytes: 64 * MEBIBYTE,
      fuel: null,
      wallTimeMs: 30_000,
      outputBytes: MEBIBYTE,
      logBytes: 100_000,
      ...resources,
    },
    checkpoints: null,
    resume: null,
  };
}

/** What src/sandbox/interface.ts asks of every executor, as far as a command has it: neither fuel, steps nor checkpoints. */
describeIf(NEED, 'Executor of commands', () => {
  let executor: CommandExecutor;
  let rootsFolder: string;
  const open = (egress = NO_EGRESS): CommandExecutor =>
    new CommandExecutor(
      { clock, logger: new NoopLogger(), metrics: new NoopMetricsRegistry() },
      {
        ...DEFAULT_COMMAND_OPTIONS,
        maxCpus: 2000,
        hostRoot: true,
        egress,
        rootsFolder,
        offer: probe.kind === 'works' ? probe.offer : null,
      },
    );
  beforeAll(() => {
    rootsFolder = mkdtempSync(join(tmpdir(), 'fogproof-roots-'));
    chmodSync(rootsFolder, 0o711);
    executor = open();
  });
  afterAll(async () => {
    await executor[Symbol.asyncDispose]();
    rmSync(rootsFolder, { recursive: true, force: true });
  });
  const run = async (script: string, parts?: Parts) =>
    await executor.execute(createTask(script, parts), new RecordingSink(), {});

  it('offers its level, and says what holds it and whose root it was', async () => {
    expect(executor.isolation).toEqual(['bubblewrap']);
    const { report } = await run('true');
    expect(report).toMatchObject({ executor: 'command', isolation: 'bubblewrap' });
    expect(report.controls).toEqual(
      expect.arrayContaining(['seccomp', 'pid-namespace', 'capabilities-dropped', 'unprivileged-user', 'host-root']),
    );
  });

  it('lets a program connect to what its job lists and this node allows, by a proxy that is in its environment', async () => {
    const greeter = createServer((socket) => socket.end('hello\n')).listen(0, '127.0.0.1');
    await once(greeter, 'listening');
    const { port } = greeter.address() as AddressInfo;
    const allows = (host: EgressHost): boolean => host.port === port;
    const other = open({ allows, maxBytes: 1_000_000, allowsPrivate: true });
    const host = `127.0.0.1:${port}`;
    const ask = `exec 3<>/dev/tcp/127.0.0.1/3128; printf 'CONNECT ${host} HTTP/1.1\\r\\n\\r\\n' >&3; cat <&3`;
    const script = `echo $https_proxy; ${ask}`;
    const workload = { program: '/bin/bash', arguments: ['-c', script], network: { hosts: [host] } };
    const sink = new RecordingSink();
    const { outcome, report } = await other.execute(createTask('', { workload }), sink, {});
    expect(outcome).toEqual({ kind: 'completed' });
    expect(report.controls).toContain('listed-hosts');
    expect(sink.events[0]).toBe('stdout: http://127.0.0.1:3128');
    expect(sink.events.at(-1)).toBe('stdout: hello');
    await other[Symbol.asyncDispose]();
    greeter.close();
  });

  it('refuses hosts that this node does not allow, before anything runs', async () => {
    const workload = { network: { hosts: ['example.org:443'] } };
    await expect(run('true', { workload })).rejects.toMatchObject({
      code: 'SANDBOX_EGRESS_REFUSED',
      info: { host: 'example.org:443' },
    });
  });

  it('makes no socket of IP for a program without a network', async () => {
    const { outcome } = await run('exec 3<>/dev/tcp/127.0.0.1/3128', { workload: { program: '/bin/bash' } });
    expect(outcome).toMatchObject({ kind: 'program-failed', code: 'EXIT_CODE' });
  });

  it('gives outputs in ascending order of path, and no fuel', async () => {
    const result = await run('mkdir /output/b; echo 2 > /output/b/x; echo 1 > /output/a; echo 3 > /output/b.txt');
    expect(result).toMatchObject({
      outcome: { kind: 'completed' },
      fuel: null,
      steps: 0,
      instrumentedModuleDigest: null,
    });
    expect(result.outputs.map(({ path, bytes }) => [path, Buffer.from(bytes).toString()])).toEqual([
      ['/output/a', '1\n'],
      ['/output/b.txt', '3\n'],
      ['/output/b/x', '2\n'],
    ]);
  });

  it('tells what it prints by line and stream, counted together', async () => {
    const sink = new RecordingSink();
    await executor.execute(createTask('echo one; sleep 0.2; echo two >&2'), sink, {});
    expect(sink.events).toEqual(['stdout: one', 'stderr: two']);
    expect(sink.ordinals).toEqual([1, 2]);
  });

  it('carries megabytes of input, which are read-only', async () => {
    const big = new Uint8Array(3_000_000).map((_, index) => index * 7);
    const inputs = [
      { path: '/data/z', bytes: big },
      { path: '/a', bytes: Uint8Array.of(65) },
      { path: '/empty', bytes: new Uint8Array(0) },
    ];
    const script =
      'cat /a /empty /data/z > /output/all; (echo x > /a) 2>/dev/null && exit 9; rm /a 2>/dev/null && exit 8; exit 0';
    const result = await run(script, { inputs, resources: { outputBytes: 4 * MEBIBYTE } });
    expect(result.outcome).toEqual({ kind: 'completed' });
    expect(Buffer.from(result.outputs[0]?.bytes ?? []).equals(Buffer.concat([Uint8Array.of(65), big]))).toBe(true);
  });

  it('sees its own environment and nothing of the node’s', async () => {
    const sink = new RecordingSink();
    await executor.execute(createTask('env', { workload: { environment: { MINE: 'yes', HOME: '/x' } } }), sink, {});
    const lines = sink.events.filter((line) => !line.includes('PWD=')).toSorted();
    expect(lines).toEqual(
      ['HOME=/x', 'LANG=C.UTF-8', 'MINE=yes', 'PATH=/usr/local/bin:/usr/bin:/bin'].map((line) => `stdout: ${line}`),
    );
  });

  it.each<readonly [string, string, string, Parts]>([
    ['EXIT_CODE', '7', 'exit 7', {}],
    ['EXIT_CODE', '137', 'kill -9 $$', {}],
    ['LOG_LIMIT', '', 'yes', { resources: { logBytes: 100 } }],
    [
      'OUTPUT_LIMIT',
      'larger than resources.output',
      'head -c 101 /dev/zero > /output/x',
      { resources: { outputBytes: 100 } },
    ],
    ['OUTPUT_REFUSED', '/output/x is a symbolic link', 'ln -s /bin/sh /output/x', {}],
    ['PROGRAM_REFUSED', 'No such file or directory', '', { workload: { program: '/bin/nobody-has-this' } }],
    ['PROGRAM_REFUSED', 'an input lies in /usr', '', { inputs: [{ path: '/usr/x', bytes: new Uint8Array(1) }] }],
  ])('reports %s (%s) as a result of the program', async (code, detail, script, parts) => {
    const { outcome } = await run(script, parts);
    expect(outcome).toMatchObject({ kind: 'program-failed', code });
    expect(outcome).toHaveProperty('detail', expect.stringContaining(detail));
    expect((await run('true')).outcome).toEqual({ kind: 'completed' });
  });

  it('reports an archive that may not be unpacked, and leaves nothing of it', async () => {
    const root = { kind: 'archive', blob: 'bafkreitest' as never, sizeBytes: 2048 } as const;
    const result = await run('', { workload: { root }, module: Buffer.alloc(2048, 7) });
    expect(result.outcome).toMatchObject({ kind: 'program-failed', code: 'PROGRAM_REFUSED' });
    expect(readdirSync(rootsFolder)).toEqual([]);
  });

  it('kills what runs too long, with all that it has started, and goes on', async () => {
    const result = await run('sleep 1000 & setsid sleep 1000 & sleep 1000', { resources: { wallTimeMs: 300 } });
    expect(result.outcome).toMatchObject({ kind: 'attempt-failed', code: 'WALL_TIME' });
    expect(result.usage.wallTimeMs).toBeGreaterThanOrEqual(299);
    expect((await run('true')).outcome).toEqual({ kind: 'completed' });
  });

  it('is cancelled by its signal, before and while it runs', async () => {
    const early = await executor.execute(createTask('true'), new RecordingSink(), { signal: AbortSignal.abort() });
    expect(early.outcome).toMatchObject({ kind: 'attempt-failed', code: 'CANCELLED' });
    const controller = new AbortController();
    const sink = new RecordingSink();
    sink.onProgress = () => controller.abort();
    const late = await executor.execute(createTask('sleep 1000'), sink, { signal: controller.signal });
    expect(late.outcome).toMatchObject({ kind: 'attempt-failed', code: 'CANCELLED' });
  });

  it('shows that it lives, also while it sleeps', async () => {
    const sink = new RecordingSink();
    await executor.execute(createTask('sleep 1000', { resources: { wallTimeMs: 2000 } }), sink, {});
    expect(sink.progressAtMs.length).toBeGreaterThanOrEqual(4);
  });

  it('runs no more at a time than it has slots, and all in the end', async () => {
    const results = await Promise.all(Array.from({ length: 8 }, () => run('true')));
    expect(results.map((result) => result.outcome.kind)).toEqual(new Array(8).fill('completed'));
  });

  it('throws for what the host does not give', async () => {
    const limits = { cpus: 1000, processes: 16, scratchBytes: MEBIBYTE };
    const code = 'SANDBOX_LIMIT_UNAVAILABLE';
    await expect(run('true', { resources: { memoryBytes: 5 * 2 ** 30 } })).rejects.toMatchObject({ code });
    await expect(run('true', { workload: { limits: { ...limits, cpus: 9000 } } })).rejects.toMatchObject({ code });
    await expect(run('true', { workload: { limits: { ...limits, processes: 9000 } } })).rejects.toMatchObject({ code });
  });

  it('refuses everything once it is closed, and kills what runs', async () => {
    const other = open();
    const sink = new RecordingSink();
    const alive = Promise.withResolvers<void>();
    sink.onProgress = alive.resolve;
    const running = other.execute(createTask('sleep 1000'), sink, {});
    await alive.promise;
    await other[Symbol.asyncDispose]();
    expect((await running).outcome.kind).toBe('attempt-failed');
    await expect(other.execute(createTask('true'), sink, {})).rejects.toBeInstanceOf(SandboxError);
  });
});
