import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildExamples } from '../../../scripts/build-examples.ts';
import { parseModel } from '../../../scripts/digits-model.ts';
import { parseJobFile } from '../../../src/cli/job-file/parse-job-file.ts';
import { DEFAULT_FUEL } from '../../../src/domain/job-file.ts';
import { prepareProgram } from '../../../src/wasm/runtime/prepare-program.ts';
import { type ProgramResult, runProgram } from '../../../src/wasm/runtime/run-program.ts';

const EXAMPLES = join(import.meta.dirname, '../../../examples');
const PAGE_BYTES = 65_536;

/** Runs what a job file describes in the daemon's own runtime, in this process. */
async function runJobFile(path: string, replace: Readonly<Record<string, string>> = {}): Promise<ProgramResult> {
  const parsed = parseJobFile(await readFile(path, 'utf8'));
  if (parsed.kind !== 'valid') throw new Error(JSON.stringify(parsed));
  const { workload, inputs, resources } = parsed.jobFile;
  if (workload.kind !== 'wasm') throw new TypeError('the example is no module');
  const read = async (source: unknown): Promise<Uint8Array> =>
    new Uint8Array(await readFile(join(dirname(path), String(source))));
  const names = Object.entries(inputs).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const files = await Promise.all(
    names.map(async ([name, source]) => ({
      path: name,
      bytes: replace[name] === undefined ? await read(source) : new TextEncoder().encode(replace[name]),
    })),
  );
  const options = { abi: workload.abi, maxPages: resources.memory / PAGE_BYTES };
  const { fuel = DEFAULT_FUEL, output: outputBytes, logs: logBytes } = resources;
  return runProgram(
    prepareProgram(await read(workload.module), options),
    {
      arguments: [],
      environment: [],
      seed: new Uint8Array(32),
      inputs: files,
      fuel,
      outputBytes,
      logBytes,
      checkpoints: null,
      resume: null,
    },
    { log: () => {}, metric: () => {}, tick: () => {}, checkpoint: () => 'continue' },
  );
}

describe('the examples in the runtime of the daemon', () => {
  buildExamples({ isForced: false });

  it('digits completes within the limits of its job file, with equal fuel and bytes each time', async () => {
    const shorter = { '/settings.txt': 'rounds = 12\n' };
    const first = await runJobFile(join(EXAMPLES, 'digits/job.yaml'), shorter);
    const second = await runJobFile(join(EXAMPLES, 'digits/job.yaml'), shorter);
    expect(first).toMatchObject({ outcome: { kind: 'completed' }, steps: 12 });
    expect(second).toEqual(first);
    const [output] = first.outputs;
    expect(parseModel(output?.bytes ?? new Uint8Array())).toMatchObject({ rounds: 12 });
  });

  it('hello completes within the limits of its job file', async () => {
    const { outcome, outputs } = await runJobFile(join(EXAMPLES, 'hello/job.yaml'));
    expect(outcome).toEqual({ kind: 'completed' });
    expect(outputs.map(({ bytes }) => new TextDecoder().decode(bytes))).toEqual(['hello, fog\n']);
  });
});
