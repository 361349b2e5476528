import { describe, expect, it } from 'vitest';
import type { BlobId, JobId } from '../../../src/domain/ids.ts';
import type { JobDraft } from '../../../src/scheduler/interface.ts';
import { collectOutputs } from '../../../src/scheduler/requester/collect-outputs.ts';
import { fillBytes } from '../../support/blob-store-rig.ts';
import { CappedBlobStore } from '../../support/capped-blobs.ts';
import { RequesterRig } from '../../support/requester-rig.ts';

const CAP_BYTES = 100;
const FILE_BYTES = 40;
const FORMS = ['alone', 'in a batch'] as const;

const file = (seed: number): Uint8Array => fillBytes(FILE_BYTES, seed);

/** As many others as the store can hold. */
async function crowd(blobs: CappedBlobStore, seed: number): Promise<void> {
  for (const place of [0, 1, 2]) await blobs.put(fillBytes(FILE_BYTES / 2, seed + place));
}

async function submit(rig: RequesterRig, form: (typeof FORMS)[number], change: Partial<JobDraft> = {}) {
  const draft = await rig.draft(change);
  if (form === 'alone') return [(await rig.requester.submit(draft)).job];
  return await rig.requester.submitMany([0, 1].map((index) => ({ ...draft, name: `job ${index}` })));
}

/** A job that names one input, and a provider that gives two files. */
async function rigWithInput(blobs = new CappedBlobStore(CAP_BYTES)) {
  const rig = await RequesterRig.start({ blobs });
  const input = await blobs.put(file(1));
  return { rig, blobs, input: input.blob, inputs: [{ path: '/in/data', ...input }] };
}

async function addProvider(rig: RequesterRig, handsOutOutputs: 'inline' | 'by-blob' = 'inline') {
  const provider = await rig.addProvider();
  const files = await Promise.all([2, 3].map((seed) => provider.blobs.put(file(seed))));
  const outputs = files.map((stored, index) => ({ path: `/out/${index}`, ...stored }));
  provider.script = { handsOutOutputs, result: { outputs } };
  return { provider, outputs };
}

async function endAll(rig: RequesterRig, jobs: readonly JobId[]) {
  const views = await Promise.all(jobs.map((job) => rig.end(job)));
  await rig.clock.advance(1_000);
  return views;
}

describe.each(FORMS)('blobs of a job %s', (form) => {
  it('that it is run with stay until it ends, also over a restart', async () => {
    const { rig, blobs, input, inputs } = await rigWithInput();
    const jobs = await submit(rig, form, { inputs });
    await crowd(blobs, 10);
    expect(await blobs.stat(input)).toBeDefined();
    const after = await rig.restart();
    await crowd(blobs, 20);
    expect(await blobs.stat(input)).toBeDefined();
    for (const job of jobs) {
      expect(blobs.pinned).toContain(input);
      await after.requester.cancel(job);
      await after.end(job);
    }
    expect(blobs.pinned).toEqual([]);
  });

  it('stay while it is submitted', async () => {
    class BusyStore extends CappedBlobStore {
      override async stat(blob: BlobId) {
        const stat = await super.stat(blob);
        await crowd(this, 10);
        return stat;
      }
    }
    const { rig, blobs, input, inputs } = await rigWithInput(new BusyStore(CAP_BYTES));
    await submit(rig, form, { inputs });
    expect(blobs.blobs.has(input)).toBe(true);
  });

  it('that are its result stay until its end is on disk', async () => {
    const blobs = new CappedBlobStore(CAP_BYTES);
    const rig = await RequesterRig.start({ blobs });
    const { provider, outputs } = await addProvider(rig);
    const pinned: (readonly BlobId[])[] = [];
    rig.database.onWrite = (operations) => {
      if (operations.some(({ key }) => key.endsWith('/end'))) pinned.push(blobs.pinned);
    };
    const jobs = await submit(rig, form);
    const views = await endAll(rig, jobs);
    expect(views.map(({ state }) => state)).toEqual(jobs.map(() => 'completed'));
    for (const held of pinned) expect(held).toEqual(expect.arrayContaining(outputs.map(({ blob }) => blob)));
    expect(pinned.length).toBeGreaterThan(0);
    expect(provider.closed).toHaveLength(jobs.length);
    expect(blobs.pinned).toEqual([]);
  });

  it.each(['inline', 'by-blob'] as const)(
    'that do not fit together fail it, and its provider keeps them (%s)',
    async (handsOut) => {
      const blobs = new CappedBlobStore(2 * FILE_BYTES);
      const rig = await RequesterRig.start({ blobs });
      const { provider } = await addProvider(rig, handsOut);
      const jobs = await submit(rig, form);
      const views = await endAll(rig, jobs);
      expect(views.map(({ state, failure }) => [state, failure?.code])).toEqual(
        jobs.map(() => ['failed', 'BLOB_NO_ROOM']),
      );
      expect(provider.closed).toEqual([]);
      expect(blobs.pinned).toEqual([]);
    },
  );
});

describe('outputs', () => {
  it('are not all here if one went while another came', async () => {
    const blobs = new CappedBlobStore(FILE_BYTES + 1);
    const rig = await RequesterRig.start();
    const { provider, outputs } = await addProvider(rig);
    const inlineBlobs = outputs.map(({ blob }) => ({
      blob,
      bytes: provider.blobs.blobs.get(blob) ?? new Uint8Array(),
    }));
    const transfers = { fetchBlob: () => Promise.reject(new Error('nobody has it')) };
    const sources = [{ provider: provider.peer, inlineBlobs }];
    const collected = await collectOutputs({ blobs, transfers }, { outputs, sources }, {});
    expect(collected).toMatchObject({ kind: 'unavailable', path: '/out/0' });
  });
});
