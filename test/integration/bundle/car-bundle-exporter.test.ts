import { mkdir, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CID } from 'multiformats/cid';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CarBundleExporter, type CarBundleExporterModules } from '../../../src/bundle/car-bundle-exporter.ts';
import { BundleError } from '../../../src/bundle/errors.ts';
import type { AnchorSource, BundleExportRequest, BundleMaterial } from '../../../src/bundle/interface.ts';
import { readBlocks } from '../../../src/bundle/read-blocks.ts';
import { verifyBundle } from '../../../src/bundle/verify.ts';
import { verifyInToto } from '../../../src/bundle/verify-in-toto.ts';
import type { Anchor } from '../../../src/domain/anchor.ts';
import type { BlobId } from '../../../src/domain/ids.ts';
import { areBytesEqual, encodeUtf8 } from '../../../src/lib/bytes.ts';
import { SystemClock } from '../../../src/lib/clock.ts';
import { AgreeableJudge } from '../../support/attestation-builder.ts';
import { BLOBS, type BuildOptions, buildBundle, party } from '../../support/bundle-builder.ts';
import { FakeAnchorReader } from '../../support/fake-anchor-reader.ts';
import { ManualClock } from '../../support/manual-clock.ts';

/** Blobs in memory; counts the pins, which must all be given back. */
class MemoryBlobs {
  readonly blobs = new Map(BLOBS);
  pins = 0;

  async stat(blob: BlobId) {
    const bytes = this.blobs.get(blob);
    return bytes && { blob, sizeBytes: bytes.length };
  }

  async read(blob: BlobId, offset: number, length: number) {
    return this.blobs.get(blob)?.subarray(offset, offset + length);
  }

  async get(blob: BlobId) {
    const bytes = this.blobs.get(blob);
    if (bytes === undefined) throw new RangeError(`no blob ${blob}`);
    return bytes;
  }

  pin(): Disposable {
    this.pins += 1;
    return { [Symbol.dispose]: () => void (this.pins -= 1) };
  }
}

let folder: string;
let blobs: MemoryBlobs;
let exporter: CarBundleExporter;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fogproof-bundle-'));
  blobs = new MemoryBlobs();
  exporter = new CarBundleExporter({ blobs, identity: party(0), clock: new SystemClock() });
});
afterEach(async () => await rm(folder, { recursive: true }));

async function material(options: BuildOptions = {}): Promise<BundleMaterial> {
  const { job, bundle } = await buildBundle({ replicas: 3, ...options });
  return { ...bundle, job };
}

