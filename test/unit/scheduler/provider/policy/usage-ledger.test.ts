import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseUsageKey, USAGE_CODEC, UsageLedger } from '../../../../../src/scheduler/provider/policy/usage-ledger.ts';
import { WorkSwitch } from '../../../../../src/scheduler/provider/policy/work-switch.ts';
import { MemoryDatabase } from '../../../../support/memory-database.ts';
import { identityOf } from '../../../../support/provider-rig.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const START = 1_800_000_000_000;

async function openLedger(database = new MemoryDatabase(), nowMs = START) {
  const ledger = new UsageLedger(database);
  await ledger.load(nowMs);
  const { peer } = await identityOf(9);
  const add = async (change: { attempts?: number; cpuTimeMs?: number }, atMs: number): Promise<void> => {
    await database.write(ledger.add(peer, change, atMs), { durable: true });
  };
  return { ledger, database, peer, add };
}

describe('what a requester has used', () => {
  it('is that of the last hour and day, and is forgotten after that', async () => {
    const { ledger, peer, add } = await openLedger();
    await add({ attempts: 3 }, START);
    await add({ cpuTimeMs: 500 }, START + 10 * MINUTE);
    await add({ attempts: 1 }, START + 30 * MINUTE);
    expect(ledger.read(peer, START + 30 * MINUTE)).toMatchObject({ attemptsLastHour: 4, cpuTimeLastDayMs: 500 });
    expect(ledger.read(peer, START + 70 * MINUTE)).toMatchObject({ attemptsLastHour: 1, cpuTimeLastDayMs: 500 });
    expect(ledger.read(peer, START + 25 * HOUR)).toMatchObject({ attemptsLastHour: 0, cpuTimeLastDayMs: 0 });
  });

  it('survives a restart, and so does that it was taken back', async () => {
    const { database, peer, add } = await openLedger();
    await add({ attempts: 5 }, START);
    await add({ attempts: -2, cpuTimeMs: 700 }, START);
    const { ledger } = await openLedger(database, START + MINUTE);
    expect(ledger.read(peer, START + MINUTE)).toMatchObject({ attemptsLastHour: 3, cpuTimeLastDayMs: 700 });
  });

  it('leaves nothing on disk once it is over', async () => {
    const { database, add } = await openLedger();
    await add({ attempts: 5 }, START);
    await add({ attempts: 1 }, START + 26 * HOUR);
    await openLedger(database, START + 60 * HOUR);
    const left = [];
    for await (const entry of database.repository('requester-usage', USAGE_CODEC).entries()) left.push(entry);
    expect(left).toEqual([]);
  });

  it('counts a damaged sum as none, and starts', async () => {
    const { database, peer, add } = await openLedger();
    await add({ attempts: 5 }, START);
    database.damaged.add(`requester-usage/${peer}/${START}`);
    const { ledger } = await openLedger(database, START);
    expect(ledger.read(peer, START).attemptsLastHour).toBe(0);
  });

  it('is never less than a window of time would hold, and at most five minutes more (property)', async () => {
    const { peer } = await identityOf(9);
    const uses = fc.array(
      fc.record({ atMs: fc.integer({ min: 0, max: 3 * HOUR }), attempts: fc.integer({ min: 1, max: 9 }) }),
    );
    fc.assert(
      fc.property(uses, (all) => {
        const ledger = new UsageLedger(new MemoryDatabase());
        const ordered = all.toSorted((a, b) => a.atMs - b.atMs);
        for (const { atMs, attempts } of ordered) ledger.add(peer, { attempts }, START + atMs);
        const sinceMs = (windowMs: number): number =>
          ordered.filter(({ atMs }) => atMs > 3 * HOUR - windowMs).reduce((sum, { attempts }) => sum + attempts, 0);
        const { attemptsLastHour } = ledger.read(peer, START + 3 * HOUR);
        expect(attemptsLastHour).toBeGreaterThanOrEqual(sinceMs(HOUR));
        expect(attemptsLastHour).toBeLessThanOrEqual(sinceMs(HOUR + 5 * MINUTE + 1));
      }),
    );
  });

  it('has keys that say whose and when, and no others', async () => {
    const { peer } = await identityOf(9);
    expect(parseUsageKey(`${peer}/${START}`)).toEqual({ requester: peer, startMs: START });
    for (const key of ['', peer, `${peer}/x`, `${peer}/1/2`, `nobody/${START}`]) {
      expect(() => parseUsageKey(key)).toThrow();
    }
  });
});

describe('whether new work is taken', () => {
  it('is kept, and a panic stays one', async () => {
    const database = new MemoryDatabase();
    const before = new WorkSwitch(database);
    await before.load(START);
    expect(before.closed).toBeNull();
    await before.close('panic', START);
    await before.close('drain', START + MINUTE);
    const after = new WorkSwitch(database);
    await after.load(START + HOUR);
    expect(after.closed).toEqual({ reason: 'panic', sinceMs: START });
    await after.open();
    const last = new WorkSwitch(database);
    await last.load(START + HOUR);
    expect([after.closed, last.closed]).toEqual([null, null]);
  });

  it('holds before it is on disk', async () => {
    const database = new MemoryDatabase();
    const work = new WorkSwitch(database);
    const closing = work.close('drain', START);
    expect(work.closed?.reason).toBe('drain');
    await closing;
  });

  it('is no where it cannot be read', async () => {
    const database = new MemoryDatabase();
    await new WorkSwitch(database).close('drain', START);
    database.damaged.add('operator-work/work');
    const work = new WorkSwitch(database);
    await work.load(START);
    expect(work.closed?.reason).toBe('drain');
  });
});
