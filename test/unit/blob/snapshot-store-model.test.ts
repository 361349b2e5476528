import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SnapshotKey, SnapshotWriter } from '../../../src/blob/interface.ts';
import { PackedSnapshotStore } from '../../../src/blob/snapshots/packed-snapshot-store.ts';
import { areBytesEqual } from '../../../src/lib/bytes.ts';
import { sha256 } from '../../../src/lib/cid.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../../src/telemetry/noop-metrics.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { MemoryDatabase } from '../../support/memory-database.ts';
import { MemoryDisk } from '../../support/memory-disk.ts';
import { itemOf, leaseOf, snapshotOf } from '../../support/snapshots.ts';

const LEASES = [leaseOf(0), leaseOf(1)];
const ITEM_BYTES = [0, 1, 700, 3_000];
const item = (seed: number): Uint8Array => itemOf(seed, ITEM_BYTES[seed % 4]);

const keyArbitrary = fc.record({
  role: fc.constantFrom('provider' as const, 'holder' as const),
  lease: fc.constantFrom(...LEASES),
  step: fc.nat(3),
});
const seedsArbitrary = fc.uniqueArray(fc.nat(24), { maxLength: 12, comparator: (a, b) => seedOf(a) === seedOf(b) });
/** Items without bytes are all the same one. */
const seedOf = (seed: number): number => (seed % 4 === 0 ? 0 : seed);

const stepArbitrary = fc.oneof(
  fc.record({ do: fc.constant('begin' as const), key: keyArbitrary, seeds: seedsArbitrary, keptMs: fc.nat(200_000) }),
  fc.record({ do: fc.constant('add' as const), writer: fc.nat(5), count: fc.nat(6) }),
  fc.record({ do: fc.constant('commit' as const), writer: fc.nat(5) }),
  fc.record({ do: fc.constant('give-up' as const), writer: fc.nat(5) }),
  fc.record({ do: fc.constant('release' as const), key: keyArbitrary }),
  fc.record({ do: fc.constant('keep' as const), key: keyArbitrary, keptMs: fc.nat(200_000) }),
  fc.record({ do: fc.constant('pass' as const), ms: fc.nat(120_000) }),
  fc.record({ do: fc.constant('reopen' as const), isKilled: fc.boolean(), choice: fc.nat() }),
);
type Step = typeof stepArbitrary extends fc.Arbitrary<infer Value> ? Value : never;

interface Draft {
  readonly key: SnapshotKey;
  readonly seeds: readonly number[];
  readonly keptUntilMs: number;
  readonly writer: SnapshotWriter;
}

/** The store beside what it should hold. */
class Pair {
  readonly clock = new ManualClock();
  readonly expected = new Map<string, { readonly seeds: readonly number[]; readonly keptUntilMs: number }>();
  drafts: Draft[] = [];
  disk = new MemoryDisk();
  database = new MemoryDatabase();
  store = this.#create();

  async run(step: Step): Promise<void> {
    if (step.do === 'begin') return await this.#begin(step);
    if (step.do === 'pass') return await this.#pass(step.ms);
    if (step.do === 'reopen') return await this.#reopen(step);
    if (step.do === 'release') {
      await this.store.release(step.key);
      this.expected.delete(nameOf(step.key));
      return;
    }
    if (step.do === 'keep') {
      const known = this.expected.get(nameOf(step.key));
      const keptUntilMs = this.clock.nowMs() + 1 + step.keptMs;
      await this.store.keepUntil(step.key, keptUntilMs);
      if (known !== undefined) this.expected.set(nameOf(step.key), { ...known, keptUntilMs });
      return;
    }
    const draft = this.drafts[step.writer];
    if (draft === undefined) return;
    if (step.do === 'add') return await addSome(draft, step.count);
    this.drafts = this.drafts.filter((other) => other !== draft);
    if (step.do === 'commit') await this.#commit(draft);
    await draft.writer[Symbol.asyncDispose]();
  }

