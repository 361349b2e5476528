import { z } from 'zod';
import { unixMsSchema } from '../../../domain/ids.ts';
import { createJsonCodec } from '../../../storage/codecs.ts';
import { StorageError } from '../../../storage/errors.ts';
import type { Codec, Database, Repository } from '../../../storage/interface.ts';

/** Why new work is not taken: `drain` lets what runs come to its end, `panic` has ended it. */
const closedSchema = z.strictObject({ reason: z.enum(['drain', 'panic']), sinceMs: unixMsSchema });
export type ClosedWork = z.output<typeof closedSchema>;

export const CLOSED_WORK_CODEC: Codec<ClosedWork> = createJsonCodec(closedSchema);

const KEY = 'work';

/** Whether this node takes new work, as its operator last said: durable, so that a restart does not open what was closed. */
export class WorkSwitch {
  readonly #records: Repository<ClosedWork>;
  #closed: ClosedWork | null = null;

  constructor(database: Database) {
    this.#records = database.repository('operator-work', CLOSED_WORK_CODEC);
  }

  /** Null while new work is taken. */
  get closed(): ClosedWork | null {
    return this.#closed;
  }

  /** What cannot be read counts as closed: nobody is let in by a damaged disk. @param nowMs Unix ms */
  async load(nowMs: number): Promise<void> {
    try {
      this.#closed = (await this.#records.get(KEY)) ?? null;
    } catch (error) {
      if (!(error instanceof StorageError) || error.code !== 'STORAGE_CORRUPT') throw error;
      this.#closed = closedSchema.parse({ reason: 'drain', sinceMs: nowMs });
    }
  }

  /**
   * Holds at once, and survives a power cut when it resolves. A panic stays one, whatever comes after it.
   * @throws StorageError if it cannot be written: it holds for this process then
   */
  async close(reason: ClosedWork['reason'], nowMs: number): Promise<ClosedWork> {
    const isSame = this.#closed?.reason === reason || this.#closed?.reason === 'panic';
    const closed = this.#closed !== null && isSame ? this.#closed : closedSchema.parse({ reason, sinceMs: nowMs });
    this.#closed = closed;
    await this.#records.put(KEY, closed, { durable: true });
    return closed;
  }

  /** Durable before it holds: a crash in between leaves it closed. */
  async open(): Promise<void> {
    await this.#records.delete(KEY, { durable: true });
    this.#closed = null;
  }
}
