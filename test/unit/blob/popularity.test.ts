import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type BlobEntry, BlobIndex } from '../../../src/blob/blob-index.ts';
import { BLOB_ENTRY_CODEC } from '../../../src/blob/entry-codec.ts';
import {
  computeRank,
  countUse,
  startUse,
  USE_EPISODE_MS,
  USE_HALF_LIFE_MS,
  type UseRecord,
} from '../../../src/blob/popularity.ts';
import { BlobId } from '../../../src/domain/ids.ts';
import { encodeUtf8 } from '../../../src/lib/bytes.ts';
import { computeRawId } from '../../../src/lib/cid.ts';

const START_MS = 1_800_000_000_000;
const HOUR_MS = 3_600_000;
const idOf = (name: string): BlobId => BlobId(computeRawId(encodeUtf8(name)));
const entryOf = (sizeBytes: number, use: UseRecord): BlobEntry => ({
  sizeBytes,
  place: 'file',
  sealedKey: null,
  ...use,
});

/** What the definition says, computed the long way. */
function rankOf(usesMs: readonly number[]): number {
  const newest = Math.max(...usesMs);
  const sum = usesMs.reduce((total, at) => total + 2 ** ((at - newest) / USE_HALF_LIFE_MS), 0);
  return newest / USE_HALF_LIFE_MS + Math.log2(sum);
}

describe('the rank of a blob', () => {
  it('is the sum over its uses, each worth half after each half-life', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: USE_EPISODE_MS, max: 40 * USE_HALF_LIFE_MS }), { minLength: 1, maxLength: 30 }),
        (gapsMs) => {
          const usesMs = gapsMs.map((_, index) => START_MS + gapsMs.slice(0, index + 1).reduce((a, b) => a + b));
          const [first = START_MS, ...later] = usesMs;
          const record = later.reduce(countUse, startUse(first));
          expect(computeRank(record)).toBeCloseTo(rankOf(usesMs), 6);
        },
      ),
    );
  });

  it('counts many uses in a short time as one, and the last of them is the time that counts', () => {
    let record = startUse(START_MS);
    for (let count = 1; count < 500; count += 1) record = countUse(record, START_MS + count * 1000);
    expect(computeRank(record)).toBe((START_MS + 499_000) / USE_HALF_LIFE_MS);
  });

  it('stands a clock that goes back', () => {
    const record = countUse(startUse(START_MS), START_MS - 10 * USE_HALF_LIFE_MS);
    expect(record).toEqual(startUse(START_MS));
  });
});

