import {
  Keypair,
  LAMPORTS_PER_SOL,
  PublicKey,
  SystemProgram,
  sendAndConfirmTransaction,
  Transaction,
  TransactionInstruction,
} from '@solana/web3.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startLocalnet, type TestLocalnet } from '../../support/localnet.ts';

let net: TestLocalnet;
let payer: Keypair;
const to = Keypair.generate().publicKey;
const signatures: string[] = [];

beforeAll(async () => {
  net = await startLocalnet();
  payer = await net.fund(1000 * LAMPORTS_PER_SOL);
  const memo = new TransactionInstruction({
    programId: new PublicKey('MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr'),
    keys: [],
    data: Buffer.from('number'),
  });
  for (let count = 0; count < 5; count += 1) {
    const transfer = SystemProgram.transfer({ fromPubkey: payer.publicKey, toPubkey: to, lamports: 1_000_000 + count });
    signatures.unshift(await sendAndConfirmTransaction(net.connection, new Transaction().add(transfer, memo), [payer]));
  }
});
afterAll(() => net[Symbol.asyncDispose]());

async function finalize(): Promise<void> {
  const slot = await net.connection.getSlot('processed');
  await new Promise<void>((resolve) => {
    const id = net.connection.onRootChange((root) => {
      if (root < slot) return;
      resolve();
      void net.connection.removeRootChangeListener(id);
    });
  });
}

describe('transactions of an address', () => {
  const names = async (options: { before?: string; until?: string; limit?: number }): Promise<string[]> =>
    (await net.connection.getSignaturesForAddress(to, options, 'confirmed')).map(({ signature }) => signature);

  it('come newest first, with memo, time and commitment', async () => {
    const found = await net.connection.getSignaturesForAddress(to, {}, 'confirmed');
    expect(found.map(({ signature }) => signature)).toEqual(signatures);
    expect(found[0]).toMatchObject({ err: null, memo: '[6] number', confirmationStatus: expect.any(String) });
    expect(Math.abs((found[0]?.blockTime ?? 0) - Date.now() / 1000)).toBeLessThan(10);
  });

  it('are cut by before, until and limit', async () => {
    const [a, b, c, d, e] = signatures as [string, string, string, string, string];
    expect(await names({ limit: 2 })).toEqual([a, b]);
    expect(await names({ before: b })).toEqual([c, d, e]);
    expect(await names({ until: d })).toEqual([a, b, c]);
    expect(await names({ before: a, until: d, limit: 1 })).toEqual([b]);
    expect(await names({ before: d, until: b })).toEqual([]);
    await expect(names({ limit: 1_001 })).rejects.toThrow('Invalid limit');
  });

  it('are not shown to who asks for the processed ones', async () => {
    const response = await fetch(net.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'getSignaturesForAddress',
        params: [to.toBase58(), { commitment: 'processed' }],
      }),
    });
    const message = 'Method does not support commitment below `confirmed`';
    expect(await response.json()).toMatchObject({ error: { code: -32602, message } });
  });
});

