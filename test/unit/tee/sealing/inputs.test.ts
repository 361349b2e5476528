import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeHex } from '../../../../src/lib/bytes.ts';
import { InternalError } from '../../../../src/lib/errors.ts';
import { SystemRandom } from '../../../../src/lib/random.ts';
import type { JobSecrets } from '../../../../src/tee/interface.ts';
import { eraseSecrets } from '../../../../src/tee/sealing/erase-secrets.ts';
import { commitInput, FreshInputSealer, openInput } from '../../../../src/tee/sealing/inputs.ts';
import { collectStream, patternBytes, streamBytes } from '../../../support/byte-streams.ts';

const random = new SystemRandom();

interface Sealed {
  readonly sealed: readonly Uint8Array[];
  readonly commitments: readonly Uint8Array[];
  readonly secrets: JobSecrets;
}

async function sealInputs(inputs: readonly Uint8Array[]): Promise<Sealed> {
  const sealer = new FreshInputSealer({ random });
  const each = inputs.map((input) => sealer.seal(streamBytes(input, 5000)));
  const sealed = await Promise.all(each.map(({ bytes }) => collectStream(bytes)));
  return { sealed, commitments: each.map((input) => input.readCommitment()), secrets: sealer.secrets };
}

function open(
  { sealed, commitments, secrets }: Sealed,
  index: number,
  change: Partial<Parameters<typeof openInput>[1]> = {},
) {
  const commitment = commitments[index] ?? new Uint8Array(32);
  const opening = { secrets, index, commitment, maxBytes: 1_000_000, ...change };
  return openInput(streamBytes(sealed[index] ?? new Uint8Array(), 7000), opening);
}

describe('sealed inputs', () => {
  it('open to what they were, and are what the job commits to', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 4 }), async (inputs) => {
        const all = await sealInputs(inputs);
        const opened = await Promise.all(inputs.map((_, index) => open(all, index)));
        expect(opened.map(encodeHex)).toEqual(inputs.map(encodeHex));
        expect(all.secrets.salts).toHaveLength(inputs.length);
      }),
      { numRuns: 12 },
    );
  });

  it('are each sealed with a key of its own, and each job with another', async () => {
    const plain = patternBytes(100, 1);
    const [first, second] = [await sealInputs([plain, plain]), await sealInputs([plain])];
    const sealed = [...first.sealed, ...second.sealed].map(encodeHex);
    expect(new Set(sealed).size).toBe(3);
    const commitments = [...first.commitments, ...second.commitments].map(encodeHex);
    expect(new Set(commitments).size).toBe(3);
  });

  it('are refused in the place of another input', async () => {
    const all = await sealInputs([patternBytes(100, 1), patternBytes(100, 2)]);
    const swapped = { ...all, sealed: [...all.sealed].reverse(), commitments: [...all.commitments].reverse() };
    await expect(open(swapped, 0)).rejects.toMatchObject({ info: { code: 'TEE_NOT_OPENED' } });
  });

  it('are refused unless they are what the job commits to: another input, another salt, no salt', async () => {
    const all = await sealInputs([patternBytes(100, 1), patternBytes(100, 2)]);
    const mismatch = { info: { code: 'TEE_COMMITMENT_MISMATCH', input: 0 } };
    const { contentKey, salts } = all.secrets;
    await expect(open(all, 0, { commitment: all.commitments[1] ?? new Uint8Array() })).rejects.toMatchObject(mismatch);
    await expect(open(all, 0, { secrets: { contentKey, salts: [...salts].reverse() } })).rejects.toMatchObject(
      mismatch,
    );
    await expect(open(all, 0, { secrets: { contentKey, salts: [] } })).rejects.toMatchObject(mismatch);
  });

  it('a content sealed anew by who has the key is refused by its commitment', async () => {
    const all = await sealInputs([patternBytes(100, 1)]);
    const other = new FreshInputSealer({ random: { bytes: () => all.secrets.contentKey.slice() } });
    const sealed = [await collectStream(other.seal(streamBytes(patternBytes(100, 2), 50)).bytes)];
    await expect(open({ ...all, sealed }, 0)).rejects.toMatchObject({ info: { code: 'TEE_COMMITMENT_MISMATCH' } });
  });

  it('are refused above the size that the job lends', async () => {
    const all = await sealInputs([patternBytes(200_000, 1)]);
    await expect(open(all, 0, { maxBytes: 199_999 })).rejects.toMatchObject({ info: { code: 'TEE_TOO_LARGE' } });
    expect((await open(all, 0, { maxBytes: 200_000 })).length).toBe(200_000);
  });

  it('have no commitment before they were read to their end', () => {
    const input = new FreshInputSealer({ random }).seal(streamBytes(patternBytes(10, 1), 5));
    expect(() => input.readCommitment()).toThrow(InternalError);
  });

  it('commit as documented: salted, so that a guess cannot be tried', () => {
    const [salt, digest] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
    expect(commitInput(salt, digest)).not.toEqual(commitInput(digest, salt));
  });

  it('cannot be sealed or opened with secrets that were erased', async () => {
    const all = await sealInputs([patternBytes(10, 1)]);
    eraseSecrets(all.secrets);
    expect([all.secrets.contentKey, ...all.secrets.salts].every((bytes) => bytes.every((byte) => byte === 0))).toBe(
      true,
    );
    await expect(open(all, 0)).rejects.toThrow(InternalError);
  });
});
