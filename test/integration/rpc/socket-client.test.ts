import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DomainError } from '../../../src/domain/errors.ts';
import { createMethodTable } from '../../../src/rpc/method-table.ts';
import { RpcRemoteError } from '../../../src/rpc/remote-error.ts';
import { METHOD_SCHEMAS } from '../../../src/rpc/schema/table.ts';
import { connectSocket } from '../../../src/rpc/socket-client.ts';
import type { JobEvent } from '../../../src/scheduler/interface.ts';
import { createFakeModules, EXAMPLE_VIEW, exampleLog, JOB, MemoryBlobs } from '../../support/fake-rpc-modules.ts';
import { createTemporaryFolder, startServer } from '../../support/rpc-harness.ts';

const start = (modules = createFakeModules()) => startServer(createMethodTable(modules, { version: '0.1.0' }));

describe('the client of the control socket', () => {
  it('says that no daemon runs, and how to start one', async () => {
    await using folder = await createTemporaryFolder();
    await expect(connectSocket(join(folder.path, 'none.sock'))).rejects.toMatchObject({
      code: 'RPC_NO_DAEMON',
      hint: expect.stringContaining('fogproof node start'),
    });
  });

  it('gives results as they were', async () => {
    await using server = await start();
    await using client = await connectSocket(server.path);
    expect(await client.call('node.status', {})).toEqual(METHOD_SCHEMAS['node.status'].example.result);
    expect(await client.call('job.show', { job: JOB })).toEqual(EXAMPLE_VIEW);
    expect(await client.call('rpc.discover', {})).toMatchObject({ openrpc: '1.3.2' });
  });

  it('carries bytes both ways unharmed', async () => {
    const blobs = new MemoryBlobs();
    await using server = await start(createFakeModules({ blobs }));
    await using client = await connectSocket(server.path);
    const bytes = Uint8Array.from({ length: 3_000_000 }, (_, index) => index % 251);
    for (const given of [bytes, Buffer.from(bytes), new Uint8Array()]) {
      const { blob, sizeBytes } = await client.call('blob.addBytes', { bytes: given });
      expect(sizeBytes).toBe(given.length);
      expect(Buffer.compare(blobs.blobs.get(blob) ?? new Uint8Array([1]), given)).toBe(0);
    }
  });

  it('checks the params of a call before anything is done', async () => {
    await using server = await start();
    await using client = await connectSocket(server.path);
    const call = client.call('job.show', { job: 'nonsense' as never });
    await expect(call).rejects.toMatchObject({ code: 'RPC_BAD_PARAMS', rpcCode: -32602, info: { path: 'job' } });
    await expect(client.call('job.list', { limit: 0 })).rejects.toMatchObject({ code: 'RPC_BAD_PARAMS' });
    await expect(client.call('blob.add', { path: 'relative' })).rejects.toMatchObject({ code: 'RPC_BAD_PARAMS' });
  });

  it('recreates the errors of the daemon', async () => {
    const thrown = new DomainError({ code: 'DOMAIN_BAD_ID', kind: 'job id', text: 'x' });
    const modules = createFakeModules({ bundles: { exportFile: async () => Promise.reject(thrown) } });
    await using server = await start(modules);
    await using client = await connectSocket(server.path);
    const params = { job: JOB, path: '/x', format: 'bundle', content: 'outputs' } as const;
    const error = await client.call('bundle.export', params).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(RpcRemoteError);
    expect(error).toMatchObject({
      code: 'DOMAIN_BAD_ID',
      message: thrown.message,
      hint: thrown.hint,
      info: thrown.info,
    });
  });

  it('keeps many calls apart', async () => {
    const modules = createFakeModules();
    const network = {
      ...modules.network,
      connect: async (address: string) => {
        await new Promise((resolve) => setImmediate(resolve));
        return address as never;
      },
    };
    await using server = await start(createFakeModules({ network }));
    await using client = await connectSocket(server.path);
    const addresses = Array.from({ length: 1000 }, (_, index) => `address ${index}`);
    const peers = await Promise.all(
      addresses.map(async (address) => (await client.call('peers.connect', { address })).peer),
    );
    expect(peers).toEqual(addresses);
  });

  it('rejects what is under way when the daemon goes', async () => {
    const modules = createFakeModules();
    const reached = Promise.withResolvers<void>();
    const wait = (_: unknown, { signal }: { signal: AbortSignal }) => {
      reached.resolve();
      return new Promise<never>((_resolve, reject) =>
        signal.addEventListener('abort', () => reject(new DOMException('cut off', 'AbortError'))),
      );
    };
    await using server = await start(createFakeModules({ requester: { ...modules.requester, wait } }));
    await using client = await connectSocket(server.path);
    const waiting = client.call('job.wait', { job: JOB }).catch((error: unknown) => error);
    await reached.promise;
    await server.server.stop();
    expect(await waiting).toMatchObject({ code: 'RPC_ABORTED' });
    await expect(client.call('node.status', {})).rejects.toMatchObject({ code: 'RPC_CONNECTION_LOST' });
  });

  it('leaves a call when its signal aborts', async () => {
    const modules = createFakeModules();
    const wait = () => new Promise<never>(() => {});
    await using server = await start(createFakeModules({ requester: { ...modules.requester, wait } }));
    await using client = await connectSocket(server.path);
    const controller = new AbortController();
    const waiting = client.call('job.wait', { job: JOB }, { signal: controller.signal });
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ name: 'AbortError' });
    expect(await client.call('job.show', { job: JOB })).toEqual(EXAMPLE_VIEW);
  });

  it('refuses what does not speak JSON', async () => {
    await using folder = await createTemporaryFolder();
    const path = join(folder.path, 'http.sock');
    const stranger = createServer((socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    stranger.listen(path);
    await once(stranger, 'listening');
    await using client = await connectSocket(path);
    await expect(client.call('node.status', {})).rejects.toMatchObject({ code: 'RPC_BAD_RESPONSE' });
    stranger.close();
  });

  it('answers a trivial call in well under a millisecond', async () => {
    await using server = await start();
    await using client = await connectSocket(server.path);
    const times: number[] = [];
    for (let index = 0; index < 2000; index += 1) {
      const before = performance.now();
      await client.call('peers.list', {});
      times.push(performance.now() - before);
    }
    const median = times.toSorted((a, b) => a - b)[1000] ?? Number.POSITIVE_INFINITY;
    expect(median).toBeLessThan(1);
  });
});

