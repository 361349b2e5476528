import { z } from 'zod';
import { type BlockHash, type SolanaAddress, transactionSignatureSchema } from '../../domain/chain.ts';
import { createJsonCodec } from '../../storage/codecs.ts';
import type { Database, Repository } from '../../storage/interface.ts';
import { MAX_CURSOR_SIGNATURES } from '../constants.ts';

/** Every transaction before `slot` was handled, and those of `slot` that are listed. */
export const cursorSchema = z.strictObject({
  slot: z.int().min(0),
  signatures: z.array(transactionSignatureSchema).max(MAX_CURSOR_SIGNATURES),
});
export type Cursor = z.output<typeof cursorSchema>;

export interface CursorStore {
  get(address: SolanaAddress): Promise<Cursor | undefined>;
  /** Durable when it resolves. */
  put(address: SolanaAddress, cursor: Cursor): Promise<void>;
}

/** Cursors of one chain: another chain's slots mean nothing here, even under the same address. */
export class DatabaseCursorStore implements CursorStore {
  readonly #repository: Repository<Cursor>;
  readonly #genesis: BlockHash;

  constructor(modules: { readonly database: Database }, options: { readonly genesis: BlockHash }) {
    this.#repository = modules.database.repository('chain-cursors', createJsonCodec(cursorSchema));
    this.#genesis = options.genesis;
  }

  get(address: SolanaAddress): Promise<Cursor | undefined> {
    return this.#repository.get(this.#key(address));
  }

  put(address: SolanaAddress, cursor: Cursor): Promise<void> {
    return this.#repository.put(this.#key(address), cursor, { durable: true });
  }

  #key(address: SolanaAddress): string {
    return `${this.#genesis}/${address}`;
  }
}

/** For commands that end with the process: nothing is kept. */
export class MemoryCursorStore implements CursorStore {
  readonly #cursors = new Map<SolanaAddress, Cursor>();

  async get(address: SolanaAddress): Promise<Cursor | undefined> {
    return this.#cursors.get(address);
  }

  async put(address: SolanaAddress, cursor: Cursor): Promise<void> {
    this.#cursors.set(address, cursor);
  }
}
