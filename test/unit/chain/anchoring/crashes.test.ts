import { describe, expect, it } from 'vitest';
import { computeLogAddress, findAppends } from '../../../../src/chain/anchoring/anchor-log.ts';
import { AnchoringService } from '../../../../src/chain/anchoring/anchoring-service.ts';
import { BatchRecords } from '../../../../src/chain/anchoring/batch-record.ts';
import { LEAF_BYTES } from '../../../../src/chain/anchoring/constants.ts';
import { encodeLeaf } from '../../../../src/chain/anchoring/leaf-index.ts';
import { buildChunkTree, StoredTrees } from '../../../../src/chain/anchoring/stored-tree.ts';
import { encodeAppend, encodeCloseLog, encodeSetDelegate } from '../../../../src/chain/generated/proof-anchor.ts';
import type { AnchorLeaf } from '../../../../src/domain/anchor.ts';
import { concatBytes, encodeHex } from '../../../../src/lib/bytes.ts';
import { NoopLogger } from '../../../../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../../../src/telemetry/noop-metrics.ts';
import { checkpointLeaf, NEVER, receiptLeaf, STRANGER, WALLET } from '../../../support/anchoring-rig.ts';
import { CrashingDatabase, CrashingSender, CrashSwitch } from '../../../support/crashing.ts';
import { ManualClock, settleTasks } from '../../../support/manual-clock.ts';
import { MemoryChain, PROGRAM } from '../../../support/memory-chain.ts';
import { MemoryChainReader, MemoryJournal, MemorySender } from '../../../support/memory-chain-client.ts';
import { MemoryDatabase } from '../../../support/memory-database.ts';

const LOG = computeLogAddress(PROGRAM, WALLET);
const RUNS = 80;
const LEAVES = 40;

/** mulberry32: the same numbers for the same seed. */
function seededRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

type Draw = (below: number) => number;

interface World {
  readonly chain: MemoryChain;
  readonly journal: MemoryJournal;
  readonly database: MemoryDatabase;
  readonly draw: Draw;
  readonly leaves: readonly AnchorLeaf[];
  /** Roots that somebody else wrote. */
  readonly foreign: Set<string>;
}

function createWorld(seed: number): World {
  const draw = seededRandom(seed);
  const chain = new MemoryChain();
  chain.balances.set(WALLET, 10n ** 12n);
  chain.balances.set(STRANGER, 10n ** 12n);
  const journal = new MemoryJournal(chain, WALLET);
  const leaves = Array.from({ length: LEAVES }, (_, index) =>
    index % 5 === 4 ? checkpointLeaf(`${seed}/${index}`) : receiptLeaf(`${seed}/${index}`),
  );
  const world = { chain, journal, database: new MemoryDatabase(), draw, leaves, foreign: new Set<string>() };
  journal.beforeLanding = () => meddle(world);
  return world;
}

/** What happens in the world while the process runs: other writers, a log that is closed, refusals and failures. */
function meddle({ chain, journal, draw, foreign }: World): void {
  journal.hasPreflight = draw(2) === 0;
  journal.landing = draw(2) === 0 ? 'at-once' : 'when-awaited';
  const log = chain.logs.get(LOG);
  if (log === undefined) return;
  const generation = BigInt(log.generation);
  if (draw(12) === 0) {
    const accounts = { owner: WALLET, log: LOG, destination: WALLET };
    chain.execute([encodeCloseLog(PROGRAM, accounts, { generation })], WALLET);
    return;
  }
  const count = draw(4) === 0 ? 1 + draw(2) * 66 : 0;
  if (count > 0) {
    chain.execute([encodeSetDelegate(PROGRAM, { owner: WALLET, log: LOG }, { delegate: STRANGER })], WALLET);
  }
  for (let each = 0; each < count; each++) {
    const batchRoot = new Uint8Array(32).map(() => draw(256));
    const args = { generation, expectedSize: BigInt(log.entries.length), batchRoot, batchSize: 1n };
    const done = chain.execute([encodeAppend(PROGRAM, { authority: STRANGER, log: LOG }, args)], STRANGER);
    if (done.failure === null) foreign.add(encodeHex(batchRoot));
  }
}

