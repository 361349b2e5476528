import { z } from 'zod';
import { CHECKPOINT, type Checkpoint, snapshotReferenceSchema } from '../domain/checkpoint.ts';
import { bytesSchema, integerSchema, type JobId, type LeaseId } from '../domain/ids.ts';
import { decodeObject } from '../domain/object-type.ts';
import { type SignedWire, signedWireSchema } from '../domain/signed.ts';
import { readSignedPayload } from '../proofs/signed-object.ts';
import type { Database, Repository, WriteOperation } from '../storage/interface.ts';
import { decodeEntry, encodeEntry } from './job-records.ts';
import type { HeldPoint } from './job-resume.ts';

/** A checkpoint whose signature was verified when it came. */
export interface StoredCheckpoint {
  readonly value: Checkpoint;
  readonly wire: SignedWire;
}

export interface CheckpointWrite {
  readonly lease: LeaseId;
  readonly checkpoint: StoredCheckpoint;
}

const RAW = { encode: (bytes: Uint8Array) => bytes, decode: (bytes: Uint8Array) => bytes };
const INDEX_DIGITS = 5;
/** Sorts after every digit. */
const AFTER_DIGITS = ':';

export const heldSchema = z.array(
  z.strictObject({
    lease: z.custom<LeaseId>((value) => typeof value === 'string' && value.length > 0 && value.length <= 128),
    index: integerSchema(),
    step: integerSchema(),
    fuel: integerSchema().nullable(),
    head: bytesSchema(32),
    stateRoot: bytesSchema(32),
    snapshot: snapshotReferenceSchema,
  }),
);

const keyOf = (job: JobId, lease: LeaseId, index: number): string =>
  `${job}/${lease}/${String(index).padStart(INDEX_DIGITS, '0')}`;

/** Requester side: the signed checkpoints of each attempt, and which snapshots are held. */
export class CheckpointStore {
  readonly #database: Database;
  readonly #entries: Repository<Uint8Array>;

  constructor(modules: { readonly database: Database }) {
    this.#database = modules.database;
    this.#entries = modules.database.repository('job-checkpoints', RAW);
  }

  /** Durable when it resolves; all of them or none. */
  async append(job: JobId, writes: readonly CheckpointWrite[]): Promise<void> {
    const operations = writes.map(({ lease, checkpoint: { value, wire } }) =>
      this.#put(keyOf(job, lease, value.index), encodeEntry(z.encode(signedWireSchema, wire))),
    );
    await this.#database.write(operations, { durable: true });
  }

  /** Keeps a checkpoint that contradicts the one of the same index: who signed both is convicted by them. */
  async appendConflict(job: JobId, lease: LeaseId, wire: SignedWire): Promise<void> {
    const value = encodeEntry(z.encode(signedWireSchema, wire));
    await this.#database.write([this.#put(`${job}/${lease}/conflict`, value)], { durable: true });
  }

  async find(job: JobId, lease: LeaseId, index: number): Promise<StoredCheckpoint | undefined> {
    const key = keyOf(job, lease, index);
    const bytes = await this.#entries.get(key);
    return bytes === undefined ? undefined : decodeCheckpoint(key, bytes);
  }

  async findConflict(job: JobId, lease: LeaseId): Promise<StoredCheckpoint | undefined> {
    const key = `${job}/${lease}/conflict`;
    const bytes = await this.#entries.get(key);
    return bytes === undefined ? undefined : decodeCheckpoint(key, bytes);
  }

  /** The newest of one attempt up to `index`, in ascending order. */
  async newest(
    job: JobId,
    lease: LeaseId,
    options: { readonly limit: number; readonly index?: number },
  ): Promise<StoredCheckpoint[]> {
    const upper =
      options.index === undefined
        ? { lt: `${job}/${lease}/${AFTER_DIGITS}` }
        : { lte: keyOf(job, lease, options.index) };
    const range = { gte: keyOf(job, lease, 0), ...upper, reverse: true, limit: options.limit };
    const found: StoredCheckpoint[] = [];
    for await (const [key, bytes] of this.#entries.entries(range)) found.push(decodeCheckpoint(key, bytes));
    return found.reverse();
  }

  /** Of one attempt those of which the next one is not here: what follows on them was not seen. */
  async *beforeGaps(job: JobId, lease: LeaseId): AsyncGenerator<StoredCheckpoint, void> {
    const range = { gte: keyOf(job, lease, 0), lt: `${job}/${lease}/${AFTER_DIGITS}` };
    let before: readonly [key: string, bytes: Uint8Array, index: number] | undefined;
    for await (const [key, bytes] of this.#entries.entries(range)) {
      const index = Number(key.slice(-INDEX_DIGITS));
      if (before !== undefined && index !== before[2] + 1) yield decodeCheckpoint(before[0], before[1]);
      before = [key, bytes, index];
    }
  }

  /** In the order in which they were held. */
  async loadHeld(job: JobId): Promise<HeldPoint[]> {
    const key = `${job}/held`;
    const bytes = await this.#entries.get(key);
    return bytes === undefined ? [] : decodeEntry(heldSchema, `job-checkpoints/${key}`, bytes);
  }

  /** Durable when it resolves. */
  async saveHeld(job: JobId, held: readonly HeldPoint[]): Promise<void> {
    const value = encodeEntry(z.encode(heldSchema, [...held]));
    await this.#database.write([this.#put(`${job}/held`, value)], { durable: true });
  }

  #put(key: string, value: Uint8Array): WriteOperation {
    return { kind: 'put', namespace: 'job-checkpoints', key, value };
  }
}

/** @throws SchedulerError SCHEDULER_STORE_CORRUPT */
export function decodeCheckpoint(key: string, bytes: Uint8Array): StoredCheckpoint {
  return decodeEntry(storedCheckpointSchema, `job-checkpoints/${key}`, bytes);
}

const storedCheckpointSchema = signedWireSchema.transform((wire, context): StoredCheckpoint => {
  try {
    return { wire, value: decodeObject(CHECKPOINT, readSignedPayload(wire)) };
  } catch (error) {
    context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : 'it holds no checkpoint' });
    return z.NEVER;
  }
});
