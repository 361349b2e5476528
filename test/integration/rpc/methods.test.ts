import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BlobId } from '../../../src/domain/ids.ts';
import { NodeError } from '../../../src/node/errors.ts';
import type { MethodContext } from '../../../src/rpc/json-rpc.ts';
import { createMethodTable } from '../../../src/rpc/method-table.ts';
import { EXAMPLE_BLOB } from '../../../src/rpc/schema/common.ts';
import { METHOD_SCHEMAS } from '../../../src/rpc/schema/table.ts';
import {
  createFakeModules,
  EXAMPLE_VIEW,
  exampleResult,
  JOB,
  MemoryBlobs,
  PEER,
  viewWithOutputs,
} from '../../support/fake-rpc-modules.ts';
import { createTemporaryFolder } from '../../support/rpc-harness.ts';

const context: MethodContext = {
  signal: new AbortController().signal,
  subscribe: () => 'c1.1',
  unsubscribe: () => false,
};

/** A node that holds a finished job with these output files. */
async function createNode(files: Readonly<Record<string, string>>) {
  const blobs = new MemoryBlobs();
  const outputs = await Promise.all(
    Object.entries(files).map(async ([path, text]) => ({ path, ...(await blobs.put(Buffer.from(text))) })),
  );
  const view = viewWithOutputs(outputs);
  const { requester } = createFakeModules();
  const methods = createMethodTable(createFakeModules({ blobs, requester: { ...requester, show: async () => view } }), {
    version: '0',
  });
  const write = async (directory: string): Promise<unknown> =>
    methods.get('job.writeOutputs')?.invoke({ job: JOB, directory }, context);
  return { write, blobs, view };
}

