import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ChainBeacon } from '../../../src/beacon/chain-beacon.ts';
import { FixedBeacon, TimeBeacon } from '../../../src/beacon/computed-beacon.ts';
import type { Beacon, BeaconBlock, BlockSource } from '../../../src/beacon/interface.ts';
import { RoundSchedule } from '../../../src/beacon/round-schedule.ts';
import { BlockHash } from '../../../src/domain/chain.ts';
import { type CodedInfo, DaemonError } from '../../../src/lib/errors.ts';
import { classifyEpoch } from '../../../src/vrf/claimed-epoch.ts';
import { ManualClock, settleTasks } from '../../support/manual-clock.ts';
import { MemoryDatabase } from '../../support/memory-database.ts';
import { createRecordingLogger, createRecordingMetrics } from '../../support/rpc-harness.ts';

const EPOCH_MS = 3_600_000;
const OPTIONS = { networkId: 'lab', roundMs: 30_000, epochRounds: 120 };
const GENESIS = BlockHash('5eykt4UsFv8P8NJdTREpY1vzqKqZKvdpKuc147dw2N9d');
const EPOCH = 500_000;
const START_MS = EPOCH * EPOCH_MS;
const { signal } = new AbortController();

class UnreachableError extends DaemonError<CodedInfo> {
  constructor() {
    const code = 'CHAIN_UNREACHABLE';
    super({ [code]: { retryable: true, message: () => 'nobody answers', hint: () => 'wait' } }, { code });
  }
}

/** A chain with a block for every time, unless it is cut off. */
class SteadyBlocks implements BlockSource {
  isPredictable = false;
  isReachable = true;
  readonly asked: number[] = [];

  async findBlockAtOrAfter(timeMs: number): Promise<BeaconBlock> {
    this.asked.push(timeMs);
    if (!this.isReachable) throw new UnreachableError();
    const blockHash = new Uint8Array(32).fill((timeMs / 1_000) % 251);
    return { slot: timeMs / 400, blockHash, timeMs: timeMs + 200 };
  }
}

function createChainBeacon(nowMs: number) {
  const clock = new ManualClock(nowMs);
  const blocks = new SteadyBlocks();
  const modules = {
    blocks,
    clock,
    database: new MemoryDatabase(),
    logger: createRecordingLogger(),
    metrics: createRecordingMetrics(),
  };
  return { beacon: new ChainBeacon(modules, { ...OPTIONS, genesis: GENESIS }), blocks, clock };
}

const readEpoch = (beacon: Beacon, epoch: number) => beacon.value(beacon.firstRoundOfEpoch(epoch), { signal });

describe('epochs and their rounds', () => {
  it('begin and end with the ms', () => {
    const schedule = new RoundSchedule(OPTIONS);
    const epochAt = (timeMs: number): number => schedule.epochOfRound(schedule.roundAt(timeMs));
    expect([START_MS - 1, START_MS, START_MS + EPOCH_MS - 1, START_MS + EPOCH_MS].map(epochAt)).toEqual([
      EPOCH - 1,
      EPOCH,
      EPOCH,
      EPOCH + 1,
    ]);
    expect(schedule.startOfRound(schedule.firstRoundOfEpoch(EPOCH))).toBe(START_MS);
  });

  it('hold every time once, for rounds and epochs of any length', () => {
    const lengths = fc.record({
      roundMs: fc.integer({ min: 1, max: 600_000 }),
      epochRounds: fc.integer({ min: 1, max: 2_000 }),
    });
    fc.assert(
      fc.property(lengths, fc.nat(4_000_000_000_000), (options, timeMs) => {
        const schedule = new RoundSchedule(options);
        const round = schedule.roundAt(timeMs);
        expect(schedule.startOfRound(round)).toBeLessThanOrEqual(timeMs);
        expect(schedule.startOfRound(round + 1)).toBeGreaterThan(timeMs);
        expect(schedule.roundAt(schedule.startOfRound(round))).toBe(round);
        const epoch = schedule.epochOfRound(round);
        expect(schedule.firstRoundOfEpoch(epoch)).toBeLessThanOrEqual(round);
        expect(schedule.firstRoundOfEpoch(epoch + 1)).toBeGreaterThan(round);
        expect(schedule.epochOfRound(schedule.firstRoundOfEpoch(epoch))).toBe(epoch);
      }),
    );
  });
});

