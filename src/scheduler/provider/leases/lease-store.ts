import type { LeaseId } from '../../../domain/ids.ts';
import type { Database, EntriesOptions, Repository, WriteOperation } from '../../../storage/interface.ts';
import { NO_RECEIPT_NOTES, type ReceiptNotes } from '../../receipt-notes.ts';
import { LEASE_RECORD_CODEC, type LeaseRecord } from './lease-record.ts';

export type LeaseEntry = readonly [lease: LeaseId, record: LeaseRecord];

/** The provider's side of every lease, by lease id. Groups are written at once, all or nothing. */
export class LeaseStore {
  readonly #database: Database;
  readonly #records: Repository<LeaseRecord>;
  readonly #notes: ReceiptNotes;

  constructor(database: Database, receiptNotes: ReceiptNotes = NO_RECEIPT_NOTES) {
    this.#database = database;
    this.#notes = receiptNotes;
    this.#records = database.repository('leases', LEASE_RECORD_CODEC);
  }

  async get(lease: LeaseId): Promise<LeaseRecord | undefined> {
    return await this.#records.get(lease);
  }

  /** On disk, power cut included, when it resolves. */
  async write(entries: readonly LeaseEntry[], also: readonly WriteOperation[] = []): Promise<void> {
    if (entries.length === 0) return;
    const records = entries.map(([lease, record]) => this.#records.putOperation(lease, record));
    const notes = entries.flatMap(([lease, { receipt }]) => (receipt === null ? [] : this.#notes.noteProvided(lease)));
    await this.#database.write([...records, ...notes, ...also], { durable: true });
    if (notes.length > 0) this.#notes.wake();
  }

  noteOperation(lease: LeaseId, record: LeaseRecord): WriteOperation {
    return this.#records.putOperation(lease, record);
  }

  /** Survives a crash of the process; enough for what only says how far an attempt came. */
  async note(lease: LeaseId, record: LeaseRecord, also: readonly WriteOperation[] = []): Promise<void> {
    await this.#database.write([this.noteOperation(lease, record), ...also]);
  }

  async delete(leases: readonly LeaseId[]): Promise<void> {
    if (leases.length === 0) return;
    await this.#database.write(leases.map((lease) => this.#records.deleteOperation(lease)));
  }

  async *entries(options: EntriesOptions = {}): AsyncGenerator<LeaseEntry> {
    for await (const [key, record] of this.#records.entries({}, options)) yield [key as LeaseId, record];
  }
}
