import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RawBlock } from '../../../src/bundle/collect-snapshots.ts';
import { BundleError } from '../../../src/bundle/errors.ts';
import { fitRoot } from '../../../src/bundle/fit-root.ts';
import { readBlocks } from '../../../src/bundle/read-blocks.ts';
import { verifyBundle } from '../../../src/bundle/verify.ts';
import { writeBlocks } from '../../../src/bundle/write-blocks.ts';
import { BUNDLE, type Bundle } from '../../../src/domain/bundle.ts';
import { BlobId, JobId, LeaseId } from '../../../src/domain/ids.ts';
import { LEASE } from '../../../src/domain/lease.ts';
import { encodeObject } from '../../../src/domain/object-type.ts';
import { SNAPSHOT, type SnapshotBody } from '../../../src/domain/snapshot.ts';
import { computeRawId, sha256 } from '../../../src/lib/cid.ts';
import { encodeHostState } from '../../../src/proofs/host-state.ts';
import { createPlainSnapshot } from '../../../src/proofs/plain-snapshot.ts';
import { openSigned } from '../../../src/proofs/signed-object.ts';
import { computeStateRoot } from '../../../src/proofs/state-root.ts';
import { BLOBS, buildBundle, party } from '../../support/bundle-builder.ts';

const pages = [1, 2, 1, 3].map((byte) => new Uint8Array(65_536).fill(byte));

function stateOf(contents: readonly Uint8Array[]): SnapshotBody['state'] {
  return {
    kind: 'memory',
    host: encodeHostState({
      isDone: false,
      steps: 4,
      fuel: 2,
      randomBytes: 0,
      outputBytes: 0,
      logBytes: 0,
      logs: 0,
      metrics: 0,
      pages: contents.length,
      isOutputWritten: false,
      nextCheckpointFuel: 0,
      metricsHash: new Uint8Array(32),
    }),
    globals: new Uint8Array(0),
    pages: new Uint8Array(Buffer.concat(contents.map((page) => sha256(page)))),
    output: new Uint8Array(0),
  };
}

const state = stateOf(pages);
const stateRoot = computeStateRoot(state);

/** A bundle whose attempt committed to that state after step 4. */
const {
  bundle: plain,
  job,
  chains,
} = await buildBundle({
  checkpoints: {
    every: 4,
    lies: { links: (links) => links.map((link) => (link.step === 4 ? { ...link, stateRoot } : link)) },
  },
});
const lease = LeaseId((await openSigned(LEASE, plain.attempts[0]?.lease as never)).id);

function packSnapshot(change: Partial<SnapshotBody> = {}) {
  const body: SnapshotBody = {
    type: 'fogproof/snapshot-body@1',
    job: JobId(job.id),
    step: 4,
    stateRoot,
    state,
    ...change,
  };
  const bytes = encodeObject(SNAPSHOT, createPlainSnapshot(body));
  return { blob: BlobId(computeRawId(bytes)), bytes };
}

const blockOf = (bytes: Uint8Array): RawBlock => ({ blob: BlobId(computeRawId(bytes)), bytes });
const items = [pages[0], pages[1], pages[3]].map((page) => blockOf(page as Uint8Array));

type Listed = NonNullable<Bundle['snapshots']>[number];

async function pack(blocks: readonly RawBlock[], change: Partial<Listed> = {}, more: readonly Listed[] = []) {
  const [first] = blocks;
  const snapshot = { blob: (first?.blob ?? '') as BlobId, sizeBytes: first?.bytes.length ?? 0 };
  const bundle: Bundle = { ...plain, snapshots: [{ lease, step: 4, snapshot, ...change }, ...more] };
  const read = async (blob: BlobId, offset: number, length: number) =>
    (BLOBS.get(blob) ?? chains.get(blob))?.subarray(offset, offset + length);
  async function* all(): AsyncGenerator<RawBlock> {
    yield* blocks;
  }
  const parts: Uint8Array[] = [];
  for await (const part of writeBlocks(bundle, read, all())) parts.push(part);
  return new Uint8Array(Buffer.concat(parts));
}

