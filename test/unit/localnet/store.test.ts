import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeBase58 } from '../../../src/domain/chain.ts';
import { LocalnetError } from '../../../src/localnet/errors.ts';
import {
  decodeAccount,
  decodeGenesis,
  decodeHeader,
  decodeMention,
  decodePruned,
  decodeRecord,
  encodeAccount,
  encodeJson,
} from '../../../src/localnet/store/codecs.ts';
import { blockKey, mentionKey, mentionRange, placeKey, readPlaceKey } from '../../../src/localnet/store/keys.ts';
import { MemoryChainStore } from '../../../src/localnet/store/memory-chain-store.ts';

const AT = { directory: '/nowhere', key: 'x' };

describe('what is stored', () => {
  it('comes back: accounts', () => {
    const account = fc.record({
      lamports: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      rentEpoch: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
      executable: fc.boolean(),
      owner: fc.uint8Array({ minLength: 32, maxLength: 32 }).map(encodeBase58),
      data: fc.uint8Array({ maxLength: 300 }),
    });
    fc.assert(
      fc.property(account, (value) => {
        expect(decodeAccount(encodeAccount(value), AT)).toEqual(value);
      }),
    );
  });

  it('comes back: blocks and mentions', () => {
    const header = {
      slot: 7,
      blockhash: 'a',
      previousBlockhash: 'b',
      blockTime: 5,
      transactionCount: 1,
      totalTransactions: 9,
    };
    expect(decodeHeader(encodeJson(header), AT)).toEqual(header);
    const mention = {
      signature: 's',
      error: { InstructionError: [1, { Custom: 6 }] as const },
      memo: null,
      blockTime: 5,
    };
    expect(decodeMention(encodeJson(mention), AT)).toEqual(mention);
  });

  it('is called damaged if it cannot be read', () => {
    const decoders = [decodeAccount, decodeHeader, decodeRecord, decodeGenesis, decodePruned, decodeMention];
    fc.assert(
      fc.property(
        fc.constantFrom(...decoders),
        fc.oneof(fc.uint8Array({ maxLength: 48 }), fc.jsonValue().map(encodeJson)),
        (decode, bytes) => {
          try {
            decode(bytes, AT);
          } catch (error) {
            expect(error).toBeInstanceOf(LocalnetError);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  it('sorts as it is numbered', () => {
    expect(blockKey(9) < blockKey(10)).toBe(true);
    expect(readPlaceKey(placeKey(12, 345))).toEqual({ slot: 12, index: 345 });
    const { gte, lt } = mentionRange('abc');
    expect(mentionKey('abc', 2 ** 39, 5) >= gte && mentionKey('abc', 2 ** 39, 5) < lt).toBe(true);
    expect(mentionKey('abcd', 1, 1) < lt && mentionKey('abcd', 1, 1) >= gte).toBe(false);
  });
});

describe('the store in memory', () => {
  it('answers as a sorted map', async () => {
    const change = fc.record({
      key: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
      value: fc.option(fc.uint8Array({ maxLength: 2 })),
    });
    const range = fc.record({
      gte: fc.constantFrom('', 'b', 'd'),
      lt: fc.constantFrom('b', 'd', 'z'),
      reverse: fc.boolean(),
      limit: fc.nat(4),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(change, { maxLength: 4 }), { maxLength: 8 }), range, async (writes, asked) => {
        const store = new MemoryChainStore();
        const model = new Map<string, Uint8Array>();
        for (const changes of writes) {
          await store.write(changes);
          for (const { key, value } of changes) {
            if (value === null) model.delete(key);
            else model.set(key, value);
          }
        }
        const expected = [...model]
          .filter(([key]) => key >= asked.gte && key < asked.lt)
          .sort(([a], [b]) => (a < b ? -1 : 1));
        if (asked.reverse) expected.reverse();
        const found: (readonly [string, Uint8Array])[] = [];
        for await (const entry of store.range(asked)) found.push(entry);
        expect(found).toEqual(expected.slice(0, asked.limit));
        for (const key of 'abcde') expect(await store.get(key)).toEqual(model.get(key));
      }),
    );
  });
});
