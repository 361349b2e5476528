import { describe, expect, it } from 'vitest';
import { buildFolderTree, folderNodeBlob, folderOfNode } from '../../../src/domain/blob-folder.ts';
import { BLOB_LEAF_BYTES } from '../../../src/domain/blob-shape.ts';
import { computeBlobId } from '../../../src/domain/blob-tree.ts';
import { encodeUtf8 } from '../../../src/lib/bytes.ts';
import { FolderReader, type FolderReaderModules } from '../../../src/node/folder-reader.ts';
import { TransferError } from '../../../src/scheduler/transfer/errors.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { MemoryTransferStore } from '../../support/memory-transfer-store.ts';

const LINKS = 600;
const TREE = buildFolderTree(
  Array.from({ length: LINKS }, (_, index) => ({
    path: String(index),
    blob: folderOfNode(computeBlobId(encodeUtf8(`link ${index}`))),
    sizeBytes: 2 * BLOB_LEAF_BYTES,
  })),
);
const REQUEST = { folder: TREE.id, peers: [], isLocal: false };

/** A folder's outermost list is here; nobody has anything that it links to. */
async function setUp(changes: Partial<FolderReaderModules> = {}) {
  const blobs = new MemoryTransferStore();
  for (const node of TREE.nodes.values()) await blobs.put(node);
  const clock = new ManualClock();
  const searched: string[] = [];
  const reader = new FolderReader({
    blobs,
    clock,
    findPeers: async (folder) => {
      searched.push(folder);
      return [];
    },
    fetchNode: async (blob) => {
      throw new TransferError({ code: 'TRANSFER_NO_SOURCE', blob, reason: 'nobody is there' });
    },
    proveFile: async () => false,
    ...changes,
  });
  return { reader, clock, searched };
}

describe('a folder of links that nobody knows', () => {
  it('costs a bounded number of searches, and lists the rest as files', async () => {
    const { reader, clock, searched } = await setUp();
    const { folders, files } = await reader.read(REQUEST, {});
    expect(folders).toEqual([{ path: '', blob: folderNodeBlob(TREE.id) }]);
    expect(files).toHaveLength(LINKS);
    expect(searched).toHaveLength(1 + 256);
    expect(clock.pending).toBe(0);
  });

  it('is given up after a while, whatever is still waited for', async () => {
    const signals: (AbortSignal | undefined)[] = [];
    const { reader, clock } = await setUp({
      findPeers: (_folder, { signal }) => {
        signals.push(signal);
        return new Promise(() => {});
      },
    });
    const refused = expect(reader.read(REQUEST, {})).rejects.toMatchObject({
      code: 'NODE_FOLDER_TIMEOUT',
      retryable: true,
    });
    await clock.advance(15 * 60_000);
    await refused;
    expect(signals.map((signal) => signal?.aborted)).toEqual([true]);
  });

  it('is left with its caller', async () => {
    const { reader, clock } = await setUp({ findPeers: () => new Promise(() => {}) });
    const stop = new AbortController();
    const reading = reader.read(REQUEST, { signal: stop.signal });
    stop.abort(new TypeError('no longer wanted'));
    await expect(reading).rejects.toThrow('no longer wanted');
    expect(clock.pending).toBe(0);
  });
});
