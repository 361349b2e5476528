import { constants, type Dirent } from 'node:fs';
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { jobPathSchema } from '../../../domain/job.ts';
import { MAX_FOLDER_DEPTH, MAX_OUTPUT_FILES, WASI_OUTPUT } from '../../../wasm/runtime/constants.ts';
import type { InputFile } from '../../interface.ts';

export type CollectedOutputs =
  | { readonly kind: 'collected'; readonly files: readonly InputFile[] }
  /** What stands there may not be an output. */
  | { readonly kind: 'refused'; readonly detail: string }
  | { readonly kind: 'too-much'; readonly detail: string };

class Refusal extends Error {
  readonly end: Exclude<CollectedOutputs, { kind: 'collected' }>;

  constructor(kind: 'refused' | 'too-much', detail: string) {
    super(detail);
    this.end = { kind, detail };
  }
}

/**
 * The files under /output, in ascending order of path. No process of the sandbox may be left: nothing changes while it is
 * read. No link is followed, and what is no regular file with one name is refused. @throws Error of the file system
 */
export async function collectOutputs(folder: FileHandle, maxBytes: number): Promise<CollectedOutputs> {
  const collection = new Collection(maxBytes);
  try {
    await collection.addFolder(`/proc/self/fd/${folder.fd}`, WASI_OUTPUT, 0);
  } catch (error) {
    if (error instanceof Refusal) return error.end;
    throw error;
  }
  return { kind: 'collected', files: collection.files.toSorted((a, b) => (a.path < b.path ? -1 : 1)) };
}

class Collection {
  readonly files: InputFile[] = [];
  readonly #maxBytes: number;
  #usedBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  async addFolder(place: string, path: string, depth: number): Promise<void> {
    if (depth > MAX_FOLDER_DEPTH) throw new Refusal('refused', 'folders lie too deep in one another');
    for (const entry of await readdir(place, { withFileTypes: true })) {
      const inner = `${path}/${entry.name}`;
      if (!jobPathSchema.safeParse(inner).success) throw new Refusal('refused', 'a path is too long or malformed');
      if (entry.isDirectory()) await this.addFolder(`${place}/${entry.name}`, inner, depth + 1);
      else if (entry.isFile()) await this.#addFile(`${place}/${entry.name}`, inner);
      else throw new Refusal('refused', `${inner.slice(0, 200)} is ${describeType(entry)}`);
    }
  }

  async #addFile(place: string, path: string): Promise<void> {
    if (this.files.length >= MAX_OUTPUT_FILES) throw new Refusal('too-much', `more than ${MAX_OUTPUT_FILES} files`);
    // The name was seen to be a regular file; should it not be one, this neither follows it nor waits for it.
    await using file = await open(place, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const { size, nlink } = await file.stat();
    if (nlink !== 1) throw new Refusal('refused', `${path.slice(0, 200)} has another name as well`);
    this.#usedBytes += size;
    if (this.#usedBytes > this.#maxBytes) throw new Refusal('too-much', 'larger than resources.output');
    this.files.push({ path, bytes: new Uint8Array(await file.readFile()) });
  }
}

function describeType(entry: Dirent): string {
  if (entry.isSymbolicLink()) return 'a symbolic link';
  if (entry.isFIFO()) return 'a pipe';
  return entry.isSocket() ? 'a socket' : 'a device';
}
