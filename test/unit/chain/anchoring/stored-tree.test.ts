import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseLog } from '../../../../src/chain/anchoring/anchor-log.ts';
import { BatchRecords, encodeBatchKey } from '../../../../src/chain/anchoring/batch-record.ts';
import { CHUNK_LEAVES } from '../../../../src/chain/anchoring/constants.ts';
import { encodeLeaf, LEAF_PLACE_CODEC } from '../../../../src/chain/anchoring/leaf-index.ts';
import { OpenBatch } from '../../../../src/chain/anchoring/open-batch.ts';
import { findProgramFault } from '../../../../src/chain/anchoring/program-account.ts';
import { StoredTrees } from '../../../../src/chain/anchoring/stored-tree.ts';
import { LOG_BYTES, LOG_DISCRIMINATOR } from '../../../../src/chain/generated/proof-anchor.ts';
import { Lamports, SolanaAddress } from '../../../../src/domain/chain.ts';
import { isDaemonError } from '../../../../src/lib/errors.ts';
import { computeLeafHash, MerkleTree, verifyInclusion } from '../../../../src/proofs/merkle.ts';
import { receiptLeaves } from '../../../support/anchoring-rig.ts';
import { MemoryDatabase } from '../../../support/memory-database.ts';

const code = (expected: string) => expect.objectContaining({ code: expected });
const SIZES = [1, 2, 255, 256, 257, 511, 512, 700, 1_025];

function createStores() {
  const database = new MemoryDatabase();
  return { database, records: new BatchRecords({ database }), trees: new StoredTrees({ database }) };
}

describe('a tree on disk', () => {
  it.each(SIZES)('of %i leaves is the RFC 6962 tree over all of them', async (size) => {
    const { database, ...modules } = createStores();
    const open = new OpenBatch(modules, { batch: 3, createdAtMs: 1, totalBefore: 0 });
    const leaves = receiptLeaves(size).map(encodeLeaf);
    for (const leaf of leaves) open.append(leaf);
    const { record, operations } = open.takeSealOperations(2);
    await database.write(operations);
    const tree = new MerkleTree(leaves.map(computeLeafHash));
    expect(record.root).toEqual(tree.root);
    for (const index of [0, size >> 1, size - 1]) {
      const path = await modules.trees.readPath(3, index);
      expect(path).toEqual(tree.computeInclusionPath(index));
      const leafHash = computeLeafHash(leaves[index] ?? new Uint8Array());
      const proof = { leafHash, index: BigInt(index), size: BigInt(size), path, root: tree.root };
      expect(verifyInclusion(proof)).toBe(true);
    }
  });

  it('goes on in another process where it was, at any size', async () => {
    for (const first of SIZES) {
      const { database, ...modules } = createStores();
      const leaves = receiptLeaves(first + 300).map(encodeLeaf);
      const open = new OpenBatch(modules, { batch: 0, createdAtMs: 1, totalBefore: 5 });
      for (const leaf of leaves.slice(0, first)) open.append(leaf);
      await database.write(open.takeOperations());
      const record = await modules.records.get(0);
      if (record === undefined) throw new Error('it was not written');
      const loaded = await OpenBatch.load(modules, 0, record);
      expect(loaded.total).toBe(5 + first);
      for (const leaf of leaves.slice(first)) loaded.append(leaf);
      const sealed = loaded.takeSealOperations(2).record;
      expect(sealed.root).toEqual(new MerkleTree(leaves.map(computeLeafHash)).root);
      expect(sealed).toMatchObject({ leaves: first + 300, receipts: first + 300, total: 5 + first + 300 });
    }
  });

  it('leaves a copy alone', () => {
    const { database: _, ...modules } = createStores();
    const open = new OpenBatch(modules, { batch: 0, createdAtMs: 1, totalBefore: 0 });
    const leaves = receiptLeaves(600).map(encodeLeaf);
    for (const leaf of leaves.slice(0, 300)) open.append(leaf);
    const copy = open.clone();
    for (const leaf of leaves.slice(300)) copy.append(leaf);
    const root = open.takeSealOperations(2).record.root;
    expect(root).toEqual(new MerkleTree(leaves.slice(0, 300).map(computeLeafHash)).root);
  });

  it('says that it is damaged, whatever is missing or cut', async () => {
    const { database, ...modules } = createStores();
    const open = new OpenBatch(modules, { batch: 0, createdAtMs: 1, totalBefore: 0 });
    for (const leaf of receiptLeaves(CHUNK_LEAVES + 5)) open.append(encodeLeaf(leaf));
    await database.write(open.takeOperations());
    const record = await modules.records.get(0);
    if (record === undefined) throw new Error('it was not written');
    await expect(modules.trees.readPath(0, 0)).rejects.toEqual(code('ANCHORING_DAMAGED'));
    const rows = database.rows('anchor-trees');
    const last = `${encodeBatchKey(0)}/00000001`;
    for (const row of [rows.get(last)?.slice(1), rows.get(last)?.slice(33)]) {
      rows.set(last, row ?? new Uint8Array());
      await expect(OpenBatch.load(modules, 0, record)).rejects.toEqual(code('ANCHORING_DAMAGED'));
    }
  });
});

