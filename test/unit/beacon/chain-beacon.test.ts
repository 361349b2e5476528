import { describe, expect, it } from 'vitest';
import { ChainBeacon } from '../../../src/beacon/chain-beacon.ts';
import { computeChainBeacon } from '../../../src/beacon/compute-beacon.ts';
import { BeaconError } from '../../../src/beacon/errors.ts';
import type { BeaconBlock, BlockSource } from '../../../src/beacon/interface.ts';
import type { ChainBeaconOptions } from '../../../src/beacon/options.ts';
import { BlockHash } from '../../../src/domain/chain.ts';
import { type CodedInfo, DaemonError } from '../../../src/lib/errors.ts';
import { ManualClock, settleTasks, until } from '../../support/manual-clock.ts';
import { MemoryDatabase } from '../../support/memory-database.ts';
import { createRecordingLogger, createRecordingMetrics } from '../../support/rpc-harness.ts';

const START_MS = 1_800_000_000_000;
const ROUND = START_MS / 30_000;
const GENESIS = BlockHash('5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d');
const OTHER_GENESIS = BlockHash('EtWTRABZaYq6iMfeYKouRu166VU2xqa1wcaWoxPkrZBG');
const options = { signal: new AbortController().signal };

class FakeChainError extends DaemonError<CodedInfo> {
  constructor(code: string, retryable = true) {
    super({ [code]: { retryable, message: () => `it is ${code}`, hint: () => 'wait' } }, { code });
  }
}

/** Blocks by the time that is asked for. */
class FakeBlocks implements BlockSource {
  isPredictable = false;
  readonly blocks = new Map<number, BeaconBlock>();
  readonly asked: number[] = [];
  failure: Error | undefined;
  isSilent = false;

  add(timeMs: number, fill = 7, more: Partial<BeaconBlock> = {}): this {
    this.blocks.set(timeMs, { slot: 42, blockHash: new Uint8Array(32).fill(fill), timeMs: timeMs + 120, ...more });
    return this;
  }

  async findBlockAtOrAfter(timeMs: number): Promise<BeaconBlock | undefined> {
    this.asked.push(timeMs);
    if (this.isSilent) return new Promise(() => {});
    if (this.failure !== undefined) throw this.failure;
    return this.blocks.get(timeMs);
  }
}

function createRig(
  more: Partial<ChainBeaconOptions> = {},
  parts: { database?: MemoryDatabase; nowMs?: number; clock?: ManualClock } = {},
) {
  const clock = parts.clock ?? new ManualClock(parts.nowMs ?? START_MS + 1_000);
  const blocks = new FakeBlocks();
  const database = parts.database ?? new MemoryDatabase();
  const logger = createRecordingLogger();
  const metrics = createRecordingMetrics();
  const beacon = new ChainBeacon(
    { blocks, database, clock, logger, metrics },
    { networkId: 'lab', roundMs: 30_000, epochRounds: 120, genesis: GENESIS, ...more },
  );
  return { beacon, blocks, clock, database, logger, metrics };
}

