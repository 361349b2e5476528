import {
  Keypair,
  LAMPORTS_PER_SOL,
  PublicKey,
  SystemProgram,
  sendAndConfirmTransaction,
  Transaction,
} from '@solana/web3.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startLocalnet, type TestLocalnet } from '../../support/localnet.ts';
import {
  approve,
  closeAccount,
  createAssociatedAccount,
  findAssociatedAccount,
  initializeMint,
  MINT_BYTES,
  mintTo,
  TOKEN_2022_PROGRAM_ID,
  TOKEN_PROGRAM_ID,
  transferChecked,
} from '../../support/token-instructions.ts';

let net: TestLocalnet;
let payer: Keypair;

beforeAll(async () => {
  net = await startLocalnet();
  payer = await net.fund(1000 * LAMPORTS_PER_SOL);
});
afterAll(() => net[Symbol.asyncDispose]());

const send = (transaction: Transaction, ...signers: Keypair[]) =>
  sendAndConfirmTransaction(net.connection, transaction, [payer, ...signers]);

async function createAccount(space: number, owner: PublicKey): Promise<Keypair> {
  const account = Keypair.generate();
  const lamports = await net.connection.getMinimumBalanceForRentExemption(space);
  const create = SystemProgram.createAccount({
    fromPubkey: payer.publicKey,
    newAccountPubkey: account.publicKey,
    lamports,
    space,
    programId: owner,
  });
  await send(new Transaction().add(create), account);
  return account;
}

interface Answer {
  readonly result?: { readonly value: { readonly data?: unknown } };
  readonly error?: { readonly code: number; readonly message: string };
}

async function rpc(method: string, ...params: unknown[]): Promise<Answer> {
  const response = await fetch(net.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  });
  return (await response.json()) as Answer;
}

