import { Keypair, SystemProgram, TransactionMessage, VersionedMessage, VersionedTransaction } from '@solana/web3.js';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeTransactionResponse } from '../../../src/chain/endpoints/transaction-decoder.ts';
import { parseTransactionError } from '../../../src/chain/endpoints/transaction-error.ts';
import type { ChainInstruction } from '../../../src/chain/interface.ts';
import { readSignature } from '../../../src/chain/journal/stored-transaction.ts';
import { buildMessage, computeReference, encodeWire } from '../../../src/chain/journal/transaction-builder.ts';
import { KeypairSigner } from '../../../src/chain/signers/keypair-signer.ts';
import { BlockHash, encodeBase58, SolanaAddress } from '../../../src/domain/chain.ts';

class Refused extends Error {}

const refuse = (reason: string): Error => new Refused(reason);
const signer = new KeypairSigner({ seed: new Uint8Array(32).fill(2), description: 'a test' });

const addresses = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .filter((bytes) => bytes.some((byte) => byte > 0))
  .map((bytes) => SolanaAddress(encodeBase58(bytes)));

const instructions: fc.Arbitrary<readonly ChainInstruction[]> = fc.array(
  fc.record({
    program: addresses,
    accounts: fc.array(fc.record({ address: addresses, isSigner: fc.constant(false), isWritable: fc.boolean() }), {
      maxLength: 5,
    }),
    data: fc.uint8Array({ maxLength: 60 }),
  }),
  { minLength: 1, maxLength: 3 },
);

async function signInstructions(list: readonly ChainInstruction[]) {
  const message = await buildMessage({
    payer: signer.address,
    instructions: list,
    computeUnitLimit: 1_000,
    computeUnitPrice: 3,
    blockHash: BlockHash(encodeBase58(new Uint8Array(32).fill(6))),
    reference: computeReference({ key: 'a', createdAtMs: 1 }),
  });
  const wire = encodeWire(await signer.sign(message), message);
  return { wire, transaction: VersionedTransaction.deserialize(wire), signature: readSignature(wire) };
}

const META = { err: null, fee: 5_000, preBalances: [], postBalances: [], logMessages: ['x'], computeUnitsConsumed: 9 };

test('what the builder makes, the decoder gives back', async () => {
  await fc.assert(
    fc.asyncProperty(instructions, async (list) => {
      const { transaction, signature } = await signInstructions(list);
      const response = {
        slot: 4,
        blockTime: 7,
        transaction: { message: transaction.message, signatures: transaction.signatures.map(encodeBase58) },
        meta: META,
      };
      const decoded = decodeTransactionResponse(signature, response, refuse);
      expect(decoded).toMatchObject({ slot: 4, blockTimeMs: 7_000, feeLamports: 5_000n, computeUnits: 9 });
      const own = decoded.instructions.slice(2);
      expect(own.map(({ program, data }) => ({ program, data }))).toEqual(
        list.map(({ program, data }) => ({ program, data })),
      );
      expect(own.map(({ accounts }) => accounts.map(({ address }) => address))).toEqual(
        list.map(({ accounts }) => accounts.map(({ address }) => address)),
      );
    }),
    { numRuns: 40 },
  );
});

test('one changed byte anywhere in the message is refused', async () => {
  const list = [
    {
      program: SolanaAddress(SystemProgram.programId.toBase58()),
      accounts: [{ address: signer.address, isSigner: true, isWritable: true }],
      data: new Uint8Array(20).fill(1),
    },
  ];
  const { wire, signature } = await signInstructions(list);
  const bytes = wire.subarray(65);
  await fc.assert(
    fc.asyncProperty(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), async (index, change) => {
      const altered = bytes.slice();
      altered[index] = (altered[index] ?? 0) ^ change;
      let message: VersionedMessage;
      try {
        message = VersionedMessage.deserialize(altered);
      } catch {
        return;
      }
      const response = { slot: 4, blockTime: 7, transaction: { message, signatures: [signature] }, meta: META };
      expect(() => decodeTransactionResponse(signature, response, refuse)).toThrow();
    }),
    { numRuns: 300 },
  );
});

test('a message of version 0 is checked and decoded as well', () => {
  const payer = Keypair.generate();
  const message = new TransactionMessage({
    payerKey: payer.publicKey,
    recentBlockhash: encodeBase58(new Uint8Array(32).fill(6)),
    instructions: [SystemProgram.transfer({ fromPubkey: payer.publicKey, toPubkey: payer.publicKey, lamports: 1 })],
  }).compileToV0Message();
  const transaction = new VersionedTransaction(message);
  transaction.sign([payer]);
  const signatures = transaction.signatures.map(encodeBase58);
  const response = { slot: 4, blockTime: null, transaction: { message, signatures }, meta: META };
  const decoded = decodeTransactionResponse(signatures[0] as never, response, refuse);
  expect(decoded.blockTimeMs).toBeNull();
  expect(decoded.instructions).toHaveLength(1);
});

test('errors in every form', () => {
  expect(parseTransactionError('AccountNotFound')).toEqual({
    name: 'AccountNotFound',
    instruction: null,
    customCode: null,
    detail: '"AccountNotFound"',
  });
  expect(parseTransactionError({ InstructionError: [2, { Custom: 6010 }] })).toMatchObject({
    name: 'InstructionError',
    instruction: 2,
    customCode: 6010,
  });
  expect(parseTransactionError({ InstructionError: [0, 'InvalidArgument'] })).toMatchObject({
    instruction: 0,
    customCode: null,
  });
  expect(parseTransactionError({ InsufficientFundsForRent: { account_index: 0 } })).toMatchObject({
    name: 'InsufficientFundsForRent',
    instruction: null,
  });
});

test('any error is readable and bounded', () => {
  const errors = fc.oneof(fc.string(), fc.dictionary(fc.string(), fc.jsonValue()));
  fc.assert(
    fc.property(errors, (error) => {
      const failure = parseTransactionError(error as string | Record<string, unknown>);
      expect(failure.detail.length).toBeLessThanOrEqual(500);
    }),
  );
});