describe('a value from the chain', () => {
  it('is made from the first block at or after the start of the round', async () => {
    const { beacon, blocks } = createRig();
    blocks.add(START_MS);
    const blockHash = new Uint8Array(32).fill(7);
    expect(await beacon.value(ROUND, options)).toEqual({
      round: ROUND,
      startsAtMs: START_MS,
      value: computeChainBeacon({ networkId: 'lab', round: ROUND }, blockHash),
      source: 'chain',
      isPredictable: false,
      block: { slot: 42, blockHash, timeMs: START_MS + 120 },
    });
    expect(blocks.asked).toEqual([START_MS]);
    expect(beacon.status()).toMatchObject({ source: 'chain', latestKnown: { round: ROUND }, problem: null });
  });

  it('of a local chain is called predictable', async () => {
    const { beacon, blocks } = createRig();
    blocks.add(START_MS).isPredictable = true;
    expect((await beacon.value(ROUND, options)).isPredictable).toBe(true);
    expect(beacon.status().isPredictable).toBe(true);
  });

  it('is not given before the round begins by the clock of this machine, even if the chain has a block', async () => {
    const { beacon, blocks, clock } = createRig({}, { nowMs: START_MS - 1 });
    blocks.add(START_MS);
    await expect(beacon.value(ROUND, options)).rejects.toMatchObject({ code: 'BEACON_NOT_YET' });
    expect(blocks.asked).toEqual([]);
    await clock.advance(1);
    expect((await beacon.value(ROUND, options)).round).toBe(ROUND);
  });

  it('is waited for until its block is final, with fewer questions the longer it takes', async () => {
    const { beacon, blocks, clock } = createRig();
    const waiting = beacon.value(ROUND, options);
    await clock.advance(5_000);
    expect(blocks.asked).toHaveLength(4);
    await clock.advance(55_000);
    expect(blocks.asked.length).toBeLessThan(17);
    blocks.add(START_MS);
    await clock.advance(5_000);
    expect((await waiting).block?.slot).toBe(42);
  });

  it('is not waited for without end', async () => {
    const { beacon, clock } = createRig({ blockWaitMs: 5_000 });
    const waiting = beacon.value(ROUND, options).catch((error: unknown) => error);
    await clock.advance(10_000);
    expect(await waiting).toMatchObject({ code: 'BEACON_UNAVAILABLE', retryable: true });
    expect(beacon.status().problem).toMatchObject({ code: 'BEACON_UNAVAILABLE' });
    expect(clock.pending).toBe(0);
  });

  it('never changes once it was given, whatever the chain says later', async () => {
    const { beacon, blocks } = createRig();
    blocks.add(START_MS);
    const first = await beacon.value(ROUND, options);
    blocks.add(START_MS, 9);
    expect(await beacon.value(ROUND, options)).toEqual(first);
    expect(blocks.asked).toHaveLength(1);
  });

  it('is durable before it is given', async () => {
    const { beacon, blocks, database } = createRig();
    blocks.add(START_MS);
    database.onWrite = () => {
      throw new FakeChainError('STORAGE_FULL');
    };
    await expect(beacon.value(ROUND, options)).rejects.toMatchObject({ code: 'STORAGE_FULL' });
    expect(beacon.status()).toMatchObject({ latestKnown: null, problem: { code: 'STORAGE_FULL' } });
    const durable: unknown[] = [];
    database.onWrite = (_, write) => void durable.push(write.durable);
    expect((await beacon.value(ROUND, options)).round).toBe(ROUND);
    expect(durable).toEqual([true]);
  });
});

describe('after a restart', () => {
  it('known rounds are answered without the chain', async () => {
    const first = createRig();
    first.blocks.add(START_MS);
    const value = await first.beacon.value(ROUND, options);
    const second = createRig({}, { database: first.database.clone() });
    second.blocks.failure = new FakeChainError('CHAIN_UNREACHABLE');
    expect(await second.beacon.value(ROUND, options)).toEqual(value);
    expect(second.blocks.asked).toEqual([]);
    expect(second.beacon.status().latestKnown).toEqual(value);
  });

  it('values of another chain, another network or other rounds are not taken for these', async () => {
    const first = createRig();
    first.blocks.add(START_MS);
    await first.beacon.value(ROUND, options);
    for (const other of [{ genesis: OTHER_GENESIS }, { networkId: 'la' }, { roundMs: 15_000 }]) {
      const { beacon, blocks } = createRig(other, { database: first.database.clone() });
      await beacon.start({ signal: AbortSignal.abort() });
      expect(beacon.status().latestKnown).toBeNull();
      expect(blocks.asked).toEqual([]);
    }
  });

  it('only the newest rounds are there', async () => {
    const { beacon, blocks, database } = createRig({ keptRounds: 3 });
    for (let back = 5; back >= 0; back -= 1) {
      blocks.add(START_MS - back * 30_000);
      await beacon.value(ROUND - back, options);
    }
    expect(database.rows('beacon-rounds').size).toBe(3);
    const again = createRig({ keptRounds: 3 }, { database });
    await again.beacon.value(ROUND - 2, options);
    expect(again.blocks.asked).toEqual([]);
    again.blocks.add(START_MS - 5 * 30_000);
    expect((await again.beacon.value(ROUND - 5, options)).round).toBe(ROUND - 5);
    expect(database.rows('beacon-rounds').size).toBeLessThanOrEqual(4);
  });
});

