import { afterEach, beforeEach, expect, test } from 'vitest';
import type { TransactionRecord } from '../../../src/chain/interface.ts';
import { createPool, createSender, transferIntent, WALLET } from '../../support/chain-rig.ts';
import { CrashGate, CrashingDatabase, type CrashPoint } from '../../support/crash-gate.ts';
import { MemoryDatabase } from '../../support/memory-database.ts';
import { ScriptedChain } from '../../support/scripted-chain.ts';
import { ScriptedEndpoint } from '../../support/scripted-endpoint.ts';

/** Each run dies once to three times. */
const RUNS = 150;
const AT_ONCE = 8;
const SLOT_MS = 4;
const LIFETIME = 15;

let chain: ScriptedChain;
let blocks: NodeJS.Timeout;

beforeEach(() => {
  chain = new ScriptedChain({ lifetime: LIFETIME });
  chain.fund(WALLET.address, 1_000_000_000_000n);
  blocks = setInterval(() => chain.produce(), SLOT_MS);
});

afterEach(() => clearInterval(blocks));

/** mulberry32: the seed is printed, so that a failing run can be repeated. */
function createChance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

interface Incarnation extends AsyncDisposable {
  readonly gate: CrashGate;
  /** Undefined if it died before that. */
  readonly record: Promise<TransactionRecord | undefined>;
}

/** A process: its own sockets, and a database that is left as it was when the process dies. */
async function startProcess(
  database: MemoryDatabase,
  key: string,
  amount: bigint,
  point?: CrashPoint,
): Promise<Incarnation> {
  const gate = new CrashGate(point);
  const stack = new AsyncDisposableStack();
  const endpoints = [stack.use(await ScriptedEndpoint.open(chain)), stack.use(await ScriptedEndpoint.open(chain))];
  for (const endpoint of endpoints) endpoint.script = () => gate.script();
  const pool = stack.use(
    createPool(
      endpoints.map(({ url }) => url),
      chain.genesis,
    ),
  );
  const sender = stack.use(
    createSender(pool, chain.genesis, {
      database: new CrashingDatabase(database, gate),
      signer: gate.guardSigner(WALLET),
    }),
  );
  const live = async (): Promise<TransactionRecord | undefined> => {
    const deadline = AbortSignal.timeout(20_000);
    const signal = AbortSignal.any([deadline, untilDead(gate, deadline)]);
    try {
      await sender.start();
      await sender.submit(transferIntent(key, amount), { signal });
      return await sender.wait(key, { signal, until: 'finalized' });
    } catch (error) {
      if (gate.isDead) return undefined;
      throw error;
    }
  };
  return { gate, record: live(), [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

function untilDead(gate: CrashGate, deadline: AbortSignal): AbortSignal {
  const controller = new AbortController();
  const timer = setInterval(() => {
    if (gate.isDead) controller.abort(new Error('dead'));
    if (gate.isDead || deadline.aborted) clearInterval(timer);
  }, 1);
  return controller.signal;
}

/** Kills it, starts it again, and so on; the last one lives. Gives how often it died. */
async function runOnce(
  run: number,
  chance: () => number,
): Promise<{ readonly deaths: number; readonly points: string[] }> {
  const database = new MemoryDatabase();
  const key = `pay/${run}`;
  const amount = 1_000_000n + BigInt(run);
  const planned = 1 + Math.floor(chance() * 3);
  const left: Incarnation[] = [];
  const points: string[] = [];
  let record: TransactionRecord | undefined;
  for (let death = 0; record === undefined; death += 1) {
    const point = { after: Math.floor(chance() * 36), isApplied: chance() < 0.5 };
    const incarnation = await startProcess(database, key, amount, death < planned ? point : undefined);
    left.push(incarnation);
    record = await incarnation.record;
    if (incarnation.gate.isDead) points.push(`${point.after}${point.isApplied ? '+' : '-'}`);
  }
  const context = `run ${run}, died at ${points.join(' ')}`;
  expect(record.state, context).toBe('finalized');
  expect(landed(amount), context).toEqual([record.signature]);
  const { height } = chain.head;
  // Whatever else was ever signed has expired by then.
  while (chain.head.height < height + LIFETIME) await new Promise((resolve) => setTimeout(resolve, SLOT_MS));
  expect(landed(amount), context).toEqual([record.signature]);
  for (const incarnation of left) await incarnation[Symbol.asyncDispose]();
  return { deaths: points.length, points };
}

function landed(amount: bigint): readonly string[] {
  return chain.landed
    .filter(({ transaction }) =>
      transaction.message.compiledInstructions.some(
        ({ data }) => data.length === 12 && Buffer.from(data).readBigUInt64LE(4) === amount,
      ),
    )
    .map(({ signature }) => signature);
}

test(`killed anywhere, each of ${RUNS} intents lands exactly once`, { timeout: 300_000 }, async () => {
  const seed = Number(process.env['FOGPROOF_TEST_SEED'] ?? Date.now() % 1_000_000);
  const chance = createChance(seed);
  // A third of what is sent is lost on the way: block hashes expire, and are replaced.
  chain.accepts = () => chance() > 0.33;
  // And some of it lands when hardly anybody expects it any more.
  chain.delay = () => (chance() < 0.3 ? Math.floor(chance() * LIFETIME) : 0);
  let deaths = 0;
  const seen = new Set<string>();
  try {
    for (let first = 0; first < RUNS; first += AT_ONCE) {
      const runs = Array.from({ length: Math.min(AT_ONCE, RUNS - first) }, (_, index) =>
        runOnce(first + index, chance),
      );
      for (const outcome of await Promise.all(runs)) {
        deaths += outcome.deaths;
        for (const point of outcome.points) seen.add(point);
      }
    }
  } catch (error) {
    throw new Error(`seed ${seed}`, { cause: error });
  }
  process.stdout.write(`${deaths} deaths at ${seen.size} different points, seed ${seed}\n`);
  expect(deaths).toBeGreaterThanOrEqual(200);
});
