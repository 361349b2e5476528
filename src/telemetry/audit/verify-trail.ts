import { createReadStream } from 'node:fs';
import { type AuditEntry, MAX_LINE_BYTES, NO_ENTRY, parseEntry } from './audit-entry.ts';
import { type ChainHead, EMPTY_HEAD, hashLine, listSegments } from './segments.ts';

export interface TrailFault {
  readonly file: string;
  /** In the file, from 1. */
  readonly line: number;
  readonly reason: string;
}

export interface TrailVerification {
  readonly entries: number;
  /** Null: there is no log. */
  readonly firstSeq: number | null;
  readonly head: ChainHead;
  /** Entries that made room, as the log itself says. */
  readonly removedThrough: number;
  readonly fault: TrailFault | null;
  /** Whether an entry that somebody has noted is in it; null where none was asked for. */
  readonly containsNoted: boolean | null;
}

/** How far the chain was followed. */
interface TrailState {
  entries: number;
  firstSeq: number | null;
  head: ChainHead;
  removedThrough: number;
}

/** One line of the log, with where it stands. */
export interface TrailLine {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

/** All lines, the oldest first. A last one without its line break was being written, and is left out. */
export async function* readTrail(folder: string): AsyncGenerator<TrailLine> {
  for (const { path } of await listSegments(folder)) {
    let line = 0;
    for await (const text of readLines(path)) {
      line += 1;
      yield { file: path, line, text };
    }
  }
}

/**
 * Follows the chain from its first entry to its last. It shows what was changed, put in or taken out in the middle or at
 * the beginning. What was cut off at the end shows by `noted` alone: an entry that somebody wrote down elsewhere.
 */
export async function verifyTrail(folder: string, noted?: ChainHead): Promise<TrailVerification> {
  const state: TrailState = { entries: 0, firstSeq: null, head: EMPTY_HEAD, removedThrough: 0 };
  let isNotedThere = noted === undefined ? null : false;
  let fault: TrailFault | null = null;
  for await (const { file, line, text } of readTrail(folder)) {
    const entry = parseEntry(text);
    const reason = entry === undefined ? 'it is no entry of this log' : findBreak(entry, state);
    if (reason !== null || entry === undefined) {
      fault = { file, line, reason: reason ?? '' };
      break;
    }
    state.firstSeq ??= entry.seq;
    state.entries += 1;
    state.head = { seq: entry.seq, hash: hashLine(text) };
    if (entry.event.kind === 'segment') state.removedThrough = entry.event.removedThrough;
    if (noted?.seq === entry.seq && noted.hash === state.head.hash) isNotedThere = true;
  }
  fault ??= findMissingBeginning(folder, state);
  return { ...state, fault, containsNoted: isNotedThere };
}

function findBreak({ seq, prev }: AuditEntry, { firstSeq, head }: TrailState): string | null {
  if (firstSeq === null) return seq === 1 && prev !== NO_ENTRY ? 'it is the first entry and follows another one' : null;
  if (seq !== head.seq + 1) return `entry ${seq} follows entry ${head.seq}`;
  return prev === head.hash ? null : `it does not hold the hash of entry ${head.seq}: one of the two was changed`;
}

/** What made room is named by a later entry; a beginning that is missing beyond that was taken away. */
function findMissingBeginning(folder: string, { firstSeq, removedThrough }: TrailState): TrailFault | null {
  if (firstSeq === null || firstSeq <= removedThrough + 1) return null;
  const reason = `it begins with entry ${firstSeq}, and none says that those after ${removedThrough} made room`;
  return { file: folder, line: 1, reason };
}

/** Lines that end; one that is too long to be an entry is given in part, so that it is none. */
async function* readLines(path: string): AsyncGenerator<string> {
  let rest = '';
  for await (const chunk of createReadStream(path, { encoding: 'utf8' }) as AsyncIterable<string>) {
    const lines = `${rest}${chunk}`.split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
    if (rest.length > MAX_LINE_BYTES) rest = rest.slice(0, MAX_LINE_BYTES + 1);
  }
}
