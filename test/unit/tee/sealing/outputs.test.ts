import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes, encodeHex } from '../../../../src/lib/bytes.ts';
import { encodeLabelled } from '../../../../src/tee/label.ts';
import { deriveCipherKey } from '../../../../src/tee/sealing/derive-key.ts';
import { openOutput, sealOutput } from '../../../../src/tee/sealing/outputs.ts';
import { sealStream } from '../../../../src/tee/sealing/stream.ts';
import { collectStream, patternBytes, streamBytes } from '../../../support/byte-streams.ts';

const CHUNK = 65_536;
const contentKey = patternBytes(32, 1);
const otherKey = patternBytes(32, 2);

const seal = (plain: Uint8Array, path = '/out', key = contentKey): Promise<Uint8Array> =>
  collectStream(sealOutput(plain, { contentKey: key, path }));
const open = (sealed: Uint8Array, path = '/out', key = contentKey, partBytes = 1000): Promise<Uint8Array> =>
  collectStream(openOutput(streamBytes(sealed, partBytes), { contentKey: key, path }));

const refused = { info: { code: 'TEE_NOT_OPENED' } };
const contents = fc
  .tuple(fc.constantFrom(0, 1, 31, 32, 33, 1000, CHUNK - 1, CHUNK, CHUNK + 1), fc.nat())
  .map(([size, seed]) => patternBytes(size, seed));

describe('sealed outputs', () => {
  it('open to what they were, however they come, and equal outputs give equal bytes', async () => {
    await fc.assert(
      fc.asyncProperty(contents, fc.constantFrom(1, 33, 5000, 70_000), async (plain, partBytes) => {
        const sealed = await seal(plain);
        expect(sealed.length).toBe(32 + plain.length + 16 * Math.max(1, Math.ceil(plain.length / CHUNK)));
        expect(Buffer.compare(await seal(plain.slice()), sealed)).toBe(0);
        if (plain.length < 2000 || partBytes > 1000) {
          expect(Buffer.compare(await open(sealed, '/out', contentKey, partBytes), plain)).toBe(0);
        }
      }),
      { numRuns: 8 },
    );
  });

  it('share no bytes with another path, another content or another key', async () => {
    const plain = patternBytes(1000, 3);
    const sealed = [
      await seal(plain),
      await seal(plain, '/out2'),
      await seal(plain, '/out', otherKey),
      await seal(concatBytes(plain, new Uint8Array(1))),
    ];
    const blocks = sealed.flatMap((bytes) =>
      Array.from({ length: Math.floor(bytes.length / 16) }, (_, index) =>
        encodeHex(bytes.subarray(16 * index, 16 * index + 16)),
      ),
    );
    expect(new Set(blocks).size).toBe(blocks.length);
  });

  it('are refused at another path, under another key, and for any bit that is flipped', async () => {
    const sealed = await seal(patternBytes(100, 4));
    await expect(open(sealed, '/other')).rejects.toMatchObject(refused);
    await expect(open(sealed, '/out', otherKey)).rejects.toMatchObject(refused);
    for (let bit = 0; bit < sealed.length * 8; bit += 29) {
      const altered = sealed.slice();
      altered[bit >> 3] = (altered[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      await expect(open(altered), `bit ${bit}`).rejects.toMatchObject(refused);
    }
  });

  it('are refused cut short anywhere, extended, or with the beginning of another', async () => {
    const [sealed, other] = [await seal(patternBytes(10, 5)), await seal(patternBytes(10, 6))];
    for (let end = 0; end < sealed.length; end++) {
      await expect(open(sealed.subarray(0, end)), `${end} bytes`).rejects.toMatchObject(refused);
    }
    await expect(open(concatBytes(sealed, new Uint8Array(1)))).rejects.toMatchObject(refused);
    const spliced = concatBytes(sealed.subarray(0, 32), other.subarray(32));
    await expect(open(spliced)).rejects.toMatchObject(refused);
  });

  it('refuses a beginning that was chosen rather than computed, although its chunks open', async () => {
    const chosen = new Uint8Array(32).fill(9);
    const key = await deriveCipherKey(contentKey, encodeLabelled('fogproof/sealed-output@1', chosen));
    const chunks = await collectStream(sealStream(key, streamBytes(patternBytes(50, 7), 50)));
    await expect(open(concatBytes(chosen, chunks))).rejects.toThrow('its beginning is not that of its contents');
  });

  it('refuses garbage', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (garbage) => {
        await expect(open(garbage)).rejects.toMatchObject(refused);
      }),
      { numRuns: 25 },
    );
  });

  it('ends its source when the reader leaves early', async () => {
    const sealed = await seal(patternBytes(3 * CHUNK, 8));
    let isEnded = false;
    async function* watch(): AsyncGenerator<Uint8Array> {
      try {
        yield* streamBytes(sealed, 50_000);
      } finally {
        isEnded = true;
      }
    }
    for await (const chunk of openOutput(watch(), { contentKey, path: '/out' })) {
      expect(chunk.length).toBe(CHUNK);
      break;
    }
    expect(isEnded).toBe(true);
  });
});
