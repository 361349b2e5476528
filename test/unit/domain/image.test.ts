import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BlobId } from '../../../src/domain/ids.ts';
import { imageNameSchema, listImages, readImage } from '../../../src/domain/image.ts';
import { computeRawId } from '../../../src/lib/cid.ts';

const bytes = new TextEncoder().encode('a module');
const blob = computeRawId(bytes) as BlobId;
const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

describe('the name of an image', () => {
  it('is a blob id or the SHA-256 of its bytes, which are the same', () => {
    expect(readImage(blob)).toBe(blob);
    expect(readImage(digest)).toBe(blob);
  });

  it.each(['', 'sha256:', `${digest}0`, digest.toUpperCase(), blob.toUpperCase(), 'latest', 'sha512:00'])(
    'is not %j',
    (text) => {
      expect(readImage(text)).toBeUndefined();
      expect(imageNameSchema.safeParse(text).success).toBe(false);
    },
  );

  it('is never found in arbitrary text by an exception (property)', () => {
    fc.assert(fc.property(fc.string(), (text) => void readImage(text)));
  });
});

describe('what a workload runs', () => {
  const wasm = {
    kind: 'wasm' as const,
    module: blob,
    moduleSizeBytes: 8,
    abi: 'wasi' as const,
    arguments: [computeRawId(new Uint8Array([1]))],
    environment: { ROOT: computeRawId(new Uint8Array([2])) },
    seed: new Uint8Array(32),
  };

  it('is its module, and nothing that it is told', () => {
    expect(listImages(wasm)).toEqual([blob]);
  });

  it('is found in kinds of work that do not exist yet', () => {
    const other = computeRawId(new Uint8Array([3]));
    expect(listImages({ kind: 'later', layers: [{ blob }, { blob: other }], image: digest })).toEqual([blob, other]);
    expect(listImages({ kind: 'later', program: '/bin/true' })).toEqual([]);
  });
});