describe('subscriptions of the client', () => {
  const withEvents = (events: (signal: AbortSignal) => AsyncIterable<JobEvent>) => {
    const modules = createFakeModules();
    return start(createFakeModules({ requester: { ...modules.requester, events: (_, { signal }) => events(signal) } }));
  };

  it('gives every event in order and ends with the daemon', async () => {
    await using server = await withEvents(async function* () {
      for (let index = 0; index < 5000; index += 1) yield exampleLog(`line ${index}`);
    });
    await using client = await connectSocket(server.path);
    const texts: string[] = [];
    for await (const event of client.subscribe('job.subscribe', { job: JOB, follow: true })) {
      if (event.kind === 'log') texts.push(event.text);
    }
    expect(texts).toEqual(Array.from({ length: 5000 }, (_, index) => `line ${index}`));
  });

  it('tells the daemon when the loop is left', async () => {
    const aborted = Promise.withResolvers<void>();
    await using server = await withEvents(async function* (signal) {
      signal.addEventListener('abort', () => aborted.resolve());
      yield exampleLog('one');
      await aborted.promise;
    });
    await using client = await connectSocket(server.path);
    for await (const event of client.subscribe('job.subscribe', { job: JOB, follow: true })) {
      expect(event).toEqual(exampleLog('one'));
      break;
    }
    await aborted.promise;
    expect(await client.call('job.show', { job: JOB })).toEqual(EXAMPLE_VIEW);
  });

  it('throws what the source threw, after the events before it', async () => {
    await using server = await withEvents(async function* () {
      yield exampleLog('one');
      throw new DomainError({ code: 'DOMAIN_BAD_TIME', value: -1 });
    });
    await using client = await connectSocket(server.path);
    const seen: JobEvent[] = [];
    const loop = async (): Promise<void> => {
      for await (const event of client.subscribe('job.subscribe', { job: JOB, follow: false })) seen.push(event);
    };
    await expect(loop()).rejects.toMatchObject({ code: 'DOMAIN_BAD_TIME' });
    expect(seen).toEqual([exampleLog('one')]);
  });

  it('ends with the abort of its signal', async () => {
    await using server = await withEvents(async function* (signal) {
      yield exampleLog('one');
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    });
    await using client = await connectSocket(server.path);
    const controller = new AbortController();
    const loop = async (): Promise<void> => {
      const options = { signal: controller.signal };
      for await (const _ of client.subscribe('job.subscribe', { job: JOB, follow: true }, options)) controller.abort();
    };
    await expect(loop()).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('follows changes of jobs and of peers', async () => {
    const modules = createFakeModules();
    let state: 'running' | 'completed' = 'running';
    let onChange: (() => void) | undefined;
    let connected = 0;
    const requester = { ...modules.requester, list: async () => [{ ...EXAMPLE_VIEW, state }] };
    const peers = {
      ...modules.network.peers,
      list: () => Array.from({ length: connected }, () => ({ isConnected: true }) as never),
      onChange: (listener: () => void) => {
        onChange = listener;
        return { [Symbol.dispose]() {} };
      },
    };
    await using server = await start(createFakeModules({ requester, network: { ...modules.network, peers } }));
    await using client = await connectSocket(server.path);
    const watched = client.subscribe('peers.subscribe', {})[Symbol.asyncIterator]();
    expect(await watched.next()).toEqual({ done: false, value: { connected: 0, known: 0 } });
    connected = 2;
    onChange?.();
    expect(await watched.next()).toEqual({ done: false, value: { connected: 2, known: 2 } });
    const jobs = client.subscribe('jobs.subscribe', {})[Symbol.asyncIterator]();
    const next = jobs.next();
    // A second subscription is answered after the first sample of the first was taken.
    await client.call('job.list', { limit: 1 });
    state = 'completed';
    expect(await next).toEqual({ done: false, value: { job: JOB, state: 'completed' } });
  });
});
