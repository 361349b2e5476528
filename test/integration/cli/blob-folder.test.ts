import { access, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { buildFolderTree, folderNodeBlob } from '../../../src/domain/blob-folder.ts';
import { BLOB_LEAF_BYTES } from '../../../src/domain/blob-shape.ts';
import { computeBlobId } from '../../../src/domain/blob-tree.ts';
import type { BlobId } from '../../../src/domain/ids.ts';
import { SystemClock } from '../../../src/lib/clock.ts';
import { NodeBlobControl } from '../../../src/node/blob-control.ts';
import { createMethodTable } from '../../../src/rpc/method-table.ts';
import type { JobDraft } from '../../../src/scheduler/interface.ts';
import { TransferError } from '../../../src/scheduler/transfer/errors.ts';
import { runLine } from '../../support/cli-harness.ts';
import { createFakeModules, EXAMPLE_VIEW } from '../../support/fake-rpc-modules.ts';
import { MemoryTransferStore } from '../../support/memory-transfer-store.ts';
import { createTemporaryFolder, startServer } from '../../support/rpc-harness.ts';

const FILES: Readonly<Record<string, Uint8Array>> = {
  'a.txt': Buffer.from('one'),
  'deep/er/large.bin': new Uint8Array(BLOB_LEAF_BYTES + 5).fill(7),
  'deep/same.txt': Buffer.from('one'),
};
const TREE = buildFolderTree(
  Object.entries(FILES).map(([path, bytes]) => ({ path, blob: computeBlobId(bytes), sizeBytes: bytes.length })),
  ['empty'],
);
const NODES = [...TREE.nodes.keys()].map(folderNodeBlob);
const BLOBS = [...new Set([...Object.values(FILES).map(computeBlobId), ...NODES])].toSorted();

async function writeFiles(directory: string, files = FILES): Promise<void> {
  for (const [path, bytes] of Object.entries(files)) {
    await mkdir(join(directory, path, '..'), { recursive: true });
    await writeFile(join(directory, path), bytes);
  }
}

/** A daemon that has what is added to it, and knows nobody; and a folder to work in, with a folder `kit` in it. */
async function createDaemon() {
  const folder = await createTemporaryFolder();
  const store = new MemoryTransferStore();
  const shared = new Set<BlobId>();
  const secret = new Set<BlobId>();
  const verified: BlobId[] = [];
  const drafts: JobDraft[] = [];
  const fakes = createFakeModules();
  const inventory = {
    isPrivate: () => false,
    listBlobs: () => [],
    usage: fakes.blobControl.usage,
    remove: async (blob: BlobId) => store.blobs.delete(blob),
    verify: async (blob: BlobId) => {
      verified.push(blob);
      return { blob, sizeBytes: 1, leafCount: 1, damagedLeaves: [] };
    },
  };
  const put = store.put.bind(store);
  store.put = async (bytes: Uint8Array, options?: { readonly isPrivate?: boolean }) => {
    const stored = await put(bytes);
    if (options?.isPrivate === true) secret.add(stored.blob);
    return stored;
  };
  const control = new NodeBlobControl({
    blobs: Object.assign(store, inventory),
    sharedBlobs: {
      isPublic: (blob) => shared.has(blob),
      share: async (blob) => void shared.add(blob),
      unshare: async (blob) => shared.delete(blob),
    },
    transport: { request: () => Promise.reject(new TypeError('nobody is there')) },
    clock: new SystemClock(),
    transfers: {
      fetchBlob: async ({ blob }) => {
        throw new TransferError({ code: 'TRANSFER_NO_SOURCE', blob, reason: 'nobody is there' });
      },
    },
    content: { async *findProviders() {} },
  });
  const requester = {
    ...fakes.requester,
    submit: async (draft: JobDraft) => {
      drafts.push(draft);
      return EXAMPLE_VIEW;
    },
  };
  const modules = createFakeModules({ blobs: store, blobControl: control, requester });
  const server = await startServer(createMethodTable(modules, { version: '0' }));
  await writeFiles(join(folder.path, 'kit'));
  await mkdir(join(folder.path, 'kit/empty'));
  await symlink('/etc', join(folder.path, 'kit/link'));
  const run = (line: string) =>
    runLine([...line.split(' '), '--socket', server.path], { workingDirectory: folder.path });
  return {
    run,
    store,
    shared,
    secret,
    verified,
    drafts,
    folder: folder.path,
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

describe('blob add of a folder', () => {
  it('adds its files and lists, and prints its id, which is that of UnixFS', async () => {
    await using daemon = await createDaemon();
    const { stdout } = await daemon.run('blob add kit');
    expect(stdout).toMatch(new RegExp(`${TREE.id} +1 MiB +kit/`));
    expect(stdout).toContain('kit/deep/er/large.bin');
    expect([...daemon.store.blobs.keys()].toSorted()).toEqual(BLOBS);
    expect([daemon.shared.size, daemon.secret.size]).toEqual([0, 0]);
    const { blobs, folders } = JSON.parse((await daemon.run('blob add kit --json')).stdout);
    expect(blobs).toHaveLength(3);
    const path = join(daemon.folder, 'kit');
    expect(folders).toEqual([{ path, folder: TREE.id, files: 3, sizeBytes: BLOB_LEAF_BYTES + 11 }]);
  });

  it('shares its lists with its files, and encrypts them with them', async () => {
    await using daemon = await createDaemon();
    await daemon.run('blob add kit --share');
    expect([...daemon.shared].toSorted()).toEqual(BLOBS);
    expect([...daemon.shared][0]).toBe(folderNodeBlob(TREE.id));
    await daemon.run('blob add kit --private');
    for (const node of NODES) expect(daemon.secret.has(node)).toBe(true);
  });

  it('adds nothing of a folder that can have no id', async () => {
    await using daemon = await createDaemon();
    await mkdir(join(daemon.folder, 'deep', ...Array.from({ length: 64 }, () => 'd')), { recursive: true });
    const { exitCode, stderr } = await daemon.run('blob add deep kit');
    expect({ exitCode, stderr }).toEqual({ exitCode: 2, stderr: expect.stringContaining('can have no id') });
    expect(daemon.store.blobs.size).toBe(0);
  });
});

describe('blob get of a folder', () => {
  it('writes the tree, goes on where it was, and overwrites nothing', async () => {
    await using daemon = await createDaemon();
    await daemon.run('blob add kit');
    const first = await daemon.run(`blob get ${TREE.id} --output out/here --json`);
    expect(JSON.parse(first.stdout)).toMatchObject({ folder: TREE.id, files: 3, written: 3, bytesMoved: 0 });
    const out = join(daemon.folder, 'out/here');
    const check = async (): Promise<void> => {
      for (const [path, bytes] of Object.entries(FILES)) {
        expect((await readFile(join(out, path))).equals(bytes), path).toBe(true);
      }
    };
    await check();
    expect(await isThere(join(out, 'empty'))).toBe(true);
    expect(await isThere(join(out, 'link'))).toBe(false);
    // As after an interruption: one is there, and the node itself has it no longer.
    await rm(join(out, 'a.txt'));
    daemon.store.blobs.delete(computeBlobId(FILES['deep/er/large.bin'] ?? new Uint8Array()));
    const second = await daemon.run(`blob get ${TREE.id} --output out/here`);
    expect(second.stdout).toContain('3 files (2 were there)');
    await check();
    await writeFile(join(out, 'deep/same.txt'), 'two');
    const third = await daemon.run(`blob get ${TREE.id} --output out/here`);
    expect(third).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('RPC_FILE_EXISTS') });
    expect(await readFile(join(out, 'deep/same.txt'), 'utf8')).toBe('two');
  });

  it('follows no link out of the output, and writes nothing if one is in the way', async () => {
    await using daemon = await createDaemon();
    await daemon.run('blob add kit');
    await mkdir(join(daemon.folder, 'outside'));
    await mkdir(join(daemon.folder, 'out'));
    await symlink('../outside', join(daemon.folder, 'out/deep'));
    const { stderr } = await daemon.run(`blob get ${TREE.id} --output out`);
    expect(stderr).toContain('RPC_UNSAFE_OUTPUT_PATH');
    expect(await isThere(join(daemon.folder, 'out/a.txt'))).toBe(false);
    expect(await isThere(join(daemon.folder, 'outside/same.txt'))).toBe(false);
  });

  it('says whose bytes nobody has', async () => {
    await using daemon = await createDaemon();
    await daemon.run('blob add kit');
    daemon.store.blobs.delete(computeBlobId(FILES['a.txt'] ?? new Uint8Array()));
    const missing = await daemon.run(`blob get ${TREE.id}`);
    expect(missing).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('TRANSFER_NO_SOURCE') });
    daemon.store.blobs.clear();
    const unknown = await daemon.run(`blob get ${TREE.id}`);
    expect(unknown.stderr).toContain(TREE.id);
  });
});

