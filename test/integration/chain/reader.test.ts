import {
  AddressLookupTableAccount,
  Keypair,
  PublicKey,
  SystemProgram,
  TransactionMessage,
  VersionedTransaction,
} from '@solana/web3.js';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ChainReader } from '../../../src/chain/interface.ts';
import { encodeBase58, Lamports, SolanaAddress, type TransactionSignature } from '../../../src/domain/chain.ts';
import { createPool, createReader, RECEIVER, WALLET } from '../../support/chain-rig.ts';
import { FEE, ScriptedChain } from '../../support/scripted-chain.ts';
import { ScriptedEndpoint } from '../../support/scripted-endpoint.ts';
import { encodeTransaction } from '../../support/scripted-rpc.ts';

let stack: AsyncDisposableStack;
let chain: ScriptedChain;

beforeEach(() => {
  stack = new AsyncDisposableStack();
  chain = new ScriptedChain();
});

afterEach(async () => {
  await stack.disposeAsync();
});

const signal = (): AbortSignal => AbortSignal.timeout(8_000);

async function open(
  count = 1,
): Promise<{ readonly endpoints: readonly ScriptedEndpoint[]; readonly reader: ChainReader }> {
  const endpoints = await Promise.all(
    Array.from({ length: count }, async () => stack.use(await ScriptedEndpoint.open(chain))),
  );
  const pool = stack.use(
    createPool(
      endpoints.map(({ url }) => url),
      chain.genesis,
    ),
  );
  return { endpoints, reader: createReader(pool, chain.genesis) };
}

/** A transfer that is final. */
function land(): TransactionSignature {
  const payer = Keypair.generate();
  chain.fund(payer.publicKey.toBase58(), 1_000_000_000n);
  const message = new TransactionMessage({
    payerKey: payer.publicKey,
    recentBlockhash: chain.head.blockHash,
    instructions: [
      SystemProgram.transfer({ fromPubkey: payer.publicKey, toPubkey: new PublicKey(RECEIVER), lamports: 42 }),
    ],
  }).compileToLegacyMessage();
  const transaction = new VersionedTransaction(message);
  transaction.sign([payer]);
  const signature = chain.send(transaction.serialize());
  chain.produce(chain.finalLag + 2);
  return signature;
}

/** What the endpoint gives for a transaction, altered. */
function tamper(endpoint: ScriptedEndpoint, signature: string, change: (answer: never) => void): void {
  const found = chain.find(signature);
  if (found === undefined) throw new Error('it did not land');
  const answer = structuredClone(encodeTransaction(found.transaction, found.block));
  change(answer as never);
  endpoint.misbehave({ kind: 'result', result: answer }, 'getTransaction');
}

interface Answer {
  slot: number;
  transaction: {
    signatures: string[];
    message: { accountKeys: string[]; instructions: { data: string; accounts: number[] }[] };
  };
  meta: { err: unknown; fee: number } | null;
}

