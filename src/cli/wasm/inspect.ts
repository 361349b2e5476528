import { open, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { z } from 'zod';
import { writeFileAtomic } from '../../lib/atomic-file.ts';
import { describeError, UsageError } from '../../lib/errors.ts';
import { parseSize } from '../../lib/quantity.ts';
import { MAX_MODULE_BYTES, MAX_PAGES, PAGE_BYTES } from '../../wasm/constants.ts';
import { guessAbi } from '../../wasm/inspect/inspect-module.ts';
import { EXIT_CODES } from '../exit-codes.ts';
import { describeFileProblem } from '../framework/describe-file-problem.ts';
import { defineCommand } from '../interface.ts';
import { WasmCommandError } from './errors.ts';
import { inspectCached } from './inspect-cached.ts';
import { renderInspection } from './render-inspection.ts';

const FILE_MODE = 0o644;

export const wasmInspect = defineCommand({
  name: 'wasm inspect',
  summary: 'show what a module is refused for, and what is done to it before it runs',
  details:
    'Needs no daemon, and runs nothing of the module. Shows what is in it, all reasons for which a job would refuse it, what the instrumenter puts in, and whether it is a stepping module: one that can be checkpointed, paused, migrated and replayed. Exit code 0 if the ABI accepts it, 1 if not. The ABI is the one that its imports and exports speak, unless it is named.',
  arguments: [{ name: 'module', description: 'WebAssembly module (.wasm)', isRequired: true }],
  options: z.strictObject({
    abi: z.enum(['wasi', 'fogproof']).exactOptional().describe('the ABI of the job that it is for'),
    memory: z
      .string()
      .default('256MiB')
      .describe('the memory that the job allows (resources.memory)')
      .meta({ placeholder: 'SIZE' }),
    output: z
      .string()
      .exactOptional()
      .describe('write the instrumented module to this file')
      .meta({ short: 'o', placeholder: 'FILE' }),
  }),
  examples: [
    { line: 'fogproof wasm inspect trainer.wasm', does: 'Say whether it fits, and all that keeps it from that.' },
    {
      line: 'fogproof wasm inspect trainer.wasm --abi fogproof --memory 1GiB',
      does: 'Look at it as a stepping job of 1 GiB would.',
    },
    {
      line: 'fogproof wasm inspect trainer.wasm --output instrumented.wasm',
      does: 'Keep the module as providers run it; its SHA-256 is the one in receipts.',
    },
  ],
  run: async ({ arguments: [file = ''], options }, context) => {
    const { output, workingDirectory } = context;
    const path = resolve(workingDirectory, file);
    const target = options.output === undefined ? null : resolve(workingDirectory, options.output);
    if (target === path) throw new UsageError('--output names the module itself', 'Name another file.');
    const memoryBytes = readMemory(options.memory);
    const maxPages = Math.min(Math.floor(memoryBytes / PAGE_BYTES), MAX_PAGES);
    const { inspection, instrumented, isCached } = await inspectCached(await readModule(path), { maxPages }, context);
    const abi = options.abi ?? guessAbi(inspection);
    const made = abi === null ? undefined : instrumented[abi];
    if (target !== null && made !== undefined) await writeModule(target, made.bytes);
    const written = made === undefined ? null : target;
    output.result(
      { path, abi, isAccepted: made !== undefined, memoryBytes, isCached, output: written, ...inspection },
      () => renderInspection({ file, inspection, abi, memoryBytes }),
    );
    if (target !== null) output.note(written === null ? 'nothing written: the module is refused' : `wrote ${written}`);
    return made === undefined ? EXIT_CODES.failed : EXIT_CODES.ok;
  },
});

function readMemory(text: string): number {
  const memoryBytes = parseSize(text);
  if (memoryBytes !== undefined && memoryBytes >= PAGE_BYTES) return memoryBytes;
  throw new UsageError(
    `--memory: '${text}' is not a size of a page (64KiB) or more`,
    'Write it such as 64MiB or 1GiB.',
  );
}

async function readModule(path: string): Promise<Uint8Array> {
  try {
    // Before it is opened: a device or a pipe has no size, and no end.
    const kind = await stat(path);
    if (!kind.isFile() && !kind.isDirectory())
      throw new UsageError(`${path} is no regular file`, 'Give the path of a module.');
    await using file = await open(path, 'r');
    const { size } = await file.stat();
    if (size > MAX_MODULE_BYTES) {
      throw new WasmCommandError({ code: 'CLI_MODULE_TOO_LARGE', path, sizeBytes: size, maxBytes: MAX_MODULE_BYTES });
    }
    return new Uint8Array(await file.readFile());
  } catch (cause) {
    if (cause instanceof WasmCommandError || cause instanceof UsageError) throw cause;
    throw new UsageError(`cannot read ${path}: ${describeFileProblem(cause)}`, 'Give the path of a module.', { cause });
  }
}

async function writeModule(path: string, bytes: Uint8Array): Promise<void> {
  try {
    await writeFileAtomic(path, bytes, { mode: FILE_MODE, existing: 'replace' });
  } catch (cause) {
    throw new WasmCommandError({ code: 'CLI_MODULE_UNWRITABLE', path, reason: describeError(cause) }, { cause });
  }
}
