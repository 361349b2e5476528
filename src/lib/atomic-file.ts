import { randomBytes } from 'node:crypto';
import { link, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Each at most three bytes of UTF-8. */
const SHOWN_CHARACTERS = 40;

export interface AtomicWriteOptions {
  /** Permission bits of the new file, such as 0o600. */
  readonly mode: number;
  /** What to do if the file exists; `keep` throws EEXIST and leaves it as it is. */
  readonly existing: 'replace' | 'keep';
}

/** Writes a whole file or nothing: temporary file beside it, fsync, rename (or link), fsync of the folder. */
export async function writeFileAtomic(
  path: string,
  content: Uint8Array | string | AsyncIterable<Uint8Array>,
  options: AtomicWriteOptions,
): Promise<void> {
  const temporary = temporaryPath(path);
  try {
    const file = await open(temporary, 'wx', options.mode);
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    // link() fails if the name is taken, where rename() would replace it.
    if (options.existing === 'keep') await link(temporary, path);
    else await rename(temporary, path);
    await syncDirectory(dirname(path));
  } finally {
    await rm(temporary, { force: true });
  }
}

/** A name beside `path` that nobody has: with the beginning of its own, since file systems take 255 bytes. */
export function temporaryPath(path: string): string {
  const beginning = basename(path).slice(0, SHOWN_CHARACTERS);
  return join(dirname(path), `.${beginning}.${randomBytes(6).toString('hex')}.tmp`);
}

/** Makes a rename or link inside a folder survive a power cut. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