describe('export of a bundle', () => {
  it.each([
    ['evidence', 'unchecked', 0],
    ['outputs', 'valid', 2],
    ['everything', 'valid', 4],
  ] as const)('with %s is %s and holds %i blobs', async (content, verdict, count) => {
    const path = join(folder, 'job.bundle');
    const result = await exporter.exportFile(await material(), { path, format: 'bundle', content });
    const bytes = new Uint8Array(await readFile(path));
    const sizeBytes = bytes.length;
    const counts = { receipts: 3, anchored: 0, waitingInBatches: [], snapshots: 0 };
    expect(result).toEqual({ path, sizeBytes, verdict, ...counts });
    expect((await verifyBundle(bytes)).verdict).toBe(verdict);
    expect((await readBlocks(bytes)).included.size).toBe(count);
    expect((await stat(path)).mode & 0o777).toBe(0o644);
    expect(blobs.pins).toBe(0);
  });

  it.each(['evidence', 'outputs', 'everything'] as const)(
    'of a confidential job has evidence and releases with %s, and tells the verdict on them',
    async (content) => {
      const { job, bundle, chains } = await buildBundle({ replicas: 2, confidential: {} });
      for (const [blob, bytes] of chains) blobs.blobs.set(blob, bytes);
      const evidenceJudge = new AgreeableJudge();
      exporter = new CarBundleExporter({ blobs, identity: party(0), clock: new SystemClock(), evidenceJudge });
      const path = join(folder, 'job.bundle');
      const { verdict } = await exporter.exportFile({ ...bundle, job }, { path, format: 'bundle', content });
      expect(verdict).toBe(content === 'evidence' ? 'unchecked' : 'valid');
      const read = await readBlocks(new Uint8Array(await readFile(path)));
      expect([...chains.keys()].filter((blob) => !read.included.has(blob))).toEqual([]);
      expect(read.bundle.attempts.map(({ release }) => release)).toEqual(bundle.attempts.map(({ release }) => release));
      expect(blobs.pins).toBe(0);
    },
  );

  it('of a confidential job is unchecked without a judge, and where its evidence is gone', async () => {
    const { job, bundle, chains } = await buildBundle({ confidential: {} });
    const path = join(folder, 'job.bundle');
    const request = { path, format: 'bundle', content: 'outputs' } as const;
    expect((await exporter.exportFile({ ...bundle, job }, request)).verdict).toBe('unchecked');
    for (const [blob, bytes] of chains) blobs.blobs.set(blob, bytes);
    expect((await exporter.exportFile({ ...bundle, job }, request)).verdict).toBe('unchecked');
  });

  it('leaves out a blob that is gone, and says so', async () => {
    blobs.blobs.delete([...BLOBS.keys()][2] as BlobId);
    const path = join(folder, 'job.bundle');
    const result = await exporter.exportFile(await material(), { path, format: 'bundle', content: 'outputs' });
    expect(result.verdict).toBe('unchecked');
  });

  it('writes nothing of a blob that is damaged, and leaves the old file', async () => {
    const path = join(folder, 'job.bundle');
    await exporter.exportFile(await material(), { path, format: 'bundle', content: 'outputs' });
    const before = await readFile(path);
    for (const [blob, bytes] of blobs.blobs)
      blobs.blobs.set(
        blob,
        bytes.map((byte) => byte ^ 1),
      );
    const failing = exporter.exportFile(await material(), { path, format: 'bundle', content: 'outputs' });
    await expect(failing).rejects.toMatchObject({ code: 'BUNDLE_HASH_MISMATCH' });
    expect(await readFile(path)).toEqual(before);
    expect(await readdir(folder)).toEqual(['job.bundle']);
    expect(blobs.pins).toBe(0);
  });

  it('exports evidence that does not pass, and says so', async () => {
    const lying = await material({ lies: { signers: { receipt: 4 } } });
    const path = join(folder, 'job.bundle');
    const result = await exporter.exportFile(lying, { path, format: 'bundle', content: 'outputs' });
    expect(result.verdict).toBe('invalid');
    expect((await verifyBundle(new Uint8Array(await readFile(path)))).verdict).toBe('invalid');
  });

  it('leaves out a replica that signed only a set that became void', async () => {
    const other = await buildBundle({ replicas: 3, withheld: [0], providers: [5, 2, 3] });
    const voided = { ...(await material()), unrevealed: other.bundle.unrevealed };
    const path = join(folder, 'job.bundle');
    const result = await exporter.exportFile(voided, { path, format: 'bundle', content: 'outputs' });
    expect(result.verdict).toBe('valid');
  });

  it('says what is wrong with a path', async () => {
    const path = join(folder, 'absent', 'job.bundle');
    const failing = exporter.exportFile(await material(), { path, format: 'bundle', content: 'outputs' });
    await expect(failing).rejects.toMatchObject({ code: 'BUNDLE_WRITE_FAILED' });
    await mkdir(join(folder, 'absent'));
    await expect(
      exporter.exportFile(await material(), { path, format: 'bundle', content: 'outputs' }),
    ).resolves.toBeDefined();
  });

  it('refuses a job without a receipt', async () => {
    const empty = { ...(await material()), attempts: [] };
    const failing = exporter.exportFile(empty, { path: join(folder, 'x'), format: 'bundle', content: 'outputs' });
    await expect(failing).rejects.toThrow(BundleError);
  });
});

/** Anchors that appear one after the other, one at each time that somebody looks for one that is not there. */
class GrowingAnchors implements AnchorSource {
  readonly #later: Anchor[];
  readonly #there: Anchor[];

  constructor(there: readonly Anchor[], later: readonly Anchor[] = []) {
    this.#there = [...there];
    this.#later = [...later];
  }

  async proof(digest: Uint8Array): Promise<Anchor | undefined> {
    const found = this.#there.find(({ receipt }) => areBytesEqual(CID.parse(receipt).multihash.digest, digest));
    if (found === undefined) this.#there.push(...this.#later.splice(0, 1));
    return found;
  }

  async batchOf(): Promise<number | undefined> {
    return undefined;
  }
}

const all = (await buildBundle({ replicas: 3, anchors: [{}] })).bundle.anchors ?? [];

