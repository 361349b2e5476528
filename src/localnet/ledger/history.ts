import {
  decodeHeader,
  decodeMention,
  decodePruned,
  decodeRecord,
  encodeAccount,
  encodeJson,
  encodeRecord,
  type StoredMention,
  type StoredPruned,
} from '../store/codecs.ts';
import type { ChainStore, StoreChange } from '../store/interface.ts';
import {
  accountKey,
  blockKey,
  mentionKey,
  mentionRange,
  PLACE_RANGE,
  PRUNED_KEY,
  placeKey,
  placeRange,
  readPlaceKey,
  transactionKey,
} from '../store/keys.ts';
import type { BlockHeader, ExecutedTransaction, TransactionRecord } from './interface.ts';
import { readMemo } from './memo.ts';

export interface HistoryOptions {
  readonly directory: string;
  readonly maxTransactions: number;
  readonly maxEmptyBlocks: number;
}

export interface Mention extends StoredMention {
  readonly slot: number;
  readonly index: number;
}

export interface MentionQuery {
  /** Newer ones are left out, that one included. */
  readonly before?: { readonly slot: number; readonly index: number };
  /** Older ones are left out, that one included. */
  readonly until?: { readonly slot: number; readonly index: number };
  readonly maxSlot: number;
  readonly limit: number;
}

/** Transactions forgotten in one go: a slot must not wait for more. */
const PRUNE_BATCH = 64;

/** Blocks and transactions on disk. Bounded: the oldest go first. */
export class History {
  readonly #store: ChainStore;
  readonly #options: HistoryOptions;
  #pruned: StoredPruned = { transactions: 0, firstWholeSlot: 0 };

  constructor(store: ChainStore, options: HistoryOptions) {
    this.#store = store;
    this.#options = options;
  }

  /** The first slot whose block is whole. */
  get firstSlot(): number {
    return this.#pruned.firstWholeSlot;
  }

  async load(): Promise<void> {
    const stored = await this.#store.get(PRUNED_KEY);
    if (stored !== undefined) this.#pruned = decodePruned(stored, this.#at(PRUNED_KEY));
  }

  /** Everything that a transaction changed, at once and on disk when it resolves. */
  async saveTransaction({ record, changes }: ExecutedTransaction, mentioned: readonly string[]): Promise<void> {
    const { wire, slot, index, blockTime, meta } = record;
    const mention: StoredMention = {
      signature: wire.signature,
      error: meta.error,
      memo: readMemo(wire.message),
      blockTime,
    };
    const value = encodeJson(mention);
    await this.#store.write(
      [
        { key: transactionKey(wire.signature), value: encodeRecord(record) },
        { key: placeKey(slot, index), value },
        ...[...new Set(mentioned)].map((address) => ({ key: mentionKey(address, slot, index), value })),
        ...encodeAccountChanges(changes),
      ],
      { durable: true },
    );
  }

  /** Resolves once every transaction before it is on disk too. */
  async saveBlock(header: BlockHeader): Promise<void> {
    const forgotten = header.slot - this.#options.maxEmptyBlocks;
    const old = forgotten < 0 ? undefined : await this.header(forgotten);
    const changes: StoreChange[] = [{ key: blockKey(header.slot), value: encodeJson(header) }];
    if (old?.transactionCount === 0) changes.push({ key: blockKey(forgotten), value: null });
    await this.#store.write(changes);
  }

  async header(slot: number): Promise<BlockHeader | undefined> {
    const key = blockKey(slot);
    const stored = await this.#store.get(key);
    return stored === undefined ? undefined : decodeHeader(stored, this.#at(key));
  }

  async transaction(signature: string): Promise<TransactionRecord | undefined> {
    const key = transactionKey(signature);
    const stored = await this.#store.get(key);
    return stored === undefined ? undefined : decodeRecord(stored, this.#at(key));
  }

  /** In the order of execution. */
  async transactionsOf(slot: number): Promise<TransactionRecord[]> {
    const records: TransactionRecord[] = [];
    for await (const [key, value] of this.#store.range(placeRange(slot))) {
      const record = await this.transaction(decodeMention(value, this.#at(key)).signature);
      if (record !== undefined) records.push(record);
    }
    return records;
  }

  /** Every transaction from `slot` on, in order. */
  async *mentionsFrom(slot: number): AsyncIterable<Mention> {
    for await (const [key, value] of this.#store.range({ gte: placeKey(slot, 0), lt: PLACE_RANGE.lt })) {
      yield { ...decodeMention(value, this.#at(key)), ...readPlaceKey(key) };
    }
  }

  /** Newest first. */
  async mentionsOf(address: string, query: MentionQuery): Promise<Mention[]> {
    const { before, until, maxSlot, limit } = query;
    const range = mentionRange(address);
    const newest = mentionKey(address, maxSlot + 1, 0);
    const upper = before === undefined ? newest : mentionKey(address, before.slot, before.index);
    const lower = until === undefined ? range.gte : mentionKey(address, until.slot, until.index + 1);
    const mentions: Mention[] = [];
    const lt = upper < newest ? upper : newest;
    if (lower >= lt) return mentions;
    for await (const [key, value] of this.#store.range({ gte: lower, lt, reverse: true, limit })) {
      const [, , ...place] = key.split('/');
      mentions.push({ ...decodeMention(value, this.#at(key)), ...readPlaceKey(`place/${place.join('/')}`) });
    }
    return mentions;
  }

  async slotsBetween(first: number, last: number, limit: number): Promise<number[]> {
    const slots: number[] = [];
    for await (const [key] of this.#store.range({ gte: blockKey(first), lt: blockKey(last + 1), limit })) {
      slots.push(Number(key.slice(key.indexOf('/') + 1)));
    }
    return slots;
  }

  /** Forgets the oldest transactions beyond the bound. */
  async prune(totalTransactions: number): Promise<void> {
    const excess = totalTransactions - this.#pruned.transactions - this.#options.maxTransactions;
    if (excess <= 0) return;
    const changes: StoreChange[] = [];
    let { transactions, firstWholeSlot } = this.#pruned;
    for await (const [key, value] of this.#store.range({ ...PLACE_RANGE, limit: Math.min(excess, PRUNE_BATCH) })) {
      const { slot, index } = readPlaceKey(key);
      changes.push(
        ...(await this.#forget({ slot, index, key, signature: decodeMention(value, this.#at(key)).signature })),
      );
      transactions += 1;
      firstWholeSlot = slot + 1;
    }
    this.#pruned = { transactions, firstWholeSlot };
    await this.#store.write([...changes, { key: PRUNED_KEY, value: encodeJson(this.#pruned) }]);
  }

  async #forget(place: { slot: number; index: number; key: string; signature: string }): Promise<StoreChange[]> {
    const { slot, index, key, signature } = place;
    const record = await this.transaction(signature);
    const { writable, readonly } = record?.meta.loadedAddresses ?? { writable: [], readonly: [] };
    const mentioned = new Set([...(record?.wire.message.accountKeys ?? []), ...writable, ...readonly]);
    return [
      { key, value: null },
      { key: transactionKey(signature), value: null },
      { key: blockKey(slot), value: null },
      ...[...mentioned].map((address) => ({ key: mentionKey(address, slot, index), value: null })),
    ];
  }

  #at(key: string): { directory: string; key: string } {
    return { directory: this.#options.directory, key };
  }
}

export function encodeAccountChanges(changes: ExecutedTransaction['changes']): StoreChange[] {
  return [...changes].map(([address, state]) => ({
    key: accountKey(address),
    value: state === undefined ? null : encodeAccount(state),
  }));
}
