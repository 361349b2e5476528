import { BatchRecords } from '../../src/chain/anchoring/batch-record.ts';
import { LeafIndex } from '../../src/chain/anchoring/leaf-index.ts';
import { LeafIntake } from '../../src/chain/anchoring/leaf-intake.ts';
import { createAnchoringMetrics } from '../../src/chain/anchoring/metrics.ts';
import { StoredTrees } from '../../src/chain/anchoring/stored-tree.ts';
import { type JobId, UnixMs } from '../../src/domain/ids.ts';
import { JobBatchId } from '../../src/domain/job-batch.ts';
import { SystemClock } from '../../src/lib/clock.ts';
import { BatchStore, createBatchRecord } from '../../src/scheduler/requester/batches/batch-store.ts';
import type { LevelDatabase } from '../../src/storage/level-database.ts';
import { receiptLeaf } from './anchoring-rig.ts';
import { RecordingMetrics } from './network.ts';
import type { PlantedRun } from './planted.ts';

async function addLeaves(database: LevelDatabase): Promise<void> {
  const modules = { database };
  const intake = new LeafIntake(
    {
      database,
      records: new BatchRecords(modules),
      trees: new StoredTrees(modules),
      index: new LeafIndex(modules),
      clock: new SystemClock(),
      metrics: createAnchoringMetrics(new RecordingMetrics()),
      countInFlight: () => 0,
      onSealed: () => undefined,
      onAdded: () => undefined,
    },
    { maxBatchLeaves: 100, maxWaitingLeaves: 1_000 },
  );
  await intake.start(undefined);
  await intake.add([receiptLeaf(1), receiptLeaf(2), receiptLeaf(3)]);
  await intake.seal();
  await intake.add([receiptLeaf(4), receiptLeaf(5)]);
  await intake.stop();
}

/** A batch with the given jobs at its places. */
export async function putJobBatch(planted: PlantedRun, jobs: readonly JobId[]): Promise<void> {
  const batch = JobBatchId('night');
  await planted.edit('requester', async (database) => {
    const store = new BatchStore(database);
    const createdAtMs = UnixMs(1);
    await store.put(batch, createBatchRecord({ name: 'night', size: jobs.length, digest: 'none', createdAtMs }));
    return jobs.flatMap((job, index) => store.placeOperations({ batch, index, job }));
  });
}

/** Batches of receipts at the requester. */
export async function plantBatches(planted: PlantedRun): Promise<void> {
  await planted.edit('requester', async (database) => {
    await addLeaves(database);
    return [];
  });
}
