import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { describeError } from '../../../lib/errors.ts';
import type { RpcClient } from '../../../rpc/client.ts';
import type { RpcMethods } from '../../../rpc/interface.ts';
import type { JsonForm } from '../../../rpc/json-form.ts';
import type { CliContext } from '../../interface.ts';
import type { ShownBatch } from './render-batch.ts';

/** Jobs asked for at a time, and jobs whose files are written at a time. */
const PAGE_JOBS = 200;
const WRITES_IN_FLIGHT = 8;

export interface WrittenBatch {
  readonly directory: string;
  /** A line of JSON for each job: place, name, id, state, failure, files. */
  readonly index: string;
  /** Jobs of which files were written. */
  readonly jobs: number;
}

type BatchJob = JsonForm<RpcMethods['batch.jobs']['result']>['jobs'][number];

interface Folder {
  readonly client: RpcClient;
  readonly signal: AbortSignal;
  readonly directory: string;
  /** Digits of a place, so that folders are in order. */
  readonly digits: number;
}

/** Writes the files of each job into a folder of its own, named by its place, and one list of all jobs. */
export async function writeBatchResults(
  { client, context }: { readonly client: RpcClient; readonly context: CliContext },
  { batch, size }: ShownBatch,
  directory: string,
): Promise<WrittenBatch> {
  const { output, signal } = context;
  await mkdir(directory, { recursive: true });
  const index = join(directory, 'jobs.jsonl');
  await using list = await open(index, 'w');
  const folder = { client, signal, directory, digits: String(size - 1).length };
  let jobs = 0;
  for (let fromIndex = 0; fromIndex < size; ) {
    output.progress(`writing results … ${fromIndex} of ${size}`);
    const page = await client.call('batch.jobs', { batch: batch as never, fromIndex, limit: PAGE_JOBS }, { signal });
    const last = page.jobs.at(-1);
    if (last === undefined) break;
    jobs += await writePage(folder, page.jobs, list);
    fromIndex = last.index + 1;
  }
  output.progress('');
  return { directory, index, jobs };
}

async function writePage(folder: Folder, jobs: readonly BatchJob[], list: FileHandle): Promise<number> {
  let written = 0;
  for (let start = 0; start < jobs.length; start += WRITES_IN_FLIGHT) {
    const lines = await Promise.all(jobs.slice(start, start + WRITES_IN_FLIGHT).map((job) => writeJob(folder, job)));
    written += lines.filter(({ files }) => files.length > 0).length;
    await list.writeFile(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  }
  return written;
}

/** A job whose files cannot be written must not keep the others from theirs. */
async function writeJob({ client, signal, directory, digits }: Folder, { index, job, view }: BatchJob) {
  const line = { index, job, name: view?.name ?? null, state: view?.state ?? null, failure: view?.failure ?? null };
  if (view === null || view.result === null || view.result.outputs.length === 0) return { ...line, files: [] };
  const target = join(directory, String(index).padStart(digits, '0'));
  try {
    const { files } = await client.call('job.writeOutputs', { job, directory: target }, { signal });
    return { ...line, files: files.map(({ path }) => path) };
  } catch (error) {
    signal.throwIfAborted();
    return { ...line, files: [], problem: describeError(error) };
  }
}
