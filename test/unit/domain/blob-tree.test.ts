import { decode } from '@ipld/dag-pb';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeBlobNode, parseBlobNode } from '../../../src/domain/blob-node.ts';
import {
  BLOB_FANOUT,
  BLOB_LEAF_BYTES,
  type BlobNodePlace,
  type BlobShape,
  describeShape,
  findChildren,
  MAX_BLOB_BYTES,
  MAX_BLOB_NODE_BYTES,
  measureLeaf,
  rootPlace,
} from '../../../src/domain/blob-shape.ts';
import {
  BlobHasher,
  BlobTree,
  computeBlobId,
  formatTreeId,
  isBlob,
  isTreeId,
  readBlobDigest,
} from '../../../src/domain/blob-tree.ts';
import { BlobId } from '../../../src/domain/ids.ts';
import { encodeHex } from '../../../src/lib/bytes.ts';
import { computeRawId, sha256 } from '../../../src/lib/cid.ts';
import { importBlob, importLeaves } from '../../support/unixfs-reference.ts';

const MIB = BLOB_LEAF_BYTES;
const GIB = MIB * BLOB_FANOUT;

function fill(sizeBytes: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  let state = seed;
  for (let offset = 0; offset < sizeBytes; offset += 1) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[offset] = state >>> 16;
  }
  return bytes;
}

/** Digests of leaves that nobody has. */
function fakeDigests(sizeBytes: number): Uint8Array {
  const digests = new Uint8Array(describeShape(sizeBytes).leafCount * 32);
  const view = new DataView(digests.buffer);
  for (let leaf = 0; leaf * 32 < digests.length; leaf += 1) view.setUint32(leaf * 32 + 4, leaf + 1);
  return digests;
}

function* placesOf(shape: BlobShape): Iterable<BlobNodePlace> {
  for (const [level, count] of shape.levels.entries()) {
    for (let index = 0; index < count; index += 1) yield { level, index };
  }
}

describe('the id of a blob', () => {
  it.each([0, 1, 1000, MIB - 1, MIB, MIB + 1, 2 * MIB, 2 * MIB + 1, 3 * MIB - 1])(
    'of %i bytes is what ipfs-unixfs-importer makes with the profile unixfs-v1-2025',
    async (sizeBytes) => {
      const bytes = fill(sizeBytes);
      const reference = await importBlob(bytes);
      const blob = computeBlobId(bytes);
      expect(blob).toBe(reference.root);
      expect(BlobId(blob)).toBe(blob);
      expect(isTreeId(blob)).toBe(sizeBytes > MIB);
      expect(isBlob(blob, bytes)).toBe(true);
      expect(isBlob(blob, fill(sizeBytes + 1))).toBe(false);
      if (sizeBytes <= MIB) expect(blob).toBe(computeRawId(bytes));
    },
  );

  it.each([5 * MIB + 77, GIB - 1, GIB, GIB + 1, GIB + MIB, 2 * GIB - 1, 4 * GIB + 5 * MIB + 3])(
    'and all nodes over the leaves of %i bytes are the ones of ipfs-unixfs-importer',
    async (sizeBytes) => {
      const digests = fakeDigests(sizeBytes);
      const reference = await importLeaves(digests, sizeBytes);
      const tree = new BlobTree(digests, sizeBytes);
      expect(tree.id).toBe(reference.root);
      const found = [...placesOf(tree.shape)].map((place) => tree.encodeNode(place) ?? new Uint8Array());
      expect(found.map((node) => formatTreeId(sha256(node)) as string).sort()).toEqual(
        [...reference.nodes.keys()].sort(),
      );
      expect(Math.max(...found.map(({ length }) => length))).toBeLessThan(MAX_BLOB_NODE_BYTES);
    },
  );

  it('from 2 to 4 GiB has the right sizes in it, where ipfs-unixfs 13 writes zeros', () => {
    const tree = new BlobTree(fakeDigests(2 * GIB), 2 * GIB);
    const root = decode(tree.encodeNode({ level: 1, index: 0 }) ?? new Uint8Array());
    // UnixFS: type 2 (file), filesize 2^31, blocksizes 2^30 and 2^30, all as varints.
    expect(encodeHex(root.Data ?? new Uint8Array())).toBe('0802188080808008208080808004208080808004');
    expect(root.Links.map(({ Tsize }) => Tsize)).toEqual([GIB + 51_211, GIB + 51_211]);
  });

  it('of an older kind, raw over more than one leaf, is still a blob', () => {
    const bytes = fill(2 * MIB);
    expect(isBlob(BlobId(computeRawId(bytes)), bytes)).toBe(true);
    expect(isBlob(BlobId(computeRawId(bytes)), fill(2 * MIB, 2))).toBe(false);
  });

  it('holds a digest', () => {
    const digest = sha256(fill(9));
    expect(readBlobDigest(formatTreeId(digest))).toEqual(digest);
    expect(readBlobDigest(BlobId(computeRawId(fill(9))))).toEqual(digest);
    expect(() => readBlobDigest('bafy' as BlobId)).toThrow(expect.objectContaining({ code: 'DOMAIN_BAD_ID' }));
  });

  it('is the same in whatever pieces the bytes come', () => {
    const bytes = fill(2 * MIB + 9);
    const expected = computeBlobId(bytes);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: bytes.length }), { maxLength: 6 }), (cuts) => {
        const hasher = new BlobHasher();
        const ends = [...cuts.sort((a, b) => a - b), bytes.length];
        for (const [place, end] of ends.entries()) hasher.update(bytes.subarray(ends[place - 1] ?? 0, end));
        expect(hasher.finish().id).toBe(expected);
        expect(hasher.sizeBytes).toBe(bytes.length);
      }),
      { numRuns: 12 },
    );
  });
});

