import type { FileHandle } from 'node:fs/promises';
import { parseRound } from '../../wasm/runtime/wasi/parse-round.ts';
import { ROUND_NAME } from './constants.ts';
import { isGone, isOtherKind, openChild } from './open-child.ts';

/** What /checkpoint/ROUND says, and which file said it: another one has another inode or time. */
export interface RoundReport {
  readonly round: number;
  readonly inode: bigint;
  /** Of its last change, by the kernel's clock: no program can set it. */
  readonly changedNs: bigint;
}

export type ReportLook =
  | { readonly kind: 'none' }
  | { readonly kind: 'report'; readonly report: RoundReport }
  | { readonly kind: 'refused'; readonly detail: string };

const NONE: ReportLook = { kind: 'none' };
/** Longer than any number that is taken (parseRound). */
const MAX_READ_BYTES = 65;

/** An empty file is no report yet: whoever writes it in place has begun to. @throws Error of the file system */
export async function readReport(checkpoint: FileHandle): Promise<ReportLook> {
  try {
    await using file = await openChild(checkpoint, ROUND_NAME, 'file');
    const stat = await file.stat({ bigint: true });
    if (!stat.isFile()) return refuse('is no regular file');
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_READ_BYTES), 0, MAX_READ_BYTES, 0);
    if (bytesRead === 0) return NONE;
    const round = parseRound(buffer.subarray(0, bytesRead));
    if (round === null) return refuse('is not a number in decimal');
    return { kind: 'report', report: { round, inode: stat.ino, changedNs: stat.ctimeNs } };
  } catch (error) {
    if (isGone(error)) return NONE;
    if (isOtherKind(error)) return refuse('is no regular file');
    throw error;
  }
}

function refuse(what: string): ReportLook {
  return { kind: 'refused', detail: `/checkpoint/${ROUND_NAME} ${what}` };
}

export function isSameReport(a: RoundReport, b: RoundReport): boolean {
  return a.round === b.round && a.inode === b.inode && a.changedNs === b.changedNs;
}