  async check(): Promise<void> {
    const nowMs = this.clock.nowMs();
    const listed = new Set(this.store.list({}).map(nameOf));
    for (const [name, { keptUntilMs }] of this.expected) {
      if (keptUntilMs > nowMs) expect(listed).toContain(name);
    }
    for (const entry of this.store.list({})) {
      const { seeds = [] } = this.expected.get(nameOf(entry)) ?? {};
      expect(this.expected.has(nameOf(entry))).toBe(true);
      expect(entry.itemBytes).toBe(seeds.reduce((sum, seed) => sum + item(seed).length, 0));
      expect((await this.store.readSnapshot(entry.reference.blob))?.length).toBe(entry.reference.sizeBytes);
      for (const seed of seeds) {
        const read = await this.store.readItem(sha256(item(seed)));
        expect(read !== undefined && areBytesEqual(read, item(seed))).toBe(true);
      }
    }
  }

  async end(): Promise<void> {
    for (const { writer } of this.drafts) await writer[Symbol.asyncDispose]();
    await this.check();
    for (const entry of this.store.list({})) await this.store.release(entry);
    await this.store.whenReclaimed();
    expect(this.disk.names).toEqual([]);
    expect(this.store.usage()).toMatchObject({ snapshots: 0, bytes: 0 });
    await this.store[Symbol.asyncDispose]();
    expect(this.clock.pending).toBe(0);
  }

  #create(): PackedSnapshotStore {
    const { disk, database, clock } = this;
    const modules = { disk, database, clock, logger: new NoopLogger(), metrics: new NoopMetricsRegistry() };
    return new PackedSnapshotStore(modules, { folder: '/packs', maxBytes: 2 ** 22 });
  }

  async #begin({ key, seeds, keptMs }: Extract<Step, { do: 'begin' }>): Promise<void> {
    if (this.drafts.length >= 4) return;
    const keptUntilMs = this.clock.nowMs() + 1 + keptMs;
    const writer = await this.store.begin(key, snapshotOf(seeds.map(item), key.step), { keptUntilMs });
    this.drafts.push({ key, seeds, keptUntilMs, writer });
  }

  async #commit({ key, seeds, keptUntilMs, writer }: Draft): Promise<void> {
    const isWhole = writer.missing.length === 0;
    try {
      await writer.commit();
      expect(isWhole).toBe(true);
      this.expected.set(nameOf(key), { seeds, keptUntilMs });
    } catch (error) {
      expect(error).toMatchObject({ code: 'SNAPSHOT_INCOMPLETE' });
      expect(isWhole).toBe(false);
    }
  }

  async #pass(ms: number): Promise<void> {
    await this.clock.advance(ms);
    for (const [name, { keptUntilMs }] of this.expected) {
      if (keptUntilMs > this.clock.nowMs()) continue;
      // It goes at the next sweep, and is as good as gone before.
      if (!this.store.list({}).some((entry) => nameOf(entry) === name)) this.expected.delete(name);
    }
  }

  async #reopen({ isKilled, choice }: Extract<Step, { do: 'reopen' }>): Promise<void> {
    const before = this.store;
    if (!isKilled) await before[Symbol.asyncDispose]();
    let state = choice;
    const choose = (bound: number): number => {
      state = (Math.imul(state, 48_271) + 1) >>> 0;
      return state % bound;
    };
    this.drafts = [];
    this.disk = isKilled ? this.disk.afterPowerCut(choose) : this.disk.afterKill();
    this.database = this.database.clone();
    this.store = this.#create();
    await this.store.start();
    await before[Symbol.asyncDispose]();
    for (const name of this.expected.keys()) {
      const { keptUntilMs = 0 } = this.expected.get(name) ?? {};
      if (keptUntilMs <= this.clock.nowMs()) this.expected.delete(name);
    }
  }
}

async function addSome({ writer, seeds }: Draft, count: number): Promise<void> {
  const places = writer.missing.slice(0, count);
  await Promise.all(places.map((place) => writer.add(place, item(seeds[place] ?? 0))));
}

function nameOf({ role, lease, step }: SnapshotKey): string {
  return `${role}/${lease}/${step}`;
}

describe('a store of snapshots', () => {
  it('holds what its model does, whatever is done to it', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(stepArbitrary, { maxLength: 60, size: 'max' }), async (steps) => {
        const pair = new Pair();
        await pair.store.start();
        for (const step of steps) {
          await pair.run(step);
          await pair.check();
        }
        await pair.end();
      }),
      { numRuns: 100 },
    );
  });
});
