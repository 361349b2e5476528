import type { Database, WriteOperation } from '../../storage/interface.ts';
import type { BatchRecords } from './batch-record.ts';
import { LEAF_BYTES } from './constants.ts';
import type { LeafIndex } from './leaf-index.ts';
import type { StoredTrees } from './stored-tree.ts';

export interface OldBatchesModules {
  readonly database: Database;
  readonly records: BatchRecords;
  readonly trees: StoredTrees;
  readonly index: LeafIndex;
}

/**
 * Forgets final batches that were sealed before `beforeMs`, row by row: a leaf goes with the row that proves it. The
 * newest batch stays, since the number of the next one follows from it, and the newest of each chain that was left,
 * since what is anchored on which chain follows from those.
 * @returns how many went
 */
export async function dropOldBatches(
  modules: OldBatchesModules,
  { beforeMs, signal }: { readonly beforeMs: number; readonly signal: AbortSignal },
): Promise<number> {
  const old: number[] = [];
  let last: { readonly batch: number; readonly genesis: string | undefined } | undefined;
  for await (const [batch, { state, sealedAtMs, landing }] of modules.records.oldestFirst()) {
    if (state !== 'finalized') break;
    const genesis = landing?.place.genesis;
    if (last !== undefined && last.genesis === genesis) old.push(last.batch);
    if (sealedAtMs === null || sealedAtMs >= beforeMs) break;
    last = { batch, genesis };
  }
  let dropped = 0;
  for (const batch of old) {
    if (signal.aborted) break;
    await dropBatch(modules, batch);
    dropped += 1;
  }
  return dropped;
}

async function dropBatch({ database, records, trees, index }: OldBatchesModules, batch: number): Promise<void> {
  for await (const [chunk, leaves] of trees.chunks(batch)) {
    const operations: WriteOperation[] = [trees.deleteChunkOperation(batch, chunk)];
    for (let offset = 0; offset < leaves.length; offset += LEAF_BYTES) {
      operations.push(index.deleteOperation(leaves.subarray(offset, offset + LEAF_BYTES)));
    }
    await database.write(operations);
  }
  await database.write([trees.deleteRootsOperation(batch), records.deleteOperation(batch)]);
}