/** One life of the process. True if it ended by itself: everything is final. */
async function live(world: World, crash: CrashSwitch): Promise<boolean> {
  const { chain, journal, database, draw, leaves } = world;
  const clock = new ManualClock();
  const service = new AnchoringService(
    {
      database: new CrashingDatabase(database, crash),
      reader: new MemoryChainReader(chain),
      sender: new CrashingSender(new MemorySender(journal), crash),
      clock,
      logger: new NoopLogger(),
      metrics: new NoopMetricsRegistry(),
    },
    { program: PROGRAM, maxReceipts: 1 + draw(12), maxWaitMs: 1_000, maxBatchLeaves: 12 + draw(10) },
  );
  try {
    await service.start(NEVER);
    for (let from = 0; from < leaves.length && !crash.isDead; ) {
      const count = 1 + draw(9);
      // Whether the answer of a former life came is not known: everything is given again.
      await service.add(leaves.slice(from, from + count));
      from += count;
      if (draw(3) === 0) await settleTasks(draw(10));
    }
    for (let turn = 0; turn < 200 && !crash.isDead; turn++) {
      if (service.status().anchored === leaves.length) return true;
      await service.flush();
      await clock.advance(1_000);
    }
    if (!crash.isDead) throw new Error(`it never ended: ${JSON.stringify(service.status())}`);
    return false;
  } catch (error) {
    if (crash.isDead) return false;
    throw error;
  } finally {
    await service.stop();
  }
}

async function readBatches(database: MemoryDatabase): Promise<{ roots: string[]; leaves: string[] }> {
  const trees = new StoredTrees({ database });
  const roots: string[] = [];
  const leaves: string[] = [];
  for await (const [batch, record] of new BatchRecords({ database }).oldestFirst()) {
    const rows: Uint8Array[] = [];
    for await (const [, row] of trees.chunks(batch)) rows.push(row);
    const all = concatBytes(...rows);
    for (let offset = 0; offset < all.length; offset += LEAF_BYTES) {
      leaves.push(encodeHex(all.subarray(offset, offset + LEAF_BYTES)));
    }
    expect(record.state).toBe('finalized');
    expect(encodeHex(buildChunkTree(all).root)).toBe(encodeHex(record.root ?? new Uint8Array()));
    roots.push(encodeHex(record.root ?? new Uint8Array()));
  }
  return { roots, leaves };
}

/** By the chain's own history: each batch once, nothing else of ours; each leaf in exactly one batch. */
async function expectEachOnce({ chain, database, leaves, foreign }: World): Promise<void> {
  const written = chain.transactions
    .flatMap((transaction) => findAppends(transaction, { program: PROGRAM, log: LOG }))
    .map(({ root }) => encodeHex(root))
    .filter((root) => !foreign.has(root));
  const batches = await readBatches(database);
  expect(written.toSorted()).toEqual(batches.roots.toSorted());
  expect(new Set(written).size).toBe(written.length);
  expect(batches.leaves.toSorted()).toEqual(leaves.map((leaf) => encodeHex(encodeLeaf(leaf))).toSorted());
}

describe('a process that is killed again and again', () => {
  it(`neither loses nor doubles a root, in ${RUNS} worlds`, { timeout: 60_000 }, async () => {
    let crashes = 0;
    for (let seed = 1; seed <= RUNS; seed++) {
      const world = createWorld(seed);
      for (let lives = 0; ; lives++) {
        if (lives > 200) throw new Error(`seed ${seed}: it never gets done`);
        const points = lives < 8 ? world.draw(30) : Number.MAX_SAFE_INTEGER;
        if (await live(world, new CrashSwitch(points))) break;
        crashes += 1;
      }
      await expectEachOnce(world);
    }
    expect(crashes).toBeGreaterThanOrEqual(200);
  });
});