describe('what goes first', () => {
  const open = (maxBytes: number) => new BlobIndex({ maxBytes, maxBlobs: 1000 });

  it('is never what is used daily, however many others are used once', () => {
    const index = open(10);
    const model = idOf('model');
    let nowMs = START_MS;
    index.add(model, entryOf(4, startUse(nowMs)));
    for (let day = 0; day < 10; day += 1) {
      nowMs += 24 * HOUR_MS;
      index.touch(model, nowMs);
    }
    for (let count = 0; count < 1000; count += 1) {
      nowMs += 60_000;
      const victims = index.reserve(3) ?? [];
      for (const victim of victims) index.remove(victim);
      expect(victims).not.toContain(model);
      index.add(idOf(`input ${count}`), entryOf(3, startUse(nowMs)));
      index.release(3);
    }
    expect(index.get(model)).toBeDefined();
  });

  it('is what was popular once, after long enough', () => {
    const index = open(10);
    const model = idOf('model');
    let nowMs = START_MS;
    index.add(model, entryOf(4, startUse(nowMs)));
    for (let count = 0; count < 16; count += 1) index.touch(model, (nowMs += HOUR_MS));
    index.add(idOf('a'), entryOf(3, startUse(nowMs + 3 * USE_HALF_LIFE_MS)));
    expect(index.reserve(4)).toEqual([idOf('a')]);
    index.add(idOf('a'), entryOf(3, startUse(nowMs + 5 * USE_HALF_LIFE_MS)));
    index.release(4);
    expect(index.reserve(4)).toEqual([model]);
  });

  it('is among blobs used once what was used longest ago, and never what is pinned', () => {
    const index = open(4);
    for (const name of ['a', 'b', 'c', 'd']) index.add(idOf(name), entryOf(1, startUse(START_MS)));
    index.touch(idOf('a'), START_MS);
    index.pin(idOf('b'));
    expect(index.reserve(2)).toEqual([idOf('c'), idOf('d')]);
    expect(index.reserve(3)).toBeUndefined();
    index.unpin(idOf('b'));
    for (const name of ['c', 'd']) index.remove(idOf(name));
    expect(index.reserve(2)).toEqual([idOf('b'), idOf('a')]);
  });

  it('keeps an account that agrees with a simple one, whatever is done', () => {
    const names = fc.integer({ min: 0, max: 7 });
    const steps = fc.array(
      fc.record({ kind: fc.constantFrom('add', 'part', 'touch', 'pin', 'unpin', 'reserve', 'remove'), name: names }),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(steps, (sequence) => {
        const index = open(20);
        const sizes = new Map<BlobId, number>();
        const pins = new Map<BlobId, number>();
        for (const [time, { kind, name }] of sequence.entries()) {
          const blob = idOf(String(name));
          const sizeBytes = name + 1;
          const used = [...sizes.values()].reduce((a, b) => a + b, 0);
          if ((kind === 'add' || kind === 'part') && !sizes.has(blob) && used + sizeBytes <= 20) {
            if (kind === 'add') index.add(blob, entryOf(sizeBytes, startUse(START_MS + time)));
            else index.addPartial(blob, sizeBytes, START_MS + time);
            sizes.set(blob, sizeBytes);
          }
          if (kind === 'touch') index.touch(blob, START_MS + time * HOUR_MS);
          if (kind === 'remove' && sizes.delete(blob)) index.remove(blob);
          if (kind === 'pin') {
            index.pin(blob);
            pins.set(blob, (pins.get(blob) ?? 0) + 1);
          }
          if (kind === 'unpin' && (pins.get(blob) ?? 0) > 0) {
            index.unpin(blob);
            pins.set(blob, (pins.get(blob) ?? 0) - 1);
          }
          if (kind === 'reserve') {
            const victims = index.reserve(sizeBytes);
            const free =
              20 - used + [...sizes].reduce((sum, [at, size]) => ((pins.get(at) ?? 0) > 0 ? sum : sum + size), 0);
            expect(victims === undefined).toBe(free < sizeBytes);
            for (const victim of victims ?? []) {
              expect([sizes.delete(victim), pins.get(victim) ?? 0]).toEqual([true, 0]);
              index.remove(victim);
            }
            if (victims !== undefined) index.release(sizeBytes);
          }
          expect(index.storedBytes).toBe([...sizes.values()].reduce((a, b) => a + b, 0));
        }
      }),
      { numRuns: 300 },
    );
  });

  it('is chosen among a hundred thousand in no time', () => {
    const index = new BlobIndex({ maxBytes: 100_000, maxBlobs: 200_000 });
    const ids = Array.from({ length: 100_000 }, (_, number) => idOf(String(number)));
    for (const [number, blob] of ids.entries()) index.add(blob, entryOf(1, startUse(START_MS + number)));
    const started = process.cpuUsage();
    for (let count = 0; count < 1000; count += 1) {
      for (const victim of index.reserve(1) ?? []) index.remove(victim);
      index.add(idOf(`new ${count}`), entryOf(1, startUse(START_MS + 200_000 + count)));
      index.release(1);
    }
    // 10 ms here; a pass over all entries each time would take seconds.
    expect(process.cpuUsage(started).user).toBeLessThan(1_000_000);
  });
});

describe('an entry on disk', () => {
  it('of before there were counters is read, and one of now is read as it was written', () => {
    const old = encodeUtf8(JSON.stringify({ sizeBytes: 5, place: 'file', lastUseMs: 7 }));
    expect(BLOB_ENTRY_CODEC.decode(old)).toEqual(entryOf(5, { lastUseMs: 7, episodeMs: 0, heat: null }));
    const entry = entryOf(9, { lastUseMs: 7.5, episodeMs: 3, heat: -4.25 });
    expect(BLOB_ENTRY_CODEC.decode(BLOB_ENTRY_CODEC.encode(entry))).toEqual(entry);
    const wrong = encodeUtf8(JSON.stringify({ ...entry, extra: 1 }));
    expect(() => BLOB_ENTRY_CODEC.decode(wrong)).toThrow();
  });
});
