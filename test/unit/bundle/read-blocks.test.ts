import { CarWriter } from '@ipld/car';
import * as fc from 'fast-check';
import { CID } from 'multiformats/cid';
import * as Digest from 'multiformats/hashes/digest';
import { describe, expect, it } from 'vitest';
import { BundleError } from '../../../src/bundle/errors.ts';
import { readBlocks } from '../../../src/bundle/read-blocks.ts';
import { BUNDLE, type Bundle } from '../../../src/domain/bundle.ts';
import { encodeUtf8 } from '../../../src/lib/bytes.ts';
import { computeObjectCid, computeRawCid } from '../../../src/lib/cid.ts';
import { BLOBS, buildBundle, encodeRoot, packBundle } from '../../support/bundle-builder.ts';

const { bundle } = await buildBundle({ content: 'everything' });
const file = await packBundle(bundle);

interface Block {
  readonly cid: CID;
  readonly bytes: Uint8Array;
}

function blocksOf(source: Bundle): Block[] {
  return source.blobs.map(({ blob }) => ({ cid: CID.parse(blob), bytes: BLOBS.get(blob) ?? new Uint8Array() }));
}

function rootBlock(source: Bundle): Block {
  const bytes = encodeRoot(source);
  return { cid: computeObjectCid(bytes), bytes };
}

/** A CAR file by the library's own writer, which the reader must agree with. */
async function writeCar(roots: readonly CID[], blocks: readonly Block[]): Promise<Uint8Array> {
  const { writer, out } = CarWriter.create([...roots]);
  const pieces: Uint8Array[] = [];
  const collecting = (async () => {
    for await (const piece of out) pieces.push(piece);
  })();
  for (const block of blocks) await writer.put(block);
  await writer.close();
  await collecting;
  return new Uint8Array(Buffer.concat(pieces));
}

async function codeOf(bytes: Uint8Array): Promise<string> {
  try {
    await readBlocks(bytes);
    return 'read';
  } catch (error) {
    if (error instanceof BundleError) return error.code;
    throw error;
  }
}

const root = rootBlock(bundle);

describe('a bundle file', () => {
  it('is the CAR file that the library writes of the same blocks', async () => {
    expect(await writeCar([root.cid], [root, ...blocksOf(bundle)])).toEqual(file);
  });

  it('is read with its blobs in any order', async () => {
    const read = await readBlocks(await writeCar([root.cid], [root, ...blocksOf(bundle).toReversed()]));
    expect(read.bundle).toEqual(bundle);
    expect([...read.included].map(([blob]) => blob)).toEqual(bundle.blobs.map(({ blob }) => blob).toReversed());
  });

  it('may hold an empty blob', async () => {
    const empty = computeRawCid(new Uint8Array());
    const blobs = [...bundle.blobs, { blob: empty.toString() as never, sizeBytes: 0, included: true }];
    const withEmpty = rootBlock({ ...bundle, blobs });
    const blocks = [withEmpty, ...blocksOf(bundle), { cid: empty, bytes: new Uint8Array() }];
    expect(await codeOf(await writeCar([withEmpty.cid], blocks))).toBe('read');
  });
});

