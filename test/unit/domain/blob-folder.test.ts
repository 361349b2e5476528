import * as dagPb from '@ipld/dag-pb';
import fc from 'fast-check';
import { CID } from 'multiformats/cid';
import { describe, expect, it } from 'vitest';
import {
  buildFolderTree,
  encodeFolder,
  type FolderEntry,
  type FolderFile,
  folderNodeBlob,
  folderOfNode,
  MAX_FOLDER_DEPTH,
  MAX_FOLDER_NODE_BYTES,
  measureBlobDag,
  measureEntryFile,
  openFolder,
  parseFolder,
} from '../../../src/domain/blob-folder.ts';
import { BLOB_LEAF_BYTES, MAX_BLOB_BYTES } from '../../../src/domain/blob-shape.ts';
import { computeBlobId } from '../../../src/domain/blob-tree.ts';
import type { BlobId } from '../../../src/domain/ids.ts';
import { encodeUtf8 } from '../../../src/lib/bytes.ts';
import { computeObjectCid } from '../../../src/lib/cid.ts';
import { importFolder } from '../../support/unixfs-reference.ts';

const MIB = BLOB_LEAF_BYTES;
const BAD = expect.objectContaining({ code: 'DOMAIN_BAD_OBJECT' });

const blobOf = (text: string): BlobId => computeBlobId(encodeUtf8(text));
const fileOf = (path: string, bytes: Uint8Array): FolderFile => ({
  path,
  blob: computeBlobId(bytes),
  sizeBytes: bytes.length,
});

