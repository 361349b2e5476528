import { afterEach, beforeEach, expect, test } from 'vitest';
import { ChainBlockSource } from '../../../src/chain/reader/chain-block-source.ts';
import { Lamports } from '../../../src/domain/chain.ts';
import { createPool, createReader, createSender, RECEIVER, transferIntent, WALLET } from '../../support/chain-rig.ts';
import { startLocalnet, type TestLocalnet } from '../../support/localnet.ts';
import { MemoryDatabase } from '../../support/memory-database.ts';

const SOL = 1_000_000_000n;

let stack: AsyncDisposableStack;
let net: TestLocalnet;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  net = stack.use(await startLocalnet({ slotMs: 10 }));
});

afterEach(async () => {
  await stack.disposeAsync();
});

const signal = (): AbortSignal => AbortSignal.timeout(15_000);

function openChain() {
  const { genesis } = net.status;
  const pool = stack.use(createPool([net.url], genesis, { timeoutMs: 3_000 }));
  return { pool, genesis, reader: createReader(pool, genesis) };
}

async function airdrop(reader: ReturnType<typeof openChain>['reader']): Promise<void> {
  await reader.requestAirdrop(WALLET.address, Lamports(10n * SOL), { signal: signal() });
  await expect
    .poll(() => reader.balance(WALLET.address, { signal: signal(), commitment: 'finalized' }), { timeout: 5_000 })
    .toBe(10n * SOL);
}

test('an airdrop, a transfer, and what it cost', async () => {
  const { pool, genesis, reader } = openChain();
  expect(await reader.cluster({ signal: signal() })).toEqual({ genesis, name: null });
  await airdrop(reader);
  const sender = stack.use(createSender(pool, genesis));
  await sender.start();
  await sender.submit(transferIntent('pay/1', SOL), { signal: signal() });
  const record = await sender.wait('pay/1', { signal: signal(), until: 'finalized' });
  expect(record).toMatchObject({ state: 'finalized', feeLamports: 5_000n, problem: null });
  expect(record.computeUnits).toBeGreaterThan(0);
  expect(await reader.balance(RECEIVER, { signal: signal(), commitment: 'finalized' })).toBe(SOL);
  expect(await reader.balance(WALLET.address, { signal: signal(), commitment: 'finalized' })).toBe(9n * SOL - 5_000n);
  if (record.signature === null) throw new Error('it landed');
  const transaction = await reader.transaction(record.signature, { signal: signal(), commitment: 'finalized' });
  expect(transaction).toMatchObject({ failure: null, slot: record.slot, feeLamports: 5_000n });
  expect(transaction?.instructions.at(-1)?.accounts[1]?.address).toBe(RECEIVER);
});

test('a wallet without funds is told what it needs', async () => {
  const { pool, genesis } = openChain();
  const sender = stack.use(createSender(pool, genesis));
  await sender.start();
  await sender.submit(transferIntent('pay/1', SOL), { signal: signal() });
  const record = await sender.wait('pay/1', { signal: signal(), until: 'finalized' });
  expect(record).toMatchObject({ state: 'refused', problem: { code: 'CHAIN_INSUFFICIENT_FUNDS' } });
  expect(record.problem?.message).toContain('has 0 lamports and needs 1000005000');
});

test('too little for what is sent is told as well', async () => {
  const { pool, genesis, reader } = openChain();
  await airdrop(reader);
  const sender = stack.use(createSender(pool, genesis));
  await sender.start();
  await sender.submit(transferIntent('pay/1', 20n * SOL), { signal: signal() });
  const record = await sender.wait('pay/1', { signal: signal(), until: 'finalized' });
  expect(record.problem?.message).toContain(`has ${10n * SOL} lamports and needs ${20n * SOL + 5_000n}`);
});

test('what was signed while nobody listened expires and is signed anew', { timeout: 30_000 }, async () => {
  const { pool, genesis, reader } = openChain();
  await airdrop(reader);
  const database = new MemoryDatabase();
  const first = createSender(pool, genesis, { database });
  // It ends when the signed bytes are durable, before they are sent.
  let stopped: Promise<void> | undefined;
  database.onWrite = (operations) => {
    const isSigned = operations.some(
      (operation) => operation.kind === 'put' && Buffer.from(operation.value).includes('pending'),
    );
    if (isSigned) stopped ??= first.stop();
  };
  await first.start();
  await first.submit(transferIntent('pay/1', SOL), { signal: signal() });
  await expect.poll(() => stopped !== undefined, { timeout: 5_000 }).toBe(true);
  await stopped;
  database.onWrite = undefined;
  const slot = await reader.slot({ signal: signal(), commitment: 'finalized' });
  await expect
    .poll(() => reader.slot({ signal: signal(), commitment: 'finalized' }), { timeout: 10_000 })
    .toBeGreaterThan(slot + 160);
  const second = stack.use(createSender(pool, genesis, { database }));
  await second.start();
  const record = await second.wait('pay/1', { signal: signal(), until: 'finalized' });
  expect(record.state).toBe('finalized');
  expect(record.attempts.map(({ outcome }) => outcome)).toEqual(['expired', 'landed']);
  expect(await reader.balance(RECEIVER, { signal: signal(), commitment: 'finalized' })).toBe(SOL);
});

test('followed transactions come live and once', async () => {
  const { pool, genesis, reader } = openChain();
  await airdrop(reader);
  const sender = stack.use(createSender(pool, genesis));
  await sender.start();
  const controller = new AbortController();
  const seen: string[] = [];
  const following = (async () => {
    try {
      for await (const { transaction, handled } of reader.follow(RECEIVER, { signal: controller.signal })) {
        seen.push(transaction.signature);
        await handled();
      }
    } catch (error) {
      if (!controller.signal.aborted) throw error;
    }
  })();
  const sent: (string | null)[] = [];
  for (let index = 0; index < 4; index += 1) {
    await sender.submit(transferIntent(`pay/${index}`, SOL), { signal: signal() });
    sent.push((await sender.wait(`pay/${index}`, { signal: signal(), until: 'finalized' })).signature);
  }
  await expect.poll(() => seen, { timeout: 5_000 }).toEqual(sent);
  controller.abort();
  await following;
});

test('blocks by time', async () => {
  const { pool, genesis, reader } = openChain();
  const start = await reader.slot({ signal: signal(), commitment: 'finalized' });
  await expect
    .poll(() => reader.slot({ signal: signal(), commitment: 'finalized' }), { timeout: 10_000 })
    .toBeGreaterThan(start + 250);
  const source = new ChainBlockSource({ pool }, { genesis });
  const head = await net.connection.getSlot('finalized');
  const headTime = (await net.connection.getBlockTime(head)) ?? 0;
  const found = await source.findBlockAtOrAfter(headTime * 1_000, { signal: signal() });
  expect(found?.timeMs).toBe(headTime * 1_000);
  const before = await net.connection.getBlockTime((found?.slot ?? 1) - 1);
  expect(before).toBe(headTime - 1);
  expect(source.isPredictable).toBe(true);
  expect(await source.findBlockAtOrAfter((headTime + 3_600) * 1_000, { signal: signal() })).toBeUndefined();
});