describe('job.writeOutputs', () => {
  it('writes every file under the folder, which it makes', async () => {
    await using folder = await createTemporaryFolder();
    const { write } = await createNode({ '/model.bin': 'weights', '/logs/a/b.txt': 'deep', '/empty': '' });
    const directory = join(folder.path, 'out');
    expect(await write(directory)).toEqual({
      files: [
        { path: join(directory, 'model.bin'), sizeBytes: 7 },
        { path: join(directory, 'logs/a/b.txt'), sizeBytes: 4 },
        { path: join(directory, 'empty'), sizeBytes: 0 },
      ],
    });
    expect(await readFile(join(directory, 'logs/a/b.txt'), 'utf8')).toBe('deep');
    expect((await readdir(directory)).toSorted()).toEqual(['empty', 'logs', 'model.bin']);
  });

  it('may be repeated, and never overwrites', async () => {
    await using folder = await createTemporaryFolder();
    const { write } = await createNode({ '/a': 'one', '/b': 'two' });
    await write(folder.path);
    await write(folder.path);
    await writeFile(join(folder.path, 'b'), 'own');
    await expect(write(folder.path)).rejects.toMatchObject({ code: 'RPC_FILE_EXISTS' });
    expect(await readFile(join(folder.path, 'b'), 'utf8')).toBe('own');
  });

  it('writes nothing at all if one file cannot be had', async () => {
    await using folder = await createTemporaryFolder();
    const { write, blobs, view } = await createNode({ '/a': 'one', '/b': 'two' });
    blobs.blobs.delete(view.result?.outputs[1]?.blob as BlobId);
    await expect(write(folder.path)).rejects.toMatchObject({ code: 'RPC_OUTPUT_MISSING' });
    expect(await readdir(folder.path)).toEqual([]);
  });

  it('follows no link out of the folder', async () => {
    await using folder = await createTemporaryFolder();
    await using elsewhere = await createTemporaryFolder();
    await symlink(elsewhere.path, join(folder.path, 'sub'));
    await symlink(join(elsewhere.path, 'target'), join(folder.path, 'file'));
    for (const path of ['/sub/x', '/file']) {
      const { write } = await createNode({ [path]: 'escaped' });
      await expect(write(folder.path)).rejects.toMatchObject({ code: 'RPC_UNSAFE_OUTPUT_PATH' });
    }
    expect(await readdir(elsewhere.path)).toEqual([]);
  });

  it('does not write through what is in the way', async () => {
    await using folder = await createTemporaryFolder();
    await mkdir(join(folder.path, 'taken'));
    const { write } = await createNode({ '/taken': 'x' });
    await expect(write(folder.path)).rejects.toMatchObject({ code: 'RPC_UNSAFE_OUTPUT_PATH' });
  });

  it('writes nothing of a result in which a file would have to be a folder too', async () => {
    await using folder = await createTemporaryFolder();
    const { write } = await createNode({ '/other': 'x', '/a/b/c': 'deep', '/a': 'file' });
    await expect(write(folder.path)).rejects.toMatchObject({
      code: 'RPC_UNSAFE_OUTPUT_PATH',
      info: { path: '/a/b/c' },
    });
    expect(await readdir(folder.path)).toEqual([]);
  });

  it('writes nothing outside, whatever the paths', async () => {
    await using outer = await createTemporaryFolder();
    const segment = fc.oneof(fc.constantFrom('..', '.', '', 'a', '~', 'C:', '\\..\\x'), fc.string({ maxLength: 6 }));
    const path = fc.array(segment, { minLength: 1, maxLength: 5 }).map((parts) => `/${parts.join('/')}`);
    let run = 0;
    await fc.assert(
      fc.asyncProperty(path, async (hostile) => {
        run += 1;
        const directory = join(outer.path, `in-${run}`, 'deeper');
        const { write } = await createNode({ [hostile]: 'x' });
        await write(directory).catch((error: { code?: string }) => expect(error.code).toMatch(/^RPC_/));
        const entries = await readdir(outer.path);
        expect(entries.every((entry) => /^in-\d+$/.test(entry))).toBe(true);
        expect(await readdir(join(outer.path, `in-${run}`))).toEqual(['deeper']);
      }),
      { numRuns: 150 },
    );
  });

  it('is refused before there is a result, and for paths that are relative', async () => {
    const { requester } = createFakeModules();
    const running = { ...requester, show: async () => ({ ...EXAMPLE_VIEW, state: 'running' as const, result: null }) };
    const methods = createMethodTable(createFakeModules({ requester: running }), { version: '0' });
    const write = async (directory: string): Promise<unknown> =>
      methods.get('job.writeOutputs')?.invoke({ job: JOB, directory }, context);
    await expect(write('/tmp/never')).rejects.toMatchObject({ code: 'SCHEDULER_NO_RESULT' });
    await expect(write('relative')).rejects.toMatchObject({ code: 'RPC_BAD_PARAMS' });
  });
});

describe('job.rate', () => {
  type Rated = Parameters<ReturnType<typeof createFakeModules>['ratings']['rate']>;
  const createTable = (view = EXAMPLE_VIEW) => {
    const calls: Rated[] = [];
    const { requester } = createFakeModules();
    const rate = async (...call: Rated) => {
      calls.push(call);
      return exampleResult('job.rate');
    };
    const modules = createFakeModules({ ratings: { rate }, requester: { ...requester, show: async () => view } });
    const method = createMethodTable(modules, { version: '0' }).get('job.rate');
    return {
      calls,
      call: async (params: object): Promise<unknown> => method?.invoke({ job: JOB, ...params }, context),
    };
  };

  it('rates every provider of the job, or the one of a replica', async () => {
    const { calls, call } = createTable();
    expect(await call({ stars: 5 })).toEqual(METHOD_SCHEMAS['job.rate'].example.result);
    await call({ stars: 1, replica: 2 });
    expect(calls).toEqual([
      [EXAMPLE_VIEW, { stars: 5, replica: null }],
      [EXAMPLE_VIEW, { stars: 1, replica: 2 }],
    ]);
  });

  it('takes whole stars from 1 to 5, and nothing else', async () => {
    const { calls, call } = createTable();
    for (const params of [{}, { stars: 0 }, { stars: 6 }, { stars: 4.5 }, { stars: '5' }, { stars: 5, replica: -1 }]) {
      await expect(call(params)).rejects.toMatchObject({ code: 'RPC_BAD_PARAMS' });
    }
    await expect(call({ stars: 5, comment: 'well done' })).rejects.toMatchObject({ code: 'RPC_BAD_PARAMS' });
    expect(calls).toEqual([]);
  });
});

