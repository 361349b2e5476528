import { z } from 'zod';
import { integerSchema, JobId, type UnixMs, unixMsSchema } from '../../../domain/ids.ts';
import { JobBatchId, MAX_BATCH_JOBS } from '../../../domain/job-batch.ts';
import { decodeUtf8, encodeUtf8 } from '../../../lib/bytes.ts';
import type { Codec, Database, Repository, WriteOperation } from '../../../storage/interface.ts';

const recordSchema = z.strictObject({
  version: z.literal(1),
  name: z.string().max(200),
  size: integerSchema(1, MAX_BATCH_JOBS),
  /** What its jobs are, as whoever submits has it: the same id with another one is another batch. */
  digest: z.string().max(128),
  createdAtMs: unixMsSchema,
  /** It takes no more jobs. */
  cancelledAtMs: unixMsSchema.nullable(),
});
export type BatchRecord = z.output<typeof recordSchema>;

export const BATCH_RECORD_CODEC: Codec<BatchRecord> = {
  encode: (record) => encodeUtf8(JSON.stringify(record)),
  decode: (bytes) => recordSchema.parse(JSON.parse(decodeUtf8(bytes))),
};
export const BATCH_PLACE_CODEC: Codec<JobId> = {
  encode: encodeUtf8,
  decode: (bytes) => JobId(decodeUtf8(bytes)),
};

const RECORDS = 'of/';
const PLACES = 'in/';
const STANDS = 'at/';
const INDEX_DIGITS = 7;
/** Batch id, slash, place. */
const MAX_STAND_CHARACTERS = 200;
/** Sorts after every key that continues a prefix ending in '/'. */
const AFTER_SLASH = '0';

/** Where a job stands, beside the place that names it: a second job for a place would be known by it. */
export const BATCH_STAND_CODEC: Codec<string> = {
  encode: encodeUtf8,
  decode: (bytes) => standSchema.parse(decodeUtf8(bytes)),
};
const standSchema = z
  .string()
  .max(MAX_STAND_CHARACTERS)
  .regex(/^[^/]+\/\d+$/);

export interface BatchPlace {
  readonly batch: JobBatchId;
  readonly index: number;
  readonly job: JobId;
}

/** Batches by id, and which job stands at which of their places: written with the job, so that none is submitted twice. */
export class BatchStore {
  readonly #records: Repository<BatchRecord>;
  readonly #places: Repository<JobId>;
  readonly #stands: Repository<string>;

  constructor(database: Database) {
    this.#records = database.repository('job-batches', BATCH_RECORD_CODEC);
    this.#places = database.repository('job-batches', BATCH_PLACE_CODEC);
    this.#stands = database.repository('job-batches', BATCH_STAND_CODEC);
  }

  /** Durable when it resolves. */
  async put(batch: JobBatchId, record: BatchRecord): Promise<void> {
    await this.#records.put(`${RECORDS}${batch}`, record, { durable: true });
  }

  async get(batch: JobBatchId): Promise<BatchRecord | undefined> {
    return this.#records.get(`${RECORDS}${batch}`);
  }

  /** To be written together with the job itself. */
  placeOperations({ batch, index, job }: BatchPlace): readonly WriteOperation[] {
    const place = placeKey(batch, index);
    return [
      this.#places.putOperation(place, job),
      this.#stands.putOperation(`${STANDS}${job}`, place.slice(PLACES.length)),
    ];
  }

  async jobAt(batch: JobBatchId, index: number): Promise<JobId | undefined> {
    return this.#places.get(placeKey(batch, index));
  }

  async *records(): AsyncGenerator<readonly [batch: JobBatchId, record: BatchRecord]> {
    for await (const [key, record] of this.#records.entries({ gte: RECORDS, lt: `of${AFTER_SLASH}` })) {
      yield [JobBatchId(key.slice(RECORDS.length)), record];
    }
  }

  /** In order of their places. */
  async *places(batch: JobBatchId, fromIndex = 0): AsyncGenerator<BatchPlace> {
    const range = { gte: placeKey(batch, fromIndex), lt: `${PLACES}${batch}${AFTER_SLASH}` };
    for await (const [key, job] of this.#places.entries(range)) {
      yield { batch, index: Number(key.slice(-INDEX_DIGITS)), job };
    }
  }

  async *allPlaces(): AsyncGenerator<BatchPlace> {
    for await (const [key, job] of this.#places.entries({ gte: PLACES, lt: `in${AFTER_SLASH}` })) {
      const [, batch = '', index = ''] = key.split('/');
      yield { batch: JobBatchId(batch), index: Number(index), job };
    }
  }
}

function placeKey(batch: JobBatchId, index: number): string {
  return `${PLACES}${batch}/${String(index).padStart(INDEX_DIGITS, '0')}`;
}

export function createBatchRecord(given: {
  readonly name: string;
  readonly size: number;
  readonly digest: string;
  readonly createdAtMs: UnixMs;
}): BatchRecord {
  return { version: 1, ...given, cancelledAtMs: null };
}
