import {
  AddressLookupTableProgram,
  ComputeBudgetProgram,
  Ed25519Program,
  Keypair,
  NONCE_ACCOUNT_LENGTH,
  NonceAccount,
  PublicKey,
  SendTransactionError,
  SystemProgram,
  sendAndConfirmTransaction,
  Transaction,
  TransactionInstruction,
  TransactionMessage,
  VersionedTransaction,
} from '@solana/web3.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startLocalnet, type TestLocalnet } from '../../support/localnet.ts';

let net: TestLocalnet;
let payer: Keypair;

beforeAll(async () => {
  net = await startLocalnet();
  payer = await net.fund(1_000_000_000_000);
});
afterAll(() => net[Symbol.asyncDispose]());

const MEMO = new PublicKey('MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr');
const transfer = (to: PublicKey, lamports: number | bigint) =>
  SystemProgram.transfer({ fromPubkey: payer.publicKey, toPubkey: to, lamports });
const memo = (text: string) => new TransactionInstruction({ programId: MEMO, keys: [], data: Buffer.from(text) });

async function sign(...instructions: TransactionInstruction[]): Promise<Transaction> {
  const { blockhash, lastValidBlockHeight } = await net.connection.getLatestBlockhash();
  const transaction = new Transaction({ blockhash, lastValidBlockHeight, feePayer: payer.publicKey }).add(
    ...instructions,
  );
  transaction.sign(payer);
  return transaction;
}

async function failureOf(promise: Promise<unknown>): Promise<SendTransactionError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(SendTransactionError);
  return error as SendTransactionError;
}

/** The fee that failed transactions are charged by the machine itself. */
async function debitOfFailure(
  ...instructions: TransactionInstruction[]
): Promise<{ paid: number; fee: number; asked: number | null }> {
  const poor = transfer(Keypair.generate().publicKey, 10n ** 17n);
  const transaction = await sign(...instructions, poor);
  const { value: asked } = await net.connection.getFeeForMessage(transaction.compileMessage());
  const before = await net.connection.getBalance(payer.publicKey);
  const signature = await net.connection.sendRawTransaction(transaction.serialize(), { skipPreflight: true });
  await net.settle(signature);
  const after = await net.connection.getBalance(payer.publicKey);
  const found = await net.connection.getTransaction(signature, {
    commitment: 'confirmed',
    maxSupportedTransactionVersion: 0,
  });
  return { paid: before - after, fee: found?.meta?.fee ?? -1, asked };
}

