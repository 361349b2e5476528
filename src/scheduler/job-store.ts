import type { CommitmentSet } from '../domain/commitment.ts';
import type { JobId, LeaseId } from '../domain/ids.ts';
import type { Job } from '../domain/job.ts';
import type { Signed, SignedWire } from '../domain/signed.ts';
import { InternalError } from '../lib/errors.ts';
import type { StorageError } from '../storage/errors.ts';
import type { Database, Repository, WriteOperation } from '../storage/interface.ts';
import type { NamespaceName } from '../storage/namespaces.ts';
import { type AttemptNotes, NO_ATTEMPT_NOTES } from './attempt-notes.ts';
import { toCorruptEntry } from './corrupt-entry.ts';
import { SchedulerError } from './errors.ts';
import type { JobMachineEvent } from './job-machine-events.ts';
import {
  ATTEMPT_OBJECTS,
  type AttemptObject,
  type AttemptObjectKind,
  decodeCommitmentSet,
  decodeEndRecord,
  decodeHistoryEntry,
  decodeJobRecord,
  decodeLogEntry,
  decodeSignedWire,
  type EndRecord,
  encodeCommitmentSet,
  encodeEntry,
  type JobRecord,
  type LogEntry,
} from './job-records.ts';
import { jobIdOf } from './object-ids.ts';
import { NO_RECEIPT_NOTES, type ReceiptNotes } from './receipt-notes.ts';

/** A job as it is submitted. */
export interface NewJob {
  readonly job: Signed<Job>;
  /** Seals its snapshots; null where they are not sealed. */
  readonly snapshotKey: Uint8Array | null;
  /** Of a confidential job, encrypted with a key of this node. */
  readonly sealedSecrets?: Uint8Array | undefined;
}

/** Changes to one job that take effect together. */
export interface JobWrite {
  readonly job: JobId;
  /** Number of the first of `events` in the job's history, from 0. */
  readonly sequence: number;
  readonly events: readonly JobMachineEvent[];
  readonly objects?: readonly AttemptObject[];
  readonly set?: CommitmentSet;
  readonly end?: EndRecord;
}

export interface LogWrite {
  readonly job: JobId;
  readonly lease: LeaseId;
  /** The provider's event sequence. */
  readonly sequence: number;
  readonly entry: LogEntry;
}

export type StoredJob =
  | { readonly kind: 'active'; readonly job: JobId; readonly record: JobRecord }
  | { readonly kind: 'ended'; readonly job: JobId; readonly end: EndRecord }
  | { readonly kind: 'corrupt'; readonly job: JobId; readonly error: SchedulerError };

const RAW = { encode: (bytes: Uint8Array) => bytes, decode: (bytes: Uint8Array) => bytes };
/** Sorts after every key that continues a prefix ending in '/'. */
const AFTER_SLASH = '0';
const SEQUENCE_DIGITS = 10;
const END_SUFFIX = '/end';

const pad = (sequence: number): string => String(sequence).padStart(SEQUENCE_DIGITS, '0');
const put = (namespace: NamespaceName, key: string, value: Uint8Array): WriteOperation => ({
  kind: 'put',
  namespace,
  key,
  value,
});
const under = (prefix: string) => ({ gte: `${prefix}/`, lt: `${prefix}${AFTER_SLASH}` });

/** Requester side: jobs, their append-only histories, signed objects and logs in the node's database. */
export class JobStore {
  readonly #database: Database;
  readonly #jobs: Repository<Uint8Array>;
  readonly #history: Repository<Uint8Array>;
  readonly #objects: Repository<Uint8Array>;
  readonly #logs: Repository<Uint8Array>;
  readonly #notes: ReceiptNotes;
  readonly #attemptNotes: AttemptNotes;
  /** Of each job that has not ended, where its history goes on. */
  readonly #next = new Map<JobId, number>();

  constructor(modules: {
    readonly database: Database;
    readonly receiptNotes?: ReceiptNotes;
    readonly attemptNotes?: AttemptNotes;
  }) {
    this.#database = modules.database;
    this.#notes = modules.receiptNotes ?? NO_RECEIPT_NOTES;
    this.#attemptNotes = modules.attemptNotes ?? NO_ATTEMPT_NOTES;
    this.#jobs = modules.database.repository('jobs', RAW);
    this.#history = modules.database.repository('job-history', RAW);
    this.#objects = modules.database.repository('job-objects', RAW);
    this.#logs = modules.database.repository('job-logs', RAW);
  }

