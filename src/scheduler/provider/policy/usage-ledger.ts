import { z } from 'zod';
import { PeerKey } from '../../../domain/ids.ts';
import { createJsonCodec } from '../../../storage/codecs.ts';
import type { Codec, Database, Repository, WriteOperation } from '../../../storage/interface.ts';
import type { RequesterUsage } from './decide.ts';

const bucketSchema = z.strictObject({
  attempts: z.int().min(0),
  cpuTimeMs: z.int().min(0),
});
type Amounts = z.output<typeof bucketSchema>;

export const USAGE_CODEC: Codec<Amounts> = createJsonCodec(bucketSchema);

/** Amounts are summed up for so long before the next sum begins, ms: by so much a window may seem longer than it is. */
const BUCKET_MS = 5 * 60_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Requesters that are remembered; whoever was here longest ago is forgotten, and may then have more than its quota. */
const MAX_REQUESTERS = 10_000;

/** Key of a bucket: its beginning in Unix ms follows the requester. */
export function parseUsageKey(key: string): { readonly requester: PeerKey; readonly startMs: number } {
  const [peer = '', start = '', ...rest] = key.split('/');
  if (rest.length > 0 || !/^[0-9]{1,16}$/.test(start)) throw new TypeError('a key of another form');
  return { requester: PeerKey(peer), startMs: Number(start) };
}

/**
 * What each requester has had here in the last day, in sums of five minutes. What changes it gives operations that belong
 * into the write of what caused it: the lease, or its end. So it is as durable as they are, and costs no write of its own.
 */
export class UsageLedger {
  readonly #database: Database;
  readonly #records: Repository<Amounts>;
  /** Whoever came last is last. Of each, by the beginning of the bucket. */
  readonly #known = new Map<PeerKey, Map<number, Amounts>>();

  constructor(database: Database) {
    this.#database = database;
    this.#records = database.repository('requester-usage', USAGE_CODEC);
  }

  /** @param nowMs Unix ms */
  async load(nowMs: number): Promise<void> {
    const old: WriteOperation[] = [];
    const onDamaged = (key: string): void => void old.push(this.#records.deleteOperation(key));
    for await (const [key, amounts] of this.#records.entries({}, { onDamaged })) {
      const { requester, startMs } = parseUsageKey(key);
      if (isOver(startMs, nowMs)) old.push(this.#records.deleteOperation(key));
      else this.#bucketsOf(requester).set(startMs, amounts);
    }
    await this.#database.write(old);
  }

  /** @param change what is added; negative takes back what was not to be @param nowMs Unix ms */
  add(requester: PeerKey, change: Partial<Amounts>, nowMs: number): readonly WriteOperation[] {
    const operations = [...this.#forgetOld(requester, nowMs), ...this.#makeRoom(requester)];
    const buckets = this.#bucketsOf(requester);
    this.#known.delete(requester);
    this.#known.set(requester, buckets);
    const startMs = Math.max(0, Math.floor(nowMs / BUCKET_MS) * BUCKET_MS);
    const before = buckets.get(startMs) ?? { attempts: 0, cpuTimeMs: 0 };
    const amounts = {
      attempts: Math.max(0, before.attempts + (change.attempts ?? 0)),
      cpuTimeMs: Math.max(0, before.cpuTimeMs + Math.trunc(change.cpuTimeMs ?? 0)),
    };
    buckets.set(startMs, amounts);
    return [...operations, this.#records.putOperation(`${requester}/${startMs}`, amounts)];
  }

  /** Of the last hour and day; what a clock that was set back puts into the future counts too. */
  read(requester: PeerKey, nowMs: number): Omit<RequesterUsage, 'concurrentAttempts'> {
    const usage = { attemptsLastHour: 0, cpuTimeLastDayMs: 0, nextHourlyReliefMs: 0, nextDailyReliefMs: 0 };
    for (const [startMs, { attempts, cpuTimeMs }] of this.#known.get(requester) ?? []) {
      const hourLeftMs = startMs + BUCKET_MS + HOUR_MS - nowMs;
      const dayLeftMs = startMs + BUCKET_MS + DAY_MS - nowMs;
      if (attempts > 0 && hourLeftMs > 0) {
        usage.attemptsLastHour += attempts;
        usage.nextHourlyReliefMs = sooner(usage.nextHourlyReliefMs, hourLeftMs);
      }
      if (cpuTimeMs > 0 && dayLeftMs > 0) {
        usage.cpuTimeLastDayMs += cpuTimeMs;
        usage.nextDailyReliefMs = sooner(usage.nextDailyReliefMs, dayLeftMs);
      }
    }
    return usage;
  }

  #bucketsOf(requester: PeerKey): Map<number, Amounts> {
    const buckets = this.#known.get(requester) ?? new Map<number, Amounts>();
    this.#known.set(requester, buckets);
    return buckets;
  }

  #forgetOld(requester: PeerKey, nowMs: number): readonly WriteOperation[] {
    const buckets = this.#bucketsOf(requester);
    const old = [...buckets.keys()].filter((startMs) => isOver(startMs, nowMs));
    for (const startMs of old) buckets.delete(startMs);
    return old.map((startMs) => this.#records.deleteOperation(`${requester}/${startMs}`));
  }

  #makeRoom(requester: PeerKey): readonly WriteOperation[] {
    if (this.#known.size <= MAX_REQUESTERS) return [];
    const oldest = [...this.#known].find(([known]) => known !== requester);
    if (oldest === undefined) return [];
    this.#known.delete(oldest[0]);
    return [...oldest[1].keys()].map((startMs) => this.#records.deleteOperation(`${oldest[0]}/${startMs}`));
  }
}

function isOver(startMs: number, nowMs: number): boolean {
  return startMs + BUCKET_MS + DAY_MS <= nowMs;
}

function sooner(knownMs: number, foundMs: number): number {
  return knownMs === 0 ? foundMs : Math.min(knownMs, foundMs);
}
