import { CID } from 'multiformats/cid';
import { type Anchor, encodeAnchorLeaf } from '../../src/domain/anchor.ts';
import { BlockHash, decodeBase58 } from '../../src/domain/chain.ts';
import type { ObjectId } from '../../src/domain/ids.ts';
import { encodeUtf8 } from '../../src/lib/bytes.ts';
import { computeLeafHash, MerkleTree } from '../../src/proofs/merkle.ts';
import { findProgramAddress } from '../../src/proofs/program-address.ts';

export const MAINNET = decodeBase58(BlockHash('5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d'));
export const DEVNET = decodeBase58(BlockHash('EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG'));
/** Of a chain that is no public cluster. */
export const OWN_CHAIN = new Uint8Array(32).fill(77);
export const PROGRAM = new Uint8Array(32).fill(21);

/** How receipts of a bundle are anchored: all in one batch, among leaves of other jobs. */
export interface AnchorPlan {
  /** Attempts whose receipts are in the batch; by default all. */
  readonly attempts?: readonly number[];
  /** Leaves in all. */
  readonly batchSize?: number;
  /** Byte that the owner's address is made of. */
  readonly owner?: number;
  readonly genesis?: Uint8Array;
  readonly entry?: number;
  readonly slot?: number;
}

/** Real anchors of receipts: a Merkle tree over them and over others, and the log's own address. */
export function buildAnchors(receipts: readonly ObjectId[], plan: AnchorPlan = {}): Anchor[] {
  const { batchSize = 11, entry = 4, genesis = MAINNET } = plan;
  const chosen = receipts.filter((_, index) => plan.attempts?.includes(index) ?? true);
  const leaves = Array.from({ length: batchSize }, (_, index) => encodeOther(index));
  const places = chosen.map((receipt, index) => ({ receipt, leafIndex: Math.min(2 * index + 1, batchSize - 1) }));
  for (const { receipt, leafIndex } of places) leaves[leafIndex] = encodeReceiptLeaf(receipt);
  const tree = new MerkleTree(leaves.map(computeLeafHash));
  const owner = new Uint8Array(32).fill(plan.owner ?? 31);
  return places.map(({ receipt, leafIndex }) => ({
    receipt,
    leafIndex,
    batchSize,
    batchRoot: tree.root,
    path: tree.computeInclusionPath(leafIndex),
    genesis,
    program: PROGRAM,
    log: findProgramAddress([encodeUtf8('log'), owner], PROGRAM).address,
    owner,
    generation: 1_000,
    entry,
    transaction: new Uint8Array(64).fill(40 + entry + (plan.owner ?? 0)),
    slot: plan.slot ?? 5_000 + entry,
  }));
}

function encodeReceiptLeaf(receipt: ObjectId): Uint8Array {
  return encodeAnchorLeaf({ kind: 'receipt', digest: CID.parse(receipt).multihash.digest });
}

function encodeOther(index: number): Uint8Array {
  return encodeAnchorLeaf({ kind: 'checkpoint', digest: new Uint8Array(32).fill(index) });
}
