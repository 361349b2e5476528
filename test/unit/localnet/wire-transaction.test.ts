import { Keypair, PublicKey, SystemProgram, TransactionMessage, VersionedTransaction } from '@solana/web3.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LocalnetError } from '../../../src/localnet/errors.ts';
import {
  isStaticWritable,
  parseWireMessage,
  parseWireTransaction,
  withBlockhash,
} from '../../../src/localnet/svm/wire-transaction.ts';

const key = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => new PublicKey(bytes));

function build(version: 'legacy' | 0, to: PublicKey, blockhash: PublicKey): VersionedTransaction {
  const payer = Keypair.generate();
  const instructions = [
    SystemProgram.transfer({ fromPubkey: payer.publicKey, toPubkey: to, lamports: 1 }),
    SystemProgram.nonceAdvance({ noncePubkey: to, authorizedPubkey: payer.publicKey }),
  ];
  const message = new TransactionMessage({
    payerKey: payer.publicKey,
    recentBlockhash: blockhash.toBase58(),
    instructions,
  });
  const transaction = new VersionedTransaction(
    version === 0 ? message.compileToV0Message() : message.compileToLegacyMessage(),
  );
  transaction.sign([payer]);
  return transaction;
}

describe('transactions on the wire', () => {
  it('are read as @solana/web3.js wrote them', () => {
    fc.assert(
      fc.property(fc.constantFrom('legacy' as const, 0 as const), key, key, (version, to, blockhash) => {
        const written = build(version, to, blockhash);
        const { message, signatures, signature } = parseWireTransaction(written.serialize());
        expect(message.version).toBe(version);
        expect(message.recentBlockhash).toBe(blockhash.toBase58());
        expect(message.accountKeys).toEqual(written.message.staticAccountKeys.map((one) => one.toBase58()));
        expect(message.header).toEqual({ ...written.message.header });
        expect(message.instructions.map(({ data }) => data)).toEqual(
          written.message.compiledInstructions.map(({ data }) => new Uint8Array(data)),
        );
        expect(message.instructions.map(({ accounts }) => accounts)).toEqual(
          written.message.compiledInstructions.map(({ accountKeyIndexes }) => accountKeyIndexes),
        );
        expect(signatures).toEqual(written.signatures);
        expect(signature).toHaveLength(signature.length);
        message.accountKeys.forEach((_, index) =>
          expect(isStaticWritable(message, index)).toBe(written.message.isAccountWritable(index)),
        );
      }),
      { numRuns: 50 },
    );
  });

  it('differ in nothing but the block hash when that is replaced', () => {
    const written = build(0, Keypair.generate().publicKey, Keypair.generate().publicKey);
    const other = Keypair.generate().publicKey;
    const replaced = parseWireTransaction(withBlockhash(parseWireTransaction(written.serialize()), other.toBytes()));
    written.message.recentBlockhash = other.toBase58();
    expect(replaced.bytes).toEqual(written.serialize());
  });

  it('are refused with a code whatever they are made of', () => {
    const valid = build(0, Keypair.generate().publicKey, Keypair.generate().publicKey).serialize();
    const mutated = fc.tuple(fc.nat(valid.length - 1), fc.nat(255)).map(([offset, byte]) => valid.with(offset, byte));
    const cut = fc.nat(valid.length).map((length) => valid.slice(0, length));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 1_400 }), mutated, cut), (bytes) => {
        for (const parse of [parseWireTransaction, parseWireMessage]) {
          try {
            parse(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(LocalnetError);
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ['a signature too few', (bytes: Uint8Array) => Uint8Array.of(0, ...bytes.subarray(65))],
    ['a byte too many', (bytes: Uint8Array) => Uint8Array.of(...bytes, 0)],
    ['a header without signers', (bytes: Uint8Array) => bytes.with(65, 0)],
    ['a read-only fee payer', (bytes: Uint8Array) => bytes.with(66, 1)],
    ['more read-only accounts than there are', (bytes: Uint8Array) => bytes.with(67, 9)],
    ['an unknown version', (bytes: Uint8Array) => bytes.with(65, 0x82)],
    ['too many bytes', () => new Uint8Array(1_233)],
  ])('are refused with %s', (_, change) => {
    const bytes = build('legacy', Keypair.generate().publicKey, Keypair.generate().publicKey).serialize();
    expect(() => parseWireTransaction(change(bytes))).toThrow(LocalnetError);
  });
});
