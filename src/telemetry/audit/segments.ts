import { createHash } from 'node:crypto';
import { open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorCode } from '../../lib/system-error.ts';
import { MAX_LINE_BYTES, NO_ENTRY, parseEntry } from './audit-entry.ts';

/** The file that entries are appended to. */
export const CURRENT_FILE = 'audit.jsonl';
const OLDER_FILE = /^audit\.([0-9]{12})\.jsonl$/;

export interface Segment {
  readonly path: string;
  /** Number of its first entry, as its name says; null is the current file. */
  readonly firstSeq: number | null;
  readonly sizeBytes: number;
}

export function nameSegment(firstSeq: number): string {
  return `audit.${String(firstSeq).padStart(12, '0')}.jsonl`;
}

/** Oldest first, the current file last. None where there is no log. */
export async function listSegments(folder: string): Promise<readonly Segment[]> {
  const names = await readdir(folder).catch((error: unknown): string[] => {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw error;
  });
  const older: readonly string[] = names.filter((name) => OLDER_FILE.test(name)).sort();
  const chosen = names.includes(CURRENT_FILE) ? [...older, CURRENT_FILE] : [...older];
  return Promise.all(
    chosen.map(async (name) => {
      const path = join(folder, name);
      const [, digits] = OLDER_FILE.exec(name) ?? [];
      return { path, firstSeq: digits === undefined ? null : Number(digits), sizeBytes: (await stat(path)).size };
    }),
  );
}

/** Where a chain stands after its last entry. */
export interface ChainHead {
  /** 0: no entry yet. */
  readonly seq: number;
  /** Hex of the SHA-256 of the last line. */
  readonly hash: string;
}

export const EMPTY_HEAD: ChainHead = { seq: 0, hash: NO_ENTRY };

export function hashLine(line: string | Uint8Array): string {
  return createHash('sha256').update(line).digest('hex');
}

/**
 * The head of a file, and how long it is up to its last whole line: what follows was being written when the power went.
 * Of lines that are no entries only the place counts, so that a damaged one shows when the log is verified.
 */
export async function readHead(path: string): Promise<{ readonly head: ChainHead; readonly sizeBytes: number }> {
  await using file = await open(path, 'r');
  const { size } = await file.stat();
  // The last line, and those before it up to the next that can be read.
  const length = Math.min(size, 4 * MAX_LINE_BYTES);
  const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length);
  const end = buffer.lastIndexOf(0x0a);
  if (end < 0) return { head: EMPTY_HEAD, sizeBytes: 0 };
  const lines = buffer.subarray(0, end).toString('utf8').split('\n');
  const last = buffer.subarray(buffer.lastIndexOf(0x0a, end - 1) + 1, end);
  const index = lines.findLastIndex((line) => parseEntry(line) !== undefined);
  const seq = (parseEntry(lines[index] ?? '')?.seq ?? 0) + lines.length - 1 - index;
  return { head: { seq, hash: hashLine(last) }, sizeBytes: size - length + end + 1 };
}
