import { describe, expect, it } from 'vitest';
import { JobId, LeaseId } from '../../../../src/domain/ids.ts';
import { EXAMPLE_JOB, EXAMPLE_LEASE } from '../../../../src/rpc/schema/common.ts';
import {
  FORGIVEN_DEATHS,
  MAX_POISON_JOBS,
  POISON_LIMIT,
  SUBSTANTIAL_RUN_MS,
} from '../../../../src/scheduler/provider/constants.ts';
import { PoisonJobs } from '../../../../src/scheduler/provider/leases/poison-jobs.ts';
import { MemoryDatabase } from '../../../support/memory-database.ts';

const job = JobId(EXAMPLE_JOB);
const lease = LeaseId(EXAMPLE_LEASE);

/** Deaths until the job is refused, each seen by a new process. */
async function countUntilRefused(ranMs: number, hasAdvanced = true): Promise<number> {
  const database = new MemoryDatabase();
  for (let deaths = 1; deaths <= 99; deaths += 1) {
    const poison = new PoisonJobs(database);
    await poison.load();
    await poison.countDeath({ job, lease, hasAdvanced, wallTimeMs: deaths * ranMs }, deaths);
    if (poison.isQuarantined(job)) return deaths;
  }
  return Number.POSITIVE_INFINITY;
}

describe('PoisonJobs', () => {
  it('refuses a job that takes the daemon down after each new checkpoint, after a bounded number of deaths', async () => {
    expect(await countUntilRefused(1_000)).toBe(FORGIVEN_DEATHS + POISON_LIMIT);
    expect(await countUntilRefused(SUBSTANTIAL_RUN_MS - 1)).toBe(FORGIVEN_DEATHS + POISON_LIMIT);
  });

  it('refuses one that makes none the third time', async () => {
    expect(await countUntilRefused(SUBSTANTIAL_RUN_MS, false)).toBe(POISON_LIMIT);
  });

  it('does not blame a job that runs for long between the deaths', async () => {
    expect(await countUntilRefused(SUBSTANTIAL_RUN_MS)).toBe(Number.POSITIVE_INFINITY);
  });

  it('forgets suspicions before crashes, and the oldest of them first', async () => {
    const database = new MemoryDatabase();
    const poison = new PoisonJobs(database);
    const named = (name: string, count: number) =>
      Array.from({ length: count }, (_, index) => `${name} ${index}` as JobId);
    await poison.count(job, 1);
    await poison.suspect(named('first', 10), 2);
    await poison.suspect(named('later', MAX_POISON_JOBS), 3);
    expect([job, 'first 0', 'later 0'].map((each) => poison.isSuspected(each))).toEqual([true, false, true]);
    expect(database.rows('poison-jobs').size).toBe(MAX_POISON_JOBS);
    await poison.count(JobId(EXAMPLE_LEASE), 4);
    expect([job, EXAMPLE_LEASE].map((each) => poison.crashes(each))).toEqual([1, 1]);
    expect(poison.isSuspected('later 0')).toBe(false);
    expect(database.rows('poison-jobs').size).toBe(MAX_POISON_JOBS);
  });

  it('counts deaths of another attempt anew, and keeps the crashes', async () => {
    const database = new MemoryDatabase();
    const poison = new PoisonJobs(database);
    const other = LeaseId(EXAMPLE_JOB);
    for (let death = 0; death < FORGIVEN_DEATHS + 1; death += 1) {
      await poison.countDeath({ job, lease, hasAdvanced: true, wallTimeMs: 0 }, 1);
    }
    expect(poison.crashes(job)).toBe(1);
    await poison.countDeath({ job, lease: other, hasAdvanced: true, wallTimeMs: 0 }, 2);
    expect(poison.crashes(job)).toBe(1);
    await poison.count(job, 3);
    expect(poison.crashes(job)).toBe(2);
  });
});