describe('other commands', () => {
  it('share, verify, unshare and remove the whole folder', async () => {
    await using daemon = await createDaemon();
    await daemon.run('blob add kit');
    expect((await daemon.run(`blob share ${TREE.id}`)).stdout).toContain('(folder, 3 files) is public');
    expect([...daemon.shared].toSorted()).toEqual(BLOBS);
    const checked = await daemon.run(`blob verify ${TREE.id} --json`);
    expect(JSON.parse(checked.stdout)).toEqual({ checked: BLOBS.length, damaged: [] });
    expect(daemon.verified.toSorted()).toEqual(BLOBS);
    expect((await daemon.run(`blob unshare ${TREE.id}`)).stdout).toContain('is no longer public');
    expect(daemon.shared.size).toBe(0);
    expect((await daemon.run(`blob remove ${TREE.id}`)).stdout).toContain('is removed');
    expect(daemon.store.blobs.size).toBe(0);
    expect((await daemon.run(`blob remove ${TREE.id}`)).stdout).toContain('was not here');
  });

  it('share nothing of a folder of which files are missing, and say what to do', async () => {
    await using daemon = await createDaemon();
    await daemon.run('blob add kit');
    daemon.store.blobs.delete(computeBlobId(FILES['deep/er/large.bin'] ?? new Uint8Array()));
    const { exitCode, stderr } = await daemon.run(`blob share ${TREE.id}`);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(`fogproof blob get ${TREE.id}`);
    expect(daemon.shared.size).toBe(0);
    expect((await daemon.run(`blob verify ${TREE.id}`)).stdout).toContain('1 file of the folder not here');
  });

  it('take a large file as one', async () => {
    await using daemon = await createDaemon();
    await daemon.run('blob add kit/deep/er/large.bin');
    const blob = computeBlobId(FILES['deep/er/large.bin'] ?? new Uint8Array());
    expect((await daemon.run(`blob share ${blob}`)).stdout).toBe(`${blob} is public\n`);
    expect((await daemon.run(`blob get ${blob} --output large`)).exitCode).toBe(0);
    expect((await daemon.run(`blob remove ${blob}`)).stdout).toBe(`${blob} is removed\n`);
  });
});

