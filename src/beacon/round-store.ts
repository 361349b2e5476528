import { z } from 'zod';
import { bytesSchema, integerSchema } from '../domain/ids.ts';
import { createCborCodec } from '../storage/codecs.ts';
import type { Database, Repository } from '../storage/interface.ts';
import { BLOCK_HASH_BYTES } from './constants.ts';
import type { BeaconBlock } from './interface.ts';

export const storedRoundSchema = z.strictObject({
  /** With another length of rounds, the same number is another round. */
  startsAtMs: integerSchema(),
  slot: integerSchema(),
  blockHash: bytesSchema(BLOCK_HASH_BYTES),
  blockTimeMs: integerSchema(),
});
type StoredRound = z.output<typeof storedRoundSchema>;

export interface RoundStoreOptions {
  readonly networkId: string;
  readonly genesis: string;
  readonly roundMs: number;
  readonly keptRounds: number;
}

/** Digits that hold every safe integer, so that keys are in the order of rounds. */
const ROUND_DIGITS = 16;

/** Blocks of the newest rounds: in memory, and on disk for the next start. Keys: network / genesis / round. */
export class RoundStore {
  readonly #database: Database;
  readonly #repository: Repository<StoredRound>;
  readonly #options: RoundStoreOptions;
  readonly #blocks = new Map<number, BeaconBlock>();
  #loading: Promise<void> | undefined;

  constructor(modules: { readonly database: Database }, options: RoundStoreOptions) {
    this.#database = modules.database;
    this.#repository = modules.database.repository('beacon-rounds', createCborCodec(storedRoundSchema));
    this.#options = options;
  }

  /** Must have resolved before anything else. @throws StorageError */
  load(): Promise<void> {
    this.#loading ??= this.#read().catch((error: unknown) => {
      this.#loading = undefined;
      throw error;
    });
    return this.#loading;
  }

  get(round: number): BeaconBlock | undefined {
    return this.#blocks.get(round);
  }

  /** The newest round there is a block of. */
  latestRound(): number | undefined {
    return this.#blocks.size === 0 ? undefined : Math.max(...this.#blocks.keys());
  }

  /** Durable when it resolves: what was given out once is given again after a power cut. The oldest rounds make room. */
  async keep(round: number, block: BeaconBlock): Promise<void> {
    const { roundMs, keptRounds } = this.#options;
    const { slot, blockHash, timeMs } = block;
    const stored: StoredRound = { startsAtMs: round * roundMs, slot, blockHash, blockTimeMs: timeMs };
    const rounds = [...this.#blocks.keys(), round].sort((a, b) => a - b);
    const surplus = rounds.slice(0, Math.max(0, rounds.length - keptRounds)).filter((each) => each !== round);
    await this.#database.write(
      [
        this.#repository.putOperation(this.#keyOf(round), stored),
        ...surplus.map((each) => this.#repository.deleteOperation(this.#keyOf(each))),
      ],
      { durable: true },
    );
    this.#blocks.set(round, block);
    for (const each of surplus) this.#blocks.delete(each);
  }

  async #read(): Promise<void> {
    const prefix = this.#prefix();
    for await (const [key, stored] of this.#repository.entries({ gt: prefix, lt: `${prefix}~` })) {
      const round = Number(key.slice(prefix.length));
      const { startsAtMs, slot, blockHash, blockTimeMs } = stored;
      if (startsAtMs !== round * this.#options.roundMs) continue;
      this.#blocks.set(round, { slot, blockHash, timeMs: blockTimeMs });
    }
  }

  #prefix(): string {
    return `${this.#options.networkId}/${this.#options.genesis}/`;
  }

  #keyOf(round: number): string {
    return `${this.#prefix()}${String(round).padStart(ROUND_DIGITS, '0')}`;
  }
}
