import { z } from 'zod';
import { concatBytes, encodeUtf8 } from '../lib/bytes.ts';
import { bytesSchema, integerSchema, objectLink } from './ids.ts';

/** Kinds of leaves of a batch, with their number in the leaf (programs/proof-anchor/README.md). */
export const ANCHOR_LEAF_KINDS = { receipt: 1, checkpoint: 2 } as const;
export type AnchorLeafKind = keyof typeof ANCHOR_LEAF_KINDS;

/** What is anchored: the SHA-256 of a receipt (the digest in its CID), or of a checkpoint root of a running job. */
export interface AnchorLeaf {
  readonly kind: AnchorLeafKind;
  /** 32 bytes. */
  readonly digest: Uint8Array;
}

/** A batch of 2^32 leaves has paths of 32 hashes. */
export const MAX_ANCHOR_PATH = 32;
/** What `proof-anchor` accepts; our own batches are far smaller (config `chain.anchor.maxReceipts`). */
export const MAX_ANCHOR_BATCH = 2 ** 32;

const ENTRY_TAG = encodeUtf8('fogproof/anchor@1');

/** Leaf data of a batch: `u8 kind ‖ digest`, 33 bytes. */
export function encodeAnchorLeaf({ kind, digest }: AnchorLeaf): Uint8Array {
  return concatBytes(Uint8Array.of(ANCHOR_LEAF_KINDS[kind]), digest);
}

/** Leaf data of a node's log: `"fogproof/anchor@1" ‖ batch root ‖ u64 batch size`, 57 bytes. */
export function encodeLogEntry(entry: { readonly batchRoot: Uint8Array; readonly batchSize: number }): Uint8Array {
  const size = new Uint8Array(8);
  new DataView(size.buffer).setBigUint64(0, BigInt(entry.batchSize), true);
  return concatBytes(ENTRY_TAG, entry.batchRoot, size);
}

/**
 * In a bundle: where a receipt is under a root on a chain. The path is checked offline; that the root is on the chain is
 * checked with an RPC endpoint.
 */
export const anchorSchema = z.strictObject({
  receipt: objectLink,
  /** RFC 6962 inclusion of the receipt's leaf in its batch. */
  leafIndex: integerSchema(0, MAX_ANCHOR_BATCH - 1),
  batchSize: integerSchema(1, MAX_ANCHOR_BATCH),
  batchRoot: bytesSchema(32),
  path: z.array(bytesSchema(32)).max(MAX_ANCHOR_PATH),
  /** Genesis hash of the chain, and on it the program, the log's account and its owner. */
  genesis: bytesSchema(32),
  program: bytesSchema(32),
  log: bytesSchema(32),
  owner: bytesSchema(32),
  generation: integerSchema(),
  /** Index of the batch in the log. */
  entry: integerSchema(),
  /** First signature of the transaction that appended it. */
  transaction: bytesSchema(64),
  slot: integerSchema(),
});
export type Anchor = z.output<typeof anchorSchema>;
