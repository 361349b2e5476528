import { lstat, mkdtemp, open, realpath, rename, rm } from 'node:fs/promises';
import { dirname, join, posix, relative, sep } from 'node:path';
import type { BlobStore } from '../../blob/interface.ts';
import type { JobId } from '../../domain/ids.ts';
import { jobPathSchema } from '../../domain/job.ts';
import type { OutputFile } from '../../domain/receipt.ts';
import { syncDirectory } from '../../lib/atomic-file.ts';
import { describeError } from '../../lib/errors.ts';
import { makeFolder } from '../../lib/make-folder.ts';
import { systemErrorCode } from '../../lib/system-error.ts';
import { SchedulerError } from '../../scheduler/errors.ts';
import type { JobView, RequesterService } from '../../scheduler/interface.ts';
import { COPY_CHUNK_BYTES } from '../constants.ts';
import { RpcError } from '../errors.ts';

/** Opens what is sealed. */
export type OutputSource = Pick<RequesterService, 'openOutput'>;

export interface WriteOutputsRequest {
  readonly view: JobView;
  /** Absolute. */
  readonly directory: string;
  readonly signal: AbortSignal;
}

interface PlannedWrite {
  readonly output: OutputFile;
  readonly target: string;
  readonly staged: string;
  readonly sizeBytes: number;
  readonly isThere: boolean;
}

/**
 * Writes the accepted outputs under a folder. The names are the job's, so nothing is overwritten, no link is followed
 * and nothing is written outside. All are staged beside their place first; if one cannot be had, none appears.
 * @throws SchedulerError SCHEDULER_NO_RESULT, RpcError RPC_UNSAFE_OUTPUT_PATH, RPC_FILE_EXISTS, RPC_OUTPUT_MISSING, RPC_WRITE_FAILED
 */
export async function writeOutputs(
  modules: { readonly blobs: BlobStore; readonly outputs: OutputSource },
  request: WriteOutputsRequest,
): Promise<{ readonly path: string; readonly sizeBytes: number }[]> {
  const { view, signal } = request;
  if (view.result === null) {
    throw new SchedulerError({ code: 'SCHEDULER_NO_RESULT', job: view.job, state: view.state });
  }
  assertNoneIsFolder(view.result.outputs);
  const root = await makeRoot(request.directory);
  const stage = await mkdtemp(join(root, '.fogproof-'));
  try {
    const writes: PlannedWrite[] = [];
    for (const [index, output] of view.result.outputs.entries()) {
      const staged = join(stage, String(index));
      const sizeBytes = await stageOutput(modules, { job: view.job, output, staged, signal });
      const target = await planTarget(root, output.path);
      writes.push({ output, target, staged, sizeBytes, isThere: await isSameFile(target, staged) });
    }
    for (const write of writes) await moveIntoPlace(write);
    return writes.map(({ target, sizeBytes }) => ({ path: target, sizeBytes }));
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

/** A job may write `/a` and `/a/b`, which no file system can hold: known before anything is written. */
function assertNoneIsFolder(outputs: readonly OutputFile[]): void {
  const paths = new Set<string>(outputs.map(({ path }) => path));
  for (const path of paths) {
    for (let folder = posix.dirname(path); folder.length > 1; folder = posix.dirname(folder)) {
      if (paths.has(folder)) throw unsafe(path, `${folder} is a file of the same result`);
    }
  }
}

async function makeRoot(directory: string): Promise<string> {
  try {
    await makeFolder(directory, 0o777);
    return await realpath(directory);
  } catch (error) {
    throw writeFailed(directory, error);
  }
}

interface Staging {
  readonly job: JobId;
  readonly output: OutputFile;
  readonly staged: string;
  readonly signal: AbortSignal;
}

/** Gives how many bytes it says. */
async function stageOutput(
  { blobs, outputs }: { readonly blobs: BlobStore; readonly outputs: OutputSource },
  { job, output, staged, signal }: Staging,
): Promise<number> {
  const file = await open(staged, 'wx', 0o644).catch((error: unknown) => {
    throw writeFailed(staged, error);
  });
  try {
    let sizeBytes = 0;
    for await (const chunk of outputs.openOutput(job, output.path, readOutput(blobs, output, signal))) {
      await file.writeFile(chunk).catch((error: unknown) => {
        throw writeFailed(staged, error);
      });
      sizeBytes += chunk.length;
    }
    await file.sync();
    return sizeBytes;
  } finally {
    await file.close();
  }
}

async function* readOutput(
  blobs: BlobStore,
  { path, blob, sizeBytes }: OutputFile,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < sizeBytes; ) {
    signal.throwIfAborted();
    const chunk = await blobs.read(blob, offset, Math.min(COPY_CHUNK_BYTES, sizeBytes - offset));
    if (chunk === undefined || chunk.length === 0) throw new RpcError({ code: 'RPC_OUTPUT_MISSING', path, blob });
    yield chunk;
    offset += chunk.length;
  }
}

/** Job paths are absolute inside the job; here they start at the folder. Links on the way could lead elsewhere. */
async function planTarget(root: string, path: string): Promise<string> {
  if (!jobPathSchema.safeParse(path).success) throw unsafe(path, 'it is not a path that a job may write');
  const target = join(root, path);
  const inside = relative(root, target);
  if (inside === '' || inside.startsWith('..')) throw unsafe(path, 'it leads out of the folder');
  let current = root;
  for (const segment of inside.split(sep)) {
    current = join(current, segment);
    const found = await lstat(current).catch(() => undefined);
    if (found === undefined) break;
    if (found.isSymbolicLink()) throw unsafe(path, `${current} is a symbolic link`);
    if (current === target ? !found.isFile() : !found.isDirectory()) {
      throw unsafe(path, `${current} is in the way`);
    }
  }
  return target;
}

/** True if the very file is there already. @throws RpcError RPC_FILE_EXISTS if another is */
async function isSameFile(target: string, staged: string): Promise<boolean> {
  const found = await lstat(target).catch(() => undefined);
  if (found === undefined) return false;
  await using ours = await open(staged, 'r');
  await using theirs = await open(target, 'r');
  if ((await ours.stat()).size !== found.size) throw new RpcError({ code: 'RPC_FILE_EXISTS', path: target });
  const [a, b] = [Buffer.alloc(COPY_CHUNK_BYTES), Buffer.alloc(COPY_CHUNK_BYTES)];
  for (let offset = 0; offset < found.size; offset += COPY_CHUNK_BYTES) {
    const { bytesRead } = await ours.read(a, 0, a.length, offset);
    await theirs.read(b, 0, b.length, offset);
    if (Buffer.compare(a.subarray(0, bytesRead), b.subarray(0, bytesRead)) !== 0) {
      throw new RpcError({ code: 'RPC_FILE_EXISTS', path: target });
    }
  }
  return true;
}

async function moveIntoPlace({ target, staged, isThere }: PlannedWrite): Promise<void> {
  if (isThere) return;
  try {
    await makeFolder(dirname(target), 0o777);
    await rename(staged, target);
    await syncDirectory(dirname(target));
  } catch (error) {
    throw writeFailed(target, error);
  }
}

function unsafe(path: string, reason: string): RpcError {
  return new RpcError({ code: 'RPC_UNSAFE_OUTPUT_PATH', path, reason });
}

function writeFailed(path: string, error: unknown): RpcError {
  const reason = systemErrorCode(error) ?? describeError(error);
  return new RpcError({ code: 'RPC_WRITE_FAILED', path, reason }, { cause: error });
}