describe('bytes of anchoring', () => {
  it('keep places of leaves as they are', () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 32 }), fc.nat({ max: 2 ** 32 }), (batch, index) => {
        expect(LEAF_PLACE_CODEC.decode(LEAF_PLACE_CODEC.encode({ batch, index }))).toEqual({ batch, index });
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 30 }), (bytes) => {
        if (bytes.length !== 12) expect(() => LEAF_PLACE_CODEC.decode(bytes)).toThrow(RangeError);
      }),
    );
  });

  it('refuse an account that is no log, with an error that the reader of logs knows', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 0, maxLength: LOG_BYTES + 8 }), fc.boolean(), (bytes, isLike) => {
        const data = isLike ? new Uint8Array(LOG_BYTES) : bytes;
        if (isLike) data.set(bytes.subarray(0, LOG_BYTES));
        if (isLike) data.set([...LOG_DISCRIMINATOR, 1]);
        try {
          const log = parseLog(data, 1);
          expect(log.recent.length).toBe(Math.min(log.size, 64));
          expect(isLike).toBe(true);
        } catch (error) {
          expect(isDaemonError(error) || error instanceof RangeError).toBe(true);
        }
      }),
    );
  });
});

it('a log of another version is refused', () => {
  const data = new Uint8Array(LOG_BYTES);
  data.set([...LOG_DISCRIMINATOR, 1]);
  expect(parseLog(data, 1).size).toBe(0);
  data.set([...LOG_DISCRIMINATOR, 2]);
  expect(() => parseLog(data, 1)).toThrow(RangeError);
});

describe('a program account', () => {
  const address = SolanaAddress('11111111111111111111111111111111');
  const account = (owner: string, data: Uint8Array) => {
    return { address, owner: SolanaAddress(owner), lamports: Lamports(1n), data, slot: 1 };
  };
  const UPGRADEABLE = 'BPFLoaderUpgradeab1e11111111111111111111111';

  it('is one that a loader made', () => {
    const program = new Uint8Array(36);
    program[0] = 2;
    expect(findProgramFault(account(UPGRADEABLE, program))).toBeUndefined();
    expect(findProgramFault(account('BPFLoader2111111111111111111111111111111111', Uint8Array.of(1)))).toBeUndefined();
  });

  it('is nothing else', () => {
    const buffer = new Uint8Array(36);
    buffer[0] = 1;
    expect(findProgramFault(undefined)).toContain('no such account');
    expect(findProgramFault(account(UPGRADEABLE, buffer))).toContain('no program');
    expect(findProgramFault(account(UPGRADEABLE, new Uint8Array(3)))).toContain('no program');
    expect(findProgramFault(account('BPFLoader2111111111111111111111111111111111', new Uint8Array()))).toContain(
      'empty',
    );
    expect(findProgramFault(account(address, buffer))).toContain('belongs to');
  });
});