describe('sending', () => {
  it('confirms a transfer, charges the fee, and shows it in every way of asking', async () => {
    const to = Keypair.generate().publicKey;
    const before = await net.connection.getBalance(payer.publicKey);
    const signature = await sendAndConfirmTransaction(
      net.connection,
      new Transaction().add(transfer(to, 1_000_000_000)),
      [payer],
    );
    expect(await net.connection.getBalance(to)).toBe(1_000_000_000);
    expect(await net.connection.getBalance(payer.publicKey)).toBe(before - 1_000_005_000);
    const { value: status } = await net.connection.getSignatureStatus(signature);
    expect(status).toMatchObject({ err: null, confirmationStatus: expect.stringMatching(/confirmed|finalized/) });
    const found = await net.connection.getTransaction(signature, {
      commitment: 'confirmed',
      maxSupportedTransactionVersion: 0,
    });
    expect(found).toMatchObject({
      slot: status?.slot,
      version: 'legacy',
      meta: { err: null, fee: 5_000, computeUnitsConsumed: 150 },
    });
    expect(found?.meta?.postBalances[1]).toBe(1_000_000_000);
  });

  it('tells processed, confirmed and finalized apart', async () => {
    await using slow = await startLocalnet({ slotMs: 5_000 });
    const to = Keypair.generate().publicKey;
    const signature = await slow.connection.requestAirdrop(to, 7_000_000);
    const statuses = await slow.connection.getSignatureStatuses([signature]);
    expect(statuses.value[0]).toMatchObject({ confirmationStatus: 'processed', confirmations: 0 });
    expect(await slow.connection.getBalance(to, 'processed')).toBe(7_000_000);
    expect(await slow.connection.getBalance(to, 'confirmed')).toBe(0);
    expect(await slow.connection.getBalance(to, 'finalized')).toBe(0);
    expect(await slow.connection.getSlot('processed')).toBe((await slow.connection.getSlot('confirmed')) + 1);
    expect(await slow.connection.getSlot('confirmed')).toBe((await slow.connection.getSlot('finalized')) + 1);
    expect(await slow.connection.getTransaction(signature, { commitment: 'confirmed' })).toBeNull();
  });

  it('refuses a duplicate, with the name that Solana gives it', async () => {
    const wire = (await sign(transfer(Keypair.generate().publicKey, 900_000))).serialize();
    const signature = await net.connection.sendRawTransaction(wire);
    await net.settle(signature);
    const again = await failureOf(net.connection.sendRawTransaction(wire));
    expect(again.message).toContain('This transaction has already been processed');
    expect(await net.connection.sendRawTransaction(wire, { skipPreflight: true })).toBe(signature);
  });

  it('maps a failed preflight to -32002 with logs, and nobody pays', async () => {
    const before = await net.connection.getBalance(payer.publicKey);
    const error = await failureOf(
      net.connection.sendRawTransaction((await sign(transfer(Keypair.generate().publicKey, 10n ** 17n))).serialize()),
    );
    expect(error.message).toContain('Error processing Instruction 0: custom program error: 0x1');
    expect(error.logs).toContain('Program 11111111111111111111111111111111 failed: custom program error: 0x1');
    expect(await net.connection.getBalance(payer.publicKey)).toBe(before);
  });

  it('lands a failing transaction without preflight: error in the status, only the fee is taken', async () => {
    const { paid, fee, asked } = await debitOfFailure();
    expect({ paid, fee, asked }).toEqual({ paid: 5_000, fee: 5_000, asked: 5_000 });
  });

  it('tells a failure when its block is confirmed, so that web3.js hands it over', async () => {
    await using slow = await startLocalnet({ slotMs: 1_500 });
    const from = await slow.fund();
    // At the beginning of a slot, so that all of it is left.
    await new Promise<void>((resolve) => {
      const id = slow.connection.onSlotChange(() => {
        void slow.connection.removeSlotChangeListener(id);
        resolve();
      });
    });
    const latest = await slow.connection.getLatestBlockhash();
    const poor = SystemProgram.transfer({
      fromPubkey: from.publicKey,
      toPubkey: payer.publicKey,
      lamports: 10n ** 17n,
    });
    const transaction = new Transaction({ ...latest, feePayer: from.publicKey }).add(poor);
    transaction.sign(from);
    const signature = await slow.connection.sendRawTransaction(transaction.serialize(), { skipPreflight: true });
    expect((await slow.connection.getSignatureStatus(signature)).value).toBeNull();
    const { value } = await slow.connection.confirmTransaction({ signature, ...latest }, 'confirmed');
    expect(value.err).toEqual({ InstructionError: [0, { Custom: 1 }] });
    expect((await slow.connection.getSignatureStatus(signature)).value?.err).toEqual(value.err);
  });

  it('charges for priority what the machine charges', async () => {
    const price = ComputeBudgetProgram.setComputeUnitPrice({ microLamports: 1_234_567 });
    const limit = ComputeBudgetProgram.setComputeUnitLimit({ units: 30_001 });
    const byDefault = await debitOfFailure(price);
    const limited = await debitOfFailure(price, limit);
    const withMemo = await debitOfFailure(price, memo('a program that is no builtin'));
    for (const { paid, fee, asked } of [byDefault, limited, withMemo]) expect([fee, asked]).toEqual([paid, paid]);
    expect(limited.paid).toBe(5_000 + Math.ceil((30_001 * 1_234_567) / 1_000_000));
    expect(withMemo.paid).toBeGreaterThan(byDefault.paid);
  });

  it('charges for signatures that a program checks', async () => {
    const signed = Ed25519Program.createInstructionWithPrivateKey({
      privateKey: payer.secretKey,
      message: Buffer.from('hi'),
    });
    const { paid, fee, asked } = await debitOfFailure(signed);
    expect({ paid, fee, asked }).toEqual({ paid: 10_000, fee: 10_000, asked: 10_000 });
  });

  it('charges for a program that is not there, as validators do', async () => {
    const missing = new TransactionInstruction({ programId: Keypair.generate().publicKey, keys: [] });
    const before = await net.connection.getBalance(payer.publicKey);
    const signature = await net.connection.sendRawTransaction((await sign(missing)).serialize(), {
      skipPreflight: true,
    });
    await net.settle(signature);
    const { value } = await net.connection.getSignatureStatus(signature);
    expect(value?.err).toBe('ProgramAccountNotFound');
    expect(before - (await net.connection.getBalance(payer.publicKey))).toBe(5_000);
  });

  it.each([
    ['an unknown payer', 0, 'Attempt to debit an account but found no record of a prior credit.'],
    ['a payer that cannot pay the fee', 890_880, 'Insufficient funds for fee'],
  ])('refuses %s, and forgets it without preflight', async (_, lamports, message) => {
    const poor = Keypair.generate();
    if (lamports > 0) await net.airdrop(poor.publicKey, lamports);
    const { blockhash } = await net.connection.getLatestBlockhash();
    // Two million lamports for priority.
    const price = ComputeBudgetProgram.setComputeUnitPrice({ microLamports: 10_000_000 });
    const transaction = new Transaction({ recentBlockhash: blockhash, feePayer: poor.publicKey }).add(price, memo('x'));
    transaction.sign(poor);
    const error = await failureOf(net.connection.sendRawTransaction(transaction.serialize()));
    expect(error.message).toContain(message);
    const signature = await net.connection.sendRawTransaction(transaction.serialize(), { skipPreflight: true });
    expect((await net.connection.getSignatureStatus(signature, { searchTransactionHistory: true })).value).toBeNull();
  });

  it('refuses a wrong signature with -32003, and never runs it', async () => {
    const transaction = await sign(transfer(Keypair.generate().publicKey, 900_000));
    const wire = transaction.serialize();
    wire[1] = (wire[1] ?? 0) ^ 1;
    const before = await net.connection.getBalance(payer.publicKey);
    await expect(net.connection.sendRawTransaction(wire)).rejects.toThrow('Transaction signature verification failure');
    await net.connection.sendRawTransaction(wire, { skipPreflight: true });
    expect(await net.connection.getBalance(payer.publicKey, 'processed')).toBe(before);
  });

  it('refuses an unknown block hash', async () => {
    const transaction = new Transaction({
      recentBlockhash: Keypair.generate().publicKey.toBase58(),
      feePayer: payer.publicKey,
    });
    transaction.add(memo('x'));
    transaction.sign(payer);
    const error = await failureOf(net.connection.sendRawTransaction(transaction.serialize()));
    expect(error.message).toContain('Blockhash not found');
  });
});