describe('a folder', () => {
  it.each([
    ['of one file', ['a.txt']],
    ['in the order of bytes, not of letters', ['b', 'a', 'B', 'ä', 'a0', 'a-', 'zz', '😀', '\uffee']],
    ['with folders in it', ['x/y/z/deep', 'x/y/other', 'x/file', 'w/1', 'x-file']],
  ])('%s is what ipfs-unixfs-importer makes', async (_, paths) => {
    const contents = paths.map((path) => ({ path, bytes: encodeUtf8(`of ${path}`) }));
    const reference = await importFolder(contents);
    const tree = buildFolderTree(contents.map(({ path, bytes }) => fileOf(path, bytes)));
    expect(tree.id).toBe(reference.root);
    expect([...tree.nodes.keys()].sort()).toEqual([...reference.nodes.keys()].sort());
    for (const [id, bytes] of tree.nodes) expect(bytes).toEqual(reference.nodes.get(id));
  });

  it('with empty folders in it is what ipfs-unixfs-importer makes', async () => {
    const bytes = encodeUtf8('a file');
    const reference = await importFolder([{ path: 'x/file', bytes }, { path: 'x/empty' }, { path: 'nothing' }]);
    const tree = buildFolderTree([fileOf('x/file', bytes)], ['x', 'x/empty', 'nothing']);
    expect(tree.id).toBe(reference.root);
  });

  it('with files that have trees is what ipfs-unixfs-importer makes', async () => {
    const contents = [
      { path: 'models/large', bytes: new Uint8Array(2 * MIB + 1).fill(3) },
      { path: 'models/leaf', bytes: new Uint8Array(MIB) },
      { path: 'empty', bytes: new Uint8Array() },
    ];
    const reference = await importFolder(contents);
    const tree = buildFolderTree(contents.map(({ path, bytes }) => fileOf(path, bytes)));
    expect(tree.id).toBe(reference.root);
    expect(measureBlobDag(MIB)).toBe(MIB);
    expect(measureBlobDag(2 * MIB + 1)).toBeGreaterThan(2 * MIB + 100);
  });

  it('that is empty has the id that IPFS gives it', () => {
    expect(encodeFolder([]).id).toBe('bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354');
    expect(parseFolder(encodeFolder([]).bytes)).toEqual([]);
  });

  it('gives its entries back, in order', () => {
    const names = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
      .filter((name) => !/[/\0]|^\.{1,2}$/.test(name));
    const entry = fc.record({
      name: names,
      id: fc.string().map(blobOf),
      dagBytes: fc.integer({ min: 0, max: 2 ** 45 }),
    });
    fc.assert(
      fc.property(fc.uniqueArray(entry, { selector: ({ name }) => name, maxLength: 20 }), (entries) => {
        const { bytes, dagBytes } = encodeFolder(entries);
        const sorted = [...entries].sort((a, b) => Buffer.compare(encodeUtf8(a.name), encodeUtf8(b.name)));
        expect(parseFolder(bytes)).toEqual(sorted);
        expect(dagBytes).toBe(entries.reduce((sum, each) => sum + each.dagBytes, bytes.length));
      }),
    );
  });

  it.each(['', '.', '..', 'a/b', 'a\0', '\ud800', 'x'.repeat(256), 'ä'.repeat(128)])('has no file named %j', (name) => {
    expect(() => encodeFolder([{ name, id: blobOf('a'), dagBytes: 1 }])).toThrow(BAD);
  });

  it('has each name once, few enough of them, and does not go too deep', () => {
    const entry: FolderEntry = { name: 'a', id: blobOf('a'), dagBytes: 1 };
    expect(() => encodeFolder([entry, entry])).toThrow(BAD);
    expect(() => buildFolderTree([fileOf('a', Uint8Array.of(1)), fileOf('a/b', Uint8Array.of(1))])).toThrow(BAD);
    expect(() => buildFolderTree([fileOf('a//b', Uint8Array.of(1))])).toThrow(BAD);
    expect(() => buildFolderTree([fileOf('/a', Uint8Array.of(1))])).toThrow(BAD);
    const many = Array.from({ length: 6000 }, (_, number) => ({ ...entry, name: String(number) }));
    expect(() => encodeFolder(many)).toThrow(BAD);
    const deep = (depth: number) => [fileOf(`${'d/'.repeat(depth)}f`, Uint8Array.of(1))];
    expect(() => buildFolderTree(deep(MAX_FOLDER_DEPTH))).toThrow(BAD);
    expect(buildFolderTree(deep(MAX_FOLDER_DEPTH - 1)).nodes.size).toBe(MAX_FOLDER_DEPTH);
  });

  it('may be as large as IPFS keeps it in one node, and not larger', async () => {
    const bytes = Uint8Array.of(1);
    const linkBytes = encodeFolder([{ name: 'n0000', id: computeBlobId(bytes), dagBytes: 1 }]).bytes.length - 4;
    const count = Math.floor((MAX_FOLDER_NODE_BYTES - 4) / linkBytes);
    const files = Array.from({ length: count }, (_, number) => `n${String(number).padStart(4, '0')}`);
    const tree = buildFolderTree(files.map((path) => fileOf(path, bytes)));
    expect(tree.bytes.length).toBeGreaterThan(MAX_FOLDER_NODE_BYTES - linkBytes);
    expect((await importFolder(files.map((path) => ({ path, bytes })))).root).toBe(tree.id);
    expect(() => buildFolderTree([...files, 'more'].map((path) => fileOf(path, bytes)))).toThrow(BAD);
  });

  it('of any other form is refused', () => {
    const data = Uint8Array.of(0x08, 0x01);
    const cid = CID.parse(blobOf('a'));
    const link = { Hash: cid, Name: 'a', Tsize: 1 };
    const forms: dagPb.PBNode[] = [
      { Links: [link] },
      { Data: Uint8Array.of(0x08, 0x02), Links: [link] },
      { Data: Uint8Array.of(0x08, 0x01, 0x38, 0x00), Links: [link] },
      { Data: data, Links: [{ Hash: cid, Name: 'a' }] },
      { Data: data, Links: [{ Hash: cid, Tsize: 1 }] },
      { Data: data, Links: [{ ...link, Name: '..' }] },
      { Data: data, Links: [link, link] },
      { Data: data, Links: [{ ...link, Hash: computeObjectCid(Uint8Array.of(1)) }] },
      { Data: data, Links: [{ ...link, Hash: CID.parse('QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn') }] },
    ];
    for (const form of forms) expect(() => parseFolder(dagPb.encode(form))).toThrow(BAD);
    const good = dagPb.encode({ Data: data, Links: [link] });
    expect(parseFolder(good)).toHaveLength(1);
    expect(() => parseFolder(Uint8Array.from([...good, 0x0a, 0x00]))).toThrow(BAD);
    expect(() => parseFolder(new Uint8Array(MAX_FOLDER_NODE_BYTES + 1))).toThrow(BAD);
  });

  it('of garbage is refused in one way, and what is taken is taken as it is', () => {
    const { bytes } = encodeFolder([
      { name: 'a', id: blobOf('a'), dagBytes: 5 },
      { name: 'b', id: blobOf('b'), dagBytes: 500 },
    ]);
    const check = (input: Uint8Array): void => {
      try {
        expect(encodeFolder(parseFolder(input)).bytes).toEqual(input);
      } catch (error) {
        expect(error).toMatchObject({ code: 'DOMAIN_BAD_OBJECT' });
      }
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), check));
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const changed = bytes.slice();
        changed[at] = (changed[at] ?? 0) ^ change;
        check(changed);
      }),
    );
  });
});

