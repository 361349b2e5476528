import { z } from 'zod';
import { JobId } from '../../../domain/ids.ts';
import { decodeUtf8, encodeUtf8 } from '../../../lib/bytes.ts';
import type { Codec, Database, Repository } from '../../../storage/interface.ts';
import { MAX_POISON_JOBS, POISON_LIMIT } from '../constants.ts';

const crashesSchema = z.strictObject({ crashes: z.int().min(1), lastAtMs: z.int().min(0) });
type Crashes = z.output<typeof crashesSchema>;

export const CRASHES_CODEC: Codec<Crashes> = {
  encode: (value) => encodeUtf8(JSON.stringify(value)),
  decode: (bytes) => crashesSchema.parse(JSON.parse(decodeUtf8(bytes))),
};

/** Jobs that crashed their executor or the daemon, counted durably; from the third time on they are refused. */
export class PoisonJobs {
  readonly #records: Repository<Crashes>;
  /** Oldest crash first. */
  readonly #known = new Map<JobId, Crashes>();

  constructor(database: Database) {
    this.#records = database.repository('poison-jobs', CRASHES_CODEC);
  }

  async load(): Promise<void> {
    const all: [JobId, Crashes][] = [];
    for await (const [key, crashes] of this.#records.entries()) all.push([JobId(key), crashes]);
    for (const [job, crashes] of all.sort((a, b) => a[1].lastAtMs - b[1].lastAtMs)) this.#known.set(job, crashes);
  }

  crashes(job: string): number {
    return this.#known.get(job as JobId)?.crashes ?? 0;
  }

  isQuarantined(job: string): boolean {
    return this.crashes(job) >= POISON_LIMIT;
  }

  /** Durable when it resolves. */
  async count(job: JobId, nowMs: number): Promise<void> {
    const crashes: Crashes = { crashes: this.crashes(job) + 1, lastAtMs: nowMs };
    this.#known.delete(job);
    this.#known.set(job, crashes);
    await this.#records.put(job, crashes, { durable: true });
    await this.#forgetOldest();
  }

  async #forgetOldest(): Promise<void> {
    const oldest = this.#known.keys().next();
    if (this.#known.size <= MAX_POISON_JOBS || oldest.done === true) return;
    this.#known.delete(oldest.value);
    await this.#records.delete(oldest.value);
  }
}