describe('expiry', () => {
  it('holds a block hash for 150 blocks and no longer', async () => {
    await using fast = await startLocalnet({ slotMs: 5 });
    const from = await fast.fund();
    const { blockhash, lastValidBlockHeight } = await fast.connection.getLatestBlockhash();
    const transaction = new Transaction({ blockhash, lastValidBlockHeight, feePayer: from.publicKey });
    transaction.add(
      SystemProgram.transfer({ fromPubkey: from.publicKey, toPubkey: payer.publicKey, lamports: 1_000_000 }),
    );
    transaction.sign(from);
    expect((await fast.connection.isBlockhashValid(blockhash)).value).toBe(true);
    const { promise, resolve } = Promise.withResolvers<void>();
    const id = fast.connection.onSlotChange(({ slot }) => {
      if (slot > lastValidBlockHeight + 1) resolve();
    });
    await promise;
    await fast.connection.removeSlotChangeListener(id);
    expect((await fast.connection.isBlockhashValid(blockhash)).value).toBe(false);
    await expect(fast.connection.sendRawTransaction(transaction.serialize())).rejects.toThrow('Blockhash not found');
    const signature = await fast.connection.sendRawTransaction(transaction.serialize(), { skipPreflight: true });
    await expect(fast.connection.confirmTransaction({ signature, blockhash, lastValidBlockHeight })).rejects.toThrow(
      'block height exceeded',
    );
    expect(await fast.connection.getBalance(payer.publicKey, 'processed')).toBe(0);
  });
});