describe('anchors in an export', () => {
  const path = (): string => join(folder, 'job.bundle');

  function exporterWith(parts: Partial<CarBundleExporterModules>): CarBundleExporter {
    return new CarBundleExporter({ blobs, identity: party(0), clock: new SystemClock(), ...parts });
  }

  async function exportWith(
    parts: Partial<CarBundleExporterModules>,
    request: Partial<BundleExportRequest> = {},
    options: { readonly signal?: AbortSignal } = {},
  ) {
    return await exporterWith(parts).exportFile(
      await material(),
      { path: path(), format: 'bundle', content: 'outputs', ...request },
      options,
    );
  }

  const readAnchors = async () => (await readBlocks(new Uint8Array(await readFile(path())))).bundle.anchors;

  it('are those of its receipts, and unchecked without a reader', async () => {
    const result = await exportWith({ anchors: new GrowingAnchors(all) });
    expect(result).toMatchObject({ verdict: 'unchecked', receipts: 3, anchored: 3 });
    expect(await readAnchors()).toEqual(all);
    const anchorReader = new FakeAnchorReader(all);
    expect((await verifyBundle(new Uint8Array(await readFile(path())), { anchorReader })).verdict).toBe('valid');
  });

  it('are judged with the reader of the node', async () => {
    const anchorReader = new FakeAnchorReader(all);
    const result = await exportWith({ anchors: new GrowingAnchors(all), anchorReader });
    expect(result.verdict).toBe('valid');
  });

  it('leave the file as it was before there were any where there is none', async () => {
    const clock = new ManualClock();
    await exportWith({ clock });
    const without = await readFile(path());
    const result = await exportWith({ clock, anchors: new GrowingAnchors([]) });
    expect(result).toMatchObject({ verdict: 'valid', receipts: 3, anchored: 0 });
    expect(await readFile(path())).toEqual(without);
    expect(await readAnchors()).toBeUndefined();
  });

  it('are what there is where it does not wait', async () => {
    const result = await exportWith({ anchors: new GrowingAnchors(all.slice(0, 1), all.slice(1)) });
    expect(result.anchored).toBe(1);
  });

  it('are named with the batches in which others wait', async () => {
    const [first] = all;
    const anchors: AnchorSource = {
      proof: async (digest) => await new GrowingAnchors(first === undefined ? [] : [first]).proof(digest),
      batchOf: async () => 7,
    };
    expect(await exportWith({ anchors })).toMatchObject({ receipts: 3, anchored: 1, waitingInBatches: [7] });
    expect(await exportWith({ anchors: new GrowingAnchors(all.slice(0, 1)) })).toMatchObject({ waitingInBatches: [] });
  });

  it('are waited for', async () => {
    const anchors = new GrowingAnchors([], all);
    expect(await exportWith({ anchors }, { waitForAnchorMs: 60_000 })).toMatchObject({ receipts: 3, anchored: 3 });
  });

  it('are not waited for any longer than asked', async () => {
    const anchors = new GrowingAnchors(all.slice(0, 1));
    expect(await exportWith({ anchors }, { waitForAnchorMs: 20 })).toMatchObject({ receipts: 3, anchored: 1 });
  });

  it('are not waited for once the caller is gone, and then nothing is written or kept pinned', async () => {
    const controller = new AbortController();
    const reason = new DOMException('gone', 'AbortError');
    const anchors: AnchorSource = {
      proof: async () => {
        setImmediate(() => controller.abort(reason));
        return undefined;
      },
      batchOf: async () => undefined,
    };
    // Time stands still: only the signal ends the wait.
    const waiting = exportWith(
      { anchors, clock: new ManualClock() },
      { waitForAnchorMs: 60_000 },
      { signal: controller.signal },
    );
    await expect(waiting).rejects.toBe(reason);
    expect(await readdir(folder)).toEqual([]);
    expect(blobs.pins).toBe(0);
  });

  it('cannot be waited for where nothing is anchored', async () => {
    await expect(exportWith({}, { waitForAnchorMs: 0 })).rejects.toMatchObject({ code: 'BUNDLE_NO_ANCHORING' });
  });

  it('are stated as found in an in-toto statement, and unchecked there is unchecked', async () => {
    const anchors = new GrowingAnchors(all);
    const states = async (parts: Partial<CarBundleExporterModules>) => {
      await exportWith({ anchors, ...parts }, { format: 'in-toto' });
      return await verifyInToto(new Uint8Array(await readFile(path())), { signer: party(0).peer });
    };
    const unchecked = await states({});
    expect(unchecked.verdict).toBe('unchecked');
    expect(unchecked.checks.find(({ name }) => name === 'predicate')?.verdict).toMatchObject({
      missing: expect.stringContaining('anchored: a Solana RPC endpoint'),
    });
    const valid = await states({ anchorReader: new FakeAnchorReader(all) });
    expect(valid.verdict).toBe('valid');
    expect(valid.claims?.assurances[2]).toMatchObject({ assurance: 'anchored', verdict: { kind: 'valid' } });
  });
});

describe('export of an in-toto statement', () => {
  it('is signed with the key of the node, over the outputs', async () => {
    const path = join(folder, 'job.intoto.json');
    const result = await exporter.exportFile(await material(), { path, format: 'in-toto', content: 'outputs' });
    expect(result.verdict).toBe('valid');
    const bytes = new Uint8Array(await readFile(path));
    const verification = await verifyInToto(bytes, { signer: party(0).peer });
    expect(verification.verdict).toBe('valid');
    expect(verification.subjects.map(({ name }) => name)).toEqual(['/model.bin', '/report.txt']);
    const text = encodeUtf8(
      Buffer.from(bytes)
        .toString()
        .replace(/"sig": "(.)/, (_, first) => `"sig": "${first === 'z' ? 'y' : 'z'}`),
    );
    expect((await verifyInToto(text)).verdict).toBe('invalid');
  });
});
