import { describe, expect, it } from 'vitest';
import type { BlobInventory } from '../../../src/blob/interface.ts';
import {
  buildFolderTree,
  encodeFolder,
  type FolderFile,
  type FolderTree,
  folderNodeBlob,
  folderOfNode,
  MAX_FOLDER_DEPTH,
  measureEntryFile,
} from '../../../src/domain/blob-folder.ts';
import { BLOB_LEAF_BYTES } from '../../../src/domain/blob-shape.ts';
import { computeBlobId } from '../../../src/domain/blob-tree.ts';
import type { BlobId, PeerKey } from '../../../src/domain/ids.ts';
import type { BlobResponse } from '../../../src/domain/messages.ts';
import { encodeUtf8 } from '../../../src/lib/bytes.ts';
import { NodeBlobControl } from '../../../src/node/blob-control.ts';
import { treeOf as treeOfFile } from '../../support/memory-transfer-store.ts';
import { bytesOfLeaves, type TransferPeer, TransferRig } from '../../support/transfer-rig.ts';

const SMALL = encodeUtf8('small');
const LARGE = bytesOfLeaves(2);
const CONTENT: Readonly<Record<string, Uint8Array>> = { 'a.txt': SMALL, 'deep/er/large.bin': LARGE };

function treeOf(content: Readonly<Record<string, Uint8Array>>, folders: readonly string[] = []): FolderTree {
  const files = Object.entries(content).map(
    ([path, bytes]): FolderFile => ({ path, blob: computeBlobId(bytes), sizeBytes: bytes.length }),
  );
  return buildFolderTree(files, folders);
}

const TREE = treeOf(CONTENT, ['empty']);
const NODES = [...TREE.nodes.values()];
const OUTER = treeOf({ 'large.bin': LARGE });
const LISTED = { path: 'large.bin', blob: computeBlobId(LARGE), sizeBytes: LARGE.length, isHere: false };

async function* only(answer: BlobResponse): AsyncGenerator<BlobResponse> {
  yield answer;
}

interface Setup {
  readonly rig: TransferRig;
  readonly control: NodeBlobControl;
  /** Peers that the DHT names for everything. */
  readonly known: PeerKey[];
  /** What it answers with beside, one search after the other. */
  readonly searched: PeerKey[][];
  read(
    folder: BlobId,
    options?: { peers?: readonly PeerKey[]; isLocal?: boolean },
  ): ReturnType<NodeBlobControl['readFolder']>;
}

async function setUp(held: readonly Uint8Array[] = []): Promise<Setup> {
  const rig = await TransferRig.create();
  for (const bytes of held) await rig.store.put(bytes);
  const inventory: BlobInventory = {
    isPrivate: () => false,
    listBlobs: () => [],
    usage: () => ({ blobs: 0, bytes: 0, limitBytes: 0 }),
    remove: async () => false,
    verify: async () => undefined,
  };
  const known: PeerKey[] = [];
  const searched: PeerKey[][] = [];
  const control = new NodeBlobControl({
    blobs: Object.assign(rig.store, inventory),
    sharedBlobs: { isPublic: () => false, share: async () => {}, unshare: async () => false },
    transfers: rig.transfers,
    transport: rig.transport,
    clock: rig.clock,
    content: {
      async *findProviders() {
        yield* [...known, ...(searched.shift() ?? [])];
      },
    },
  });
  const read: Setup['read'] = (folder, { peers = [], isLocal = false } = {}) =>
    rig.settle(control.readFolder({ folder, peers, isLocal }, {}));
  return { rig, control, known, searched, read };
}

async function addPeer(rig: TransferRig, number: number, held: readonly Uint8Array[]): Promise<TransferPeer> {
  const peer = await rig.addPeer(number, null, { publicBlobs: { isPublic: () => true } });
  for (const bytes of held) await peer.store.put(bytes);
  return peer;
}

