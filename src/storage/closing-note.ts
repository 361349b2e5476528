import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { z } from 'zod';
import { writeFileAtomic } from '../lib/atomic-file.ts';
import type { FileDamage } from './files/inspect-folder.ts';

/** Files beyond this size are told apart by their size alone. */
const MAX_CHECKED_BYTES = 8 * 1024 * 1024;

const noteSchema = z.strictObject({
  version: z.literal(1),
  files: z.array(z.strictObject({ name: z.string(), sizeBytes: z.int().min(0), crc: z.int().min(0).nullable() })),
});

function notePath(path: string): string {
  return `${path}.closed`;
}

/**
 * Says of a database that was closed how long its logs and lists of files are, and what is in them: the end of a log that
 * is cut off afterwards looks as if it had never been written. Tables are checked whole by themselves.
 */
export async function writeClosingNote(path: string): Promise<void> {
  const names = (await readdir(path)).filter((name) => /^(\d+\.log|MANIFEST-\d+|CURRENT)$/.test(name));
  const files = await Promise.all(names.map((name) => describeFile(path, name)));
  await writeFileAtomic(notePath(path), JSON.stringify({ version: 1, files }), { mode: 0o600, existing: 'replace' });
}

export async function removeClosingNote(path: string): Promise<void> {
  await rm(notePath(path), { force: true });
}

/** What differs from the note; undefined without a note that can be read: the process before was not closed. */
export async function compareClosingNote(path: string): Promise<readonly FileDamage[] | undefined> {
  const note = await readNote(path);
  if (note === undefined) return undefined;
  const found: FileDamage[] = [];
  for (const noted of note.files) {
    const reason = await describeFile(path, noted.name).then(
      ({ sizeBytes, crc }) =>
        sizeBytes === noted.sizeBytes && crc === noted.crc ? null : 'it changed after the database was closed',
      () => 'it is missing',
    );
    if (reason !== null) found.push({ file: noted.name, reason, isTail: false });
  }
  return found;
}

async function readNote(path: string): Promise<z.output<typeof noteSchema> | undefined> {
  try {
    return noteSchema.parse(JSON.parse(await readFile(notePath(path), 'utf8')));
  } catch {
    // None, or one that was damaged: what else is checked at an opening is checked all the same.
    return undefined;
  }
}

async function describeFile(path: string, name: string) {
  const { size: sizeBytes } = await stat(join(path, name));
  const crc = sizeBytes > MAX_CHECKED_BYTES ? null : crc32(await readFile(join(path, name)));
  return { name, sizeBytes, crc };
}