describe('a changed file', () => {
  const blocks = blocksOf(bundle);
  const stranger = { cid: computeRawCid(encodeUtf8('x')), bytes: encodeUtf8('x') };
  const foreign = { cid: computeObjectCid(encodeUtf8('x')), bytes: encodeUtf8('x') };
  const sha512 = CID.createV1(0x55, Digest.create(0x13, new Uint8Array(64)));
  const resized = rootBlock({ ...bundle, blobs: bundle.blobs.map((blob) => ({ ...blob, sizeBytes: 1 })) });
  const twice = rootBlock({ ...bundle, blobs: [...bundle.blobs, ...bundle.blobs] });
  const notNamed = rootBlock({ ...bundle, blobs: bundle.blobs.map((blob) => ({ ...blob, included: false })) });
  const altered = blocks.map((block, index) => (index === 0 ? { ...block, bytes: encodeUtf8('weightz') } : block));
  const wrongRoot = { cid: root.cid, bytes: rootBlock({ ...bundle, blobs: [] }).bytes };
  const huge = { cid: root.cid, bytes: new Uint8Array(BUNDLE.maxBytes + 1) };
  const notABundle = { cid: computeObjectCid(Uint8Array.of(0xa0)), bytes: Uint8Array.of(0xa0) };

  it.each<[string, string, readonly CID[], readonly Block[]]>([
    ['a blob is altered', 'BUNDLE_HASH_MISMATCH', [root.cid], [root, ...altered]],
    ['the root block is altered', 'BUNDLE_HASH_MISMATCH', [root.cid], [wrongRoot, ...blocks]],
    ['a blob is missing', 'BUNDLE_MISSING_BLOCK', [root.cid], [root, ...blocks.slice(1)]],
    ['a blob is there twice', 'BUNDLE_DUPLICATE_BLOCK', [root.cid], [root, ...blocks, ...blocks]],
    ['a blob is listed twice', 'BUNDLE_DUPLICATE_BLOCK', [twice.cid], [twice, ...blocks]],
    ['a blob is there that nothing names', 'BUNDLE_UNREFERENCED_BLOCK', [root.cid], [root, ...blocks, stranger]],
    ['a blob is there and said not to be', 'BUNDLE_UNREFERENCED_BLOCK', [notNamed.cid], [notNamed, ...blocks]],
    ['a second object is there', 'BUNDLE_UNREFERENCED_BLOCK', [root.cid], [root, ...blocks, foreign]],
    ['the root is there twice', 'BUNDLE_UNREFERENCED_BLOCK', [root.cid], [root, root, ...blocks]],
    ['a blob is of another size than stated', 'BUNDLE_SIZE_MISMATCH', [resized.cid], [resized, ...blocks]],
    [
      'a block has another kind of hash',
      'BUNDLE_MALFORMED',
      [root.cid],
      [root, { cid: sha512, bytes: new Uint8Array() }],
    ],
    ['the root block is too large', 'BUNDLE_TOO_LARGE', [root.cid], [huge]],
    ['the root block is no bundle', 'BUNDLE_MALFORMED', [notABundle.cid], [notABundle]],
    ['there is no root', 'BUNDLE_NOT_A_BUNDLE', [], [root, ...blocks]],
    ['there are two roots', 'BUNDLE_NOT_A_BUNDLE', [root.cid, stranger.cid], [root, ...blocks]],
    ['the root does not come first', 'BUNDLE_NOT_A_BUNDLE', [root.cid], [...blocks, root]],
    ['the root is a blob', 'BUNDLE_NOT_A_BUNDLE', [stranger.cid], [stranger]],
    ['there are no blocks', 'BUNDLE_NOT_A_BUNDLE', [root.cid], []],
  ])('is refused if %s: %s', async (_, code, roots, parts) => {
    expect(await codeOf(await writeCar(roots, parts))).toBe(code);
  });

  it('is refused wherever it is cut, but never between blocks unnoticed', async () => {
    const step = Math.max(1, Math.floor(file.length / 200));
    for (let length = 0; length < file.length; length += step) {
      expect(['BUNDLE_TRUNCATED', 'BUNDLE_MISSING_BLOCK', 'BUNDLE_NOT_A_BUNDLE']).toContain(
        await codeOf(file.slice(0, length)),
      );
    }
  });

  it('is never read with any one byte changed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: file.length - 1 }), fc.integer({ min: 1, max: 255 }), async (at, mask) => {
        const changed = file.map((byte, index) => (index === at ? byte ^ mask : byte));
        expect(await codeOf(changed)).not.toBe('read');
      }),
      { numRuns: 300 },
    );
  });

  it('refuses garbage with a coded error', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (bytes) => {
        expect(await codeOf(bytes)).toMatch(/^BUNDLE_/);
        expect(await codeOf(new Uint8Array(Buffer.concat([file.subarray(0, 59), bytes])))).toMatch(/^BUNDLE_/);
      }),
    );
  });
});
