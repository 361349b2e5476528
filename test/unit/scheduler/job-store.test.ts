import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type JobId, type LeaseId, UnixMs } from '../../../src/domain/ids.ts';
import { JOB } from '../../../src/domain/job.ts';
import { signObjects } from '../../../src/proofs/signed-object.ts';
import { SchedulerError } from '../../../src/scheduler/errors.ts';
import type { JobMachineEvent } from '../../../src/scheduler/job-machine-events.ts';
import {
  decodeEndRecord,
  decodeHistoryEntry,
  decodeJobRecord,
  decodeLogEntry,
  decodeSignedWire,
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
  const draft = await rig.draft();
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