describe('accounts', () => {
  it('come in every encoding, or with the error that a node gives', async () => {
    const account = await createAccount(200, Keypair.generate().publicKey);
    const address = account.publicKey.toBase58();
    for (const encoding of ['base64', 'base64+zstd', 'jsonParsed']) {
      const { result } = await rpc('getAccountInfo', address, { encoding, commitment: 'confirmed' });
      expect(result?.value).toMatchObject({
        space: 200,
        executable: false,
        data: [expect.any(String), encoding === 'jsonParsed' ? 'base64' : encoding],
      });
    }
    const { error } = await rpc('getAccountInfo', address, { commitment: 'confirmed' });
    expect(error).toMatchObject({ code: -32600, message: expect.stringContaining('128 bytes') });
    const { result } = await rpc('getAccountInfo', address, {
      encoding: 'base58',
      dataSlice: { offset: 0, length: 4 },
      commitment: 'confirmed',
    });
    expect(result?.value.data).toEqual(['1111', 'base58']);
  });

  it('show u64 numbers whole', async () => {
    const response = await fetch(net.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'getAccountInfo',
        params: [payer.publicKey.toBase58(), { commitment: 'confirmed' }],
      }),
    });
    expect(await response.text()).toContain('"rentEpoch":18446744073709551615');
  });

  it('are found by program, size and content', async () => {
    const owner = Keypair.generate().publicKey;
    const first = await createAccount(10, owner);
    const second = await createAccount(20, owner);
    const all = await net.connection.getProgramAccounts(owner);
    expect(all.map(({ pubkey }) => pubkey.toBase58()).sort()).toEqual(
      [first, second].map(({ publicKey }) => publicKey.toBase58()).sort(),
    );
    const sized = await net.connection.getProgramAccounts(owner, { filters: [{ dataSize: 20 }] });
    expect(sized.map(({ pubkey }) => pubkey)).toEqual([second.publicKey]);
    const matching = await net.connection.getProgramAccounts(owner, {
      filters: [{ memcmp: { offset: 8, bytes: '11' } }],
    });
    expect(matching).toHaveLength(2);
    expect(
      await net.connection.getProgramAccounts(owner, { filters: [{ memcmp: { offset: 8, bytes: '2' } }] }),
    ).toEqual([]);
    expect(
      await net.connection.getProgramAccounts(owner, { filters: [{ memcmp: { offset: 19, bytes: '11' } }] }),
    ).toEqual([]);
    const sliced = await net.connection.getProgramAccounts(owner, { dataSlice: { offset: 1, length: 3 } });
    expect(sliced.map(({ account }) => account.data.length)).toEqual([3, 3]);
    const { result } = await rpc('getProgramAccounts', owner.toBase58(), {
      withContext: true,
      encoding: 'base64',
      commitment: 'confirmed',
    });
    expect(result).toMatchObject({ context: { slot: expect.any(Number) }, value: [{}, {}] });
    const five = Array.from({ length: 5 }, () => ({ dataSize: 1 }));
    expect((await rpc('getProgramAccounts', owner.toBase58(), { filters: five })).error).toMatchObject({
      code: -32602,
    });
  });

  it('include programs, sysvars and what was never there', async () => {
    const [token, clock, none] = await net.connection.getMultipleAccountsInfo([
      TOKEN_PROGRAM_ID,
      new PublicKey('SysvarC1ock11111111111111111111111111111111'),
      Keypair.generate().publicKey,
    ]);
    expect(token).toMatchObject({
      executable: true,
      owner: new PublicKey('BPFLoaderUpgradeab1e11111111111111111111111'),
    });
    const slot = Number(clock?.data.readBigUInt64LE(0));
    expect(Math.abs(slot - (await net.connection.getSlot('processed')))).toBeLessThan(10);
    expect(Math.abs(Number(clock?.data.readBigInt64LE(32)) - Date.now() / 1000)).toBeLessThan(5);
    expect(none).toBeNull();
    const parsed = await net.connection.getParsedAccountInfo(
      new PublicKey('SysvarC1ock11111111111111111111111111111111'),
    );
    expect(parsed.value?.data).toMatchObject({ program: 'sysvar', parsed: { type: 'clock' } });
  });

  it('add up', async () => {
    const { value: supply } = await net.connection.getSupply({
      commitment: 'finalized',
      excludeNonCirculatingAccountsList: true,
    });
    expect(supply.total).toBeGreaterThan(499_000_000 * LAMPORTS_PER_SOL);
    const { value: largest } = await net.connection.getLargestAccounts();
    expect(largest.length).toBeGreaterThan(1);
    expect(await net.connection.getMinimumBalanceForRentExemption(0)).toBe(890_880);
    expect(await net.connection.getMinimumBalanceForRentExemption(4_992)).toBe((4_992 + 128) * 6_960);
  });

  it('are not told about a slot that has not come', async () => {
    const { error } = await rpc('getBalance', payer.publicKey.toBase58(), { minContextSlot: 10 ** 9 });
    expect(error).toMatchObject({ code: -32016, message: 'Minimum context slot has not been reached' });
  });
});

