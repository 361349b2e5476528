import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BlobId } from '../../../src/domain/ids.ts';
import { imageNameSchema, listImages, listLeadingImages, readImage } from '../../../src/domain/image.ts';
import { listProgramBlobs } from '../../../src/domain/workload.ts';
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

describe('what a list of images judges a container by', () => {
  const digestOf = (byte: number) => `sha256:${createHash('sha256').update(Uint8Array.of(byte)).digest('hex')}`;
  const idOf = (byte: number) => computeRawId(Uint8Array.of(byte)) as BlobId;
  const container = {
    kind: 'container' as const,
    image: {
      digest: digestOf(1),
      manifestSizeBytes: 10,
      config: { digest: digestOf(2), sizeBytes: 10 },
      layers: [{ digest: digestOf(3), blob: idOf(4), sizeBytes: 10 }],
    },
    entrypoint: [digestOf(5)],
    arguments: [digestOf(6)],
    environment: { IMAGE: digestOf(7) },
    workingFolder: null,
    limits: { cpus: 1000, processes: 1, scratchBytes: 4096 },
  };

  it('is its digest alone where something is allowed', () => {
    expect(listLeadingImages(container)).toEqual([idOf(1)]);
    expect(listLeadingImages({ kind: 'command', root: { kind: 'archive', blob: idOf(4) } })).toEqual([idOf(4)]);
  });

  it('is each of its parts where something is denied, and nothing that it says to its program', () => {
    expect(new Set(listImages(container))).toEqual(new Set([idOf(1), idOf(2), idOf(3), idOf(4)]));
  });

  it('is named by what a job of it brings', () => {
    expect(listProgramBlobs(container).map(({ name, blob: id }) => [name, id])).toEqual([
      ['manifest', idOf(1)],
      ['configuration', idOf(2)],
      ['layer 0', idOf(4)],
    ]);
  });
});
