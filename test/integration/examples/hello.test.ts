import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { buildExamples } from '../../../scripts/build-examples.ts';
import { runExample } from '../../support/example-host.ts';

describe('examples/hello', () => {
  const path = buildExamples({ isForced: false }).find((file) => file.endsWith('hello.wasm')) ?? '';

  it('greets in one step', async () => {
    const run = runExample(await readFile(path), [], new Uint8Array(32));
    expect(run).toMatchObject({ status: 1, steps: 1, logs: ['hello, fog'] });
    expect(new TextDecoder().decode(run.output)).toBe('hello, fog\n');
  });

  it('echoes its input if it has one', async () => {
    const input = new TextEncoder().encode('anybody there?');
    const run = runExample(await readFile(path), [input], new Uint8Array(32));
    expect(new TextDecoder().decode(run.output)).toBe('anybody there?');
  });
});