describe.each([
  ['SPL Token', TOKEN_PROGRAM_ID, 'spl-token'],
  ['Token-2022', TOKEN_2022_PROGRAM_ID, 'spl-token-2022'],
])('%s', (_, program, name) => {
  it('mints, transfers, and shows balances everywhere', async () => {
    const mint = await createAccount(MINT_BYTES, program);
    const place = { mint: mint.publicKey, program };
    const owner = Keypair.generate();
    const mine = findAssociatedAccount(payer.publicKey, place);
    const theirs = findAssociatedAccount(owner.publicKey, place);
    await send(
      new Transaction().add(
        initializeMint(payer.publicKey, 2, place),
        createAssociatedAccount(payer.publicKey, payer.publicKey, place),
        createAssociatedAccount(payer.publicKey, owner.publicKey, place),
        mintTo(mine, payer.publicKey, { ...place, amount: 10_000n }),
      ),
    );
    const transfer = { ...place, from: mine, to: theirs, owner: payer.publicKey, amount: 2_550n, decimals: 2 };
    const signature = await send(new Transaction().add(transferChecked(transfer)));
    expect((await net.connection.getTokenAccountBalance(theirs)).value).toEqual({
      amount: '2550',
      decimals: 2,
      uiAmount: 25.5,
      uiAmountString: '25.5',
    });
    expect((await net.connection.getTokenSupply(mint.publicKey)).value.amount).toBe('10000');
    const largest = await net.connection.getTokenLargestAccounts(mint.publicKey);
    expect(largest.value.map(({ address, amount }) => [address.toBase58(), amount])).toEqual([
      [mine.toBase58(), '7450'],
      [theirs.toBase58(), '2550'],
    ]);
    const parsed = await net.connection.getParsedTokenAccountsByOwner(owner.publicKey, { mint: mint.publicKey });
    expect(parsed.value).toMatchObject([
      {
        account: {
          data: {
            program: name,
            parsed: { type: 'account', info: { owner: owner.publicKey.toBase58(), tokenAmount: { amount: '2550' } } },
          },
        },
      },
    ]);
    expect((await net.connection.getTokenAccountsByOwner(owner.publicKey, { programId: program })).value).toHaveLength(
      1,
    );
    expect((await net.connection.getParsedAccountInfo(mint.publicKey)).value?.data).toMatchObject({
      parsed: { type: 'mint', info: { decimals: 2, supply: '10000' } },
    });
    const found = await net.connection.getParsedTransaction(signature, { commitment: 'confirmed' });
    expect(found?.transaction.message.instructions).toMatchObject([
      { program: name, parsed: { type: 'transferChecked', info: { tokenAmount: { amount: '2550' } } } },
    ]);
    expect(found?.meta?.preTokenBalances?.map(({ uiTokenAmount }) => uiTokenAmount.amount).sort()).toEqual([
      '0',
      '10000',
    ]);
    expect(found?.meta?.postTokenBalances?.map(({ uiTokenAmount }) => uiTokenAmount.amount).sort()).toEqual([
      '2550',
      '7450',
    ]);
  });
});

describe('SPL Token', () => {
  it('finds accounts by delegate, forgets closed ones, and names what is no token', async () => {
    const mint = await createAccount(MINT_BYTES, TOKEN_PROGRAM_ID);
    const place = { mint: mint.publicKey };
    const mine = findAssociatedAccount(payer.publicKey, place);
    const delegate = Keypair.generate().publicKey;
    await send(
      new Transaction().add(
        initializeMint(payer.publicKey, 0, place),
        createAssociatedAccount(payer.publicKey, payer.publicKey, place),
        approve(mine, delegate, { owner: payer.publicKey, amount: 5n }),
      ),
    );
    const { result } = await rpc(
      'getTokenAccountsByDelegate',
      delegate.toBase58(),
      { programId: TOKEN_PROGRAM_ID.toBase58() },
      { encoding: 'jsonParsed', commitment: 'confirmed' },
    );
    expect(result?.value).toMatchObject([{ pubkey: mine.toBase58() }]);
    await send(new Transaction().add(closeAccount(mine, payer.publicKey, payer.publicKey)));
    expect(await net.connection.getAccountInfo(mine)).toBeNull();
    await expect(net.connection.getTokenAccountBalance(mine)).rejects.toThrow('could not find account');
    await expect(net.connection.getTokenAccountBalance(payer.publicKey)).rejects.toThrow('not a Token account');
    await expect(net.connection.getTokenSupply(payer.publicKey)).rejects.toThrow('not a Token mint');
    await expect(net.connection.getTokenAccountsByOwner(payer.publicKey, { programId: delegate })).rejects.toThrow(
      'unrecognized Token program id',
    );
  });
});
