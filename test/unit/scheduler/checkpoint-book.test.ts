import { expect, it } from 'vitest';
import type { Checkpoint } from '../../../src/domain/checkpoint.ts';
import type { BlobId } from '../../../src/domain/ids.ts';
import { CheckpointBook } from '../../../src/scheduler/requester/checkpoint-book.ts';
import { leaseOf, TEST_JOB } from '../../support/snapshots.ts';

it('a point is held once the logs that came before it are on disk', async () => {
  const order: string[] = [];
  const logs = Promise.withResolvers<void>();
  const book = new CheckpointBook(
    {
      store: {
        append: async () => undefined,
        appendConflict: async () => undefined,
        find: async () => undefined,
        saveHeld: async () => void order.push('held'),
      },
      hub: { publish: () => undefined, isFollowed: () => false },
      flushLogs: () => logs.promise.then(() => void order.push('logs')),
    },
    { job: TEST_JOB, held: [], newest: new Map() },
  );
  const lease = leaseOf(1);
  const checkpoint = {
    job: TEST_JOB,
    lease,
    index: 1,
    step: 4,
    fuel: 1,
    head: new Uint8Array(32),
    stateRoot: new Uint8Array(32),
    snapshot: { blob: 'blob' as BlobId, sizeBytes: 1 },
  } as unknown as Checkpoint;
  const held = book.hold({ lease, replica: 0 }, checkpoint, new Set([lease]));
  logs.resolve();
  await held;
  expect(order).toEqual(['logs', 'held']);
});
