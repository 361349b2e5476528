import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes, encodeHex } from '../../../../src/lib/bytes.ts';
import { TeeError } from '../../../../src/tee/errors.ts';
import { deriveCipherKey } from '../../../../src/tee/sealing/derive-key.ts';
import { openStream, sealStream } from '../../../../src/tee/sealing/stream.ts';
import { collectStream, patternBytes, streamBytes } from '../../../support/byte-streams.ts';

const CHUNK = 65_536;
const SEALED_CHUNK = CHUNK + 16;

const key = await deriveCipherKey(new Uint8Array(32).fill(7), new Uint8Array([1]));
const otherKey = await deriveCipherKey(new Uint8Array(32).fill(7), new Uint8Array([2]));

/** Around the borders of chunks, and nothing at all. */
const sizes = fc
  .tuple(fc.nat({ max: 3 }), fc.integer({ min: -2, max: 2 }))
  .map(([chunks, delta]) => Math.max(0, chunks * CHUNK + delta));
const parts = fc.constantFrom(997, 4096, CHUNK - 1, CHUNK, CHUNK + 16, 3 * CHUNK);

const seal = (plain: Uint8Array, partBytes = CHUNK): Promise<Uint8Array> =>
  collectStream(sealStream(key, streamBytes(plain, partBytes)));
const open = (sealed: Uint8Array, partBytes = CHUNK): Promise<Uint8Array> =>
  collectStream(openStream(key, streamBytes(sealed, partBytes), 'the stream'));

async function expectRefused(sealed: Uint8Array): Promise<void> {
  const error: unknown = await open(sealed).catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(TeeError);
  expect((error as TeeError).code).toBe('TEE_NOT_OPENED');
}

function listChunks(sealed: Uint8Array): readonly Uint8Array[] {
  const count = Math.ceil(sealed.length / SEALED_CHUNK);
  return Array.from({ length: count }, (_, index) => sealed.subarray(index * SEALED_CHUNK, (index + 1) * SEALED_CHUNK));
}

describe('STREAM', () => {
  it('gives back what was sealed, however it comes in parts, and the same bytes each time', async () => {
    await fc.assert(
      fc.asyncProperty(sizes, parts, parts, fc.nat(), async (size, sealingParts, openingParts, seed) => {
        const plain = patternBytes(size, seed);
        const sealed = await seal(plain, sealingParts);
        expect(sealed.length).toBe(size + 16 * Math.max(1, Math.ceil(size / CHUNK)));
        expect(Buffer.compare(await open(sealed, openingParts), plain)).toBe(0);
        expect(Buffer.compare(await seal(plain, openingParts), sealed)).toBe(0);
      }),
      { numRuns: 20 },
    );
  });

  it('refuses what is cut short, at each chunk and inside of one', async () => {
    const sealed = await seal(patternBytes(2 * CHUNK + 100, 1));
    const borders = [0, 1, 2].flatMap((chunk) => [0, 1, 15, 16, 17].map((delta) => chunk * SEALED_CHUNK + delta));
    for (const end of [...borders, sealed.length - 1]) await expectRefused(sealed.subarray(0, end));
  });

  it('refuses every prefix of a short one', async () => {
    const sealed = await seal(patternBytes(40, 2));
    for (let end = 0; end < sealed.length; end++) await expectRefused(sealed.subarray(0, end));
  });

  it('refuses chunks in another order, twice, or left out', async () => {
    const [first, second, third] = listChunks(await seal(patternBytes(2 * CHUNK + CHUNK, 3))) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    const orders = [
      [second, first, third],
      [first, third, second],
      [first, first, second, third],
      [first, third],
      [second, third],
      [third],
      [first, second, third, third],
    ];
    for (const order of orders) await expectRefused(concatBytes(...order));
  });

  it('refuses anything behind the last chunk, such as an empty one', async () => {
    const whole = await seal(patternBytes(CHUNK, 4));
    await expectRefused(concatBytes(whole, new Uint8Array(1)));
    await expectRefused(concatBytes(whole, await seal(new Uint8Array())));
    await expectRefused(concatBytes(whole, whole));
  });

  it('refuses an empty last chunk, which only nothing has', async () => {
    const { subtle } = globalThis.crypto;
    const nonce = (index: number, final: number) => new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, index, final]);
    const sealChunk = async (plain: Uint8Array<ArrayBuffer>, iv: Uint8Array<ArrayBuffer>) =>
      new Uint8Array(await subtle.encrypt({ name: 'AES-GCM', iv }, key, plain));
    const full = new Uint8Array(CHUNK);
    const padded = concatBytes(await sealChunk(full, nonce(0, 0)), await sealChunk(new Uint8Array(), nonce(1, 1)));
    await expectRefused(padded);
    expect((await open(await sealChunk(full, nonce(0, 1)))).length).toBe(CHUNK);
  });

  it('refuses any bit that is flipped', async () => {
    const sealed = await seal(patternBytes(CHUNK + 3, 5));
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: sealed.length * 8 - 1 }), async (bit) => {
        const altered = sealed.slice();
        altered[bit >> 3] = (altered[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        await expectRefused(altered);
      }),
      { numRuns: 20 },
    );
  });

  it('refuses what was sealed with another key, and garbage', async () => {
    const sealed = await collectStream(sealStream(otherKey, streamBytes(patternBytes(10, 6), 10)));
    await expectRefused(sealed);
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), expectRefused), { numRuns: 40 });
  });

  it('gives no byte of a chunk that is not right', async () => {
    const sealed = await seal(patternBytes(CHUNK + 10, 7));
    sealed[sealed.length - 1] = (sealed.at(-1) ?? 0) ^ 1;
    const given: Uint8Array[] = [];
    const read = async (): Promise<void> => {
      for await (const chunk of openStream(key, streamBytes(sealed, CHUNK), 'the stream')) given.push(chunk);
    };
    await expect(read()).rejects.toThrow('the stream does not open: chunk 1');
    expect(given.map(({ length }) => length)).toEqual([CHUNK]);
  });

  it('has the nonce and the layout that are documented', async () => {
    const plain = patternBytes(CHUNK + 1, 8);
    const [first, second] = listChunks(await seal(plain)) as [Uint8Array, Uint8Array];
    const { subtle } = globalThis.crypto;
    const openAs = async (chunk: Uint8Array, nonce: string) =>
      encodeHex(
        new Uint8Array(
          await subtle.decrypt({ name: 'AES-GCM', iv: Buffer.from(nonce, 'hex') }, key, new Uint8Array(chunk)),
        ),
      );
    expect(await openAs(first, '000000000000000000000000')).toBe(encodeHex(plain.subarray(0, CHUNK)));
    expect(await openAs(second, '000000000000000000000101')).toBe(encodeHex(plain.subarray(CHUNK)));
  });
});
