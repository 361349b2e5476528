import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseEndpointUrl } from '../../../src/chain/endpoints/endpoint-url.ts';
import { computeNeed, computeOutflow, isShortOfFunds } from '../../../src/chain/journal/funds.ts';
import { JournalStore } from '../../../src/chain/journal/journal-store.ts';
import { OpenTransactions } from '../../../src/chain/journal/open-transactions.ts';
import { computePriorityFee } from '../../../src/chain/journal/priority-fee.ts';
import {
  createStoredTransaction,
  type StoredTransaction,
  storedTransactionSchema,
  toTransactionRecord,
  withAttempt,
} from '../../../src/chain/journal/stored-transaction.ts';
import { computeReference } from '../../../src/chain/journal/transaction-builder.ts';
import { HandledQueue } from '../../../src/chain/reader/handled-queue.ts';
import { encodeKeypairFile, parseKeypairFile } from '../../../src/chain/signers/keypair-file.ts';
import { BlockHash, encodeBase58, SolanaAddress, TransactionSignature } from '../../../src/domain/chain.ts';
import { deriveWalletSeed } from '../../../src/identity/wallet-key.ts';
import { encodeHex } from '../../../src/lib/bytes.ts';
import { createCborCodec } from '../../../src/storage/codecs.ts';
import { MemoryDatabase } from '../../support/memory-database.ts';

const PAYER = SolanaAddress(encodeBase58(new Uint8Array(32).fill(3)));
const SYSTEM = SolanaAddress(encodeBase58(new Uint8Array(32)));
const GENESIS = BlockHash(encodeBase58(new Uint8Array(32).fill(9)));
const signature = (fill: number): TransactionSignature =>
  TransactionSignature(encodeBase58(new Uint8Array(64).fill(fill)));

function record(key: string): StoredTransaction {
  const instructions = [{ program: SYSTEM, accounts: [], data: Uint8Array.of(1, 2) }];
  return createStoredTransaction({ key, purpose: 'x', instructions, computeUnitLimit: 5 }, { signer: PAYER, nowMs: 4 });
}

describe('priority fee', () => {
  test('is a percentile that rises with each attempt that expired, and has a limit', () => {
    const recent = Array.from({ length: 100 }, (_, index) => index);
    expect(computePriorityFee({ recent, expiredAttempts: 0, maximum: 1_000 })).toBe(50);
    expect(computePriorityFee({ recent, expiredAttempts: 1, maximum: 1_000 })).toBe(70);
    expect(computePriorityFee({ recent, expiredAttempts: 9, maximum: 1_000 })).toBe(95);
    expect(computePriorityFee({ recent, expiredAttempts: 9, maximum: 30 })).toBe(30);
    expect(computePriorityFee({ recent: [], expiredAttempts: 3, maximum: 30 })).toBe(0);
  });
});

describe('funds', () => {
  const transfer = (lamports: bigint) => {
    const data = new Uint8Array(12);
    const view = new DataView(data.buffer);
    view.setUint32(0, 2, true);
    view.setBigUint64(4, lamports, true);
    return { program: SYSTEM, accounts: [{ address: PAYER, isSigner: true, isWritable: true }], data };
  };
  const failure = (name: string, customCode: number | null = null) => ({
    name,
    instruction: 0,
    customCode,
    detail: name,
  });

  test('what leaves through the system program', () => {
    expect(computeOutflow(PAYER, [transfer(7n), transfer(5n)])).toBe(12n);
    expect(computeOutflow(SYSTEM, [transfer(7n)])).toBe(0n);
    expect(computeOutflow(PAYER, [{ ...transfer(7n), data: new Uint8Array(3) }])).toBe(0n);
  });

  test('which failures are a lack of funds', () => {
    const log = 'Transfer: insufficient lamports 5, need 9000';
    expect(isShortOfFunds(failure('AccountNotFound'), [])).toBe(true);
    expect(isShortOfFunds(failure('InsufficientFundsForFee'), [])).toBe(true);
    expect(isShortOfFunds(failure('InstructionError', 1), [log])).toBe(true);
    expect(isShortOfFunds(failure('InstructionError', 1), ['something else'])).toBe(false);
    expect(isShortOfFunds(failure('InstructionError', 6010), [log])).toBe(false);
  });

  test('what is needed comes from the instructions, or from what the program said', () => {
    const input = {
      payer: PAYER,
      instructions: [transfer(100n)],
      logs: [],
      feeLamports: 5_000n,
      rentLamports: 890_880n,
    };
    expect(computeNeed({ ...input, failure: failure('InsufficientFundsForFee') })).toBe(5_100n);
    expect(computeNeed({ ...input, failure: failure('InsufficientFundsForRent') })).toBe(895_980n);
    const logs = ['Transfer: insufficient lamports 5, need 35634560'];
    expect(computeNeed({ ...input, logs, failure: failure('InstructionError', 1) })).toBe(35_639_560n);
  });
});

describe('stored transactions', () => {
  const codec = createCborCodec(storedTransactionSchema);
  const wire = new Uint8Array(200).fill(7);
  const attempt = (fill: number) => ({
    signature: signature(fill),
    blockHash: GENESIS,
    lastValidBlockHeight: 5,
    heightVotes: 1,
    signedSlot: 3,
    signedAtMs: 9,
    outcome: 'pending' as const,
  });

  test('round trip', () => {
    const stored = { ...withAttempt(record('a'), attempt(1), wire), feeLamports: '18446744073709551615' };
    expect(codec.decode(codec.encode(stored))).toEqual(stored);
    expect(toTransactionRecord(stored)).toMatchObject({ state: 'sent', feeLamports: 2n ** 64n - 1n });
  });

  test('garbage is refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(() => codec.decode(bytes)).toThrow();
      }),
    );
  });

  test('attempts that are kept are bounded, their number is not lost', () => {
    let stored = record('a');
    for (let index = 0; index < 40; index += 1) stored = withAttempt(stored, attempt(index), wire);
    expect(stored.attempts).toHaveLength(16);
    expect(stored.attemptCount).toBe(40);
    expect(stored.attempts.at(-1)?.signature).toBe(signature(39));
  });

  test('two intents with the same content have different references, the same intent always the same', () => {
    const one = computeReference(record('a'));
    expect(computeReference(record('a'))).toBe(one);
    expect(computeReference(record('b'))).not.toBe(one);
    expect(computeReference({ key: 'a', createdAtMs: 5 })).not.toBe(one);
  });
});

