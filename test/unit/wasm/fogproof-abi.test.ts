import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { computeMetricsHash } from '../../../src/wasm/metrics-hash.ts';
import { runWat, steppingWat } from '../../support/program.ts';

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const outputOf = (run: ReturnType<typeof runWat>): string => Buffer.from(run.outputs[0]?.bytes ?? []).toString('utf8');
const failure = (code: string) => ({ kind: 'program-failed', code });

describe('fogproof ABI', () => {
  it('steps until the program says that it is done', () => {
    const wat = steppingWat({
      rest: '(global $n (mut i32) (i32.const 0))',
      step: '(global.set $n (i32.add (global.get $n) (i32.const 1))) (i32.eq (global.get $n) (i32.const 5))',
    });
    const run = runWat('fogproof', wat);
    expect(run.outcome).toEqual({ kind: 'completed' });
    expect(run.steps).toBe(5);
  });

  it.each([
    ['fogproof_init', { init: 'i32.const -3' }, 'fogproof_init returned -3', 0],
    ['fogproof_step', { step: 'i32.const -1' }, 'step 1 returned -1', 1],
    ['a step with another number', { step: 'i32.const 2' }, 'step 1 returned 2', 1],
  ])('fails when %s does', (_name, parts, detail, steps) => {
    const run = runWat('fogproof', steppingWat(parts));
    expect(run.outcome).toEqual({ ...failure('STEP_FAILED'), detail });
    expect(run.steps).toBe(steps);
  });

  it('reads inputs by index and range', () => {
    const inputs = [
      { path: '/a', bytes: bytes('first') },
      { path: '/b', bytes: bytes('second') },
    ];
    const wat = steppingWat({
      step: `(i32.store8 (i32.const 200) (call $input_count))
        (i32.store8 (i32.const 201) (call $input_len (i32.const 1)))
        (i32.store8 (i32.const 202) (call $input_len (i32.const 2)))
        (i32.store8 (i32.const 203) (call $input_read (i32.const 1) (i32.const 300) (i32.const 2) (i32.const 100)))
        (i32.store8 (i32.const 204) (call $input_read (i32.const 7) (i32.const 300) (i32.const 0) (i32.const 1)))
        (i32.store8 (i32.const 205) (call $input_read (i32.const 0) (i32.const 300) (i32.const 99) (i32.const 1)))
        (call $output_write (i32.const 200) (i32.const 6)) (call $output_write (i32.const 300) (i32.const 4))
        (i32.const 1)`,
    });
    const run = runWat('fogproof', wat, { inputs });
    expect([...(run.outputs[0]?.bytes ?? [])]).toEqual([2, 6, 255, 4, 255, 0, ...bytes('cond')]);
    expect(run.outputs[0]?.path).toBe('/output');
  });

  it('has no output where none was written, and an empty one where nothing was', () => {
    expect(runWat('fogproof', steppingWat({})).outputs).toEqual([]);
    const empty = runWat(
      'fogproof',
      steppingWat({ step: '(call $output_write (i32.const 0) (i32.const 0)) (i32.const 1)' }),
    );
    expect(empty.outputs).toEqual([{ path: '/output', bytes: new Uint8Array(0) }]);
  });

  it('gives logs and metrics in order, with the step that gave them', () => {
    const wat = steppingWat({
      init: '(call $metric (i32.const 0) (i32.const 5) (f64.const 0.5)) (i32.const 0)',
      step: '(call $log (i32.const 6) (i32.const 5)) (call $metric (i32.const 0) (i32.const 5) (f64.const nan)) (i32.const 1)',
    });
    const run = runWat('fogproof', wat);
    expect(run.logs).toEqual(['log: world']);
    expect(run.metrics).toEqual(['0 hello 0.5', '1 hello NaN']);
    const expected = computeMetricsHash([
      { step: 0, name: 'hello', value: 0.5 },
      { step: 1, name: 'hello', value: Number.NaN },
    ]);
    expect(new Uint8Array(run.metricsHash)).toEqual(expected);
  });

  it('draws random bytes from the seed alone, whatever the pieces', () => {
    const seed = new Uint8Array(32).fill(7);
    const block = (counter: number): Buffer => {
      const message = Buffer.alloc(40, 7);
      message.writeBigUInt64BE(BigInt(counter), 32);
      return createHash('sha256').update(message).digest();
    };
    const wat = steppingWat({
      step: `(call $random (i32.const 100) (i32.const 5)) (call $random (i32.const 105) (i32.const 65))
        (call $output_write (i32.const 100) (i32.const 70)) (i32.const 1)`,
    });
    const expected = Buffer.concat([block(0), block(1), block(2)]).subarray(0, 70);
    expect(Buffer.from(runWat('fogproof', wat, { seed }).outputs[0]?.bytes ?? [])).toEqual(expected);
  });

  it.each([
    ['output_write', '(call $output_write (i32.const 65530) (i32.const 7))'],
    ['log', '(call $log (i32.const -1) (i32.const 1))'],
    ['random', '(call $random (i32.const 65535) (i32.const 2))'],
    ['metric', '(call $metric (i32.const 65536) (i32.const 1) (f64.const 0))'],
    ['input_read', '(drop (call $input_read (i32.const 0) (i32.const 65535) (i32.const 0) (i32.const 5)))'],
  ])('traps on a pointer of %s beyond memory', (_name, call) => {
    const run = runWat('fogproof', steppingWat({ step: `${call} (i32.const 1)` }), {
      inputs: [{ path: '/a', bytes: bytes('first') }],
    });
    expect(run.outcome).toMatchObject({ ...failure('TRAP'), detail: 'a pointer given to the host is out of bounds' });
  });

  it('sees memory that has grown', () => {
    const step =
      '(drop (memory.grow (i32.const 1))) (i32.store8 (i32.const 70000) (i32.const 65)) (call $output_write (i32.const 70000) (i32.const 1)) (i32.const 1)';
    const run = runWat('fogproof', steppingWat({ step }));
    expect(outputOf(run)).toBe('A');
    expect(run.memoryBytes).toBe(131_072);
  });

  it.each([
    ['OUTPUT_LIMIT', '(loop (call $output_write (i32.const 0) (i32.const 100)) (br 0))', { outputBytes: 1000 }],
    ['LOG_LIMIT', '(loop (call $log (i32.const 0) (i32.const 100)) (br 0))', { logBytes: 1000 }],
    ['LOG_LIMIT', '(loop (call $metric (i32.const 0) (i32.const 5) (f64.const 1)) (br 0))', { logBytes: 1000 }],
    ['OUT_OF_FUEL', '(loop (br 0))', { fuel: 10_000 }],
    ['OUT_OF_FUEL', '(loop (call $random (i32.const 0) (i32.const 65536)) (br 0))', { fuel: 10_000_000 }],
  ])('ends with %s at %s', (code, loop, limits) => {
    const run = runWat('fogproof', steppingWat({ step: `${loop} (unreachable)` }), limits);
    expect(run.outcome).toMatchObject(failure(code));
    expect(run.outputs).toEqual([]);
    if ('fuel' in limits) expect(run.fuel).toBe(limits.fuel);
  });

  it('does not call a program completed that spent more than it had', () => {
    const step = `${'nop '.repeat(300)} i32.const 1`;
    const { fuel } = runWat('fogproof', steppingWat({ step }));
    expect(runWat('fogproof', steppingWat({ step }), { fuel }).outcome).toEqual({ kind: 'completed' });
    expect(runWat('fogproof', steppingWat({ step }), { fuel: fuel - 1 }).outcome).toMatchObject(failure('OUT_OF_FUEL'));
  });

  it.each([
    ['unreachable', '(unreachable)'],
    ['integer divide by zero', '(i32.div_u (i32.const 1) (i32.const 0))'],
    ['integer overflow', '(i32.div_s (i32.const 0x80000000) (i32.const -1))'],
    ['invalid conversion to integer', '(i32.trunc_f64_s (f64.const nan))'],
    ['out of bounds memory access', '(i32.load (i32.const 65536))'],
  ])('names the trap %s', (detail, step) => {
    expect(runWat('fogproof', steppingWat({ step })).outcome).toEqual({ ...failure('TRAP'), detail });
  });

  it('names traps of tables', () => {
    const rest = '(table 1 funcref) (type $t (func))';
    const step = (index: number): string => `(call_indirect (type $t) (i32.const ${index})) (i32.const 1)`;
    expect(runWat('fogproof', steppingWat({ rest, step: step(0) })).outcome).toMatchObject({
      detail: 'indirect call type mismatch',
    });
    expect(runWat('fogproof', steppingWat({ rest, step: step(5) })).outcome).toMatchObject({
      detail: 'out of bounds table access',
    });
  });

  it('ends a start function that never returns, too', () => {
    const run = runWat('fogproof', steppingWat({ rest: '(func $s (loop (br 0))) (start $s)' }), { fuel: 1000 });
    expect(run.outcome).toMatchObject(failure('OUT_OF_FUEL'));
  });
});