describe('blocks', () => {
  it('follow each other by hash, and hold their transactions', async () => {
    await finalize();
    const last = await net.connection.getSlot('finalized');
    const slots = await net.connection.getBlocks(0, last);
    expect(slots).toEqual(Array.from({ length: last + 1 }, (_, slot) => slot));
    const blocks = await Promise.all(
      slots.slice(-30).map((slot) => net.connection.getBlock(slot, { maxSupportedTransactionVersion: 0 })),
    );
    for (const [index, block] of blocks.entries()) {
      if (index > 0) expect(block?.previousBlockhash).toBe(blocks[index - 1]?.blockhash);
    }
    const status = await net.connection.getSignatureStatus(signatures[0] ?? '');
    const slot = status.value?.slot ?? 0;
    const block = await net.connection.getBlock(slot, { maxSupportedTransactionVersion: 0 });
    expect(block?.transactions.map(({ transaction }) => transaction.signatures[0])).toContain(signatures[0]);
    expect(block?.blockTime).toBe(await net.connection.getBlockTime(slot));
    const parsed = await net.connection.getParsedTransaction(signatures[0] ?? '', 'confirmed');
    expect(parsed?.transaction.message.instructions).toMatchObject([
      { program: 'system' },
      { program: 'spl-memo', parsed: 'number' },
    ]);
    const lean = await net.connection.getBlockSignatures(slot);
    expect(lean.signatures).toContain(signatures[0]);
    const accounts = await net.connection.getBlock(slot, {
      transactionDetails: 'accounts',
      maxSupportedTransactionVersion: 0,
    });
    expect(JSON.stringify(accounts?.transactions)).toContain(to.toBase58());
  });

  it('are missed with the codes of a node', async () => {
    await expect(net.connection.getBlock(10 ** 9)).rejects.toMatchObject({ code: -32004 });
    await expect(net.connection.getBlockTime(10 ** 9)).rejects.toMatchObject({ code: -32004 });
    expect(await net.connection.getBlocks(10 ** 9)).toEqual([]);
    await expect(net.connection.getBlocks(0, 10 ** 9)).resolves.toBeDefined();
  });

  it('count up: slots, heights, transactions, epochs', async () => {
    const info = await net.connection.getEpochInfo('finalized');
    expect(info).toMatchObject({
      epoch: 0,
      slotsInEpoch: 432_000,
      slotIndex: info.absoluteSlot,
      blockHeight: info.absoluteSlot,
    });
    expect(await net.connection.getTransactionCount('confirmed')).toBeGreaterThanOrEqual(6);
    expect(await net.connection.getBlockHeight('confirmed')).toBeGreaterThanOrEqual(info.absoluteSlot);
    expect(await net.connection.getFirstAvailableBlock()).toBe(0);
    expect(await net.connection.getMinimumLedgerSlot()).toBe(0);
    const schedule = await net.connection.getEpochSchedule();
    expect(schedule).toMatchObject({ slotsPerEpoch: 432_000, warmup: false });
    expect(await net.connection.getSlotLeaders(0, 3)).toHaveLength(3);
    expect((await net.connection.getClusterNodes())[0]?.pubkey).toBe(await net.connection.getSlotLeader());
    expect(await net.connection.getVoteAccounts()).toEqual({ current: [], delinquent: [] });
    expect(await net.connection.getRecentPrioritizationFees()).not.toHaveLength(0);
    expect((await net.connection.getStakeMinimumDelegation()).value).toBe(1_000_000_000);
    expect(await net.connection.getInflationReward([to])).toEqual([null]);
    expect(await net.connection.getBlockProduction()).toMatchObject({ value: { byIdentity: {} } });
    expect((await net.connection.getVersion())['solana-core']).toMatch(/^\d+\.\d+\.\d+$/);
    expect(await net.connection.getGenesisHash()).toBe(net.status.genesis);
  });
});

describe('bounds', () => {
  it('forgets the oldest transactions and says where the chain begins', async () => {
    await using small = await startLocalnet({ maxTransactions: 3, slotMs: 5 });
    const from = await small.fund();
    const kept: string[] = [];
    for (let count = 0; count < 6; count += 1) {
      const transfer = SystemProgram.transfer({ fromPubkey: from.publicKey, toPubkey: to, lamports: 900_000 + count });
      kept.unshift(await sendAndConfirmTransaction(small.connection, new Transaction().add(transfer), [from]));
    }
    const latest = await small.connection.getLatestBlockhash();
    const more = await small.connection.requestAirdrop(to, 1_000_000);
    await small.connection.confirmTransaction({ signature: more, ...latest });
    const found = await small.connection.getSignaturesForAddress(to, {}, 'confirmed');
    expect(found.map(({ signature }) => signature)).toEqual([more, kept[0], kept[1]]);
    expect(await small.connection.getTransaction(kept[4] ?? '', { commitment: 'confirmed' })).toBeNull();
    const first = await small.connection.getFirstAvailableBlock();
    expect(first).toBeGreaterThan(0);
    await expect(small.connection.getBlock(first - 1)).rejects.toMatchObject({ code: -32001 });
    expect(await small.connection.getBalance(to)).toBeGreaterThan(5_000_000);
  });

  it('forgets empty blocks', async () => {
    await using small = await startLocalnet({ maxEmptyBlocks: 5, slotMs: 5 });
    await new Promise<void>((resolve) => {
      small.connection.onSlotChange(({ slot }) => slot > 20 && resolve());
    });
    await expect(small.connection.getBlock(4)).rejects.toMatchObject({ code: -32009 });
    expect((await small.connection.getBlocks(0, await small.connection.getSlot('finalized'))).length).toBeLessThan(8);
  });
});