describe('open transactions', () => {
  test('a change that was not written is not seen', async () => {
    const database = new MemoryDatabase();
    const open = new OpenTransactions({ store: new JournalStore({ database }, { genesis: GENESIS }) });
    await open.put(record('a'));
    database.onWrite = () => {
      throw new Error('the disk is full');
    };
    await expect(open.put({ ...record('a'), state: 'confirmed' })).rejects.toThrow('full');
    expect(open.find('a')?.state).toBe('intended');
  });

  test('tasks of one key run one after the other, also after a failure', async () => {
    const database = new MemoryDatabase();
    const open = new OpenTransactions({ store: new JournalStore({ database }, { genesis: GENESIS }) });
    const steps: string[] = [];
    const task = (name: string, key: string) =>
      open.exclusive(key, async () => {
        steps.push(`${name} begins`);
        await Promise.resolve();
        steps.push(`${name} ends`);
        if (name === 'first') throw new Error('it failed');
      });
    const outcomes = await Promise.allSettled([task('first', 'a'), task('second', 'a'), task('other', 'b')]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
    expect(steps.indexOf('second begins')).toBeGreaterThan(steps.indexOf('first ends'));
    expect(steps.indexOf('other begins')).toBeLessThan(steps.indexOf('first ends'));
  });
});

describe('handled queue', () => {
  test('the cursor passes only what was handled with all before it', () => {
    const queue = new HandledQueue({ slot: 0, signatures: [] });
    const [a, b, c] = [
      { signature: signature(1), slot: 5 },
      { signature: signature(2), slot: 5 },
      { signature: signature(3), slot: 6 },
    ];
    const [first, second, third] = [queue.give(a), queue.give(b), queue.give(c)];
    expect(second.handled()).toBeUndefined();
    expect(third.handled()).toBeUndefined();
    expect(queue.waiting).toBe(3);
    expect(first.handled()).toEqual({ slot: 6, signatures: [c.signature] });
    expect(queue.waiting).toBe(0);
  });

  test('within a slot it remembers which', () => {
    const queue = new HandledQueue({ slot: 5, signatures: [signature(1)] });
    expect(queue.has({ signature: signature(1), slot: 5 })).toBe(true);
    expect(queue.has({ signature: signature(2), slot: 5 })).toBe(false);
    expect(queue.has({ signature: signature(3), slot: 4 })).toBe(true);
    const given = queue.give({ signature: signature(2), slot: 5 });
    expect(queue.has({ signature: signature(2), slot: 5 })).toBe(true);
    expect(given.handled()).toEqual({ slot: 5, signatures: [signature(1), signature(2)] });
    expect(queue.newest).toEqual({ signature: signature(2), slot: 5 });
  });
});

describe('endpoint address', () => {
  test('the label holds no credentials, and the subscription is on the next port', () => {
    const url = parseEndpointUrl('https://user:pa%20ss@rpc.example:8899/v2/0123456789abcdef0123?api-key=k-123456');
    expect(url.label).toBe('https://rpc.example:8899/v2/…');
    expect(url.requestUrl).toBe('https://rpc.example:8899/v2/0123456789abcdef0123?api-key=k-123456');
    expect(url.headers).toEqual({ Authorization: `Basic ${Buffer.from('user:pa ss').toString('base64')}` });
    expect(new URL(url.webSocketUrl)).toMatchObject({ protocol: 'wss:', port: '8900', username: '' });
    expect(url.redact('0123456789abcdef0123 and k-123456 and pa ss')).toBe('… and … and …');
  });

  test('without a port it is on the same one', () => {
    expect(parseEndpointUrl('https://api.devnet.solana.com').webSocketUrl).toBe('wss://api.devnet.solana.com/');
    expect(parseEndpointUrl('http://127.0.0.1:8899').label).toBe('http://127.0.0.1:8899');
  });
});

describe('wallet', () => {
  test('is derived from the identity, and is not the identity', () => {
    const identity = new Uint8Array(32).fill(1);
    const seed = deriveWalletSeed(identity);
    expect(seed).toHaveLength(32);
    expect(encodeHex(seed)).toBe(encodeHex(deriveWalletSeed(identity)));
    expect(encodeHex(seed)).not.toBe(encodeHex(identity));
    expect(encodeHex(seed)).toBe(WALLET_OF_ONES);
  });

  test('a keypair file round trip', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (seed) => {
        expect(encodeHex(parseKeypairFile(encodeKeypairFile(seed), 'x'))).toBe(encodeHex(seed));
      }),
      { numRuns: 20 },
    );
  });

  test('a keypair file of garbage', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(() => parseKeypairFile(text, 'x')).toThrowError(
          expect.objectContaining({ code: 'CHAIN_BAD_KEYPAIR_FILE' }),
        );
      }),
    );
  });
});

/** HKDF-SHA256 of 32 bytes of 1, without salt, info `fogproof/solana-wallet@1`, by another implementation (Python). */
const WALLET_OF_ONES = '11b881a2c75f6cef1b17171ffd32c6a997059749db7d2df730780e75fff0f21b';