  /** Durable when it resolves; all of them, and what goes with them, or none. */
  async create(jobs: readonly NewJob[], also: readonly WriteOperation[] = []): Promise<void> {
    const operations = jobs.map(({ job: { id, wire, value }, snapshotKey, sealedSecrets }) => {
      const key = snapshotKey === null ? {} : { snapshotKey };
      const secrets = sealedSecrets === undefined ? {} : { sealedSecrets };
      const { name, createdAtMs } = value;
      return put('jobs', id, encodeEntry({ job: wire, name, createdAtMs, ...key, ...secrets }));
    });
    // The first event may be written before this is: writes take effect in the order of the calls.
    for (const { job } of jobs) this.open(jobIdOf(job), 0);
    try {
      await this.#database.write([...operations, ...also], { durable: true });
    } catch (error) {
      for (const { job } of jobs) this.#next.delete(jobIdOf(job));
      throw error;
    }
  }

  /** Takes up a job that has not ended: its history goes on at `sequence`. */
  open(job: JobId, sequence: number): void {
    this.#next.set(job, sequence);
  }

  /**
   * One atomic write for all of `writes`. Writes take effect in the order of the calls. What is written stays: an event
   * in the place of another, or after the end of its job, is a defect of ours, and nothing of `writes` is written.
   */
  async append(writes: readonly JobWrite[], options: { readonly durable: boolean }): Promise<void> {
    this.#advance(writes.filter(({ events, end }) => events.length > 0 || end !== undefined));
    const ended = writes.flatMap(({ end }) => (end === undefined || end.view.result === null ? [] : [end.view.job]));
    const notes = ended.flatMap((job) => this.#notes.noteReceived(job));
    const attempts = writes.flatMap(({ end }) => (end === undefined ? [] : this.#attemptNotes.noteEnded(end.view)));
    await this.#database.write([...writes.flatMap(toOperations), ...notes, ...attempts], options);
    if (notes.length > 0) this.#notes.wake();
    if (attempts.length > 0) this.#attemptNotes.wake();
  }

  #advance(writes: readonly JobWrite[]): void {
    for (const { job, sequence } of writes) {
      const next = this.#next.get(job);
      if (next !== undefined && sequence >= next) continue;
      throw new InternalError(
        `the history of ${job} ${next === undefined ? 'has ended' : `is at ${next}`}: no ${sequence}`,
      );
    }
    for (const { job, sequence, events, end } of writes) {
      if (end === undefined) this.#next.set(job, sequence + events.length);
      else this.#next.delete(job);
    }
  }

  async appendLogs(writes: readonly LogWrite[]): Promise<void> {
    const operations = writes.map(({ job, lease, sequence, entry }) =>
      put('job-logs', `${job}/${lease}/${pad(sequence)}`, encodeEntry(entry)),
    );
    await this.#database.write(operations);
  }

  /** Every job, ended or not; what cannot be read is given as `corrupt`, naming the entry. */
  async *loadAll(): AsyncIterable<StoredJob> {
    const damaged = new Map<JobId, SchedulerError>();
    const onDamaged = (key: string, error: StorageError): void => {
      damaged.set(jobOfKey(key), toCorruptEntry(error));
    };
    let pending: { readonly key: string; readonly bytes: Uint8Array } | undefined;
    for await (const [key, bytes] of this.#jobs.entries({}, { onDamaged })) {
      const job = jobOfKey(key);
      // Of a job that lost half of what is known of it nothing is begun, and nothing is said to have ended.
      if (pending !== undefined && pending.key !== job && !damaged.has(pending.key as JobId)) yield readActive(pending);
      if (!key.endsWith(END_SUFFIX)) pending = { key, bytes };
      else {
        const isWhole = pending?.key === job && !damaged.has(job);
        pending = undefined;
        if (isWhole) yield tryRead(job, () => ({ kind: 'ended', job, end: decodeEndRecord(`jobs/${key}`, bytes) }));
        else if (!damaged.has(job)) damaged.set(job, missingRecord(job));
      }
    }
    if (pending !== undefined && !damaged.has(pending.key as JobId)) yield readActive(pending);
    for (const [job, error] of damaged) yield { kind: 'corrupt', job, error };
  }

  async loadRecord(job: JobId): Promise<JobRecord | undefined> {
    const bytes = await this.#jobs.get(job);
    return bytes === undefined ? undefined : decodeJobRecord(`jobs/${job}`, bytes);
  }

  async loadEnd(job: JobId): Promise<EndRecord | undefined> {
    const key = `${job}${END_SUFFIX}`;
    const bytes = await this.#jobs.get(key);
    return bytes === undefined ? undefined : decodeEndRecord(`jobs/${key}`, bytes);
  }

  /** The whole history in order. @throws SchedulerError SCHEDULER_STORE_CORRUPT */
  async loadHistory(job: JobId): Promise<JobMachineEvent[]> {
    const events: JobMachineEvent[] = [];
    for await (const [key, bytes] of this.#history.entries(under(job))) {
      if (key !== `${job}/${pad(events.length)}`) {
        const reason = `entry ${events.length} is missing before it`;
        throw new SchedulerError({ code: 'SCHEDULER_STORE_CORRUPT', key: `job-history/${key}`, reason });
      }
      events.push(...decodeHistoryEntry(`job-history/${key}`, bytes));
    }
    return events;
  }

  async loadObjects(job: JobId): Promise<AttemptObject[]> {
    const objects: AttemptObject[] = [];
    for await (const [key, bytes] of this.#objects.entries(under(job))) {
      const [, lease, kind] = key.split('/');
      const known = ATTEMPT_OBJECTS.find((candidate) => candidate === kind);
      if (lease === undefined || known === undefined) continue;
      objects.push({ lease: lease as LeaseId, kind: known, wire: decodeSignedWire(`job-objects/${key}`, bytes) });
    }
    return objects;
  }

  async loadObject(job: JobId, lease: LeaseId, kind: AttemptObjectKind): Promise<SignedWire | undefined> {
    const key = `${job}/${lease}/${kind}`;
    const bytes = await this.#objects.get(key);
    return bytes === undefined ? undefined : decodeSignedWire(`job-objects/${key}`, bytes);
  }

  async loadSet(job: JobId): Promise<CommitmentSet | undefined> {
    const bytes = await this.#objects.get(`${job}/set`);
    return bytes === undefined ? undefined : decodeCommitmentSet(`job-objects/${job}/set`, bytes);
  }

  async *loadLogs(job: JobId): AsyncIterable<Omit<LogWrite, 'job'> & { readonly sizeBytes: number }> {
    for await (const [key, bytes] of this.#logs.entries(under(job))) {
      const [, lease, sequence] = key.split('/');
      if (lease === undefined || sequence === undefined) continue;
      const entry = decodeLogEntry(`job-logs/${key}`, bytes);
      yield { lease: lease as LeaseId, sequence: Number(sequence), entry, sizeBytes: bytes.length };
    }
  }
}

function jobOfKey(key: string): JobId {
  return (key.endsWith(END_SUFFIX) ? key.slice(0, -END_SUFFIX.length) : key) as JobId;
}

function missingRecord(job: JobId): SchedulerError {
  return new SchedulerError({ code: 'SCHEDULER_STORE_CORRUPT', key: `jobs/${job}`, reason: 'it is missing' });
}

function toOperations(write: JobWrite): WriteOperation[] {
  const { job } = write;
  const operations: WriteOperation[] = [];
  if (write.events.length > 0) {
    operations.push(put('job-history', `${job}/${pad(write.sequence)}`, encodeEntry(write.events)));
  }
  for (const { lease, kind, wire } of write.objects ?? []) {
    operations.push(put('job-objects', `${job}/${lease}/${kind}`, encodeEntry(wire)));
  }
  if (write.set !== undefined) operations.push(put('job-objects', `${job}/set`, encodeCommitmentSet(write.set)));
  if (write.end !== undefined) operations.push(put('jobs', `${job}${END_SUFFIX}`, encodeEntry(write.end)));
  return operations;
}

function readActive(entry: { readonly key: string; readonly bytes: Uint8Array }): StoredJob {
  const job = entry.key as JobId;
  return tryRead(job, () => ({ kind: 'active', job, record: decodeJobRecord(`jobs/${entry.key}`, entry.bytes) }));
}

function tryRead(job: JobId, read: () => StoredJob): StoredJob {
  try {
    return read();
  } catch (error) {
    if (error instanceof SchedulerError) return { kind: 'corrupt', job, error };
    throw error;
  }
}