describe('durable nonces', () => {
  async function createNonce(): Promise<Keypair> {
    const account = Keypair.generate();
    const lamports = await net.connection.getMinimumBalanceForRentExemption(NONCE_ACCOUNT_LENGTH);
    const create = SystemProgram.createNonceAccount({
      fromPubkey: payer.publicKey,
      noncePubkey: account.publicKey,
      authorizedPubkey: payer.publicKey,
      lamports,
    });
    await sendAndConfirmTransaction(net.connection, new Transaction().add(create), [payer, account]);
    return account;
  }

  async function readNonce(account: Keypair): Promise<string> {
    const info = await net.connection.getAccountInfo(account.publicKey);
    return NonceAccount.fromAccountData(info?.data ?? Buffer.alloc(0)).nonce;
  }

  function build(account: Keypair, nonce: string, ...instructions: TransactionInstruction[]): Transaction {
    const advance = SystemProgram.nonceAdvance({ noncePubkey: account.publicKey, authorizedPubkey: payer.publicKey });
    const transaction = new Transaction({ recentBlockhash: nonce, feePayer: payer.publicKey }).add(
      advance,
      ...instructions,
    );
    transaction.sign(payer);
    return transaction;
  }

  it('runs once for each value of the nonce', async () => {
    const account = await createNonce();
    const nonce = await readNonce(account);
    const to = Keypair.generate().publicKey;
    const transaction = build(account, nonce, transfer(to, 1_000_000));
    const signature = await net.connection.sendRawTransaction(transaction.serialize());
    await net.connection.confirmTransaction(signature, 'confirmed');
    expect(await net.connection.getBalance(to)).toBe(1_000_000);
    expect(await readNonce(account)).not.toBe(nonce);
    await expect(net.connection.sendRawTransaction(transaction.serialize())).rejects.toThrow('Blockhash not found');
  });

  it('uses the nonce up when the rest fails', async () => {
    const account = await createNonce();
    const nonce = await readNonce(account);
    const transaction = build(account, nonce, transfer(Keypair.generate().publicKey, 10n ** 17n));
    const signature = await net.connection.sendRawTransaction(transaction.serialize(), { skipPreflight: true });
    await net.settle(signature);
    expect((await net.connection.getSignatureStatus(signature)).value?.err).toEqual({
      InstructionError: [1, { Custom: 1 }],
    });
    expect(await readNonce(account)).not.toBe(nonce);
    await net.connection.sendRawTransaction(transaction.serialize(), { skipPreflight: true });
    expect((await net.connection.getSignaturesForAddress(account.publicKey, {}, 'confirmed')).length).toBe(2);
  });

  it('does not let a stranger name the nonce', async () => {
    const account = await createNonce();
    const stranger = await net.fund();
    const advance = SystemProgram.nonceAdvance({
      noncePubkey: account.publicKey,
      authorizedPubkey: stranger.publicKey,
    });
    const transaction = new Transaction({
      recentBlockhash: await readNonce(account),
      feePayer: stranger.publicKey,
    }).add(advance);
    transaction.sign(stranger);
    await expect(net.connection.sendRawTransaction(transaction.serialize())).rejects.toThrow('Blockhash not found');
  });
});

