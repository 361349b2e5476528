import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { IsolationLevel } from '../../src/domain/capability.ts';
import { SandboxError } from '../../src/sandbox/errors.ts';
import type { ExecutionResult, Executor } from '../../src/sandbox/interface.ts';
import { PromMetricsRegistry } from '../../src/telemetry/prom-metrics.ts';
import { instrument } from '../../src/wasm/instrument/instrument.ts';
import { computeMetricsHash } from '../../src/wasm/metrics-hash.ts';
import { describeIf } from '../support/needs.ts';
import { steppingWat } from '../support/program.ts';
import {
  ALICE,
  BOB,
  createTask,
  createTestExecutor,
  findOffers,
  needLevel,
  RecordingSink,
  run,
} from '../support/sandbox.ts';
import { assembleWat } from '../support/wat.ts';

const offers = await findOffers();
const assemble = (parts: Parameters<typeof steppingWat>[0]): Uint8Array => assembleWat(steppingWat(parts));
const HELLO = assemble({ step: '(call $output_write (i32.const 0) (i32.const 5)) (i32.const 1)' });
const ENDLESS = assemble({ step: '(loop (br 0)) (i32.const 0)' });
const HUGE_FUEL = { fuel: 2 ** 52 };
const text = (result: ExecutionResult): string => Buffer.from(result.outputs[0]?.bytes ?? []).toString('utf8');

