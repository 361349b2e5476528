import { afterAll, beforeAll, expect, it } from 'vitest';
import type { IsolationLevel } from '../../../src/domain/capability.ts';
import type { Resources } from '../../../src/domain/job.ts';
import type { ExecutionResult, Executor } from '../../../src/sandbox/interface.ts';
import { describeIf } from '../../support/needs.ts';
import { steppingWat } from '../../support/program.ts';
import { createTask, createTestExecutor, findOffers, needLevel, RecordingSink, run } from '../../support/sandbox.ts';
import { assembleWat } from '../../support/wat.ts';

const offers = await findOffers();
const MIB = 2 ** 20;
const assemble = (parts: Parameters<typeof steppingWat>[0]): Uint8Array => assembleWat(steppingWat(parts));
const HELLO = assemble({ step: '(call $output_write (i32.const 0) (i32.const 5)) (i32.const 1)' });
/** Writes to one byte of every 4 KiB of a range that grows until nothing is left. */
const MEMORY_BOMB = assemble({
  rest: `(global $at (mut i32) (i32.const 0))
    (func $touch (param $end i32) (loop $next
      (i32.store8 (global.get $at) (i32.const 255))
      (global.set $at (i32.add (global.get $at) (i32.const 4096)))
      (br_if $next (i32.lt_u (global.get $at) (local.get $end)))))`,
  step: `(loop $grow
      (br_if $grow (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
    (call $touch (i32.mul (memory.size) (i32.const 65536)))
    (i32.store (i32.const 0) (memory.size)) (call $output_write (i32.const 0) (i32.const 4)) (i32.const 1)`,
});

