import { z } from 'zod';
import { JobId, type LeaseId } from '../../../domain/ids.ts';
import { decodeUtf8, encodeUtf8 } from '../../../lib/bytes.ts';
import type { Codec, Database, Repository } from '../../../storage/interface.ts';
import { FORGIVEN_DEATHS, MAX_POISON_JOBS, POISON_LIMIT, SUBSTANTIAL_RUN_MS } from '../constants.ts';

const crashesSchema = z.strictObject({
  crashes: z.int().min(0),
  lastAtMs: z.int().min(0),
  /** Deaths of the process in a row while this attempt ran and came on, and how long it had run by the last of them. */
  forgiven: z.strictObject({ lease: z.string(), deaths: z.int().min(1), wallTimeMs: z.int().min(0) }).optional(),
});
type Crashes = z.output<typeof crashesSchema>;

export const CRASHES_CODEC: Codec<Crashes> = {
  encode: (value) => encodeUtf8(JSON.stringify(value)),
  decode: (bytes) => crashesSchema.parse(JSON.parse(decodeUtf8(bytes))),
};

/** What an attempt had to show when its process died. */
export interface AttemptDeath {
  readonly job: JobId;
  readonly lease: LeaseId;
  /** It made a checkpoint since it was begun or taken up. */
  readonly hasAdvanced: boolean;
  /** How long it has run, in all processes. */
  readonly wallTimeMs: number;
}

/**
 * Jobs that crashed their executor or the daemon, counted durably; from the third time on they are refused. A death of the
 * daemon is no crash of a job that came on, since others than the job may end a process: but only so often in a row,
 * unless the job ran for long in between (docs/durability.md).
 */
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

  /** A crash of its executor. Durable when it resolves. */
  async count(job: JobId, nowMs: number): Promise<void> {
    const known = this.#known.get(job);
    await this.#write(job, { ...known, crashes: this.crashes(job) + 1, lastAtMs: nowMs });
  }

  /** A death of the process while the attempt ran. Durable when it resolves. */
  async countDeath({ job, lease, hasAdvanced, wallTimeMs }: AttemptDeath, nowMs: number): Promise<void> {
    if (!hasAdvanced) return this.count(job, nowMs);
    const known = this.#known.get(job)?.forgiven;
    const before = known?.lease === lease ? known : { deaths: 0, wallTimeMs: 0 };
    const isLong = wallTimeMs - before.wallTimeMs >= SUBSTANTIAL_RUN_MS;
    const deaths = isLong ? 1 : before.deaths + 1;
    const crashes = this.crashes(job) + (deaths > FORGIVEN_DEATHS ? 1 : 0);
    await this.#write(job, { crashes, lastAtMs: nowMs, forgiven: { lease, deaths, wallTimeMs } });
  }

  async #write(job: JobId, crashes: Crashes): Promise<void> {
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
