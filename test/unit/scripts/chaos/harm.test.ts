import { describe, expect, it } from 'vitest';
import { AFTERMATH_MS, HarmLedger, type JobLife } from '../../../../scripts/chaos/harm.ts';
import { GOOD_LINK, LinkTable } from '../../../../scripts/chaos/link-rules.ts';

function createLedger() {
  const clock = { ms: 0 };
  const ledger = new HarmLedger(() => clock.ms);
  const at = (ms: number, act: () => void): void => {
    clock.ms = ms;
    act();
  };
  return { ledger, at };
}

const life = (change: Partial<JobLife> = {}): JobLife => ({
  requester: 'rita',
  providers: ['ada', 'berta'],
  fromMs: 10_000,
  untilMs: 20_000,
  ...change,
});

describe('HarmLedger', () => {
  it('knows what was done to a requester or provider of the job, and nothing of others', () => {
    const { ledger, at } = createLedger();
    at(12_000, () => ledger.begin('frozen', 'ada'));
    at(13_000, () => ledger.end('frozen', 'ada'));
    expect(ledger.during(life())).toEqual([{ harm: 'frozen', node: 'ada' }]);
    expect(ledger.during(life({ requester: 'ada', providers: [] }))).toHaveLength(1);
    expect(ledger.during(life({ providers: ['berta'] }))).toEqual([]);
  });

  it('knows only what was done while the job lived, or less than a lease before', () => {
    const { ledger, at } = createLedger();
    at(1_000, () => ledger.begin('clock', 'ada'));
    at(2_000, () => ledger.end('clock', 'ada'));
    at(30_000, () => ledger.begin('died', 'ada'));
    expect(ledger.during(life())).toEqual([]);
    expect(ledger.during(life({ fromMs: 2_000 + AFTERMATH_MS }))).toHaveLength(1);
    expect(ledger.during(life({ fromMs: 2_001 + AFTERMATH_MS }))).toEqual([]);
    expect(ledger.during(life({ untilMs: 30_000 }))).toHaveLength(1);
    // It is still down.
    expect(ledger.during(life({ fromMs: 99_000, untilMs: 99_001 }))).toEqual([{ harm: 'died', node: 'ada' }]);
  });

  it('knows a link only where both its ends are parties of the job', () => {
    const { ledger, at } = createLedger();
    const links = new LinkTable(ledger);
    at(12_000, () => links.set('clara', 'ada', { ...GOOD_LINK, isCut: true }));
    expect(ledger.during(life())).toEqual([]);
    expect(ledger.during(life({ providers: ['ada', 'clara'] }))).toHaveLength(1);
    at(13_000, () => links.set('rita', 'ada', { ...GOOD_LINK, delayMs: 50 }));
    at(14_000, () => links.set('ada', 'rita', GOOD_LINK));
    expect(ledger.during(life())).toHaveLength(1);
    expect(ledger.during(life({ fromMs: 18_000 }))).toEqual([]);
    at(15_000, () => links.heal());
    expect(ledger.during(life({ fromMs: 19_000, providers: ['ada', 'clara'] }))).toEqual([]);
  });

  it('counts deaths, each once', () => {
    const { ledger, at } = createLedger();
    for (const ms of [1_000, 2_000, 3_000]) {
      at(ms, () => ledger.begin('died', 'ada'));
      at(ms + 1, () => ledger.begin('died', 'ada'));
      at(ms + 500, () => ledger.end('died', 'ada'));
    }
    expect(ledger.countDeaths('ada', 0)).toBe(3);
    expect(ledger.countDeaths('ada', 2_000)).toBe(2);
    expect(ledger.countDeaths('berta', 0)).toBe(0);
  });
});