describe('a chain that cannot be asked', () => {
  it('gives no value, and the status says why until it does again', async () => {
    const { beacon, blocks, clock } = createRig();
    blocks.failure = new FakeChainError('CHAIN_UNREACHABLE');
    const failing = beacon.value(ROUND, options).catch((error: unknown) => error);
    await clock.advance(10_000);
    expect(await failing).toMatchObject({ code: 'BEACON_UNAVAILABLE', cause: { code: 'CHAIN_UNREACHABLE' } });
    expect(blocks.asked).toHaveLength(3);
    expect(beacon.status()).toMatchObject({
      latestKnown: null,
      problem: { code: 'CHAIN_UNREACHABLE', message: 'it is CHAIN_UNREACHABLE' },
    });
    blocks.failure = undefined;
    blocks.add(START_MS);
    await beacon.value(ROUND, options);
    expect(beacon.status().problem).toBeNull();
  });

  it('is no problem any more as soon as it answers, though the block is not final yet', async () => {
    const { beacon, blocks, clock } = createRig();
    await using started = beacon;
    blocks.failure = new FakeChainError('CHAIN_UNREACHABLE');
    await started.start({ signal: options.signal });
    await clock.advance(10_000);
    expect(started.status().problem).toMatchObject({ code: 'CHAIN_UNREACHABLE' });
    blocks.failure = undefined;
    await clock.advance(15_000);
    expect(started.status()).toMatchObject({ latestKnown: null, problem: null });
  });

  it('that answers and has no final block is a problem until it has one', async () => {
    const { beacon, blocks, clock } = createRig({ blockWaitMs: 5_000 });
    await using started = beacon;
    await started.start({ signal: options.signal });
    for (let times = 0; times < 5; times += 1) {
      await clock.advance(12_000);
      expect(started.status().problem).toMatchObject({ code: 'BEACON_UNAVAILABLE' });
    }
    for (let ahead = 0; ahead < 9; ahead += 1) blocks.add(START_MS + ahead * 30_000);
    await clock.advance(30_000);
    expect(started.status().problem).toBeNull();
  });

  it('is forgiven one lost answer', async () => {
    const { beacon, blocks, clock } = createRig();
    blocks.failure = new FakeChainError('CHAIN_ENDPOINT_FAILED');
    const waiting = beacon.value(ROUND, options);
    await settleTasks();
    blocks.failure = undefined;
    blocks.add(START_MS);
    await clock.advance(1_000);
    expect((await waiting).round).toBe(ROUND);
  });

  it('is not asked again at once for what will not pass', async () => {
    const { beacon, blocks } = createRig();
    blocks.failure = new FakeChainError('CHAIN_WRONG_CLUSTER', false);
    await expect(beacon.value(ROUND, options)).rejects.toMatchObject({ code: 'BEACON_UNAVAILABLE' });
    expect(blocks.asked).toHaveLength(1);
  });

  it('that answers with a block of another time, or without a proper hash, is not believed', async () => {
    for (const wrong of [{ timeMs: START_MS - 1 }, { blockHash: new Uint8Array(31) }]) {
      const { beacon, blocks, clock, database } = createRig();
      blocks.add(START_MS, 7, wrong);
      const failing = beacon.value(ROUND, options).catch((error: unknown) => error);
      await clock.advance(10_000);
      expect(await failing).toBeInstanceOf(BeaconError);
      expect(database.rows('beacon-rounds').size).toBe(0);
    }
  });

  it('passes a defect on as what it is', async () => {
    const { beacon, blocks } = createRig();
    blocks.failure = new TypeError('a defect');
    await expect(beacon.value(ROUND, options)).rejects.toThrow(TypeError);
  });
});