describe('transaction', () => {
  test('is decoded to instructions, cost and place', async () => {
    const { reader } = await open();
    const signature = land();
    const transaction = await reader.transaction(signature, { signal: signal(), commitment: 'finalized' });
    expect(transaction).toMatchObject({ signature, failure: null, feeLamports: FEE, computeUnits: 450 });
    const [instruction] = transaction?.instructions ?? [];
    expect(instruction?.program).toBe(SystemProgram.programId.toBase58());
    expect(instruction?.accounts.map(({ isSigner, isWritable }) => [isSigner, isWritable])).toEqual([
      [true, true],
      [false, true],
    ]);
    expect(instruction?.accounts[1]?.address).toBe(RECEIVER);
    expect(Buffer.from(instruction?.data ?? []).readBigUInt64LE(4)).toBe(42n);
  });

  test('is undefined where nobody knows it', async () => {
    const { reader } = await open(2);
    const signature = encodeBase58(new Uint8Array(64).fill(1)) as TransactionSignature;
    expect(await reader.transaction(signature, { signal: signal(), commitment: 'finalized' })).toBeUndefined();
  });

  test('is found where only one endpoint knows it', async () => {
    const { reader, endpoints } = await open(2);
    const signature = land();
    endpoints[0]?.misbehave({ kind: 'result', result: null }, 'getTransaction');
    expect(await reader.transaction(signature, { signal: signal(), commitment: 'finalized' })).toMatchObject({
      signature,
    });
  });

  const FORGERIES: readonly (readonly [string, (answer: Answer) => void])[] = [
    [
      'truncated data',
      ({ transaction: { message } }) => {
        const [instruction] = message.instructions;
        if (instruction !== undefined) instruction.data = instruction.data.slice(0, 6);
      },
    ],
    ['no instructions', ({ transaction: { message } }) => message.instructions.splice(0)],
    [
      'another receiver',
      ({ transaction: { message } }) => {
        message.accountKeys[1] = WALLET.address;
      },
    ],
    ['an account that is not there', ({ transaction: { message } }) => message.instructions[0]?.accounts.push(99)],
    ['no accounts', ({ transaction: { message } }) => message.accountKeys.splice(0)],
    [
      'data that is no base58',
      ({ transaction: { message } }) => {
        const [instruction] = message.instructions;
        if (instruction !== undefined) instruction.data = '0OIl';
      },
    ],
    ['no signatures', ({ transaction }) => transaction.signatures.splice(0)],
    ['one signature too many', ({ transaction }) => transaction.signatures.push(transaction.signatures[0] ?? '')],
    [
      'no result',
      (answer) => {
        answer.meta = null;
      },
    ],
    [
      'a fee that no number holds',
      (answer) => {
        if (answer.meta !== null) answer.meta.fee = 1e19;
      },
    ],
    [
      'a negative slot',
      (answer) => {
        answer.slot = -1;
      },
    ],
  ];

  test.each(FORGERIES)('with %s is not believed', async (_, change) => {
    const { reader, endpoints } = await open();
    const signature = land();
    const [endpoint] = endpoints;
    if (endpoint === undefined) throw new Error('one was opened');
    tamper(endpoint, signature, change as (answer: never) => void);
    await expect(reader.transaction(signature, { signal: signal(), commitment: 'finalized' })).rejects.toMatchObject({
      code: 'CHAIN_BAD_RESPONSE',
      hint: expect.stringContaining('chain.rpcUrls'),
    });
  });

  test('another transaction than the one asked for is not believed', async () => {
    const { reader, endpoints } = await open();
    const [asked, other] = [land(), land()];
    const [endpoint] = endpoints;
    if (endpoint === undefined) throw new Error('one was opened');
    tamper(endpoint, other, () => {});
    await expect(reader.transaction(asked, { signal: signal(), commitment: 'finalized' })).rejects.toMatchObject({
      code: 'CHAIN_BAD_RESPONSE',
    });
  });

  test('two endpoints that give it other results contradict each other', async () => {
    const { reader, endpoints } = await open(2);
    const signature = land();
    const [, liar] = endpoints;
    if (liar === undefined) throw new Error('two were opened');
    tamper(liar, signature, ((answer: Answer) => {
      if (answer.meta !== null) answer.meta.err = { InstructionError: [0, { Custom: 6010 }] };
    }) as (answer: never) => void);
    await expect(reader.transaction(signature, { signal: signal(), commitment: 'finalized' })).rejects.toMatchObject({
      code: 'CHAIN_ENDPOINTS_DISAGREE',
      message: expect.stringContaining('6010'),
    });
  });

  test('with a lookup table names the addresses that were loaded', async () => {
    const { reader, endpoints } = await open();
    const payer = Keypair.generate();
    const table = new AddressLookupTableAccount({
      key: Keypair.generate().publicKey,
      state: {
        deactivationSlot: 2n ** 64n - 1n,
        lastExtendedSlot: 0,
        lastExtendedSlotStartIndex: 0,
        addresses: [new PublicKey(RECEIVER)],
      },
    });
    const message = new TransactionMessage({
      payerKey: payer.publicKey,
      recentBlockhash: chain.head.blockHash,
      instructions: [
        SystemProgram.transfer({ fromPubkey: payer.publicKey, toPubkey: new PublicKey(RECEIVER), lamports: 42 }),
      ],
    }).compileToV0Message([table]);
    const transaction = new VersionedTransaction(message);
    transaction.sign([payer]);
    const signature = encodeBase58(transaction.signatures[0] ?? new Uint8Array()) as TransactionSignature;
    const answer = encodeTransaction({ signature, transaction, slot: 3, error: null, logs: [] }, chain.head) as {
      meta: { loadedAddresses: unknown };
    };
    const [endpoint] = endpoints;
    endpoint?.misbehave({ kind: 'result', result: answer }, 'getTransaction');
    await expect(reader.transaction(signature, { signal: signal(), commitment: 'finalized' })).rejects.toMatchObject({
      code: 'CHAIN_BAD_RESPONSE',
      message: expect.stringContaining('lookup tables'),
    });
    answer.meta.loadedAddresses = { writable: [RECEIVER], readonly: [] };
    await expect
      .poll(async () => {
        const found = await reader.transaction(signature, { signal: signal(), commitment: 'finalized' });
        return found?.instructions[0]?.accounts[1];
      })
      .toEqual({ address: RECEIVER, isSigner: false, isWritable: true });
  });
});

