import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareUtf8 } from '../../../../src/proofs/compare-utf8.ts';
import { DIGEST_BYTES } from '../../../../src/proofs/state-pieces.ts';
import type { InputFile } from '../../../../src/sandbox/interface.ts';
import { describeFiles } from '../../../../src/sandbox/rounds/files-state.ts';
import { restoreFiles } from '../../../../src/sandbox/rounds/restore-files.ts';

const never = new AbortController().signal;
const BYTES = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  // More than a piece, with parts that are equal, and pages of zeros.
  fc
    .tuple(fc.integer({ min: 60_000, max: 140_000 }), fc.nat(3))
    .map(([length, seed]) => new Uint8Array(length).fill(seed)),
);
const FILES = fc
  .uniqueArray(fc.record({ path: fc.stringMatching(/^\/checkpoint\/[a-c]{1,3}$/), bytes: BYTES }), {
    maxLength: 5,
    selector: ({ path }) => path,
  })
  .map((files) => files.toSorted((a, b) => compareUtf8(a.path, b.path)));

async function restore(files: readonly InputFile[], outputBytes = 2 ** 20): Promise<readonly InputFile[]> {
  const { state, pieces, readPiece } = await describeFiles(files);
  const each = async function* (): AsyncGenerator<Uint8Array> {
    for (let place = 0; place < pieces.length / DIGEST_BYTES; place += 1) yield readPiece(place);
  };
  return await restoreFiles({ step: 0, state, pieces: each() }, { outputBytes }, never);
}

describe('files as a state', () => {
  it('come out of their pieces as they went in', async () => {
    await fc.assert(
      fc.asyncProperty(FILES, async (files) => {
        expect(await restore(files)).toEqual(files);
      }),
      { numRuns: 25 },
    );
  });

  it('are refused where they are larger than the job allows', async () => {
    const files = [{ path: '/checkpoint/a', bytes: new Uint8Array(64 * 2 ** 20 + 11) }];
    await expect(restore(files, 10)).rejects.toMatchObject({ code: 'SANDBOX_RESUME_STATE' });
  });

  it('are refused where one would lie in another', async () => {
    const bytes = Uint8Array.of(1);
    const files = ['/checkpoint/a', '/checkpoint/a/b'].map((path) => ({ path, bytes }));
    await expect(restore(files)).rejects.toMatchObject({ code: 'SANDBOX_RESUME_STATE' });
  });
});
