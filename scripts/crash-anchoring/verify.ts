import { type Connection, PublicKey } from '@solana/web3.js';
import { findAppends } from '../../src/chain/anchoring/anchor-log.ts';
import { BatchRecords } from '../../src/chain/anchoring/batch-record.ts';
import { LEAF_BYTES } from '../../src/chain/anchoring/constants.ts';
import { encodeLeaf } from '../../src/chain/anchoring/leaf-index.ts';
import { buildChunkTree, StoredTrees } from '../../src/chain/anchoring/stored-tree.ts';
import type { ChainReader } from '../../src/chain/interface.ts';
import type { AnchorLeaf } from '../../src/domain/anchor.ts';
import type { SolanaAddress } from '../../src/domain/chain.ts';
import { concatBytes, encodeHex } from '../../src/lib/bytes.ts';
import type { Database } from '../../src/storage/interface.ts';

export interface Verified {
  /** Transactions that name the log. */
  readonly transactions: number;
  readonly failedTransactions: number;
  /** Roots of this node in the log, by the chain's own history. */
  readonly roots: number;
  readonly rivalRoots: number;
  readonly leaves: number;
  /** What is not as it must be; nothing if all is well. */
  readonly faults: readonly string[];
}

interface Place {
  readonly program: SolanaAddress;
  readonly log: SolanaAddress;
}

/** By the transaction history: every leaf is under exactly one root, no root is there twice, none is missing. */
export async function verifyRun(
  database: Database,
  chain: { readonly reader: ChainReader; readonly connection: Connection; readonly place: Place },
  expected: { readonly leaves: readonly AnchorLeaf[]; readonly rivalRoots: ReadonlySet<string> },
): Promise<Verified> {
  const history = await readHistory(chain);
  const faults: string[] = [];
  const times = new Map<string, number>();
  for (const root of history.roots) times.set(root, (times.get(root) ?? 0) + 1);
  for (const [root, count] of times) if (count > 1) faults.push(`root ${root} was written ${count} times`);
  const batches = await readBatches(database, faults);
  for (const root of batches.roots) if (!times.has(root)) faults.push(`root ${root} is not in the log`);
  const own = [...times.keys()].filter((root) => !expected.rivalRoots.has(root));
  const known = new Set(batches.roots);
  for (const root of own) if (!known.has(root)) faults.push(`root ${root} is in the log and of no batch`);
  for (const leaf of expected.leaves) {
    const count = batches.leaves.get(encodeHex(encodeLeaf(leaf))) ?? 0;
    if (count !== 1) faults.push(`a ${leaf.kind} is in ${count} batches: ${encodeHex(leaf.digest)}`);
  }
  if (batches.leaves.size !== expected.leaves.length) faults.push(`${batches.leaves.size} leaves in the batches`);
  return {
    transactions: history.transactions,
    failedTransactions: history.failed,
    roots: own.length,
    rivalRoots: times.size - own.length,
    leaves: batches.leaves.size,
    faults,
  };
}

async function readHistory({ reader, connection, place }: Parameters<typeof verifyRun>[1]) {
  const roots: string[] = [];
  let transactions = 0;
  let failed = 0;
  const options = { signal: AbortSignal.timeout(120_000), commitment: 'finalized' as const, sinceSlot: 0 };
  for await (const transaction of reader.history(place.log, options)) {
    transactions += 1;
    if (transaction.failure !== null) failed += 1;
    roots.push(...findAppends(transaction, place).map(({ root }) => encodeHex(root)));
  }
  // The same number by another client: nothing was passed over.
  const listed = await listSignatures(connection, new PublicKey(place.log));
  if (listed !== transactions) throw new Error(`${transactions} transactions read and ${listed} listed`);
  return { roots, transactions, failed };
}

async function listSignatures(connection: Connection, log: PublicKey): Promise<number> {
  const limit = 1_000;
  let count = 0;
  let before: string | undefined;
  for (;;) {
    const page = await connection.getSignaturesForAddress(log, { limit, ...(before === undefined ? {} : { before }) });
    count += page.length;
    before = page.at(-1)?.signature;
    if (page.length < limit) return count;
  }
}

async function readBatches(database: Database, faults: string[]) {
  const trees = new StoredTrees({ database });
  const roots: string[] = [];
  const leaves = new Map<string, number>();
  for await (const [batch, record] of new BatchRecords({ database }).oldestFirst()) {
    if (record.state !== 'finalized') faults.push(`batch ${batch} is ${record.state}`);
    const rows: Uint8Array[] = [];
    for await (const [, row] of trees.chunks(batch)) rows.push(row);
    const all = concatBytes(...rows);
    for (let offset = 0; offset < all.length; offset += LEAF_BYTES) {
      const leaf = encodeHex(all.subarray(offset, offset + LEAF_BYTES));
      leaves.set(leaf, (leaves.get(leaf) ?? 0) + 1);
    }
    const root = encodeHex(buildChunkTree(all).root);
    if (root !== encodeHex(record.root ?? new Uint8Array())) faults.push(`batch ${batch} has another root on disk`);
    roots.push(root);
  }
  return { roots, leaves };
}
