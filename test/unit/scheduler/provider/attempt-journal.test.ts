import { expect, it } from 'vitest';
import { type LeaseId, UnixMs } from '../../../../src/domain/ids.ts';
import { AttemptJournal } from '../../../../src/scheduler/provider/checkpoints/attempt-journal.ts';
import { MemoryDatabase } from '../../../support/memory-database.ts';

const LEASE = 'bafylease' as LeaseId;
const WIRE = { kind: 'envelope' as const, envelope: new Uint8Array(1) };

it('recalls the newest links of an attempt that has ended, however long its chain is', async () => {
  const journal = new AttemptJournal(new MemoryDatabase());
  const origin = { version: 1 as const, job: WIRE, lease: WIRE, snapshotKey: null };
  const sign = { version: 1 as const, generation: 0, atMs: UnixMs(1), linksBefore: 0, heldIndex: null };
  const ran = { wallTimeMs: 0, cpuTimeMs: 0 };
  await journal.write(journal.beginOperations(LEASE, origin, { ...sign, ...ran }), { durable: true });
  const links = Array.from({ length: 2_000 }, (_, index) =>
    journal.linkOperation(LEASE, { index, sequence: index + 1, atMs: UnixMs(index), wire: WIRE }),
  );
  await journal.write(links, { durable: true });
  const recalled = await journal.recall(LEASE);
  expect(recalled).toHaveLength(1_024);
  expect([recalled[0]?.recall, recalled.at(-1)?.recall]).toEqual([976, 1_999]);
});