/** The behaviour that every executor of `wasm` work owes (src/sandbox/interface.ts). */
function describeExecutor(isolation: IsolationLevel): void {
  describeIf(needLevel(offers.has(isolation), isolation), `Executor at level ${isolation}`, () => {
    const metrics = new PromMetricsRegistry();
    let executor: Executor;
    beforeAll(async () => {
      executor = await createTestExecutor({ slots: 2, maxChildren: 3 }, metrics);
    });
    afterAll(async () => await executor[Symbol.asyncDispose]());

    const started = async (): Promise<number> => {
      const pattern = new RegExp(`fogproof_sandbox_child_starts_total\\{[^}]*isolation="${isolation}"[^}]*\\} (\\d+)`);
      return Number(pattern.exec(await metrics.render())?.[1] ?? 0);
    };

    it('offers the level and says what holds it', async () => {
      expect(executor.isolation).toContain(isolation);
      const { report } = await run(executor, { isolation, module: HELLO });
      expect(report).toMatchObject({ executor: 'wasm', isolation });
      expect(report.controls).toEqual(expect.arrayContaining(['permission-model', 'rlimit']));
      if (isolation === 'bubblewrap')
        expect(report.controls).toEqual(expect.arrayContaining(['seccomp', 'pid-namespace']));
    });

    it('gives outputs, exact fuel, steps and the digest of what ran', async () => {
      const result = await run(executor, { isolation, module: HELLO });
      const { bytes } = instrument(HELLO, { maxPages: 16, isStepping: true });
      expect(result.outcome).toEqual({ kind: 'completed' });
      expect(text(result)).toBe('hello');
      expect(result.steps).toBe(1);
      expect(result.fuel).toBe(1 + 64 + 4 + 200 + 1);
      expect(Buffer.from(result.instrumentedModuleDigest ?? []).toString('hex')).toBe(
        createHash('sha256').update(bytes).digest('hex'),
      );
      expect(result.usage.peakMemoryBytes).toBe(65_536);
    });

    it('gives logs and metrics in program order and their hash', async () => {
      const sink = new RecordingSink();
      const module = assemble({
        step: `(call $log (i32.const 0) (i32.const 5)) (call $metric (i32.const 6) (i32.const 5) (f64.const 0.1))
          (call $log (i32.const 6) (i32.const 5)) (i32.const 1)`,
      });
      const result = await executor.execute(createTask({ isolation, module }), sink, {});
      expect(sink.events).toEqual(['log: hello', '1 world=0.1', 'log: world']);
      expect(new Uint8Array(result.metricsHash)).toEqual(computeMetricsHash([{ step: 1, name: 'world', value: 0.1 }]));
    });

    it('carries megabytes of input in order of path, and of output', async () => {
      const big = new Uint8Array(3_000_000).map((_, index) => index * 7);
      const module = assemble({
        rest: '(func $copy (param $n i32) (drop (memory.grow (i32.const 60))) (call $output_write (i32.const 65536) (call $input_read (i32.const 1) (i32.const 65536) (i32.const 0) (local.get $n))))',
        step: '(call $copy (i32.const 9000000)) (i32.const 1)',
      });
      const inputs = [
        { path: '/z', bytes: big },
        { path: '/a', bytes: Uint8Array.of(1) },
      ];
      const result = await run(executor, { isolation, module, inputs, resources: { memoryBytes: 64 * 65_536 } });
      expect(result.outcome).toEqual({ kind: 'completed' });
      expect(Buffer.from(result.outputs[0]?.bytes ?? []).equals(big)).toBe(true);
    });

    it.each([
      ['TRAP', { step: 'unreachable' }, {}],
      ['OUT_OF_FUEL', { step: '(loop (br 0)) (i32.const 0)' }, { fuel: 1_000_000 }],
      ['STACK_EXHAUSTED', { rest: '(func $f call $f)', step: 'call $f i32.const 1' }, {}],
      [
        'OUTPUT_LIMIT',
        { step: '(call $output_write (i32.const 0) (i32.const 11)) (i32.const 0)' },
        { outputBytes: 100 },
      ],
      ['LOG_LIMIT', { step: '(call $log (i32.const 0) (i32.const 11)) (i32.const 0)' }, { logBytes: 100 }],
      ['STEP_FAILED', { step: 'i32.const -1' }, {}],
    ])('reports %s as a result of the program', async (code, parts, resources) => {
      const result = await run(executor, { isolation, module: assemble(parts), resources });
      expect(result.outcome).toMatchObject({ kind: 'program-failed', code });
      expect(result.instrumentedModuleDigest).not.toBeNull();
      expect((await run(executor, { isolation, module: HELLO })).outcome).toEqual({ kind: 'completed' });
    });

    it('reports a module that may not run and one that needs too much memory', async () => {
      const garbage = await run(executor, { isolation, module: new Uint8Array(100) });
      expect(garbage.outcome).toMatchObject({ kind: 'program-failed', code: 'MODULE_REFUSED' });
      expect(garbage.instrumentedModuleDigest).toBeNull();
      const large = await run(executor, { isolation, module: assembleWat('(module (memory (export "memory") 17))') });
      expect(large.outcome).toMatchObject({ kind: 'program-failed', code: 'MEMORY_LIMIT' });
    });

    it('runs WASI commands', async () => {
      const module = assembleWat(`(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1) (data (i32.const 0) "\\08\\00\\00\\00\\06\\00\\00\\00hello\\n")
        (func (export "_start") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 64))) (call $exit (i32.const 9))))`);
      const sink = new RecordingSink();
      const task = createTask({ isolation, module, workload: { abi: 'wasi' } });
      const result = await executor.execute(task, sink, {});
      expect(result.outcome).toEqual({ kind: 'program-failed', code: 'EXIT_CODE', detail: '9' });
      expect(sink.events).toEqual(['stdout: hello']);
    });

    it('kills what runs too long, and goes on', async () => {
      const parts = { isolation, module: ENDLESS, resources: { ...HUGE_FUEL, wallTimeMs: 200 } };
      const result = await run(executor, parts);
      expect(result.outcome).toMatchObject({ kind: 'attempt-failed', code: 'WALL_TIME' });
      expect(result.usage.wallTimeMs).toBeGreaterThanOrEqual(199);
      expect((await run(executor, { isolation, module: HELLO })).outcome).toEqual({ kind: 'completed' });
    });

    it('is cancelled by its signal, before and while it runs', async () => {
      const task = createTask({ isolation, module: ENDLESS, resources: HUGE_FUEL });
      const early = await executor.execute(task, new RecordingSink(), { signal: AbortSignal.abort() });
      expect(early.outcome).toMatchObject({ kind: 'attempt-failed', code: 'CANCELLED' });
      const controller = new AbortController();
      const sink = new RecordingSink();
      sink.onProgress = () => controller.abort();
      const late = await executor.execute(task, sink, { signal: controller.signal });
      expect(late.outcome).toMatchObject({ kind: 'attempt-failed', code: 'CANCELLED' });
      expect(sink.progressAtMs.length).toBe(1);
    });

    it.each([
      ['one long call', '(loop (br 0)) (i32.const 0)'],
      ['short steps', 'i32.const 0'],
    ])('shows that %s is alive', async (_what, step) => {
      const sink = new RecordingSink();
      const resources = { ...HUGE_FUEL, wallTimeMs: 2000 };
      await executor.execute(createTask({ isolation, module: assemble({ step }), resources }), sink, {});
      expect(sink.progressAtMs.length).toBeGreaterThanOrEqual(4);
      expect(sink.cpuTimeMs).toBeGreaterThan(100);
    });

    it('keeps a child warm for its requester and gives it to nobody else', async () => {
      await executor.warm(ALICE, isolation);
      const before = await started();
      await run(executor, { isolation, module: HELLO, requester: ALICE });
      expect(await started()).toBe(before);
      await run(executor, { isolation, module: HELLO, requester: BOB });
      await run(executor, { isolation, module: HELLO, requester: BOB });
      expect(await started()).toBe(before + 1);
    });

    it('gives a child that had a confidential task to nobody, not even to its requester', async () => {
      await executor.warm(ALICE, isolation);
      const before = await started();
      const secret = { isolation, module: HELLO, requester: ALICE, isConfidential: true };
      expect((await run(executor, secret)).outcome).toEqual({ kind: 'completed' });
      expect(await started()).toBe(before);
      await run(executor, { isolation, module: HELLO, requester: ALICE });
      expect(await started()).toBe(before + 1);
    });

    it('runs no more at a time than it has slots, and all in the end', async () => {
      const results = await Promise.all(Array.from({ length: 20 }, () => run(executor, { isolation, module: HELLO })));
      expect(results.map((result) => result.outcome.kind)).toEqual(new Array(20).fill('completed'));
      expect(Number(/fogproof_sandbox_children (\d+)/.exec(await metrics.render())?.[1])).toBeLessThanOrEqual(3);
    });

    it('runs more modules in one child than the child keeps', async () => {
      const modules = Array.from({ length: 12 }, (_, index) =>
        assemble({ step: `i32.const ${index === 0 ? 1 : -index}` }),
      );
      for (const module of [...modules, ...modules]) {
        const { outcome } = await run(executor, { isolation, module });
        expect(outcome.kind).toBe(module === modules[0] ? 'completed' : 'program-failed');
      }
    });

    it('throws for what the host does not give', async () => {
      const refused = run(executor, { isolation, module: HELLO, resources: { memoryBytes: 5 * 2 ** 30 } });
      await expect(refused).rejects.toMatchObject({ code: 'SANDBOX_LIMIT_UNAVAILABLE' });
    });
  });
}

