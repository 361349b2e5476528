import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { LeaseId } from '../../../../src/domain/ids.ts';
import { encodeHex } from '../../../../src/lib/bytes.ts';
import { encodeCanonical } from '../../../../src/lib/canonical-cbor.ts';
import { computeObjectId } from '../../../../src/lib/cid.ts';
import { SystemRandom } from '../../../../src/lib/random.ts';
import { NumberedEventSealer } from '../../../../src/tee/sealing/events.ts';
import { FreshInputSealer } from '../../../../src/tee/sealing/inputs.ts';
import { sealOutput } from '../../../../src/tee/sealing/outputs.ts';
import { collectStream, patternBytes, streamBytes } from '../../../support/byte-streams.ts';

const CHUNK = 65_536;
/** A block of AES-CTR: two equal ones are of one key and one nonce. */
const BLOCK = 16;

interface Keystream {
  readonly plain: string;
  readonly stream: string;
}

/** Plaintext against ciphertext gives the keystream of a chunk, which tells key and nonce from another's. */
function readKeystreams(plain: Uint8Array, sealed: Uint8Array): readonly Keystream[] {
  const chunks = Math.max(1, Math.ceil(plain.length / CHUNK));
  return Array.from({ length: chunks }, (_, index) => {
    const part = plain.subarray(index * CHUNK, (index + 1) * CHUNK);
    const cipher = sealed.subarray(index * (CHUNK + BLOCK));
    const stream = Uint8Array.from(part.subarray(0, BLOCK), (byte, at) => byte ^ (cipher[at] ?? 0));
    return { plain: encodeHex(part), stream: encodeHex(stream) };
  }).filter(({ stream }) => stream.length === 2 * BLOCK);
}

/** Few, so that equal ones and ones that begin alike are frequent. */
const files = fc
  .tuple(fc.constantFrom(BLOCK, 40, CHUNK - 1, CHUNK + BLOCK), fc.nat({ max: 2 }), fc.nat({ max: 1 }))
  .map(([size, seed, last]) => {
    const bytes = patternBytes(size, seed);
    bytes[size - 1] = last;
    return bytes;
  });
const outputs = fc.array(fc.tuple(fc.constantFrom('/a', '/b'), files), { minLength: 1, maxLength: 6 });
const leases = [1, 2].map((byte) => LeaseId(computeObjectId(Uint8Array.of(byte))));

it('under one content key no key and nonce ever meet two plaintexts', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(files, { maxLength: 3 }), outputs, async (inputs, given) => {
      const sealer = new FreshInputSealer({ random: new SystemRandom() });
      const all: Keystream[] = [];
      for (const input of inputs) {
        all.push(...readKeystreams(input, await collectStream(sealer.seal(streamBytes(input, 9000)).bytes)));
      }
      const { contentKey } = sealer.secrets;
      for (const [path, plain] of given) {
        const sealed = await collectStream(sealOutput(plain, { contentKey, path }));
        all.push(...readKeystreams(plain, sealed.subarray(32)));
      }
      for (const lease of leases) {
        const events = new NumberedEventSealer({ contentKey, lease });
        for (const text of ['one', 'two', 'one']) {
          const event = { kind: 'log', stream: 'log', text } as const;
          const { bytes, index } = await events.seal(event);
          const [stream] = readKeystreams(encodeCanonical(event), bytes);
          if (stream !== undefined) all.push({ ...stream, plain: `${lease} ${index}` });
        }
      }
      const plainOf = new Map<string, string>();
      for (const { plain, stream } of all) {
        expect(plainOf.get(stream) ?? plain).toBe(plain);
        plainOf.set(stream, plain);
      }
      expect(plainOf.size).toBeGreaterThan(6);
    }),
    { numRuns: 6 },
  );
});
