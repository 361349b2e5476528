import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BlobId, type JobId, type LeaseId, UnixMs } from '../../../src/domain/ids.ts';
import { JOB } from '../../../src/domain/job.ts';
import { computeRawCid } from '../../../src/lib/cid.ts';
import { signObjects } from '../../../src/proofs/signed-object.ts';
import { CheckpointStore } from '../../../src/scheduler/checkpoint-store.ts';
import { SchedulerError } from '../../../src/scheduler/errors.ts';
import type { JobMachineEvent } from '../../../src/scheduler/job-machine-events.ts';
import {
  decodeEndRecord,
  decodeHistoryEntry,
  decodeJobRecord,
  decodeLogEntry,
  decodeSignedWire,
  encodeEntry,
} from '../../../src/scheduler/job-records.ts';
import { JobStore } from '../../../src/scheduler/job-store.ts';
import { MemoryDatabase } from '../../support/memory-database.ts';
import { identityOf, RequesterRig } from '../../support/requester-rig.ts';

const at = UnixMs(1);
const cancel: JobMachineEvent = { kind: 'cancel-requested', atMs: at };
const begun: JobMachineEvent = { kind: 'reveal-begun', atMs: at };

async function storeWith(count: number) {
  const database = new MemoryDatabase();
  const store = new JobStore({ database });
  const rig = await RequesterRig.start();
  const { confidential: _, ...draft } = await rig.draft();
  const identity = await identityOf(1);
  const jobs = await signObjects(
    JOB,
    Array.from({ length: count }, (_, index) => ({
      ...draft,
      type: 'fogproof/job@1' as const,
      network: 'test',
      requester: identity.peer,
      nonce: new Uint8Array(16).fill(index),
      createdAtMs: UnixMs(index),
    })),
    identity,
  );
  await store.create(jobs.map((job) => ({ job, snapshotKey: null })));
  return { database, store, jobs, ids: jobs.map(({ id }) => id as string as JobId) };
}

describe('the job store', () => {
  it('keeps histories in order, of one job apart from another', async () => {
    const { store, ids } = await storeWith(2);
    const [first, second] = ids as [JobId, JobId];
    await store.append([{ job: first, sequence: 0, events: [cancel, begun] }], { durable: true });
    await store.append(
      [
        { job: second, sequence: 0, events: [begun] },
        { job: first, sequence: 2, events: [cancel] },
      ],
      { durable: false },
    );
    expect(await store.loadHistory(first)).toEqual([cancel, begun, cancel]);
    expect(await store.loadHistory(second)).toEqual([begun]);
  });

  it('writes what belongs together in one atomic write', async () => {
    const { store, database, ids } = await storeWith(3);
    const writes: number[] = [];
    database.onWrite = (operations) => writes.push(operations.length);
    await store.append(
      ids.map((job) => ({ job, sequence: 0, events: [cancel] })),
      { durable: true },
    );
    expect(writes).toEqual([3]);
  });

  it('finds a gap in a history and names it', async () => {
    const { store, ids } = await storeWith(1);
    const [job] = ids as [JobId];
    await store.append([{ job, sequence: 0, events: [cancel] }], { durable: true });
    await store.append([{ job, sequence: 2, events: [cancel] }], { durable: true });
    await expect(store.loadHistory(job)).rejects.toMatchObject({
      code: 'SCHEDULER_STORE_CORRUPT',
      info: { key: `job-history/${job}/0000000002` },
    });
  });

  it('never writes over an event, nor after the end of a job', async () => {
    const rig = await RequesterRig.start();
    await rig.addProvider();
    const ended = await rig.submit();
    await rig.end(ended);
    const end = await new JobStore(rig).loadEnd(ended);
    const { store, database, ids } = await storeWith(2);
    const [first, second] = ids as [JobId, JobId];
    await store.append([{ job: first, sequence: 0, events: [cancel, begun] }], { durable: true });
    const over = [
      { job: second, sequence: 0, events: [cancel] },
      { job: first, sequence: 1, events: [cancel] },
    ];
    await expect(store.append(over, { durable: true })).rejects.toThrow(`the history of ${first} is at 2: no 1`);
    expect(await store.loadHistory(second)).toEqual([]);
    const last = { job: second, sequence: 0, events: [cancel], ...(end === undefined ? {} : { end }) };
    await store.append([last], { durable: true });
    await expect(store.append([{ ...last, sequence: 1 }], { durable: true })).rejects.toThrow('has ended');
    const after = new JobStore({ database });
    after.open(first, 2);
    await after.append([{ job: first, sequence: 2, events: [cancel] }], { durable: true });
    expect(await after.loadHistory(first)).toEqual([cancel, begun, cancel]);
  });

  it('lists active jobs and corrupt ones', async () => {
    const { store, database, ids } = await storeWith(3);
    database.rows('jobs').set(ids[1] as string, new Uint8Array([0xff]));
    const found = [];
    for await (const stored of store.loadAll()) found.push(`${stored.kind} ${stored.job}`);
    expect(found.sort()).toEqual([`active ${ids[0]}`, `active ${ids[2]}`, `corrupt ${ids[1]}`].sort());
  });

  it('keeps logs by lease and sequence', async () => {
    const { store, ids } = await storeWith(1);
    const [job] = ids as [JobId];
    const entry = { atMs: at, replica: 0, event: { kind: 'log' as const, stream: 'stdout' as const, text: 'hi' } };
    await store.appendLogs([2, 10, 1].map((sequence) => ({ job, lease: 'l' as LeaseId, sequence, entry })));
    const sequences = [];
    for await (const { sequence } of store.loadLogs(job)) sequences.push(sequence);
    expect(sequences).toEqual([1, 2, 10]);
  });
});