describe('the node of a folder', () => {
  const tree = buildFolderTree([fileOf('a/b', Uint8Array.of(1)), fileOf('c', Uint8Array.of(2))]);

  it('is a blob of one leaf, whose id and that of the folder follow from each other', () => {
    for (const [folder, bytes] of tree.nodes) {
      expect(folderNodeBlob(folder)).toBe(computeBlobId(bytes));
      expect(folderOfNode(computeBlobId(bytes))).toBe(folder);
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const node = computeBlobId(bytes);
        expect(folderNodeBlob(folderOfNode(node))).toBe(node);
      }),
    );
  });

  it('opens that very folder and no other', () => {
    expect(openFolder(tree.id, tree.bytes).map(({ name }) => name)).toEqual(['a', 'c']);
    const other = encodeFolder([]);
    expect(() => openFolder(tree.id, other.bytes)).toThrow(BAD);
    expect(() => openFolder(folderOfNode(blobOf('text')), encodeUtf8('text'))).toThrow(BAD);
  });
});

describe('the size of a file that an entry is', () => {
  const [raw, large] = [blobOf('a'), folderOfNode(blobOf('a'))];

  it('is found again from the bytes of its blocks', () => {
    const sizes = fc.oneof(
      fc.integer({ min: 0, max: 5 * MIB }),
      fc.integer({ min: 0, max: 2 ** 40 }),
      fc
        .tuple(
          fc.constantFrom(1, 2, 4, 64, 1023, 1024, 1025, 2048, 2 ** 20, 2 ** 20 + 1),
          fc.integer({ min: -3, max: 3 }),
        )
        .map(([leaves, more]) => leaves * MIB + more),
    );
    fc.assert(
      fc.property(sizes, (size) => {
        const dagBytes = measureBlobDag(size);
        expect(measureEntryFile({ id: size > MIB ? large : raw, dagBytes })).toBe(size);
      }),
      { numRuns: 60 },
    );
  });

  it('is exact, or there is none', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }), (dagBytes) => {
        const size = measureEntryFile({ id: large, dagBytes });
        if (size !== undefined) expect(measureBlobDag(size)).toBe(dagBytes);
      }),
      { numRuns: 60 },
    );
    const least = measureBlobDag(MIB + 1);
    expect(least).toBeGreaterThan(MIB + 50);
    for (const dagBytes of [0, 1, MIB, MIB + 1, least - 1]) {
      expect(measureEntryFile({ id: large, dagBytes })).toBeUndefined();
    }
    expect(measureEntryFile({ id: large, dagBytes: least })).toBe(MIB + 1);
    const most = measureBlobDag(MAX_BLOB_BYTES);
    expect(measureEntryFile({ id: large, dagBytes: most })).toBe(MAX_BLOB_BYTES);
    expect(measureEntryFile({ id: large, dagBytes: most + 1 })).toBeUndefined();
    expect(measureEntryFile({ id: raw, dagBytes: MIB })).toBe(MIB);
    // One byte more of the blob takes two more of its blocks where its number of bytes gets longer.
    expect(measureEntryFile({ id: large, dagBytes: measureBlobDag(2 ** 21) - 1 })).toBeUndefined();
  });
});