describe('those who wait', () => {
  it('share one question, and each can leave', async () => {
    const { beacon, blocks, clock } = createRig();
    const leaving = new AbortController();
    const first = beacon.value(ROUND, { signal: leaving.signal }).catch((error: unknown) => error);
    const second = beacon.value(ROUND, options);
    await clock.advance(1_000);
    expect(blocks.asked).toHaveLength(2);
    leaving.abort(new DOMException('enough', 'AbortError'));
    expect(await first).toMatchObject({ name: 'AbortError' });
    blocks.add(START_MS);
    await clock.advance(2_000);
    expect((await second).round).toBe(ROUND);
  });

  it('leave nothing running behind, also when the chain never answers', async () => {
    const { beacon, blocks, clock } = createRig();
    blocks.isSilent = true;
    const leaving = new AbortController();
    const waiting = beacon.value(ROUND, { signal: leaving.signal }).catch((error: unknown) => error);
    await until(() => blocks.asked.length === 1);
    leaving.abort(new DOMException('enough', 'AbortError'));
    expect(await waiting).toMatchObject({ name: 'AbortError' });
    await settleTasks();
    expect(clock.pending).toBe(0);
    expect(beacon.status().problem).toBeNull();
    blocks.isSilent = false;
    blocks.add(START_MS);
    expect((await beacon.value(ROUND, options)).round).toBe(ROUND);
  });

  it('are refused beyond a number of rounds at once', async () => {
    const { beacon, blocks } = createRig({ maxRoundsInFlight: 2 });
    blocks.isSilent = true;
    const leaving = new AbortController();
    const waiting = [0, 1].map((back) =>
      beacon.value(ROUND - back, { signal: leaving.signal }).catch((error: unknown) => error),
    );
    await until(() => blocks.asked.length === 2);
    await expect(beacon.value(ROUND - 2, options)).rejects.toMatchObject({ code: 'BEACON_BUSY' });
    leaving.abort(new DOMException('enough', 'AbortError'));
    await Promise.all(waiting);
  });
});

describe('a beacon that was started', () => {
  it('draws every round, says once that it cannot, and ends', async () => {
    const { beacon, blocks, clock, logger } = createRig();
    for (let ahead = 0; ahead < 6; ahead += 1) blocks.add(START_MS + ahead * 30_000);
    await beacon.start({ signal: options.signal });
    await beacon.start({ signal: options.signal });
    await settleTasks();
    expect(beacon.status().latestKnown?.round).toBe(ROUND);
    await clock.advance(30_000);
    expect(beacon.status().latestKnown?.round).toBe(ROUND + 1);
    blocks.failure = new FakeChainError('CHAIN_UNREACHABLE');
    await clock.advance(60_000);
    expect(beacon.status()).toMatchObject({
      latestKnown: { round: ROUND + 1 },
      currentRound: ROUND + 3,
      problem: { code: 'CHAIN_UNREACHABLE' },
    });
    const warnings = logger.lines.filter(({ level }) => level === 'warn');
    expect(warnings.map(({ fields }) => fields)).toEqual([
      { round: ROUND + 2, code: 'CHAIN_UNREACHABLE', reason: 'it is CHAIN_UNREACHABLE' },
    ]);
    blocks.failure = undefined;
    await clock.advance(30_000);
    expect(beacon.status()).toMatchObject({ latestKnown: { round: ROUND + 4 }, problem: null });
    await beacon.stop();
    expect(clock.pending).toBe(0);
    expect(blocks.asked.every((timeMs) => timeMs % 30_000 === 0)).toBe(true);
  });

  it('goes on within a round after the clock was set back by hours', async () => {
    class ShiftedClock extends ManualClock {
      behindMs = 0;
      override nowMs(): number {
        return super.nowMs() - this.behindMs;
      }
    }
    const clock = new ShiftedClock(START_MS + 1_000);
    const { beacon, blocks } = createRig({}, { clock });
    const hoursMs = 3 * 3_600_000;
    blocks
      .add(START_MS)
      .add(START_MS - hoursMs)
      .add(START_MS - hoursMs + 30_000);
    await using started = beacon;
    await started.start({ signal: options.signal });
    await settleTasks();
    clock.behindMs = hoursMs;
    await clock.advance(30_000);
    expect(blocks.asked).toEqual([START_MS, START_MS - hoursMs + 30_000]);
    expect(started.status()).toMatchObject({
      latestKnown: { round: ROUND },
      currentRound: ROUND + 1 - hoursMs / 30_000,
    });
  });
});