describe('reads', () => {
  test('balance, account, rent, slot and the state of the endpoints', async () => {
    const { reader, endpoints } = await open();
    chain.fund(WALLET.address, 77n);
    const options = { signal: signal(), commitment: 'finalized' } as const;
    expect(await reader.balance(WALLET.address, options)).toBe(77n);
    expect(await reader.account(WALLET.address, options)).toMatchObject({ lamports: 77n, owner: '1'.repeat(32) });
    expect(await reader.account(RECEIVER, options)).toBeUndefined();
    expect(await reader.rentExemption(4_992, options)).toBe(35_635_200n);
    expect(await reader.slot(options)).toBe(chain.headAt('finalized').slot);
    expect(reader.status()).toMatchObject({
      isReachable: true,
      expectedGenesis: chain.genesis,
      endpoints: [{ url: endpoints[0]?.url, state: 'ok', problem: null, slot: chain.headAt('finalized').slot }],
    });
  });

  test('a balance that a JSON number does not hold exactly is refused, not rounded', async () => {
    const { reader, endpoints } = await open();
    endpoints[0]?.misbehave(
      { kind: 'body', text: '{"jsonrpc":"2.0","id":1,"result":{"context":{"slot":1},"value":9007199254740993}}' },
      'getBalance',
    );
    await expect(reader.balance(WALLET.address, { signal: signal(), commitment: 'finalized' })).rejects.toMatchObject({
      code: 'CHAIN_BAD_RESPONSE',
    });
  });

  test('an airdrop where there is a faucet, and a plain word where there is none', async () => {
    const { reader, endpoints } = await open();
    await reader.requestAirdrop(WALLET.address, Lamports(5n), { signal: signal() });
    expect(chain.balances.get(WALLET.address)).toBe(5n);
    endpoints[0]?.misbehave({ kind: 'fault', code: -32_601, message: 'Method not found' }, 'requestAirdrop');
    await expect(reader.requestAirdrop(WALLET.address, Lamports(5n), { signal: signal() })).rejects.toMatchObject({
      code: 'CHAIN_NO_FAUCET',
      hint: expect.stringContaining('fogproof wallet show'),
    });
  });

  test.each([-32_603, 429, -32_602])('what the faucet refuses with %d is told in its words', async (faultCode) => {
    const { reader, endpoints } = await open();
    await reader.slot({ signal: signal(), commitment: 'confirmed' });
    const message = 'airdrop request failed: insufficient funds for rent';
    endpoints[0]?.misbehave({ kind: 'fault', code: faultCode, message }, 'requestAirdrop');
    await expect(reader.requestAirdrop(WALLET.address, Lamports(5n), { signal: signal() })).rejects.toMatchObject({
      code: 'CHAIN_FAUCET_REFUSED',
      message: expect.stringContaining(message),
      hint: expect.stringContaining('fogproof wallet airdrop 1'),
    });
    expect(reader.status()).toMatchObject({ isReachable: true, endpoints: [{ problem: null }] });
  });

  test('history, newest first, back to a slot', async () => {
    const { reader } = await open();
    const signatures = [land(), land(), land()];
    const slots = signatures.map((signature) => chain.find(signature)?.block.slot ?? 0);
    const seen: string[] = [];
    const options = { signal: signal(), commitment: 'finalized', sinceSlot: slots[1] ?? 0 } as const;
    for await (const transaction of reader.history(SolanaAddress(RECEIVER), options)) seen.push(transaction.signature);
    expect(seen).toEqual([signatures[2], signatures[1]]);
  });

  test('a transaction that is listed and that nobody gives is said to be missing', async () => {
    const { reader, endpoints } = await open();
    land();
    endpoints[0]?.misbehave({ kind: 'result', result: null }, 'getTransaction');
    const iterate = async (): Promise<void> => {
      const options = { signal: signal(), commitment: 'finalized', sinceSlot: 0 } as const;
      for await (const transaction of reader.history(RECEIVER, options)) expect(transaction).toBeUndefined();
    };
    await expect(iterate()).rejects.toMatchObject({ code: 'CHAIN_TRANSACTION_MISSING' });
  });
});
