import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JobId } from '../../../src/domain/ids.ts';
import { JobBatchId } from '../../../src/domain/job-batch.ts';
import type { BatchEntry, JobDraft } from '../../../src/scheduler/interface.ts';
import { STRING_CODEC } from '../../../src/storage/codecs.ts';
import { settleTasks, until } from '../../support/manual-clock.ts';
import { RequesterRig } from '../../support/requester-rig.ts';

const BATCH = JobBatchId('sweep-1');

async function entriesOf(rig: RequesterRig, count: number, change: Partial<JobDraft> = {}): Promise<BatchEntry[]> {
  const draft = await rig.draft(change);
  return Array.from({ length: count }, (_, index) => ({ index, draft: { ...draft, name: `job ${index}` } }));
}

async function open(rig: RequesterRig, size: number, digest = 'd'): Promise<void> {
  await rig.requester.batches.open({ batch: BATCH, name: 'sweep', size, digest });
}

async function ended(rig: RequesterRig) {
  await until(() => rig.requester.counts().active === 0);
  const view = await rig.requester.batches.show(BATCH);
  expect(view.endedAtMs).not.toBeNull();
  return view;
}

describe('a batch', () => {
  it('runs all its jobs and counts how they ended', async () => {
    const rig = await RequesterRig.start();
    await rig.addProvider();
    await open(rig, 20);
    const ids = await rig.requester.batches.submit(BATCH, await entriesOf(rig, 20));
    expect(new Set(ids).size).toBe(20);
    expect(await ended(rig)).toMatchObject({
      batch: BATCH,
      name: 'sweep',
      size: 20,
      submitted: 20,
      states: { completed: 20, failed: 0 },
      failures: [],
    });
    expect((await rig.requester.batches.list({ limit: 5 })).map(({ batch }) => batch)).toEqual([BATCH]);
    const store = rig.database.repository('job-batches', STRING_CODEC);
    for (const job of ids) expect(await store.get(`in/${await store.get(`at/${job}`)}`)).toBe(job);
  });

  it('gives a place one job, however often and in whatever portions it is submitted', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uniqueArray(fc.integer({ min: 0, max: 9 }), { minLength: 1 }), { minLength: 1, maxLength: 6 }),
        async (portions) => {
          const rig = await RequesterRig.start();
          await open(rig, 10);
          const entries = await entriesOf(rig, 10);
          const known = new Map<number, JobId>();
          for (const portion of portions) {
            const chosen = portion.flatMap((index) => entries[index] ?? []);
            const jobs = await rig.requester.batches.submit(BATCH, chosen);
            for (const [position, { index }] of chosen.entries()) {
              const job = jobs[position];
              expect(known.get(index) ?? job).toBe(job);
              if (job !== undefined) known.set(index, job);
            }
          }
          expect(rig.requester.counts().total).toBe(known.size);
          expect((await rig.requester.batches.show(BATCH)).submitted).toBe(known.size);
          await rig.requester.stop();
        },
      ),
      { numRuns: 15 },
    );
  });

  it('gives a place one job where two submit it at once', async () => {
    const rig = await RequesterRig.start();
    await open(rig, 6);
    const entries = await entriesOf(rig, 6);
    const [one, other] = await Promise.all([
      rig.requester.batches.submit(BATCH, entries),
      rig.requester.batches.submit(BATCH, entries),
    ]);
    expect(other).toEqual(one);
    expect(rig.requester.counts().total).toBe(6);
  });

  it('is known after a restart: what it has is not submitted again, and the rest is taken', async () => {
    const rig = await RequesterRig.start({ requester: { batchWindow: 4 } });
    await open(rig, 10);
    const entries = await entriesOf(rig, 10);
    const before = await rig.requester.batches.submit(BATCH, entries.slice(0, 7));
    const again = await rig.restart();
    expect((await again.requester.batches.show(BATCH)).submitted).toBe(7);
    const after = await again.requester.batches.submit(BATCH, entries);
    expect(after.slice(0, 7)).toEqual(before);
    await again.addProvider();
    expect(await ended(again)).toMatchObject({ submitted: 10, states: { completed: 10 } });
    const third = await again.restart();
    expect(await third.requester.batches.show(BATCH)).toMatchObject({ submitted: 10, states: { completed: 10 } });
  });

  it('goes together again after a restart where it had no provider yet', async () => {
    const rig = await RequesterRig.start();
    await open(rig, 30);
    await rig.requester.batches.submit(BATCH, await entriesOf(rig, 30));
    const again = await rig.restart();
    const provider = await again.addProvider();
    expect((await ended(again)).states.completed).toBe(30);
    expect(again.mesh.countSent(provider.peer, 'job:lease')).toBe(1);
  });

  it('has no job of a submission that could not be written', async () => {
    const rig = await RequesterRig.start();
    await open(rig, 3);
    const entries = await entriesOf(rig, 3);
    const write = rig.database.write.bind(rig.database);
    rig.database.write = async () => Promise.reject(new TypeError('the disk is full'));
    await expect(rig.requester.batches.submit(BATCH, entries)).rejects.toThrow('the disk is full');
    rig.database.write = write;
    expect((await rig.requester.batches.show(BATCH)).submitted).toBe(0);
    expect(await rig.requester.batches.submit(BATCH, entries)).toHaveLength(3);
    expect((await rig.requester.batches.show(BATCH)).submitted).toBe(3);
  });

  it('takes jobs with replicas, one by one', async () => {
    const rig = await RequesterRig.start();
    await rig.addProvider();
    await rig.addProvider();
    await open(rig, 3);
    const [first, second, third] = await entriesOf(rig, 3);
    if (!first || !second || !third) throw new TypeError();
    const replication = { replicas: 2, quorum: 2, diversity: 'peer' } as const;
    const replicated = { ...second, draft: { ...second.draft, replication } };
    await rig.requester.batches.submit(BATCH, [first, replicated, third]);
    expect((await ended(rig)).states.completed).toBe(3);
    const jobs = await rig.requester.batches.jobs(BATCH, { fromIndex: 1, limit: 1 });
    expect(jobs).toMatchObject([{ index: 1, view: { name: 'job 1', replicas: 2 } }]);
  });

  it('lists its jobs in order, by pages, and by state', async () => {
    const rig = await RequesterRig.start();
    await open(rig, 12);
    await rig.requester.batches.submit(BATCH, (await entriesOf(rig, 12)).reverse());
    const page = await rig.requester.batches.jobs(BATCH, { fromIndex: 5, limit: 3 });
    expect(page.map(({ index, view }) => [index, view?.name])).toEqual([
      [5, 'job 5'],
      [6, 'job 6'],
      [7, 'job 7'],
    ]);
    const done = await rig.requester.batches.jobs(BATCH, { fromIndex: 0, limit: 3, state: 'completed' });
    expect(done).toEqual([]);
  });

  it('that is cancelled takes no more, also after a restart', async () => {
    const rig = await RequesterRig.start();
    await open(rig, 9);
    const entries = await entriesOf(rig, 9);
    await rig.requester.batches.submit(BATCH, entries.slice(0, 5));
    await rig.requester.batches.cancel(BATCH);
    expect(await ended(rig)).toMatchObject({ submitted: 5, states: { cancelled: 5 }, failures: [{ count: 5 }] });
    const again = await rig.restart();
    await expect(again.requester.batches.submit(BATCH, entries)).rejects.toMatchObject({
      code: 'SCHEDULER_BATCH_CANCELLED',
    });
  });

  it('is another one with other jobs', async () => {
    const rig = await RequesterRig.start();
    await open(rig, 3);
    await open(rig, 3);
    await expect(open(rig, 4)).rejects.toMatchObject({ code: 'SCHEDULER_BATCH_CONFLICT' });
    await expect(open(rig, 3, 'other')).rejects.toMatchObject({ code: 'SCHEDULER_BATCH_CONFLICT' });
  });

  it.each([
    ['beyond its size', [0, 3]],
    ['twice', [1, 1]],
  ])('refuses a place that is named %s', async (_, places) => {
    const rig = await RequesterRig.start();
    await open(rig, 3);
    const draft = await rig.draft();
    const entries = places.map((index) => ({ index, draft }));
    await expect(rig.requester.batches.submit(BATCH, entries)).rejects.toMatchObject({ code: 'SCHEDULER_BATCH_PLACE' });
    expect(rig.requester.counts().total).toBe(0);
  });

  it('is followed until it has ended', async () => {
    const rig = await RequesterRig.start();
    await open(rig, 4);
    await rig.requester.batches.submit(BATCH, await entriesOf(rig, 4));
    const seen: number[] = [];
    const following = (async () => {
      const signal = AbortSignal.timeout(5_000);
      for await (const { states } of rig.requester.batches.follow(BATCH, { signal })) seen.push(states.completed);
    })();
    await settleTasks();
    await rig.addProvider();
    for (let turn = 0; turn < 20; turn += 1) await rig.clock.advance(250);
    await following;
    expect(seen[0]).toBe(0);
    expect(seen.at(-1)).toBe(4);
  });

  it('is asked for by a name that was never given', async () => {
    const rig = await RequesterRig.start();
    await expect(rig.requester.batches.show(JobBatchId('never'))).rejects.toMatchObject({
      code: 'SCHEDULER_UNKNOWN_BATCH',
    });
  });
});

describe('a batch id', () => {
  it.each(['a', 'run-2', 'b-5f0c2a77d9e1b3846a20', '2026.11_x'])('may be %s', (text) => {
    expect(JobBatchId(text)).toBe(text);
  });

  it.each(['', 'A', '-a', 'latest', 'bafyreigh2a', 'a/b', 'a b', 'x'.repeat(65)])('may not be %j', (text) => {
    expect(() => JobBatchId(text)).toThrow(/batch id/);
  });
});
