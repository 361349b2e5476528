import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { Keypair, SystemProgram, sendAndConfirmTransaction, Transaction } from '@solana/web3.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { startLocalnet, type TestLocalnet } from '../../support/localnet.ts';
import { itIf, type Need } from '../../support/needs.ts';

const NAMESPACE = ['--user', '--map-root-user', '--mount', 'sh', '-c'];
const MOST_BYTES = 40 * 1024 * 1024;
const INTERNAL = -32603;

interface Answer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: { readonly code: number };
}

let net: TestLocalnet;

beforeAll(async () => {
  net = await startLocalnet();
});
afterAll(async () => await net[Symbol.asyncDispose]());

const call = (id: number, method: string, params: readonly unknown[] = []) => ({ jsonrpc: '2.0', id, method, params });

async function post(body: unknown, contentType: string): Promise<Response> {
  const headers = { 'content-type': contentType, origin: 'https://attacker.example' };
  return await fetch(net.url, { method: 'POST', headers, body: JSON.stringify(body) });
}

describe('a page of another site', () => {
  // The essence of these is one of the three that a browser sends anywhere without asking first (Fetch, section 2.2.2).
  it.each([
    'text/plain; a=json',
    'text/plain;charset=json',
    'text/plain; x="application/json"',
    'application/x-www-form-urlencoded; json',
    'multipart/form-data; boundary=json',
  ])('cannot have the faucet pay with %s', async (contentType) => {
    const before = net.chain.status().transactions;
    const order = call(1, 'requestAirdrop', ['11111111111111111111111111111112', 1_000_000_000]);
    expect((await post(order, contentType)).status).toBe(415);
    expect(net.chain.status().transactions).toBe(before);
  });

  it.each(['application/json', 'application/json; charset=utf-8', 'Application/JSON;charset=UTF-8'])(
    'is not what %s is refused for',
    async (contentType) => {
      expect(await (await post(call(1, 'getHealth'), contentType)).json()).toMatchObject({ result: 'ok' });
    },
  );
});

describe('a batch of small questions with large answers', () => {
  it('is answered as far as there is room, and the rest with errors', async () => {
    const batch = Array.from({ length: 1_000 }, (_, id) => call(id, 'getLeaderSchedule'));
    const response = await post(batch, 'application/json');
    const text = await response.text();
    expect(text.length).toBeLessThan(MOST_BYTES);
    const answers = JSON.parse(text) as readonly Answer[];
    expect(answers.map(({ id }) => id)).toEqual(batch.map(({ id }) => id));
    expect(answers[0]).toHaveProperty('result');
    expect(answers.at(-1)).toMatchObject({ error: { code: INTERNAL } });
  });

  it('does not keep slots from being made', async () => {
    const heavy = Array.from({ length: 4 }, (_, id) => call(id + 1, 'getLeaderSchedule'));
    const slot = call(0, 'getSlot', [{ commitment: 'processed' }]);
    const answers = (await (await post([slot, ...heavy, slot], 'application/json')).json()) as readonly Answer[];
    expect(Number(answers.at(-1)?.result)).toBeGreaterThan(Number(answers[0]?.result));
  });
});

describe('an account of 10 MiB', () => {
  const space = 10 * 1024 * 1024;
  let payer: Keypair;
  let big: Keypair;

  beforeAll(async () => {
    payer = await net.fund(90_000_000_000);
    big = Keypair.generate();
    const lamports = await net.connection.getMinimumBalanceForRentExemption(space);
    const keys = { fromPubkey: payer.publicKey, newAccountPubkey: big.publicKey, programId: SystemProgram.programId };
    const creation = new Transaction().add(SystemProgram.createAccount({ ...keys, lamports, space }));
    await sendAndConfirmTransaction(net.connection, creation, [payer, big]);
  });

  it('that is asked for a hundred times in one call is refused before the answer is made', async () => {
    const ask = async (times: number, dataSlice?: { readonly offset: number; readonly length: number }) => {
      const addresses = Array.from({ length: times }, () => big.publicKey.toBase58());
      const config = { encoding: 'base64', commitment: 'confirmed', ...(dataSlice === undefined ? {} : { dataSlice }) };
      const response = await post(call(1, 'getMultipleAccounts', [addresses, config]), 'application/json');
      return (await response.json()) as Answer;
    };
    expect(await ask(100)).toMatchObject({ error: { code: -32602, message: expect.stringContaining('dataSlice') } });
    expect(await ask(100, { offset: 0, length: 8 })).toHaveProperty('result');
    expect(await ask(1)).toHaveProperty('result');
  });

  it('that one client subscribed to a thousand times without reading does not hold up the others', async () => {
    const socket = new WebSocket(net.webSocketUrl);
    socket.on('error', () => {});
    await once(socket, 'open');
    const params = [big.publicKey.toBase58(), { encoding: 'base64', commitment: 'processed' }];
    socket.send(JSON.stringify(Array.from({ length: 1_000 }, (_, id) => call(id, 'accountSubscribe', params))));
    await once(socket, 'message');
    socket.pause();
    const gift = { fromPubkey: payer.publicKey, toPubkey: big.publicKey, lamports: 1_000_000 };
    const startedAtMs = performance.now();
    const transfer = new Transaction().add(SystemProgram.transfer(gift));
    await net.connection.sendTransaction(transfer, [payer], { skipPreflight: true });
    expect(performance.now() - startedAtMs).toBeLessThan(4_000);
    const closed = once(socket, 'close', { signal: AbortSignal.timeout(8_000) });
    socket.resume();
    await closed;
  });
});

const MOUNTS: Need = {
  isMet: spawnSync('unshare', [...NAMESPACE, 'mount -t tmpfs none /mnt'], { stdio: 'ignore' }).status === 0,
  kind: 'host',
  reason: 'unshare with user and mount namespaces',
};

itIf(MOUNTS, 'a store whose disk was full acknowledges nothing that its next start would not find', async () => {
  const module = new URL('../../../src/localnet/store/level-chain-store.ts', import.meta.url).href;
  const source = `
    const { rm, writeFile } = await import('node:fs/promises');
    const { LevelChainStore } = await import(${JSON.stringify(module)});
    const open = () => LevelChainStore.open('/mnt/chain');
    const store = await open();
    const put = (key, length) => store.write([{ key, value: Buffer.alloc(length) }], { durable: true }).then(() => true, () => false);
    await put('first', 9);
    await writeFile('/mnt/filler', Buffer.alloc(64 * 1024 * 1024)).catch(() => {});
    const large = put('large', 300_000);
    await rm('/mnt/filler', await large.then(() => ({})));
    const told = [await large, await put('small', 9)];
    await store[Symbol.asyncDispose]();
    const again = await open();
    console.log(JSON.stringify({ told, found: (await again.get('small')) !== undefined }));
    await again[Symbol.asyncDispose]();`;
  const mount = 'mount -t tmpfs -o size=32m none /mnt && exec "$0" "$@"';
  const run = [...NAMESPACE, mount, process.execPath, '--input-type=module', '--eval', source];
  const { told, found } = JSON.parse(execFileSync('unshare', run, { encoding: 'utf8' })) as {
    readonly told: readonly [boolean, boolean];
    readonly found: boolean;
  };
  expect(told[0]).toBe(false);
  expect(found).toBe(told[1]);
});