describe('blob.add', () => {
  it('takes regular files only', async () => {
    await using folder = await createTemporaryFolder();
    const blobs = new MemoryBlobs();
    const methods = createMethodTable(createFakeModules({ blobs }), { version: '0' });
    const add = async (path: string): Promise<unknown> => methods.get('blob.add')?.invoke({ path }, context);
    const file = join(folder.path, 'data');
    await writeFile(file, 'x');
    await add(file);
    expect(blobs.files).toEqual([file]);
    for (const path of [folder.path, join(folder.path, 'none'), '/dev/zero']) {
      await expect(add(path)).rejects.toMatchObject({ code: 'RPC_NOT_A_FILE' });
    }
    expect(blobs.files).toEqual([file]);
  });
});

it.each(['blob.add', 'blob.addBytes'])('%s ends that a blob is public if it is to be private', async (name) => {
  await using folder = await createTemporaryFolder();
  const path = join(folder.path, 'data');
  await writeFile(path, 'x');
  const unshared: BlobId[] = [];
  const { blobControl } = createFakeModules();
  const control = { ...blobControl, isPublic: () => true, unshare: async (blob: BlobId) => unshared.push(blob) > 0 };
  const modules = createFakeModules({ blobs: new MemoryBlobs(), blobControl: control });
  const method = createMethodTable(modules, { version: '0' }).get(name);
  const given = name === 'blob.add' ? { path } : { bytes: Buffer.from('x').toString('base64') };
  await method?.invoke(given, context);
  expect(unshared).toEqual([]);
  const stat = await method?.invoke({ ...given, private: true }, context);
  expect([stat]).toMatchObject(unshared.map((blob) => ({ blob })));
  expect(unshared).toHaveLength(1);
});

describe('the other methods', () => {
  it('stop the node as they are told', async () => {
    const stops: { readonly drain: boolean }[] = [];
    const { node } = createFakeModules();
    const stopping = createFakeModules({ node: { ...node, stop: (options) => void stops.push(options) } });
    const methods = createMethodTable(stopping, { version: '0' });
    expect(await methods.get('node.stop')?.invoke({ drain: true }, context)).toEqual({ isStopping: true });
    expect(stops).toEqual([{ drain: true }]);
  });

  it('show a peer without the signature of its record', async () => {
    const { network } = createFakeModules();
    const record = {
      value: {
        sequence: 3,
        expiresAtMs: 5,
        software: 'fogproof/0.1.0',
        role: { provides: true, requests: true },
        claims: { region: null, cpuCores: 4, memoryBytes: 1024, gpus: [{ model: 'H100' }] },
        executors: [{ kind: 'wasm', isolation: ['process'], slots: 2 }],
        pricesPerHour: [{ capabilityClass: 'cpu', price: '7' }],
      },
    } as never;
    const [example] = exampleResult('peers.list').peers;
    const info = { ...example, peer: PEER, record } as never;
    const peers = { ...network.peers, list: () => [info] };
    const methods = createMethodTable(createFakeModules({ network: { ...network, peers } }), { version: '0' });
    const result = await methods.get('peers.list')?.invoke({}, context);
    expect(METHOD_SCHEMAS['peers.list'].result.safeParse(result).error).toBeUndefined();
    expect(result).toMatchObject({
      peers: [{ record: { executors: ['wasm (process) × 2'], gpus: ['H100'], pricesPerHour: ['cpu 7'] } }],
    });
  });

  it('answer in the form that rpc.discover describes', async () => {
    const modules = createFakeModules();
    (modules.blobs as MemoryBlobs).blobs.set(EXAMPLE_BLOB, new Uint8Array(5));
    const methods = createMethodTable(modules, { version: '0' });
    for (const name of Object.keys(METHOD_SCHEMAS) as (keyof typeof METHOD_SCHEMAS)[]) {
      if (['job.writeOutputs', 'blob.add', 'blob.write'].includes(name)) continue;
      const { params, result } = METHOD_SCHEMAS[name];
      expect(params.safeParse(METHOD_SCHEMAS[name].example.params).success).toBe(true);
      const answer = await methods.get(name)?.invoke(METHOD_SCHEMAS[name].example.params, context);
      expect(result.safeParse(JSON.parse(JSON.stringify(answer))).error, name).toBeUndefined();
    }
  });
});

