import type { BlockHash } from '../../domain/chain.ts';
import { createCborCodec } from '../../storage/codecs.ts';
import type { Database, Repository } from '../../storage/interface.ts';
import { isTerminal, type StoredTransaction, storedTransactionSchema } from './stored-transaction.ts';

export interface Retention {
  readonly nowMs: number;
  readonly retentionMs: number;
  readonly maxTerminal: number;
}

/**
 * Records of one chain: `<genesis>/open/<key>` and `<genesis>/done/<key>`, so that a start reads the open ones alone.
 * An intent for another chain is never seen, and so never sent, here. Every write is on disk when it resolves.
 */
export class JournalStore {
  readonly #database: Database;
  readonly #repository: Repository<StoredTransaction>;
  readonly #genesis: BlockHash;

  constructor(modules: { readonly database: Database }, options: { readonly genesis: BlockHash }) {
    this.#database = modules.database;
    this.#repository = modules.database.repository('chain-transactions', createCborCodec(storedTransactionSchema));
    this.#genesis = options.genesis;
  }

  async get(key: string): Promise<StoredTransaction | undefined> {
    return (await this.#repository.get(this.#key('open', key))) ?? this.#repository.get(this.#key('done', key));
  }

  async put(record: StoredTransaction): Promise<void> {
    const { key } = record;
    const operations = isTerminal(record)
      ? [
          this.#repository.putOperation(this.#key('done', key), record),
          this.#repository.deleteOperation(this.#key('open', key)),
        ]
      : [this.#repository.putOperation(this.#key('open', key), record)];
    await this.#database.write(operations, { durable: true });
  }

  async delete(key: string): Promise<void> {
    await this.#database.write(
      [
        this.#repository.deleteOperation(this.#key('open', key)),
        this.#repository.deleteOperation(this.#key('done', key)),
      ],
      { durable: true },
    );
  }

  async *open(): AsyncIterable<StoredTransaction> {
    for await (const [, record] of this.#repository.entries(this.#range('open'))) yield record;
  }

  /** Deletes terminal records that are old, and the oldest of too many. Gives how many. */
  async prune({ nowMs, retentionMs, maxTerminal }: Retention): Promise<number> {
    const ended: { readonly key: string; readonly endedAtMs: number }[] = [];
    for await (const [key, record] of this.#repository.entries(this.#range('done'))) {
      ended.push({ key, endedAtMs: record.endedAtMs ?? record.createdAtMs });
    }
    const newestFirst = ended.toSorted((a, b) => b.endedAtMs - a.endedAtMs);
    const old = newestFirst.filter(({ endedAtMs }, index) => index >= maxTerminal || nowMs - endedAtMs > retentionMs);
    await this.#database.write(old.map(({ key }) => this.#repository.deleteOperation(key)));
    return old.length;
  }

  #key(kind: 'open' | 'done', key: string): string {
    return `${this.#genesis}/${kind}/${key}`;
  }

  #range(kind: 'open' | 'done'): { readonly gte: string; readonly lt: string } {
    // '0' follows '/' in ASCII.
    return { gte: `${this.#genesis}/${kind}/`, lt: `${this.#genesis}/${kind}0` };
  }
}
