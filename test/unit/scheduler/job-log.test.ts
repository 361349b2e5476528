import { expect, it } from 'vitest';
import { LeaseId, UnixMs } from '../../../src/domain/ids.ts';
import { encodeUtf8 } from '../../../src/lib/bytes.ts';
import { computeObjectId } from '../../../src/lib/cid.ts';
import type { LogWrite } from '../../../src/scheduler/job-store.ts';
import { JobLog, NO_LOGS } from '../../../src/scheduler/requester/job-log.ts';
import { TEST_JOB } from '../../support/snapshots.ts';

const LEASE = LeaseId(computeObjectId(encodeUtf8('a lease')));

it('a log is on disk after every event that came before it, and never without it', async () => {
  const written: number[][] = [];
  const gates: PromiseWithResolvers<void>[] = [];
  const log = new JobLog(
    {
      store: {
        appendLogs: async (writes: readonly LogWrite[]) => void written.push(writes.map((write) => write.sequence)),
      },
      hub: { publish: () => undefined },
      dropped: { increment: () => undefined },
      flushEarlier: () => {
        const gate = Promise.withResolvers<void>();
        gates.push(gate);
        return gate.promise;
      },
    },
    { job: TEST_JOB, ...NO_LOGS, countsOrdinals: false },
  );
  const append = (sequence: number): void =>
    log.append(LEASE, sequence, {
      atMs: UnixMs(0),
      replica: 0,
      event: { kind: 'log', stream: 'stdout', text: `line ${sequence}` },
    });
  append(1);
  const flushed = log.flush();
  append(2);
  await Promise.resolve();
  expect(written).toEqual([]);
  gates[0]?.resolve();
  await expect.poll(() => gates.length).toBe(2);
  // What came while the earlier events were written waits for those that came before it.
  expect(written).toEqual([[1]]);
  gates[1]?.resolve();
  await flushed;
  expect(written).toEqual([[1], [2]]);
});

it.each(Array.from({ length: 8 }, (_, turns) => turns))(
  'a line that comes %i turns after the last write is written before the flush that was asked for it ends',
  async (turns) => {
    const written: number[] = [];
    const log = new JobLog(
      {
        store: {
          appendLogs: async (writes: readonly LogWrite[]) =>
            void written.push(...writes.map(({ sequence }) => sequence)),
        },
        hub: { publish: () => undefined },
        dropped: { increment: () => undefined },
      },
      { job: TEST_JOB, ...NO_LOGS, countsOrdinals: false },
    );
    const flush = (sequence: number): Promise<void> => {
      log.append(LEASE, sequence, {
        atMs: UnixMs(0),
        replica: 0,
        event: { kind: 'log', stream: 'stdout', text: `line ${sequence}` },
      });
      return log.flush();
    };
    void flush(1);
    for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
    await flush(2);
    expect(written).toEqual([1, 2]);
  },
);
