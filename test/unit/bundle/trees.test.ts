import { randomFillSync } from 'node:crypto';
import { CarReader, CarWriter } from '@ipld/car';
import { encode, prepare } from '@ipld/dag-pb';
import * as fc from 'fast-check';
import { CID } from 'multiformats/cid';
import * as Digest from 'multiformats/hashes/digest';
import { describe, expect, it } from 'vitest';
import { BundleError } from '../../../src/bundle/errors.ts';
import { readBlocks } from '../../../src/bundle/read-blocks.ts';
import { writeBlocks } from '../../../src/bundle/write-blocks.ts';
import { BLOB_LEAF_BYTES } from '../../../src/domain/blob-shape.ts';
import { computeBlobId } from '../../../src/domain/blob-tree.ts';
import type { Bundle } from '../../../src/domain/bundle.ts';
import { BlobId } from '../../../src/domain/ids.ts';
import { computeObjectCid, computeRawCid, sha256 } from '../../../src/lib/cid.ts';
import { buildBundle, encodeRoot } from '../../support/bundle-builder.ts';

const DAG_PB = 0x70;
const large = randomFillSync(new Uint8Array(2 * BLOB_LEAF_BYTES + 77));
// The first two leaves are equal: each has its place all the same.
large.copyWithin(BLOB_LEAF_BYTES, 0, BLOB_LEAF_BYTES);
const blob = computeBlobId(large);
const { bundle: built } = await buildBundle();
const listed = (sizeBytes: number, id: BlobId = blob): Bundle => ({
  ...built,
  blobs: [{ blob: id, sizeBytes, included: true }],
});

async function collect(pieces: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const found: Uint8Array[] = [];
  for await (const piece of pieces) found.push(piece.slice());
  return new Uint8Array(Buffer.concat(found));
}

const read = async (_: BlobId, offset: number, length: number) => large.subarray(offset, offset + length);
const file = await collect(writeBlocks(listed(large.length), read));

interface Block {
  readonly cid: CID;
  readonly bytes: Uint8Array;
}

async function blocksOf(car: Uint8Array): Promise<Block[]> {
  const blocks: Block[] = [];
  for await (const block of (await CarReader.fromBytes(car)).blocks()) blocks.push(block);
  return blocks;
}

async function writeCar(blocks: readonly Block[]): Promise<Uint8Array> {
  const { writer, out } = CarWriter.create(blocks.slice(0, 1).map(({ cid }) => cid));
  const collecting = collect(out);
  for (const block of blocks) await writer.put(block);
  await writer.close();
  return await collecting;
}

const codeOf = (bytes: Uint8Array): Promise<string> =>
  readBlocks(bytes).then(
    () => 'read',
    (error: unknown) => (error instanceof BundleError ? error.code : String(error)),
  );

describe('a blob over 1 MiB in a bundle file', () => {
  it('is a UnixFS file in depth-first order, and stands at the places that are told', async () => {
    const blocks = await blocksOf(file);
    const leaves = [0, 1, 2].map((leaf) => large.subarray(leaf * BLOB_LEAF_BYTES, (leaf + 1) * BLOB_LEAF_BYTES));
    expect(blocks.slice(1).map(({ cid }) => cid.toString())).toEqual([
      blob,
      ...leaves.map((leaf) => computeRawCid(leaf).toString()),
    ]);
    const { included, kept } = await readBlocks(file, { keep: async () => new Map([[blob, large.length]]) });
    const places = included.get(blob) ?? [];
    const parts = places.map(({ offset, sizeBytes }) => file.subarray(offset, offset + sizeBytes));
    expect(Buffer.concat(parts).equals(large)).toBe(true);
    expect(Buffer.from(kept.get(blob) ?? []).equals(large)).toBe(true);
  });

  it('is refused with any byte changed', async () => {
    const [root] = await blocksOf(file);
    const begin = file.length - large.length - 200;
    expect(root?.bytes.length).toBeLessThan(begin);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: begin, max: file.length - 1 }), async (at) => {
        const changed = file.slice();
        changed[at] = (changed[at] as number) ^ 1;
        expect(await codeOf(changed)).not.toBe('read');
      }),
      { numRuns: 20 },
    );
  });

  it('is refused with its blocks in another order, fewer or more of them', async () => {
    const [root, node, first, second, last] = (await blocksOf(file)) as [Block, Block, Block, Block, Block];
    expect(await codeOf(await writeCar([root, node, first, second, last]))).toBe('read');
    expect(await codeOf(await writeCar([root, node, first, last, second]))).toBe('BUNDLE_HASH_MISMATCH');
    expect(await codeOf(await writeCar([root, first, second, last, node]))).toBe('BUNDLE_UNREFERENCED_BLOCK');
    expect(await codeOf(await writeCar([root, node, first, second]))).toBe('BUNDLE_MISSING_BLOCK');
    expect(await codeOf(await writeCar([root, node, first, second, last, last]))).toBe('BUNDLE_UNREFERENCED_BLOCK');
    expect(await codeOf(await writeCar([root]))).toBe('BUNDLE_MISSING_BLOCK');
  });

  it('is refused with another size than its nodes say', async () => {
    const [, ...blocks] = await blocksOf(file);
    for (const sizeBytes of [large.length + 1, large.length - 1, BLOB_LEAF_BYTES, 2 ** 53 - 1]) {
      const bytes = encodeRoot(listed(sizeBytes));
      const code = await codeOf(await writeCar([{ cid: computeObjectCid(bytes), bytes }, ...blocks]));
      expect(code).toBe('BUNDLE_MALFORMED');
    }
  });

  it('is refused as a node that is no file of this shape', async () => {
    const bytes = encode(prepare({ Data: new Uint8Array([8, 2]), Links: [] }));
    const cid = CID.createV1(DAG_PB, Digest.create(0x12, sha256(bytes)));
    const root = encodeRoot(listed(large.length, BlobId(cid.toString())));
    const car = await writeCar([
      { cid: computeObjectCid(root), bytes: root },
      { cid, bytes },
    ]);
    expect(await codeOf(car)).toBe('BUNDLE_MALFORMED');
  });

  it('is not written from a store that gives other bytes', async () => {
    const damaged = async (id: BlobId, offset: number, length: number) =>
      (await read(id, offset, length)).map((byte) => byte ^ 1);
    await expect(collect(writeBlocks(listed(large.length), damaged))).rejects.toMatchObject({
      code: 'BUNDLE_HASH_MISMATCH',
    });
  });
});