const JOB_FILE = `
name: with a folder
workload: { kind: wasm, module: a.wasm, abi: wasi }
inputs:
  /kit: { folder: ${TREE.id} }
  /more.txt: more.txt
`;
const INPUTS = ['/kit/a.txt', '/kit/deep/er/large.bin', '/kit/deep/same.txt', '/more.txt'];

describe('a job file that names a folder of the node', () => {
  it('has the files in it as inputs; also each job of a batch', async () => {
    await using daemon = await createDaemon();
    await daemon.run('blob add kit');
    for (const file of ['a.wasm', 'more.txt']) await writeFile(join(daemon.folder, file), 'some bytes');
    await writeFile(join(daemon.folder, 'job.yaml'), JOB_FILE);
    const { exitCode, stderr } = await daemon.run('job submit job.yaml --detach');
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: expect.stringMatching(/files +5, 1 MiB/) });
    expect(daemon.drafts[0]?.inputs.map(({ path }) => path)).toEqual(INPUTS);
    expect(daemon.drafts[0]?.inputs[0]).toEqual({
      path: '/kit/a.txt',
      blob: computeBlobId(FILES['a.txt'] ?? new Uint8Array()),
      sizeBytes: 3,
    });
    await writeFile(join(daemon.folder, 'job.yaml'), `${JOB_FILE}batch: { count: 2 }\n`);
    expect(await daemon.run('job submit job.yaml --detach')).toMatchObject({ exitCode: 0 });
  });

  it('is not submitted while files of the folder are not here', async () => {
    await using daemon = await createDaemon();
    await daemon.run('blob add kit');
    daemon.store.blobs.delete(computeBlobId(FILES['deep/er/large.bin'] ?? new Uint8Array()));
    for (const file of ['a.wasm', 'more.txt']) await writeFile(join(daemon.folder, file), 'some bytes');
    await writeFile(join(daemon.folder, 'job.yaml'), JOB_FILE);
    const { exitCode, stderr } = await daemon.run('job submit job.yaml');
    expect(exitCode).toBe(2);
    expect(stderr).toContain('JOB_FILE_FOLDER_NOT_HERE');
    expect(stderr).toContain(`fogproof blob get ${TREE.id}`);
    expect(daemon.drafts).toEqual([]);
  });
});
