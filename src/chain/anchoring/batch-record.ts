import { z } from 'zod';
import { blockHashSchema, Lamports, solanaAddressSchema, transactionSignatureSchema } from '../../domain/chain.ts';
import { bytesSchema, integerSchema, unixMsSchema } from '../../domain/ids.ts';
import { createCborCodec } from '../../storage/codecs.ts';
import type { Database, Repository } from '../../storage/interface.ts';

const lamportsCodec = z.codec(
  z.string().regex(/^\d{1,20}$/),
  z.custom<Lamports>((value) => typeof value === 'bigint'),
  {
    decode: (text) => Lamports(BigInt(text)),
    encode: String,
  },
);

/** Where on a chain a root is to be, or is. */
const placeSchema = z.strictObject({
  genesis: blockHashSchema,
  program: solanaAddressSchema,
  log: solanaAddressSchema,
  owner: solanaAddressSchema,
  generation: integerSchema(),
  entry: integerSchema(),
});
export type LogPlace = z.output<typeof placeSchema>;

const landingSchema = z.strictObject({
  place: placeSchema,
  transaction: transactionSignatureSchema,
  slot: integerSchema(),
  feeLamports: lamportsCodec.nullable(),
  computeUnits: integerSchema().nullable(),
  /** Of our own journal, or somebody else's transaction that we found. */
  by: z.enum(['own', 'found']),
});

/**
 * `intent` is durable before its transaction is submitted, and gone only when that transaction provably does not count.
 * `landing` is what became of it.
 */
export const batchRecordSchema = z.strictObject({
  state: z.enum(['open', 'sealed', 'confirmed', 'finalized']),
  leaves: integerSchema(1),
  receipts: integerSchema(),
  /** Leaves of this batch and of all before it. */
  total: integerSchema(1),
  createdAtMs: unixMsSchema,
  sealedAtMs: unixMsSchema.nullable(),
  root: bytesSchema(32).nullable(),
  /** Number of the next transaction: `anchor/<batch>/<attempt>`. */
  attempt: integerSchema(),
  intent: placeSchema.nullable(),
  /** Slot of the log before the first attempt: the root is in no older transaction. */
  sinceSlot: integerSchema().nullable(),
  landing: landingSchema.nullable(),
});
export type BatchRecord = z.output<typeof batchRecordSchema>;

/** What counting takes of a record: a start reads all of them, and checking each address would take four times as long. */
const batchSummarySchema = batchRecordSchema
  .pick({ state: true, leaves: true, total: true })
  .extend({ landing: z.object({ place: z.object({ genesis: z.string() }) }).nullable() })
  .strip();
export type BatchSummary = z.output<typeof batchSummarySchema>;

/** Keys of equal length: they are ordered as strings. */
const KEY_DIGITS = 12;

export function encodeBatchKey(batch: number): string {
  return String(batch).padStart(KEY_DIGITS, '0');
}

/** The batches of this node by number. */
export class BatchRecords {
  readonly #records: Repository<BatchRecord>;
  readonly #summaries: Repository<BatchSummary>;

  constructor(modules: { readonly database: Database }) {
    this.#records = modules.database.repository('anchor-batches', createCborCodec(batchRecordSchema));
    this.#summaries = modules.database.repository('anchor-batches', createCborCodec(batchSummarySchema));
  }

  async get(batch: number): Promise<BatchRecord | undefined> {
    return await this.#records.get(encodeBatchKey(batch));
  }

  async *newestFirst(): AsyncIterable<readonly [batch: number, record: BatchRecord]> {
    for await (const [key, record] of this.#records.entries({ reverse: true })) yield [Number(key), record];
  }

  async *oldestFirst(): AsyncIterable<readonly [batch: number, record: BatchRecord]> {
    for await (const [key, record] of this.#records.entries()) yield [Number(key), record];
  }

  async *summaries(): AsyncIterable<readonly [batch: number, summary: BatchSummary]> {
    for await (const [key, summary] of this.#summaries.entries()) yield [Number(key), summary];
  }

  /** Durable when it resolves. */
  async put(batch: number, record: BatchRecord): Promise<void> {
    await this.#records.put(encodeBatchKey(batch), record, { durable: true });
  }

  putOperation(batch: number, record: BatchRecord) {
    return this.#records.putOperation(encodeBatchKey(batch), record);
  }

  deleteOperation(batch: number) {
    return this.#records.deleteOperation(encodeBatchKey(batch));
  }
}
