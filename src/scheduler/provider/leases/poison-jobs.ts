import { z } from 'zod';
import { JobId, type LeaseId } from '../../../domain/ids.ts';
import { decodeUtf8, encodeUtf8 } from '../../../lib/bytes.ts';
import type { Codec, Database, Repository, WriteOperation } from '../../../storage/interface.ts';
import { FORGIVEN_DEATHS, MAX_POISON_JOBS, POISON_LIMIT, SUBSTANTIAL_RUN_MS } from '../constants.ts';

const crashesSchema = z.strictObject({
  /** None: the job is suspected. */
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
 *
 * Of which attempts of a batch had begun when the process died nothing is written, since that would cost each of them a
 * write. Their jobs are suspected: of these it is written from then on.
 */
export class PoisonJobs {
  readonly #database: Database;
  readonly #records: Repository<Crashes>;
  /** Oldest crash first. */
  readonly #known = new Map<JobId, Crashes>();

  constructor(database: Database) {
    this.#database = database;
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

  /** The process died, once at least, while an attempt of it may have run. */
  isSuspected(job: string): boolean {
    return this.#known.has(job as JobId);
  }

  /** Durable when it resolves. Suspicions make room for newer ones, and for crashes; never the other way round. */
  async suspect(jobs: Iterable<JobId>, nowMs: number): Promise<void> {
    const fresh = [...new Set(jobs)].filter((job) => !this.#known.has(job));
    if (fresh.length === 0) return;
    const suspicions = [...this.#known].filter(([, crashes]) => isSuspicion(crashes)).map(([job]) => job);
    const room = MAX_POISON_JOBS - this.#known.size;
    const operations: WriteOperation[] = [];
    for (const job of suspicions.slice(0, Math.max(0, fresh.length - room))) {
      this.#known.delete(job);
      operations.push(this.#records.deleteOperation(job));
    }
    for (const job of fresh.slice(0, MAX_POISON_JOBS - this.#known.size)) {
      const suspicion = { crashes: 0, lastAtMs: nowMs };
      this.#known.set(job, suspicion);
      operations.push(this.#records.putOperation(job, suspicion));
    }
    await this.#database.write(operations, { durable: true });
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
    if (this.#known.size <= MAX_POISON_JOBS) return;
    const [oldest] = [...this.#known].find(([, crashes]) => isSuspicion(crashes)) ?? [...this.#known][0] ?? [];
    if (oldest === undefined) return;
    this.#known.delete(oldest);
    await this.#records.delete(oldest);
  }
}

function isSuspicion({ crashes, forgiven }: Crashes): boolean {
  return crashes === 0 && forgiven === undefined;
}