async function verify(blocks: readonly RawBlock[], change: Partial<Listed> = {}) {
  const verification = await verifyBundle(await pack(blocks, change));
  const found = verification.assurances.flatMap(({ checks }) => checks).find(({ name }) => name === 'snapshot 1');
  return { verdict: verification.verdict, check: found?.verdict };
}

async function codeOf(file: Uint8Array): Promise<string> {
  try {
    await readBlocks(file);
    return 'read';
  } catch (error) {
    if (error instanceof BundleError) return error.code;
    throw error;
  }
}

describe('snapshots in a bundle file', () => {
  it('are valid with all their items, and say where each block stands', async () => {
    const snapshot = packSnapshot();
    const file = await pack([snapshot, ...items]);
    expect((await verifyBundle(file)).verdict).toBe('valid');
    const { included, snapshots } = await readBlocks(file);
    for (const { blob, bytes } of [snapshot, ...items]) {
      const { offset, sizeBytes } = included.get(blob)?.[0] ?? { offset: 0, sizeBytes: 0 };
      expect(file.subarray(offset, offset + sizeBytes)).toEqual(bytes);
    }
    expect(snapshots).toMatchObject([{ lease, step: 4, statedStep: 4, stateRoot }]);
  });

  it('are read in pieces of any size', async () => {
    const file = await pack([packSnapshot(), ...items]);
    async function* cut(size: number): AsyncGenerator<Uint8Array> {
      for (let offset = 0; offset < file.length; offset += size) yield file.subarray(offset, offset + size);
    }
    for (const size of [1_000, 65_536, 1 << 20]) expect((await readBlocks(cut(size))).snapshots).toHaveLength(1);
  });

  it.each<[string, string, readonly RawBlock[]]>([
    ['an item is missing', 'BUNDLE_MISSING_BLOCK', [packSnapshot(), ...items.slice(1)]],
    ['an item is there twice', 'BUNDLE_DUPLICATE_BLOCK', [packSnapshot(), ...items, ...items]],
    ['an item stands before its snapshot', 'BUNDLE_UNREFERENCED_BLOCK', [packSnapshot(), ...items].toReversed()],
    [
      'there is one that nothing names',
      'BUNDLE_UNREFERENCED_BLOCK',
      [packSnapshot(), ...items, blockOf(new Uint8Array(9))],
    ],
  ])('are refused if %s', async (_, code, blocks) => {
    const snapshot = { blob: packSnapshot().blob, sizeBytes: packSnapshot().bytes.length };
    expect(await codeOf(await pack(blocks, { snapshot }))).toBe(code);
  });

  it('are refused if they are garbage, sealed, or not there', async () => {
    const garbage = blockOf(new Uint8Array(50).fill(7));
    expect(await codeOf(await pack([garbage]))).toBe('BUNDLE_MALFORMED');
    const sealed = blockOf(
      encodeObject(SNAPSHOT, {
        ...createPlainSnapshot({ type: 'fogproof/snapshot-body@1', job: JobId(job.id), step: 4, stateRoot, state }),
        sealed: true,
      }),
    );
    expect(await codeOf(await pack([sealed, ...items]))).toBe('BUNDLE_MALFORMED');
    expect(await codeOf(await pack([], { snapshot: { blob: garbage.blob, sizeBytes: 50 } }))).toBe(
      'BUNDLE_MISSING_BLOCK',
    );
    const { blob } = packSnapshot();
    expect(await codeOf(await pack([], { snapshot: { blob, sizeBytes: SNAPSHOT.maxBytes + 1 } }))).toBe(
      'BUNDLE_TOO_LARGE',
    );
  });

  it('name the page whose bytes were changed in the file', async () => {
    const file = await pack([packSnapshot(), ...items]);
    const { included } = await readBlocks(file);
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: 2 }), fc.nat({ max: 65_535 }), async (item, at) => {
        const place = included.get(items[item]?.blob as BlobId)?.[0];
        const changed = file.slice();
        const offset = (place?.offset ?? 0) + at;
        changed[offset] = (changed[offset] as number) ^ 1;
        await expect(readBlocks(changed)).rejects.toMatchObject({
          code: 'BUNDLE_SNAPSHOT_DAMAGED',
          info: { step: 4, piece: `page ${[0, 1, 3][item]}` },
        });
      }),
      { numRuns: 10 },
    );
  });

  const other = stateOf([...pages.slice(0, 3), new Uint8Array(65_536).fill(4)]);
  it.each<[string, Partial<SnapshotBody>, Partial<Listed>, readonly RawBlock[]]>([
    ['another page', { state: other }, {}, [...items.slice(0, 2), blockOf(new Uint8Array(65_536).fill(4))]],
    [
      'another page, and says so',
      { state: other, stateRoot: computeStateRoot(other) },
      {},
      [...items.slice(0, 2), blockOf(new Uint8Array(65_536).fill(4))],
    ],
    ['another step', { step: 8 }, {}, items],
    ['a step without a checkpoint', { step: 5 }, { step: 5 }, items],
    ['another job', { job: JobId(job.id.replace(/..$/, (end) => (end === 'aa' ? 'ba' : 'aa'))) }, {}, items],
    ['the lease of nobody here', {}, { lease: LeaseId(job.id) }, items],
  ])('are invalid with %s', async (_, body, listed, blocks) => {
    const { verdict, check } = await verify([packSnapshot(body), ...blocks], listed);
    expect(verdict).toBe('invalid');
    expect(check).toMatchObject({ kind: 'invalid', code: 'WRONG_STATE' });
  });

  it('are invalid if one is listed twice', async () => {
    const snapshot = packSnapshot();
    const again = { lease, step: 4, snapshot: { blob: snapshot.blob, sizeBytes: snapshot.bytes.length } };
    expect((await verifyBundle(await pack([snapshot, ...items], {}, [again]))).verdict).toBe('invalid');
  });
});