describe('a folder that is here', () => {
  it('is listed at all depths, with sizes from its links', async () => {
    const { read } = await setUp([...NODES, SMALL]);
    const { folder, folders, files, sources } = await read(TREE.id, { isLocal: true });
    expect(sources).toEqual([]);
    expect(folder).toBe(TREE.id);
    expect(folders.map(({ path }) => path)).toEqual(['', 'deep', 'deep/er', 'empty']);
    expect(folders[0]?.blob).toBe(folderNodeBlob(TREE.id));
    expect(files).toEqual([
      { path: 'a.txt', blob: computeBlobId(SMALL), sizeBytes: SMALL.length, isHere: true },
      { path: 'deep/er/large.bin', blob: computeBlobId(LARGE), sizeBytes: LARGE.length, isHere: false },
    ]);
  });

  it('may be as deep as folders may be, and no deeper', async () => {
    const nodes: Uint8Array[] = [];
    let [id, dagBytes] = [computeBlobId(SMALL), SMALL.length];
    let allowed = id;
    for (let depth = 1; depth <= MAX_FOLDER_DEPTH + 1; depth += 1) {
      const encoded = encodeFolder([{ name: 'd', id, dagBytes }]);
      nodes.push(encoded.bytes);
      ({ id, dagBytes } = encoded);
      if (depth === MAX_FOLDER_DEPTH) allowed = id;
    }
    const { read } = await setUp(nodes);
    expect((await read(allowed)).folders).toHaveLength(MAX_FOLDER_DEPTH);
    await expect(read(id)).rejects.toMatchObject({ code: 'NODE_BAD_FOLDER' });
  });

  it('is refused when it has folders in folders in folders, so that few bytes list millions of files', async () => {
    const nodes: Uint8Array[] = [];
    let [id, dagBytes] = [computeBlobId(SMALL), SMALL.length];
    for (let depth = 0; depth < 3; depth += 1) {
      const entries = Array.from({ length: 400 }, (_, index) => ({ name: String(index), id, dagBytes }));
      const encoded = encodeFolder(entries);
      nodes.push(encoded.bytes);
      ({ id, dagBytes } = encoded);
    }
    const { read } = await setUp(nodes);
    await expect(read(id)).rejects.toMatchObject({
      code: 'NODE_BAD_FOLDER',
      message: expect.stringContaining('100000'),
    });
  });

  it('is refused when its paths would fill an answer', async () => {
    const blob = computeBlobId(SMALL);
    const names = Array.from({ length: 800 }, (_, index) => `${index}${'x'.repeat(240)}`);
    const inner = encodeFolder(names.map((name) => ({ name, id: blob, dagBytes: SMALL.length })));
    const outer = encodeFolder(
      Array.from({ length: 90 }, (_, index) => ({ name: String(index), id: inner.id, dagBytes: inner.dagBytes })),
    );
    const { read } = await setUp([inner.bytes, outer.bytes]);
    await expect(read(outer.id)).rejects.toMatchObject({ message: expect.stringContaining('paths are too long') });
  });

  it.each([
    ['a size that the file has not', { name: 'a', id: computeBlobId(SMALL), dagBytes: SMALL.length + 1 }],
    ['a size that no large file has', { name: 'a', id: folderOfNode(computeBlobId(SMALL)), dagBytes: 5 }],
  ])('is refused with %s', async (_, entry) => {
    const forged = encodeFolder([entry]);
    const { read } = await setUp([forged.bytes, SMALL]);
    await expect(read(forged.id)).rejects.toMatchObject({ code: 'NODE_BAD_FOLDER' });
  });

  it('is told from a file, and from what is not here', async () => {
    const { rig, read } = await setUp([LARGE, SMALL]);
    const { peer, asked } = await addPeer(rig, 2, NODES);
    for (const file of [computeBlobId(LARGE), computeBlobId(SMALL), folderOfNode(computeBlobId(SMALL))]) {
      await expect(read(file, { isLocal: true })).rejects.toMatchObject({ code: 'NODE_NOT_A_FOLDER' });
    }
    await expect(read(TREE.id, { peers: [peer], isLocal: true })).rejects.toMatchObject({
      code: 'BLOB_NOT_FOUND',
      info: { blob: TREE.id },
    });
    expect(asked).toEqual([]);
  });
});

