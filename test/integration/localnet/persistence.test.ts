import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import {
  Connection,
  Keypair,
  NONCE_ACCOUNT_LENGTH,
  NonceAccount,
  SystemProgram,
  sendAndConfirmTransaction,
  Transaction,
} from '@solana/web3.js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LocalChainStatus } from '../../../src/localnet/interface.ts';
import { LiteLocalChain } from '../../../src/localnet/lite-local-chain.ts';
import { startLocalnet } from '../../support/localnet.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'fogproof-localnet-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe('a chain that is started again', () => {
  it('has its accounts, history, block hashes and statuses, and refuses duplicates', async () => {
    const payer = Keypair.generate();
    const to = Keypair.generate().publicKey;
    const nonce = Keypair.generate();
    const first = await startLocalnet({ directory });
    await first.airdrop(payer.publicKey, 10_000_000_000);
    const create = SystemProgram.createNonceAccount({
      fromPubkey: payer.publicKey,
      noncePubkey: nonce.publicKey,
      authorizedPubkey: payer.publicKey,
      lamports: await first.connection.getMinimumBalanceForRentExemption(NONCE_ACCOUNT_LENGTH),
    });
    await sendAndConfirmTransaction(first.connection, new Transaction().add(create), [payer, nonce]);
    const { blockhash } = await first.connection.getLatestBlockhash();
    const transaction = new Transaction({ recentBlockhash: blockhash, feePayer: payer.publicKey });
    transaction.add(SystemProgram.transfer({ fromPubkey: payer.publicKey, toPubkey: to, lamports: 1_000_000 }));
    transaction.sign(payer);
    const signature = await first.connection.sendRawTransaction(transaction.serialize());
    const { genesis, slot } = first.chain.status();
    const balance = await first.connection.getBalance(payer.publicKey, 'processed');
    const info = await first.connection.getAccountInfo(nonce.publicKey, 'processed');
    await first[Symbol.asyncDispose]();

    await using second = await startLocalnet({ directory });
    const { connection } = second;
    expect(second.status.genesis).toBe(genesis);
    expect(second.status.slot).toBeGreaterThan(slot);
    expect(second.status.transactions).toBe(3);
    expect(await connection.getBalance(payer.publicKey, 'finalized')).toBe(balance);
    expect(await connection.getBalance(to, 'finalized')).toBe(1_000_000);
    expect((await connection.getSignatureStatus(signature)).value).toMatchObject({
      err: null,
      confirmationStatus: 'finalized',
    });
    expect(await connection.getTransaction(signature)).toMatchObject({ slot: expect.any(Number), meta: { err: null } });
    expect((await connection.getSignaturesForAddress(to)).map((one) => one.signature)).toEqual([signature]);
    expect((await connection.isBlockhashValid(blockhash)).value).toBe(true);
    await expect(connection.sendRawTransaction(transaction.serialize())).rejects.toThrow('already been processed');
    const again = await connection.getAccountInfo(nonce.publicKey);
    expect(NonceAccount.fromAccountData(again?.data ?? Buffer.alloc(0)).nonce).toBe(
      NonceAccount.fromAccountData(info?.data ?? Buffer.alloc(0)).nonce,
    );
    const blocks = await connection.getBlocks(0, await connection.getSlot('finalized'));
    expect(blocks).toEqual(blocks.map((_, index) => index));
    await sendAndConfirmTransaction(
      connection,
      new Transaction().add(SystemProgram.transfer({ fromPubkey: payer.publicKey, toPubkey: to, lamports: 1 })),
      [payer],
    );
  });

  it('is another one after a reset', async () => {
    const first = await startLocalnet({ directory });
    await expect(LiteLocalChain.reset(directory)).rejects.toMatchObject({ code: 'LOCALNET_IN_USE' });
    await first[Symbol.asyncDispose]();
    await LiteLocalChain.reset(directory);
    await using second = await startLocalnet({ directory });
    expect(second.status.genesis).not.toBe(first.status.genesis);
  });

  it('is refused while another one runs on its folder', async () => {
    await using _first = await startLocalnet({ directory });
    await expect(startLocalnet({ directory })).rejects.toMatchObject({ code: 'LOCALNET_IN_USE' });
  });

  it('is refused if its state is damaged', async () => {
    await (await startLocalnet({ directory }))[Symbol.asyncDispose]();
    await writeFile(join(directory, 'chain', 'CURRENT'), 'nonsense');
    await expect(startLocalnet({ directory })).rejects.toMatchObject({ code: 'LOCALNET_CORRUPT' });
    await LiteLocalChain.reset(directory);
    await using _again = await startLocalnet({ directory });
  });
});

describe('a chain that is killed', () => {
  it('has every transaction that it acknowledged, once', async () => {
    const payer = Keypair.generate();
    const to = Keypair.generate().publicKey;
    const acknowledged: string[] = [];
    for (let round = 0; round < 4; round += 1) {
      const { child, connection } = await spawnLocalnet();
      if (round === 0) await connection.requestAirdrop(payer.publicKey, 100_000_000_000);
      const { blockhash } = await connection.getLatestBlockhash();
      const sends = Array.from({ length: 60 }, async (_, index) => {
        const transaction = new Transaction({ recentBlockhash: blockhash, feePayer: payer.publicKey });
        transaction.add(
          SystemProgram.transfer({
            fromPubkey: payer.publicKey,
            toPubkey: to,
            lamports: 1_000_000 + round * 1_000 + index,
          }),
        );
        transaction.sign(payer);
        acknowledged.push(
          await connection.sendRawTransaction(transaction.serialize(), { skipPreflight: true, maxRetries: 0 }),
        );
        // Somewhere in the middle of all that is on its way.
        if (index === 7 + round * 13) child.kill('SIGKILL');
      });
      await Promise.allSettled(sends);
      child.kill('SIGKILL');
    }
    const { child, connection } = await spawnLocalnet();
    expect(acknowledged.length).toBeGreaterThan(20);
    const statuses = await connection.getSignatureStatuses(acknowledged.slice(0, 256), {
      searchTransactionHistory: true,
    });
    expect(statuses.value.filter((status) => status?.confirmationStatus === 'finalized').length).toBe(
      Math.min(256, acknowledged.length),
    );
    const mentions = await connection.getSignaturesForAddress(to);
    const found = await Promise.all(mentions.map(({ signature }) => connection.getTransaction(signature)));
    const sum = found.reduce(
      (total, one) => total + (one?.meta?.postBalances[1] ?? 0) - (one?.meta?.preBalances[1] ?? 0),
      0,
    );
    expect(await connection.getBalance(to)).toBe(sum);
    expect(await connection.getBalance(payer.publicKey)).toBe(100_000_000_000 - sum - 5_000 * mentions.length);
    expect(new Set(mentions.map(({ signature }) => signature)).size).toBe(mentions.length);
    child.kill('SIGTERM');
    const [code] = (await once(child, 'exit')) as [number];
    expect(code).toBe(0);
  });

  /** The program itself, as a person would start it. */
  async function spawnLocalnet(): Promise<{ child: ChildProcess; connection: Connection }> {
    const argv = ['src/main.ts', 'localnet', '--port', '0', '--slot-ms', '50', '--home', directory, '--json'];
    const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
    for await (const line of createInterface({ input: child.stdout })) {
      const { url, webSocketUrl } = JSON.parse(line) as LocalChainStatus;
      return {
        child,
        connection: new Connection(url, {
          commitment: 'confirmed',
          wsEndpoint: webSocketUrl,
          disableRetryOnRateLimit: true,
        }),
      };
    }
    throw new Error('the local chain did not start');
  }
});
