import { areBytesEqual, encodeHex } from '../../../lib/bytes.ts';
import type { ReplayReport, ReplayRow } from './interface.ts';
import type { ReplayRecord } from './replay-record.ts';

/** Holds the state root of a checkpoint that the replay came to against the record. */
export function compareCheckpoint(record: ReplayRecord, step: number, stateRoot: Uint8Array): ReplayRow {
  const recorded = record.roots.get(step);
  const replayed = encodeHex(stateRoot);
  if (recorded !== undefined) {
    const other = record.comparisons.length > 0 ? 'uncompared' : 'different';
    const verdict = areBytesEqual(recorded, stateRoot) ? 'same' : other;
    return { step, recorded: encodeHex(recorded), replayed, verdict };
  }
  const isLeftOut = step > record.whole.from && step < record.whole.to;
  const isBeyond = record.isEnded && step > record.lastStep;
  return { step, recorded: null, replayed, verdict: isLeftOut || isBeyond ? 'different' : 'unrecorded' };
}

/** Checkpoints of the record in an interval that the replay went through without coming to them. */
export function listNotReached(
  record: ReplayRecord,
  rows: readonly ReplayRow[],
  covered: { readonly from: number; readonly to: number },
): readonly ReplayRow[] {
  const reached = new Set(rows.map(({ step }) => step));
  return [...record.roots]
    .filter(([step]) => step >= covered.from && step <= covered.to && !reached.has(step))
    .map(([step, root]) => ({ step, recorded: encodeHex(root), replayed: null, verdict: 'different' }));
}

/** The first interval whose end differs. @param rows in ascending order of step */
export function findDifference(rows: readonly ReplayRow[]): ReplayReport['difference'] {
  const index = rows.findIndex(({ verdict }) => verdict === 'different');
  const different = rows[index];
  if (different === undefined) return null;
  const before = rows.slice(0, index).findLast(({ verdict }) => verdict === 'same');
  return { from: before?.step ?? null, to: different.step };
}