describe('the shape of a blob', () => {
  it.each([
    [0, 1, []],
    [1, 1, []],
    [MIB, 1, []],
    [MIB + 1, 2, [1]],
    [GIB, 1024, [1]],
    [GIB + 1, 1025, [2, 1]],
    [GIB * BLOB_FANOUT, 2 ** 20, [1024, 1]],
    [GIB * BLOB_FANOUT + 1, 2 ** 20 + 1, [1025, 2, 1]],
    [MAX_BLOB_BYTES, 2 ** 30, [2 ** 20, 1024, 1]],
  ])('of %i bytes has %i leaves under levels of %j nodes', (sizeBytes, leafCount, levels) => {
    const shape = describeShape(sizeBytes);
    expect(shape).toEqual({ sizeBytes, leafCount, levels });
    expect(rootPlace(shape)).toEqual(levels.length === 0 ? undefined : { level: levels.length - 1, index: 0 });
    const last = measureLeaf(shape, leafCount - 1);
    expect((leafCount - 1) * MIB + last).toBe(sizeBytes);
  });

  it.each([-1, 0.5, Number.NaN, MAX_BLOB_BYTES + 1, Number.MAX_SAFE_INTEGER])(
    'is refused for %d bytes',
    (sizeBytes) => {
      expect(() => describeShape(sizeBytes)).toThrow(expect.objectContaining({ code: 'DOMAIN_BAD_OBJECT' }));
    },
  );

  it('leaves no node of the largest blob above the limit of a node', () => {
    const shape = describeShape(MAX_BLOB_BYTES);
    for (const level of shape.levels.keys()) {
      const node = encodeBlobNode(shape, { level, index: 0 }, new Uint8Array(BLOB_FANOUT * 32));
      expect(node.length).toBeLessThan(MAX_BLOB_NODE_BYTES);
    }
  });

  it('decides how many digests a tree is built from', () => {
    expect(() => new BlobTree(new Uint8Array(64), MIB)).toThrow(expect.objectContaining({ code: 'DOMAIN_BAD_OBJECT' }));
    expect(() => new BlobTree(new Uint8Array(32), MIB + 1)).toThrow(
      expect.objectContaining({ code: 'DOMAIN_BAD_OBJECT' }),
    );
  });
});

describe('a node', () => {
  const SIZES = [MIB + 1, 3 * MIB, 5 * MIB - 7, GIB + 1, GIB + 3 * MIB];

  it('gives the digests of its children back', () => {
    for (const sizeBytes of SIZES) {
      const digests = fakeDigests(sizeBytes);
      const tree = new BlobTree(digests, sizeBytes);
      for (const place of placesOf(tree.shape)) {
        const children = parseBlobNode(tree.encodeNode(place) ?? new Uint8Array(), place, tree.shape);
        const { first, count } = findChildren(tree.shape, place);
        expect(children).toHaveLength(count * 32);
        if (place.level === 0) expect(children).toEqual(digests.subarray(first * 32, (first + count) * 32));
      }
    }
  });

  it('is there only where the blob has one', () => {
    const tree = new BlobTree(fakeDigests(3 * MIB), 3 * MIB);
    const node = tree.encodeNode({ level: 0, index: 0 }) ?? new Uint8Array();
    for (const place of [
      { level: 0, index: 1 },
      { level: 1, index: 0 },
      { level: -1, index: 0 },
      { level: 0, index: 0.5 },
      { level: 0, index: Number.NaN },
    ]) {
      expect(tree.encodeNode(place)).toBeUndefined();
      expect(() => parseBlobNode(node, place, tree.shape)).toThrow(
        expect.objectContaining({ code: 'DOMAIN_BAD_OBJECT' }),
      );
    }
  });

  it('of another size of blob, another order or with anything more is refused', () => {
    const tree = new BlobTree(fakeDigests(3 * MIB), 3 * MIB);
    const place = { level: 0, index: 0 };
    const node = tree.encodeNode(place) ?? new Uint8Array();
    for (const other of [3 * MIB - 1, 2 * MIB, 4 * MIB, MIB, 3 * GIB]) {
      expect(() => parseBlobNode(node, place, describeShape(other))).toThrow(
        expect.objectContaining({ code: 'DOMAIN_BAD_OBJECT' }),
      );
    }
    const longer = new Uint8Array(node.length + 2);
    longer.set(node);
    longer.set([0x12, 0x00], node.length);
    for (const wrong of [longer, node.subarray(1), node.subarray(0, -1), new Uint8Array(MAX_BLOB_NODE_BYTES + 1)]) {
      expect(() => parseBlobNode(wrong, place, tree.shape)).toThrow(
        expect.objectContaining({ code: 'DOMAIN_BAD_OBJECT' }),
      );
    }
  });

  it('changed in any bit, but for those of the digests, is refused; garbage is too', () => {
    const tree = new BlobTree(fakeDigests(4 * MIB + 1), 4 * MIB + 1);
    const place = { level: 0, index: 0 };
    const node = tree.encodeNode(place) ?? new Uint8Array();
    let taken = 0;
    for (let bit = 0; bit < node.length * 8; bit += 1) {
      const changed = node.slice();
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      try {
        parseBlobNode(changed, place, tree.shape);
        taken += 1;
      } catch (error) {
        expect(error).toMatchObject({ code: 'DOMAIN_BAD_OBJECT' });
      }
    }
    expect(taken).toBe(5 * 32 * 8);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (garbage) => {
        expect(() => parseBlobNode(garbage, place, tree.shape)).toThrow(
          expect.objectContaining({ code: 'DOMAIN_BAD_OBJECT' }),
        );
      }),
    );
  });
});