describe('a root block that has no room for all that was inherited', () => {
  it('leaves out checkpoints in between, then the oldest attempts', async () => {
    const { bundle } = await buildBundle({ checkpoints: { every: 2, before: [party(4), party(5)] } });
    const [attempt] = bundle.attempts;
    const inherited = attempt?.inherited ?? [];
    const [oldest, newest] = inherited;
    if (attempt === undefined || oldest === undefined || newest === undefined)
      throw new TypeError('two were inherited');
    const widen = (count: number, of = oldest) => ({
      ...of,
      checkpoints: Array.from({ length: count }, () => of.checkpoints[0] as never),
    });
    const withLine = (line: typeof inherited): Bundle => ({ ...bundle, attempts: [{ ...attempt, inherited: line }] });
    const size = (value: Bundle): number => encodeObject(BUNDLE, value).length;

    expect(fitRoot(withLine(inherited))).toEqual(withLine(inherited));
    const many = withLine([...Array.from({ length: 200 }, () => widen(64)), newest]);
    expect(size(many)).toBeGreaterThan(BUNDLE.maxBytes);
    const fitted = fitRoot(many);
    expect(size(fitted)).toBeLessThanOrEqual(BUNDLE.maxBytes);
    expect(fitted.attempts[0]?.inherited).toHaveLength(201);
    expect(fitted.attempts[0]?.inherited?.at(-1)).toEqual(newest);

    const replicas = { ...many, attempts: Array.from({ length: 16 }, () => many.attempts[0] as typeof attempt) };
    const narrow = fitRoot(replicas);
    expect(size(narrow)).toBeLessThanOrEqual(BUNDLE.maxBytes);
    expect(narrow.attempts[0]?.inherited?.length).toBeLessThan(201);
    expect(narrow.attempts[0]?.inherited?.at(-1)).toEqual(newest);
  });
});