function describeBombs(isolation: IsolationLevel): void {
  describeIf(needLevel(offers.has(isolation), isolation), `programs that take too much, at level ${isolation}`, () => {
    let executor: Executor;
    beforeAll(async () => {
      executor = await createTestExecutor();
    });
    afterAll(async () => await executor[Symbol.asyncDispose]());

    const explode = async (module: Uint8Array, resources: Partial<Resources> = {}): Promise<ExecutionResult> => {
      const result = await run(executor, { isolation, module, resources });
      const after = await run(executor, { isolation, module: HELLO });
      expect(after.outcome, 'the next task of the requester').toEqual({ kind: 'completed' });
      return result;
    };
    const failure = (code: string) => ({ kind: 'program-failed', code });

    it('memory bomb: stops at the limit of the job', async () => {
      const result = await explode(MEMORY_BOMB, { memoryBytes: 200 * MIB });
      expect(result.outcome).toEqual({ kind: 'completed' });
      expect(Buffer.from(result.outputs[0]?.bytes ?? []).readUInt32LE()).toBe(1 + 16 * Math.floor(3199 / 16));
      expect(result.usage.peakMemoryBytes).toBeLessThanOrEqual(200 * MIB);
    });

    it('memory bomb: many in a row do not add up', async () => {
      // All eight together are more than the control group of a child for jobs of this size may have.
      const memoryBytes = 128 * MIB;
      const small = await createTestExecutor({ maxMemoryBytes: memoryBytes });
      await using _small = small;
      for (let round = 0; round < 8; round++) {
        const result = await run(small, { isolation, module: MEMORY_BOMB, resources: { memoryBytes } });
        expect(result.outcome).toEqual({ kind: 'completed' });
      }
    });

    it('memory bomb: tables', async () => {
      const module = assembleWat(`(module (memory (export "memory") 1) (table 0 externref)
        (func (export "_start") (loop $again (br_if $again (i32.ne (table.grow (ref.null extern) (i32.const 10000)) (i32.const -1))))))`);
      const result = await run(executor, { isolation, module, workload: { abi: 'wasi' } });
      expect(result.outcome).toEqual({ kind: 'completed' });
    });

    it.each([
      ['an empty loop', '(loop (br 0))'],
      ['a loop of nothing but blocks', '(loop (block (loop (br 2))))'],
      ['filling memory', '(loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)) (br 0))'],
      ['calls of the host', '(loop (drop (call $input_count)) (br 0))'],
      ['random numbers', '(loop (call $random (i32.const 0) (i32.const 65536)) (br 0))'],
      ['growing by nothing', '(loop (drop (memory.grow (i32.const 0))) (br 0))'],
    ])('fuel bomb: %s', async (_name, loop) => {
      const result = await explode(assemble({ step: `${loop} (unreachable)` }), { fuel: 50_000_000 });
      expect(result.outcome).toEqual({ ...failure('OUT_OF_FUEL'), detail: '' });
      expect(result.fuel).toBe(50_000_000);
      // A unit of fuel is worth about an instruction: none may cost the host much more.
      expect(result.usage.wallTimeMs).toBeLessThan(3000);
    });

    it('fuel bomb: steps that do nothing', async () => {
      const result = await explode(assemble({ step: 'i32.const 0' }), { fuel: 10_000_000 });
      expect(result.outcome).toMatchObject(failure('OUT_OF_FUEL'));
    });

    it('output bomb', async () => {
      const module = assemble({
        step: '(loop (call $output_write (i32.const 0) (i32.const 65536)) (br 0)) (i32.const 1)',
      });
      const result = await explode(module, { outputBytes: 8 * MIB, fuel: 2 ** 50 });
      expect(result.outcome).toMatchObject(failure('OUTPUT_LIMIT'));
      expect(result.outputs).toEqual([]);
    });

    it.each([
      ['logs', '(call $log (i32.const 0) (i32.const 65536))'],
      ['empty logs', '(call $log (i32.const 0) (i32.const 0))'],
      ['metrics', '(call $metric (i32.const 0) (i32.const 5) (f64.const 1))'],
    ])('log flood: %s', async (_name, call) => {
      const sink = new RecordingSink();
      const module = assemble({ step: `(loop ${call} (br 0)) (i32.const 1)` });
      const task = createTask({ isolation, module, resources: { logBytes: MIB, fuel: 2 ** 50 } });
      const result = await executor.execute(task, sink, {});
      expect(result.outcome).toMatchObject(failure('LOG_LIMIT'));
      expect(sink.events.length).toBeLessThan(70_000);
    });

    it.each([
      ['narrow frames', '(func $f call $f)', 'call $f'],
      [
        'wide frames',
        `(func $f (param ${'i64 '.repeat(200)}) ${Array.from({ length: 200 }, (_, i) => `local.get ${i}`).join(' ')} call $f)`,
        `${'i64.const 0 '.repeat(200)} call $f`,
      ],
      [
        'vectors',
        `(func $f (param ${'v128 '.repeat(100)}) ${Array.from({ length: 100 }, (_, i) => `local.get ${i}`).join(' ')} call $f)`,
        `${'(v128.const i32x4 0 0 0 0) '.repeat(100)} call $f`,
      ],
      [
        'two functions through a table',
        '(type $t (func)) (table 1 funcref) (elem (i32.const 0) $f) (func $f (call_indirect (type $t) (i32.const 0)))',
        'call $f',
      ],
      [
        'values kept across the call',
        `(func $f (result i64) ${'(i64.load (i32.const 8)) '.repeat(300)} call $f ${'i64.add '.repeat(300)})`,
        'call $f drop',
      ],
    ])('recursion: %s', async (_name, rest, call) => {
      const result = await explode(assemble({ rest, step: `${call} (i32.const 1)` }));
      expect(result.outcome).toEqual({ ...failure('STACK_EXHAUSTED'), detail: '' });
    });

    it.each([
      ['the other ABI', '(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))'],
      ['an environment', '(import "env" "memory" (memory 1))'],
      ['a function of JavaScript', '(import "fogproof" "constructor" (func))'],
      ['a prototype', '(import "fogproof" "__proto__" (global externref))'],
      ['another signature', '(import "fogproof" "random" (func (param i64 i64)))'],
      ['a table of the host', '(import "fogproof" "log" (table 1 funcref))'],
      ['a module of the host', '(import "node:fs" "readFileSync" (func (param externref) (result externref)))'],
    ])('import confusion: %s', async (_name, text) => {
      const result = await explode(assembleWat(`(module ${text})`));
      expect(result.outcome).toMatchObject({ kind: 'program-failed', code: 'MODULE_REFUSED' });
      expect(JSON.stringify(result.outcome)).toContain('WASM_IMPORT_REFUSED');
    });

    it('compilation bomb: a module that takes long to compile is within the wall time of the attempt', async () => {
      const body = '(local.set 0 (f64.add (f64.mul (local.get 0) (local.get 0)) (local.get 0)))'.repeat(20_000);
      const functions = Array.from({ length: 20 }, () => `(func (param f64) ${body})`).join('');
      const module = assemble({ rest: functions });
      const result = await run(executor, { isolation, module, resources: { wallTimeMs: 20 } });
      expect(result.outcome).toMatchObject({ kind: 'attempt-failed', code: 'WALL_TIME' });
    });
  });
}

describeBombs('process');
describeBombs('bubblewrap');