describe('methods of the chain', () => {
  const call = async (
    name: string,
    params: unknown,
    parts: Partial<ReturnType<typeof createFakeModules>['chain']> = {},
  ) =>
    createMethodTable(createFakeModules({ chain: { ...createFakeModules().chain, ...parts } }), { version: '0' })
      .get(name)
      ?.invoke(params, context);

  it('take and give lamports as decimal strings, however many', async () => {
    const asked: bigint[] = [];
    const airdrop: ReturnType<typeof createFakeModules>['chain']['airdrop'] = async (lamports) => {
      asked.push(lamports);
      return { ...exampleResult('wallet.airdrop'), lamports };
    };
    const most = (2n ** 64n - 1n).toString();
    expect(await call('wallet.airdrop', { lamports: most }, { airdrop })).toMatchObject({ lamports: most });
    expect(asked).toEqual([2n ** 64n - 1n]);
    for (const lamports of [1, '', '-1', '1.5', '01', '0x1', '1e3', (2n ** 64n).toString(), ' 1', '9'.repeat(1000)]) {
      await expect(call('wallet.airdrop', { lamports }, { airdrop })).rejects.toMatchObject({ code: 'RPC_BAD_PARAMS' });
    }
    expect(asked).toHaveLength(1);
  });

  it('refuse any other amount than a decimal string of 64 bits', async () => {
    await fc.assert(
      fc.asyncProperty(fc.anything(), async (lamports) => {
        const schema = METHOD_SCHEMAS['wallet.airdrop'].params;
        const parsed = schema.safeParse({ lamports });
        if (parsed.success) expect(parsed.data.lamports.toString()).toBe(lamports);
      }),
    );
  });

  it('answer as JSON what needs bytes and amounts in memory', async () => {
    expect(await call('anchor.list', { limit: 1 })).toEqual(METHOD_SCHEMAS['anchor.list'].example.result);
    expect(await call('anchor.flush', {})).toEqual(METHOD_SCHEMAS['anchor.flush'].example.result);
    expect(await call('anchor.flush', {}, { flushAnchors: async () => null })).toEqual({ anchor: null });
    expect(await call('wallet.show', {})).toEqual(METHOD_SCHEMAS['wallet.show'].example.result);
    expect(await call('node.status', {})).toEqual(METHOD_SCHEMAS['node.status'].example.result);
    for (const limit of [0, 1.5, 10_001, '5']) {
      await expect(call('anchor.list', { limit })).rejects.toMatchObject({ code: 'RPC_BAD_PARAMS' });
    }
  });

  it('pass on that there is no chain, as an error of the node', async () => {
    const refuse = (): Promise<never> => Promise.reject(new NodeError({ code: 'NODE_NO_CHAIN', network: 'lab' }));
    await expect(call('wallet.show', {}, { wallet: refuse })).rejects.toMatchObject({ code: 'NODE_NO_CHAIN' });
  });
});
