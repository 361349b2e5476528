import type { z } from 'zod';
import { batchRecordSchema, encodeBatchKey } from '../../../src/chain/anchoring/batch-record.ts';
import { LEAF_BYTES } from '../../../src/chain/anchoring/constants.ts';
import { isReceiptLeaf, LEAF_PLACE_CODEC, LeafIndex } from '../../../src/chain/anchoring/leaf-index.ts';
import type { JobId, LeaseId } from '../../../src/domain/ids.ts';
import { areBytesEqual } from '../../../src/lib/bytes.ts';
import { computeLeafHash, MerkleTree } from '../../../src/proofs/merkle.ts';
import { createCborCodec } from '../../../src/storage/codecs.ts';
import { attempt, type OpenedNode, readBytes, readRange, under } from '../open-node.ts';
import type { RunContext } from '../run-context.ts';

type BatchRecord = z.output<typeof batchRecordSchema>;

const RECORD_CODEC = createCborCodec(batchRecordSchema);

/** Receipts that wait to be anchored, and batches with their leaves. */
export async function checkAnchors(context: RunContext, node: OpenedNode): Promise<void> {
  await checkOutbox(context, node);
  const batches = new Set<number>();
  let totalBefore: number | undefined;
  for await (const [key, bytes] of readRange(node.database, 'anchor-batches', {})) {
    const record = attempt(() => RECORD_CODEC.decode(bytes));
    if (record === undefined) continue;
    const batch = Number(key);
    batches.add(batch);
    await checkBatch(context, node, { batch, record, totalBefore });
    totalBefore = record.total;
  }
  await checkLeaves(context, node, batches);
}

async function checkOutbox({ tally, provided }: RunContext, node: OpenedNode): Promise<void> {
  for await (const [key] of readRange(node.database, 'receipt-outbox', {})) {
    const [kind, id = ''] = key.split('/');
    const isThere =
      kind === 'received'
        ? await hasReceipts(node, id as JobId)
        : (provided.get(id as LeaseId) ?? []).some((lease) => lease.node === node && lease.receipt !== null);
    tally.check('outbox-backed', { node: node.name, key: `receipt-outbox/${key}` }, [
      [isThere, 'what is to be anchored is not there any more'],
    ]);
  }
}

async function hasReceipts(node: OpenedNode, job: JobId): Promise<boolean> {
  for await (const [key] of readRange(node.database, 'job-objects', under(job))) {
    if (key.endsWith('/receipt')) return true;
  }
  return false;
}

interface FoundBatch {
  readonly batch: number;
  readonly record: BatchRecord;
  /** Undefined for the first that is still there. */
  readonly totalBefore: number | undefined;
}

async function checkBatch({ tally }: RunContext, node: OpenedNode, found: FoundBatch): Promise<void> {
  const { batch, record, totalBefore } = found;
  const key = encodeBatchKey(batch);
  const leaves: Uint8Array[] = [];
  const wrong: string[] = [];
  for await (const [row, bytes] of readRange(node.database, 'anchor-trees', under(key))) {
    if (row.endsWith('/roots')) continue;
    for (let offset = 0; offset < bytes.length; offset += LEAF_BYTES)
      leaves.push(bytes.slice(offset, offset + LEAF_BYTES));
  }
  for (const [index, leaf] of leaves.entries()) {
    const stored = await readBytes(node.database, 'anchor-leaves', LeafIndex.key(leaf));
    const place = stored && attempt(() => LEAF_PLACE_CODEC.decode(stored));
    if (place?.batch !== batch || place.index !== index) wrong.push(LeafIndex.key(leaf));
  }
  const isSealed = record.state !== 'open';
  const root = leaves.length === 0 ? undefined : new MerkleTree(leaves.map(computeLeafHash)).root;
  tally.check('anchors-once', { node: node.name, key: `anchor-batches/${key}` }, [
    [leaves.length === record.leaves, `it has ${leaves.length} leaves, its record says ${record.leaves}`],
    [leaves.filter(isReceiptLeaf).length === record.receipts, `its record says ${record.receipts} receipts`],
    [wrong.length === 0, `leaf ${wrong[0]} of it is elsewhere by the index: it is in two batches, or twice in one`],
    [isSealed === (record.root !== null), `it is ${record.state} and has ${record.root === null ? 'no' : 'a'} root`],
    [
      record.root === null || (root !== undefined && areBytesEqual(root, record.root)),
      'its root is not that of its leaves',
    ],
    [
      totalBefore === undefined || record.total === totalBefore + record.leaves,
      `with it there are ${record.total} leaves, and ${totalBefore} before it`,
    ],
  ]);
}

/** A leaf that the index has is in the batch that it names. */
async function checkLeaves({ tally }: RunContext, node: OpenedNode, batches: ReadonlySet<number>): Promise<void> {
  for await (const [key, bytes] of readRange(node.database, 'anchor-leaves', {})) {
    const place = attempt(() => LEAF_PLACE_CODEC.decode(bytes));
    if (place === undefined) continue;
    tally.check('anchors-once', { node: node.name, key: `anchor-leaves/${key}` }, [
      [batches.has(place.batch), `it is in batch ${place.batch}, of which there is no record`],
    ]);
  }
}
