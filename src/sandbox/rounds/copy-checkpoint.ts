/**
 * The files under /checkpoint, copied while the program may go on to write. What is copied is what is hashed, kept and signed, so
 * a program that changes files meanwhile can spoil its own state and nothing else; that it did is seen by the kernel's times.
 */
import type { FileHandle } from 'node:fs/promises';
import { opendir } from 'node:fs/promises';
import { jobPathSchema } from '../../domain/job.ts';
import { compareUtf8 } from '../../proofs/compare-utf8.ts';
import { MAX_CHECKPOINT_FILES, MAX_FOLDER_DEPTH, WASI_CHECKPOINT } from '../../wasm/runtime/constants.ts';
import type { InputFile } from '../interface.ts';
import { MAX_CHECKPOINT_ENTRIES } from './constants.ts';
import { isGone, isOtherKind, openChild, placeOf } from './open-child.ts';
import { isSameReport, type RoundReport, readReport } from './read-report.ts';

export type CheckpointCopy =
  /** In ascending order of path. */
  | { readonly kind: 'copied'; readonly files: readonly InputFile[] }
  /** Something was written after the report, or while it was read. */
  | { readonly kind: 'changed' }
  /** What stands there may not be a checkpoint. */
  | { readonly kind: 'refused'; readonly detail: string }
  | { readonly kind: 'too-much'; readonly detail: string };

type Stopped = Exclude<CheckpointCopy, { kind: 'copied' }>;

/** How a name that is no UTF-8 is given to us. */
const REPLACEMENT = '\uFFFD';

class CopyStopped extends Error {
  readonly end: Stopped;

  constructor(end: Stopped) {
    super(end.kind);
    this.end = end;
  }
}

/**
 * @param report what the files are to be of; null where no process is left that could change them
 * @throws Error of the file system
 */
export async function copyCheckpoint(
  checkpoint: FileHandle,
  { maxBytes, report }: { readonly maxBytes: number; readonly report: RoundReport | null },
): Promise<CheckpointCopy> {
  const copy = new Copy(maxBytes, report);
  try {
    await copy.addFolder(checkpoint, WASI_CHECKPOINT, 0);
    if (report !== null) await assertSame(checkpoint, report);
  } catch (error) {
    if (error instanceof CopyStopped) return error.end;
    if (isGone(error)) return { kind: 'changed' };
    throw error;
  }
  return { kind: 'copied', files: copy.files.toSorted((a, b) => compareUtf8(a.path, b.path)) };
}

async function assertSame(checkpoint: FileHandle, report: RoundReport): Promise<void> {
  const again = await readReport(checkpoint);
  if (again.kind !== 'report' || !isSameReport(again.report, report)) throw new CopyStopped({ kind: 'changed' });
}

class Copy {
  readonly files: InputFile[] = [];
  readonly #maxBytes: number;
  readonly #report: RoundReport | null;
  #usedBytes = 0;
  #entries = 0;

  constructor(maxBytes: number, report: RoundReport | null) {
    this.#maxBytes = maxBytes;
    this.#report = report;
  }

  async addFolder(folder: FileHandle, path: string, depth: number): Promise<void> {
    if (depth > MAX_FOLDER_DEPTH) refuse('folders lie too deep in one another');
    // One at a time: a list of all of them would be as long as the program likes.
    for await (const entry of await opendir(placeOf(folder))) {
      this.#entries += 1;
      if (this.#entries > MAX_CHECKPOINT_ENTRIES) tooMuch(`more than ${MAX_CHECKPOINT_ENTRIES} files and folders`);
      const inner = `${path}/${entry.name}`;
      if (entry.name.includes(REPLACEMENT) || !jobPathSchema.safeParse(inner).success) {
        refuse('a path is too long, or no UTF-8');
      }
      await this.#addEntry(folder, { name: entry.name, path: inner, depth, isFolder: entry.isDirectory() });
    }
  }

  async #addEntry(
    folder: FileHandle,
    { name, path, depth, isFolder }: { name: string; path: string; depth: number; isFolder: boolean },
  ): Promise<void> {
    try {
      await using child = await openChild(folder, name, isFolder ? 'folder' : 'file');
      if (isFolder) await this.addFolder(child, path, depth + 1);
      else await this.#addFile(child, path);
    } catch (error) {
      if (isOtherKind(error)) refuse(`${path.slice(0, 200)} is neither a file nor a folder`);
      throw error;
    }
  }

  async #addFile(file: FileHandle, path: string): Promise<void> {
    const before = await file.stat({ bigint: true });
    if (!before.isFile()) refuse(`${path.slice(0, 200)} is neither a file nor a folder`);
    if (before.nlink > 1n) refuse(`${path.slice(0, 200)} has another name as well`);
    if (this.#report !== null && before.ctimeNs > this.#report.changedNs) changed();
    if (this.files.length >= MAX_CHECKPOINT_FILES) tooMuch(`more than ${MAX_CHECKPOINT_FILES} files`);
    // By what it says of itself, before a byte is read: a sparse file may say anything.
    if (before.size > BigInt(this.#maxBytes - this.#usedBytes)) tooMuch(`more than ${this.#maxBytes} bytes`);
    const bytes = await readWhole(file, Number(before.size));
    const after = await file.stat({ bigint: true });
    if (after.ctimeNs !== before.ctimeNs || after.size !== before.size || bytes === null) changed();
    else {
      this.#usedBytes += bytes.length;
      this.files.push({ path, bytes });
    }
  }
}

/** Null if it has become shorter. */
async function readWhole(file: FileHandle, sizeBytes: number): Promise<Uint8Array | null> {
  const bytes = new Uint8Array(sizeBytes);
  let done = 0;
  while (done < sizeBytes) {
    const { bytesRead } = await file.read(bytes, done, sizeBytes - done, done);
    if (bytesRead === 0) return null;
    done += bytesRead;
  }
  return bytes;
}

function changed(): never {
  throw new CopyStopped({ kind: 'changed' });
}

function refuse(detail: string): never {
  throw new CopyStopped({ kind: 'refused', detail: `${WASI_CHECKPOINT}: ${detail}` });
}

function tooMuch(detail: string): never {
  throw new CopyStopped({ kind: 'too-much', detail: `${WASI_CHECKPOINT}: ${detail}` });
}
