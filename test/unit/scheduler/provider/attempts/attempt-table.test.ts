import { describe, expect, it } from 'vitest';
import { LeaseId } from '../../../../../src/domain/ids.ts';
import { computeObjectId } from '../../../../../src/lib/cid.ts';
import type { Attempt } from '../../../../../src/scheduler/provider/attempts/attempt.ts';
import { AttemptTable } from '../../../../../src/scheduler/provider/attempts/attempt-table.ts';
import { EventLog } from '../../../../../src/scheduler/provider/attempts/event-log.ts';
import { MAX_ENDED_LOG_BYTES, MAX_ENDED_LOGS } from '../../../../../src/scheduler/provider/constants.ts';

const idOf = (number: number): LeaseId => LeaseId(computeObjectId(Uint8Array.of(number & 0xff, number >> 8)));

/** An ended attempt that has told so many lines of 1,000 characters. */
function endAttempt(table: AttemptTable, number: number, lines: number): LeaseId {
  const id = idOf(number);
  const log = new EventLog(id);
  for (let line = 0; line < lines; line += 1) log.append({ kind: 'log', stream: 'log', text: 'x'.repeat(1_000) }, line);
  table.keepLog({ id, log, requester: 'requester' } as unknown as Attempt);
  return id;
}

const listKept = (table: AttemptTable, leases: readonly LeaseId[]) =>
  leases.flatMap((lease) => table.endedLog(lease) ?? []);

describe('the events of ended attempts', () => {
  it('are kept by their bytes, the newest of them', () => {
    const table = new AttemptTable();
    const leases = Array.from({ length: 100 }, (_, number) => endAttempt(table, number, 300));
    const kept = listKept(table, leases);
    const bytes = kept.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    expect(bytes).toBeLessThanOrEqual(MAX_ENDED_LOG_BYTES);
    expect(bytes).toBeGreaterThan(0.8 * MAX_ENDED_LOG_BYTES);
    expect(kept.at(-1)?.lease).toBe(leases.at(-1));
    expect(table.endedLog(idOf(0))).toBeUndefined();
  });

  it('are kept by their number where each is small', () => {
    const table = new AttemptTable();
    const leases = Array.from({ length: MAX_ENDED_LOGS + 10 }, (_, number) => endAttempt(table, number, 1));
    expect(listKept(table, leases)).toHaveLength(MAX_ENDED_LOGS);
    table.forgetLogs(leases);
    expect(listKept(table, leases)).toEqual([]);
  });
});