describe('the beacon of an epoch', () => {
  it('is there from the first ms of the epoch, and not before', async () => {
    const { beacon, blocks, clock } = createChainBeacon(START_MS - 1);
    await expect(readEpoch(beacon, EPOCH)).rejects.toMatchObject({ code: 'BEACON_NOT_YET', info: { startsInMs: 1 } });
    expect(blocks.asked).toEqual([]);
    await clock.advance(1);
    expect((await readEpoch(beacon, EPOCH)).startsAtMs).toBe(START_MS);
  });

  it('is asked of the chain once by a node that starts in the middle of it', async () => {
    const { beacon, blocks } = createChainBeacon(START_MS + EPOCH_MS / 2);
    const first = await readEpoch(beacon, EPOCH);
    expect(await readEpoch(beacon, EPOCH)).toEqual(first);
    expect((await readEpoch(beacon, EPOCH - 1)).startsAtMs).toBe(START_MS - EPOCH_MS);
    expect(blocks.asked).toEqual([START_MS, START_MS - EPOCH_MS]);
  });

  it('is the same for two nodes whose clocks are 30 s apart, as soon as both have it', async () => {
    const slow = createChainBeacon(START_MS - 30_000);
    const fast = createChainBeacon(START_MS);
    const value = await readEpoch(fast.beacon, EPOCH);
    const claim = classifyEpoch({ epoch: EPOCH, nowMs: slow.clock.nowMs(), schedule: slow.beacon });
    expect(claim).toEqual({ kind: 'next', startsInMs: 30_000 });
    await expect(readEpoch(slow.beacon, EPOCH)).rejects.toMatchObject({ code: 'BEACON_NOT_YET' });
    await slow.clock.advance(30_000);
    expect(await readEpoch(slow.beacon, EPOCH)).toEqual(value);
  });

  it('that begins while the chain is unreachable is none: the last one stands, until the chain answers', async () => {
    const { beacon, blocks, clock } = createChainBeacon(START_MS - 30_000);
    await beacon.start({ signal });
    const last = await readEpoch(beacon, EPOCH - 1);
    blocks.isReachable = false;
    await clock.advance(45_000);
    const failing = readEpoch(beacon, EPOCH).catch((error: unknown) => error);
    await clock.advance(15_000);
    expect(await failing).toMatchObject({ code: 'BEACON_UNAVAILABLE', retryable: true });
    expect(beacon.status()).toMatchObject({ currentEpoch: EPOCH, problem: { code: 'CHAIN_UNREACHABLE' } });
    expect(beacon.epochOfRound(beacon.status().latestKnown?.round ?? 0)).toBe(EPOCH - 1);
    expect(await readEpoch(beacon, EPOCH - 1)).toEqual(last);
    blocks.isReachable = true;
    await clock.advance(15_000);
    await settleTasks();
    expect((await readEpoch(beacon, EPOCH)).startsAtMs).toBe(START_MS);
    await clock.advance(30_000);
    expect(beacon.status().problem).toBeNull();
    await beacon.stop();
  });
});

describe('a beacon that can be known beforehand', () => {
  it('says so in every value and in its status, and one of a public chain does not', async () => {
    const clock = new ManualClock(START_MS);
    const local = createChainBeacon(START_MS);
    local.blocks.isPredictable = true;
    const beacons: readonly (readonly [Beacon, boolean])[] = [
      [new TimeBeacon({ clock }, OPTIONS), true],
      [new FixedBeacon({ clock }, { ...OPTIONS, seed: new Uint8Array(32) }), true],
      [local.beacon, true],
      [createChainBeacon(START_MS).beacon, false],
    ];
    for (const [beacon, isPredictable] of beacons) {
      expect((await readEpoch(beacon, EPOCH)).isPredictable).toBe(isPredictable);
      expect(beacon.status().isPredictable).toBe(isPredictable);
    }
  });
});