describe('stored entries', () => {
  it('of before there were checkpoints are still read', () => {
    const issued = {
      kind: 'lease-issued',
      atMs: at,
      lease: 'l',
      provider: '12D3KooWGC6TvWhfapngX6wvJHMYvKpDMXPb3ZnCZ6dMoaMtimQ5',
      replica: 0,
      attempt: 0,
      instrumenter: 'i/1',
      leaseEndsAtMs: at,
    };
    expect(decodeHistoryEntry('the/key', encodeEntry([issued]))).toEqual([issued]);
    const attempt = {
      lease: 'l',
      provider: 'p',
      replica: 0,
      attempt: 0,
      state: 'failed',
      leasedAtMs: at,
      leaseEndsAtMs: at,
      progress: null,
      reason: 'X: x',
    };
    const view = {
      job: 'j',
      name: 'old',
      state: 'failed',
      desired: 'run',
      createdAtMs: at,
      deadlineMs: at,
      endedAtMs: at,
      replicas: 1,
      quorum: 1,
      attempts: [attempt],
      result: null,
      failure: { code: 'X', message: 'x' },
    };
    const end = { view, asked: [], missingReplicas: [] };
    expect(decodeEndRecord('the/key', encodeEntry(end))).toEqual(end);
    const log = { atMs: at, replica: 0, event: { kind: 'log', stream: 'stdout', text: 'hi' } };
    expect(decodeLogEntry('the/key', encodeEntry(log))).toEqual(log);
  });

  it('of checkpoints name the key of garbage, and give back what was put in', async () => {
    const database = new MemoryDatabase();
    const checkpoints = new CheckpointStore({ database });
    const [job, lease] = ['j' as JobId, 'l' as LeaseId];
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        // The one byte of an empty list is no garbage.
        fc.pre(bytes.length !== 1);
        database.rows('job-checkpoints').set('j/l/00000', bytes).set('j/held', bytes);
        await expect(checkpoints.find(job, lease, 0)).rejects.toThrow('job-checkpoints/j/l/00000');
        await expect(checkpoints.loadHeld(job)).rejects.toThrow('job-checkpoints/j/held');
      }),
    );
    const [head, stateRoot] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
    const blob = computeRawCid(head).toString() as BlobId;
    const point = { lease, index: 3, step: 30, fuel: 300, head, stateRoot, snapshot: { blob, sizeBytes: 9 } };
    await checkpoints.saveHeld(job, [point]);
    expect(await checkpoints.loadHeld(job)).toEqual([point]);
    expect(await checkpoints.loadHeld('other' as JobId)).toEqual([]);
  });

  const decoders = { decodeJobRecord, decodeHistoryEntry, decodeEndRecord, decodeLogEntry, decodeSignedWire };
  it.each(Object.entries(decoders))('%s names the key of garbage', (_, decode) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(() => decode('the/key', bytes)).toThrow(SchedulerError);
        expect(() => decode('the/key', bytes)).toThrow('the/key');
      }),
    );
  });
});
