import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildExamples } from '../../../scripts/build-examples.ts';
import { evaluateModel, parseModel } from '../../../scripts/digits-model.ts';
import { hashOf, runExample } from '../../support/example-host.ts';

const DATA = join(import.meta.dirname, '../../../examples/digits/data');
const SEED = new Uint8Array(32).fill(7);
const SETTINGS = new TextEncoder().encode(
  'rounds = 12\nhidden = 32\nbatch = 16\nlearning_rate = 0.05\nmomentum = 0.9\n',
);

describe('examples/digits', () => {
  let module: Uint8Array;
  let heldOut: Uint8Array;
  let training: Uint8Array;

  beforeAll(async () => {
    const path = buildExamples({ isForced: false }).find((file) => file.endsWith('trainer.wasm')) ?? '';
    module = await readFile(path);
    heldOut = await readFile(join(DATA, 'test.csv'));
    training = await readFile(join(DATA, 'train.csv'));
  });

  it('ships the published rows, unchanged but for the split', () => {
    expect(hashOf(Buffer.concat([training, heldOut]))).toBe(
      '6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8',
    );
  });

  it('imports the stepping interface and nothing else', () => {
    const compiled = new WebAssembly.Module(module);
    expect(new Set(WebAssembly.Module.imports(compiled).map((entry) => entry.module))).toEqual(new Set(['fogproof']));
    const exported = WebAssembly.Module.exports(compiled).map((entry) => entry.name);
    expect(exported.toSorted()).toEqual(['fogproof_init', 'fogproof_step', 'memory']);
  });

  it('learns: the loss falls and rows that it never saw are read', () => {
    const run = runExample(module, [SETTINGS, heldOut, training], SEED);
    expect(run.status).toBe(1);
    expect(run.steps).toBe(12);
    const losses = run.metrics.filter(({ name }) => name === 'loss').map(({ value }) => value);
    expect(losses).toHaveLength(12);
    expect(losses.at(-1)).toBeLessThan((losses[0] ?? 0) / 5);
    const accuracy = run.metrics.find(({ name }) => name === 'held_out_accuracy')?.value ?? 0;
    expect(accuracy).toBeGreaterThan(0.9);

    const model = parseModel(run.output);
    expect(model.heldOut.correct / model.heldOut.rows).toBe(accuracy);
    expect(evaluateModel(model, heldOut)).toEqual(model.heldOut);
  });

  it('gives the same bytes twice, and others from another seed', () => {
    const inputs = [SETTINGS, heldOut, training];
    const [first, second, other] = [
      runExample(module, inputs, SEED),
      runExample(module, inputs, SEED),
      runExample(module, inputs, new Uint8Array(32).fill(8)),
    ];
    expect(hashOf(second.output)).toBe(hashOf(first.output));
    expect(second.metrics).toEqual(first.metrics);
    expect(hashOf(other.output)).not.toBe(hashOf(first.output));
  });

  it.each([
    ['settings', 0, 'rounds = many\n'],
    ['an unknown setting', 0, 'cycles = 3\n'],
    ['no round at all', 0, 'rounds = 0\n'],
    ['a pixel above 16', 1, `17${',0'.repeat(64)}\n`],
    ['a row that is too short', 1, '0,1,2\n'],
    ['a label above 9', 2, `${'0,'.repeat(64)}10\n`],
    ['an unfinished last line', 2, `${'0,'.repeat(64)}1\n0,1`],
    ['nothing', 2, ''],
  ])('refuses %s with a reason', (_, index, text) => {
    const inputs = [SETTINGS, heldOut, training].with(index, new TextEncoder().encode(text));
    const run = runExample(module, inputs, SEED);
    expect(run.status).toBe(-1);
    expect(run.steps).toBe(0);
    expect(run.logs.at(-1)).toContain(`input ${index}`);
  });
});