describe('a folder that is elsewhere', () => {
  it('comes from named peers and those that the DHT names, its lists only; they are named as sources of the rest', async () => {
    const { rig, known, read } = await setUp();
    const first = await addPeer(rig, 2, NODES.slice(0, 2));
    const second = await addPeer(rig, 3, [...NODES.slice(2), SMALL, LARGE]);
    known.push(second.peer);
    const { files, sources } = await read(TREE.id, { peers: [first.peer] });
    expect(files.map(({ path, isHere }) => [path, isHere])).toEqual([
      ['a.txt', false],
      ['deep/er/large.bin', false],
    ]);
    expect(sources).toEqual([first.peer, second.peer]);
    expect([...rig.store.blobs.keys()].toSorted()).toEqual(NODES.map(computeBlobId).toSorted());
    expect((await read(TREE.id, { isLocal: true })).files).toEqual(files);
  });

  it('may have its inner lists at others than its outer one', async () => {
    const { rig, searched, read } = await setUp();
    const root = await addPeer(rig, 2, [TREE.bytes]);
    const { peer } = await addPeer(rig, 3, NODES);
    searched.push([root.peer], [peer]);
    expect((await read(TREE.id)).files).toHaveLength(2);
  });

  it('is not taken from a liar: what it sends has another hash', async () => {
    const { rig, read } = await setUp();
    const liar = await addPeer(rig, 2, NODES);
    const { bytes } = encodeFolder([{ name: 'a.txt', id: computeBlobId(LARGE), dagBytes: 7 }]);
    liar.behave = async function* (request) {
      if (request.op === 'stat') yield { kind: 'stat', sizeBytes: bytes.length } as never;
      else yield { kind: 'chunk', sizeBytes: bytes.length, bytes } as never;
    };
    await expect(read(TREE.id, { peers: [liar.peer] })).rejects.toMatchObject({
      code: 'TRANSFER_NO_SOURCE',
      info: { blob: TREE.id },
    });
    expect(liar.asked.some(({ op }) => op === 'read')).toBe(true);
    expect(rig.store.blobs.size).toBe(0);
    const honest = await addPeer(rig, 3, NODES);
    expect((await read(TREE.id, { peers: [liar.peer, honest.peer] })).files).toHaveLength(2);
  });

  it('is not even begun where a peer says that a list is larger than one can be', async () => {
    const { rig, read } = await setUp();
    const liar = await addPeer(rig, 2, []);
    liar.behave = async function* () {
      yield { kind: 'stat', sizeBytes: BLOB_LEAF_BYTES } as never;
    };
    await expect(read(TREE.id, { peers: [liar.peer] })).rejects.toMatchObject({ code: 'TRANSFER_NO_SOURCE' });
    expect(liar.asked.map(({ op }) => op)).toEqual(['stat']);
  });

  it('has a file where nobody has the list of a folder', async () => {
    const { rig, read } = await setUp();
    const { peer } = await addPeer(rig, 2, [OUTER.bytes]);
    const { files } = await read(OUTER.id, { peers: [peer] });
    expect(files).toEqual([LISTED]);
  });

  it('has a file where a peer shows that it is one, without a search for a folder', async () => {
    const { rig, searched, read } = await setUp();
    const { peer } = await addPeer(rig, 2, [OUTER.bytes, LARGE]);
    searched.push([peer]);
    expect((await read(OUTER.id)).files).toEqual([LISTED]);
    expect(searched).toEqual([]);
  });

  it('is no file because a peer says so, if what it shows is something else', async () => {
    const { rig, searched, read } = await setUp();
    const inner = treeOf({ 'large.bin': LARGE });
    const outer = encodeFolder([{ name: 'inner', id: inner.id, dagBytes: inner.dagBytes }]);
    const fileBytes = measureEntryFile(inner) ?? 0;
    expect(fileBytes).toBeGreaterThan(BLOB_LEAF_BYTES);
    const liar = await addPeer(rig, 2, [outer.bytes]);
    const other = treeOfFile(new Uint8Array(fileBytes)).encodeNode({ level: 0, index: 0 }) ?? new Uint8Array();
    liar.behave = (request, honest) => {
      return request.op === 'node' ? only({ kind: 'node', bytes: other }) : honest();
    };
    const honest = await addPeer(rig, 3, [inner.bytes]);
    searched.push([liar.peer], [honest.peer]);
    expect((await read(outer.id)).files.map(({ path }) => path)).toEqual(['inner/large.bin']);
    expect(liar.asked.some(({ op }) => op === 'node')).toBe(true);
  });
});

describe('a public blob of known size', () => {
  it.each([
    ['of one leaf', SMALL],
    ['of a tree', LARGE],
  ])('%s is taken only if it has that size', async (_, bytes) => {
    const { rig, control } = await setUp();
    const { peer } = await addPeer(rig, 2, [bytes]);
    const blob = computeBlobId(bytes);
    const fetch = (sizeBytes: number) => rig.settle(control.fetch({ blob, peers: [peer], sizeBytes }, {}));
    await expect(fetch(bytes.length + 1)).rejects.toMatchObject({
      code: expect.stringMatching(/^(TRANSFER|SCHEDULER)_/),
    });
    expect(rig.store.blobs.has(blob)).toBe(false);
    expect(await fetch(bytes.length)).toMatchObject({ sizeBytes: bytes.length, bytesMoved: bytes.length });
    expect(await fetch(bytes.length)).toMatchObject({ bytesMoved: 0 });
  });

  it('is not begun for an id without a tree where a link gives it more than a leaf', async () => {
    const { rig, control } = await setUp();
    const { peer, asked } = await addPeer(rig, 2, [SMALL]);
    const fetch = (sizeBytes: number) => control.fetch({ blob: computeBlobId(SMALL), peers: [peer], sizeBytes }, {});
    await expect(fetch(BLOB_LEAF_BYTES + 1)).rejects.toMatchObject({ code: 'TRANSFER_BAD_SIZE' });
    expect(asked).toEqual([]);
    await expect(rig.settle(fetch(SMALL.length))).resolves.toMatchObject({ bytesMoved: SMALL.length });
  });
});