describe('version 0', () => {
  it('finds accounts in a lookup table and tells which', async () => {
    const slot = await net.connection.getSlot('finalized');
    const [create, table] = AddressLookupTableProgram.createLookupTable({
      authority: payer.publicKey,
      payer: payer.publicKey,
      recentSlot: slot,
    });
    const to = Keypair.generate().publicKey;
    const extend = AddressLookupTableProgram.extendLookupTable({
      lookupTable: table,
      authority: payer.publicKey,
      payer: payer.publicKey,
      addresses: [to],
    });
    await sendAndConfirmTransaction(net.connection, new Transaction().add(create, extend), [payer]);
    const { value: lookup } = await net.connection.getAddressLookupTable(table);
    expect(lookup?.state.addresses.map(String)).toEqual([to.toBase58()]);
    const latest = await net.connection.getLatestBlockhash();
    const message = new TransactionMessage({
      payerKey: payer.publicKey,
      recentBlockhash: latest.blockhash,
      instructions: [transfer(to, 890_880)],
    });
    const transaction = new VersionedTransaction(message.compileToV0Message(lookup === null ? [] : [lookup]));
    transaction.sign([payer]);
    const signature = await net.connection.sendTransaction(transaction);
    await net.connection.confirmTransaction({ signature, ...latest }, 'confirmed');
    const found = await net.connection.getTransaction(signature, {
      commitment: 'confirmed',
      maxSupportedTransactionVersion: 0,
    });
    expect(found).toMatchObject({ version: 0, meta: { err: null, loadedAddresses: { writable: [to] } } });
    await expect(net.connection.getTransaction(signature, { commitment: 'confirmed' })).rejects.toThrow(
      'Transaction version (0) is not supported',
    );
    const mentions = await net.connection.getSignaturesForAddress(to, {}, 'confirmed');
    expect(mentions.map((one) => one.signature)).toEqual([signature]);
    const parsed = await net.connection.getParsedTransaction(signature, {
      commitment: 'confirmed',
      maxSupportedTransactionVersion: 0,
    });
    expect(parsed?.transaction.message.accountKeys.map(({ source }) => source)).toEqual([
      'transaction',
      'transaction',
      'lookupTable',
    ]);
  });
});

describe('simulation', () => {
  it('tells logs, units, accounts and inner instructions, and changes nothing', async () => {
    const to = Keypair.generate().publicKey;
    const { value } = await net.connection.simulateTransaction(
      await sign(transfer(to, 5_000_000), memo('hello')),
      undefined,
      [to],
    );
    expect(value).toMatchObject({ err: null, unitsConsumed: expect.any(Number) });
    expect(value.logs).toContain('Program log: hello');
    expect(value.accounts?.[0]).toMatchObject({ lamports: 5_000_000 });
    expect(await net.connection.getBalance(to, 'processed')).toBe(0);
  });

  it('runs an unsigned transaction of any age if told so', async () => {
    const message = new TransactionMessage({
      payerKey: payer.publicKey,
      recentBlockhash: PublicKey.default.toBase58(),
      instructions: [memo('any age')],
    }).compileToV0Message();
    const unsigned = new VersionedTransaction(message);
    const replaced = await net.connection.simulateTransaction(unsigned, {
      replaceRecentBlockhash: true,
      innerInstructions: true,
    });
    expect(replaced.value).toMatchObject({ err: null, innerInstructions: [] });
    const old = await net.connection.simulateTransaction(unsigned);
    expect(old.value.err).toBe('BlockhashNotFound');
    await expect(net.connection.simulateTransaction(unsigned, { sigVerify: true })).rejects.toThrow(
      'signature verification failure',
    );
  });

  it('shows a failure as the machine saw it', async () => {
    const { value } = await net.connection.simulateTransaction(
      await sign(transfer(Keypair.generate().publicKey, 10n ** 17n)),
    );
    expect(value.err).toEqual({ InstructionError: [0, { Custom: 1 }] });
  });
});

describe('airdrops', () => {
  it('gives the same amount twice from the same block', async () => {
    const to = Keypair.generate().publicKey;
    const signatures = await Promise.all(Array.from({ length: 5 }, () => net.connection.requestAirdrop(to, 1_000_000)));
    expect(new Set(signatures).size).toBe(5);
    expect(await net.connection.getBalance(to, 'processed')).toBe(5_000_000);
  });

  it('refuses more than it gives at once', async () => {
    await expect(net.connection.requestAirdrop(payer.publicKey, 10 ** 15)).rejects.toThrow('at most');
  });
});