describeExecutor('process');
describeExecutor('bubblewrap');

it('lets idle children go', async () => {
  const metrics = new PromMetricsRegistry();
  await using executor = await createTestExecutor({ idleExpiryMs: 100 }, metrics);
  const [isolation] = executor.isolation;
  if (isolation === undefined) return;
  await executor.warm(ALICE, isolation);
  await vi.waitFor(async () => expect(await metrics.render()).toMatch(/fogproof_sandbox_children 0/), 5000);
});

it('refuses everything once it is closed, and kills what runs', async () => {
  const executor = await createTestExecutor();
  const [isolation] = executor.isolation;
  if (isolation === undefined) return;
  const sink = new RecordingSink();
  const alive = Promise.withResolvers<void>();
  sink.onProgress = alive.resolve;
  const running = executor.execute(createTask({ isolation, module: ENDLESS, resources: HUGE_FUEL }), sink, {});
  await alive.promise;
  await executor[Symbol.asyncDispose]();
  expect((await running).outcome.kind).toBe('attempt-failed');
  await expect(run(executor, { isolation, module: HELLO })).rejects.toBeInstanceOf(SandboxError);
});

it('says that it is closed to a task whose child was still starting', async () => {
  const executor = await createTestExecutor();
  const [isolation] = executor.isolation;
  if (isolation === undefined) return;
  const starting = run(executor, { isolation, module: HELLO });
  const waiting = run(executor, { isolation, module: HELLO });
  const outcomes = Promise.allSettled([starting, waiting]);
  await executor[Symbol.asyncDispose]();
  for (const outcome of await outcomes)
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'SANDBOX_CLOSED' } });
});
