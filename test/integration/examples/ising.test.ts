import { readFile } from 'node:fs/promises';
import { beforeAll, expect, it } from 'vitest';
import { buildExamples, hasCCompiler } from '../../../scripts/build-examples.ts';
import { runExample } from '../../support/example-host.ts';
import { describeIf, type Need } from '../../support/needs.ts';

const SEED = new Uint8Array(32).fill(7);
const settings = (text: string): Uint8Array => new TextEncoder().encode(text);
const C: Need = {
  isMet: hasCCompiler(),
  kind: 'toolchain',
  reason: 'clang and wasm-ld on PATH (apt install clang lld)',
};

describeIf(C, 'examples/ising', () => {
  let module: Uint8Array;

  beforeAll(async () => {
    module = await readFile(buildExamples({ isForced: false }).find((file) => file.endsWith('ising.wasm')) ?? '');
  });

  it("comes near Onsager's exact magnetisation below the critical temperature", () => {
    const run = runExample(module, [settings('128 2.0 80')], SEED);
    expect(run).toMatchObject({ status: 1, steps: 80 });
    const exact = (1 - Math.sinh(2 / 2) ** -4) ** (1 / 8);
    const found = JSON.parse(new TextDecoder().decode(run.output)) as { magnetisation: number; measured: number };
    expect(found.measured).toBe(40);
    expect(Math.abs(found.magnetisation - exact)).toBeLessThan(0.005);
  });

  it('loses its magnetisation above it', () => {
    const run = runExample(module, [settings('64 4.0 60')], SEED);
    const found = JSON.parse(new TextDecoder().decode(run.output)) as { magnetisation: number };
    expect(found.magnetisation).toBeLessThan(0.1);
  });

  it('refuses settings that make no sense, and says why', () => {
    for (const text of ['', '4 2.0 10', '64 0 10', '64 2.0 0', '64 2.0', '99999 2 10', 'x']) {
      expect(runExample(module, [settings(text)], SEED)).toMatchObject({
        status: -1,
        logs: ['input 0: expected side (8 to 4096), temperature and sweeps'],
      });
    }
  });
});
