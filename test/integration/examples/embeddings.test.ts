import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildExamples } from '../../../scripts/build-examples.ts';
import { runExample } from '../../support/example-host.ts';

const SEED = new Uint8Array(32).fill(7);
const settings = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('examples/embeddings', () => {
  let module: Uint8Array;

  beforeAll(async () => {
    module = await readFile(buildExamples({ isForced: false }).find((file) => file.endsWith('embeddings.wasm')) ?? '');
  });

  it('learns which words belong together', () => {
    const run = runExample(module, [settings('words = 8192\nsteps = 24\npairs = 16000\n')], SEED);
    expect(run).toMatchObject({ status: 1, steps: 24, logs: ['8192 words, 4 MiB of parameters'] });
    const losses = run.metrics.filter(({ name }) => name === 'loss').map(({ value }) => value);
    expect(losses.at(-1)).toBeLessThan((losses[0] ?? 0) / 2);
    expect(run.metrics.at(-1)).toMatchObject({ name: 'probes_right' });
    expect(run.metrics.at(-1)?.value).toBeGreaterThan(0.9);
    const head = new TextDecoder().decode(run.output.subarray(0, run.output.indexOf(10)));
    expect(JSON.parse(head)).toMatchObject({ format: 'fogproof-embeddings@1', words: 8192, width: 64, steps: 24 });
    expect(run.output.length).toBe(head.length + 1 + 256 * 64 * 4);
  });

  it('has more than 64 MiB of state as it comes', () => {
    const run = runExample(module, [settings('steps = 1\npairs = 1\n')], SEED);
    expect(run.logs).toEqual(['131072 words, 64 MiB of parameters']);
  });

  it('refuses settings that make no sense', () => {
    for (const text of ['words = 100', 'steps = 0', 'colour = red', 'words']) {
      expect(runExample(module, [settings(text)], SEED).status).toBe(-1);
    }
  });
});
