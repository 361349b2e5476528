import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { computeOutput, createInput, OwnInputs } from '../../../../scripts/chaos/inputs.ts';
import { BLOB_BYTES, buildModules } from '../../../../scripts/chaos/jobs.ts';
import { computeBlobId } from '../../../../src/domain/blob-tree.ts';
import { prepareProgram } from '../../../../src/wasm/runtime/prepare-program.ts';
import { runProgram } from '../../../../src/wasm/runtime/run-program.ts';

describe('computeOutput', () => {
  it('is what the reader makes of the input', () => {
    const input = createInput(3);
    const program = prepareProgram(buildModules().reader, { abi: 'fogproof', maxPages: 128 });
    const { outputs } = runProgram(
      program,
      {
        arguments: [],
        environment: [],
        seed: new Uint8Array(32),
        inputs: [{ path: '/input', bytes: input }],
        fuel: 10_000_000_000,
        outputBytes: BLOB_BYTES,
        logBytes: 0,
        checkpoints: null,
        resume: null,
      },
      { log: () => {}, metric: () => {}, tick: () => {}, checkpoint: () => 'continue' },
    );
    expect(outputs.map(({ bytes }) => computeBlobId(bytes))).toEqual([computeOutput(input)]);
  });
});

describe('OwnInputs', () => {
  it('makes another input each time, and the same ones for the same seed', async () => {
    await using stack = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), 'fogproof-chaos-inputs-'));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    const inputs = new OwnInputs(folder, 1);
    const [first, second] = [await inputs.create(), await inputs.create()];
    expect(first.output).not.toBe(second.output);
    expect(computeOutput(await readFile(second.path))).toBe(second.output);
    expect(await new OwnInputs(folder, 1).create()).toEqual(first);
  });
});
