import { Keypair, PublicKey, SystemProgram, TransactionMessage, VersionedTransaction } from '@solana/web3.js';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type CursorStore, DatabaseCursorStore } from '../../../src/chain/reader/cursor-store.ts';
import { SolanaChainReader } from '../../../src/chain/reader/solana-chain-reader.ts';
import { SystemClock } from '../../../src/lib/clock.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../../src/telemetry/noop-metrics.ts';
import { createPool, RECEIVER } from '../../support/chain-rig.ts';
import { MemoryDatabase } from '../../support/memory-database.ts';
import { ScriptedChain } from '../../support/scripted-chain.ts';
import { ScriptedEndpoint } from '../../support/scripted-endpoint.ts';

let stack: AsyncDisposableStack;
let chain: ScriptedChain;
let payer: Keypair;
let sent: string[];

beforeEach(() => {
  stack = new AsyncDisposableStack();
  chain = new ScriptedChain();
  payer = Keypair.generate();
  chain.fund(payer.publicKey.toBase58(), 1_000_000_000_000n);
  sent = [];
});

afterEach(async () => {
  await stack.disposeAsync();
});

/** Transfers in one block, which becomes final. */
function land(count = 1): void {
  for (let index = 0; index < count; index += 1) {
    const message = new TransactionMessage({
      payerKey: payer.publicKey,
      recentBlockhash: chain.head.blockHash,
      instructions: [
        SystemProgram.transfer({
          fromPubkey: payer.publicKey,
          toPubkey: new PublicKey(RECEIVER),
          lamports: 1 + sent.length,
        }),
      ],
    }).compileToLegacyMessage();
    const transaction = new VersionedTransaction(message);
    transaction.sign([payer]);
    sent.push(chain.send(transaction.serialize()));
  }
  chain.produce(chain.finalLag + 2);
}

interface Followed {
  readonly seen: string[];
  stop(): Promise<void>;
}

/** Follows until it is stopped. What was given is kept; `handles` says whether it is handled, too. */
function follow(
  endpoints: readonly ScriptedEndpoint[],
  cursors: CursorStore,
  options: { readonly handles?: (index: number) => boolean; readonly sweepMs?: number; readonly pollMs?: number } = {},
): Followed {
  const { handles = () => true, sweepMs = 60_000, pollMs = 10 } = options;
  const pool = stack.use(
    createPool(
      endpoints.map(({ url }) => url),
      chain.genesis,
    ),
  );
  const reader = new SolanaChainReader(
    { pool, cursors, clock: new SystemClock(), logger: new NoopLogger(), metrics: new NoopMetricsRegistry() },
    { genesis: chain.genesis, follow: { sweepMs, pollMs, reconnectMs: 10 } },
  );
  const controller = new AbortController();
  const seen: string[] = [];
  const run = async (): Promise<void> => {
    try {
      for await (const { transaction, handled } of reader.follow(RECEIVER, { signal: controller.signal })) {
        seen.push(transaction.signature);
        if (handles(seen.length - 1)) await handled();
      }
    } catch (error) {
      if (!controller.signal.aborted) throw error;
    }
  };
  const running = run();
  const stop = async (): Promise<void> => {
    controller.abort();
    await running;
  };
  stack.defer(stop);
  return { seen, stop };
}

const openEndpoint = async (): Promise<ScriptedEndpoint> => stack.use(await ScriptedEndpoint.open(chain));
const createCursors = (database = new MemoryDatabase()): CursorStore =>
  new DatabaseCursorStore({ database }, { genesis: chain.genesis });

test('what happened before and what happens now, in order, each once', async () => {
  const endpoint = await openEndpoint();
  land(3);
  const { seen } = follow([endpoint], createCursors());
  await expect.poll(() => seen.length).toBe(3);
  await expect.poll(() => endpoint.subscribers).toBe(1);
  land(2);
  endpoint.notify();
  await expect.poll(() => seen.length).toBe(5);
  expect(seen).toEqual(sent);
});

test('a subscription that lives is not polled', async () => {
  const endpoint = await openEndpoint();
  land();
  const { seen } = follow([endpoint], createCursors());
  await expect.poll(() => seen.length).toBe(1);
  await expect.poll(() => endpoint.subscribers).toBe(1);
  await new Promise((resolve) => setTimeout(resolve, 60));
  const sweeps = endpoint.count('getSignaturesForAddress');
  await new Promise((resolve) => setTimeout(resolve, 150));
  expect(endpoint.count('getSignaturesForAddress') - sweeps).toBeLessThanOrEqual(1);
});

test('what a lost WebSocket missed comes from history, each once', async () => {
  const endpoint = await openEndpoint();
  const { seen } = follow([endpoint], createCursors());
  for (let round = 0; round < 10; round += 1) {
    await expect.poll(() => endpoint.subscribers).toBe(1);
    // Without a notification: the connection is lost before it could come.
    land(1 + (round % 3));
    endpoint.dropSubscribers();
    await expect.poll(() => seen.length).toBe(sent.length);
  }
  expect(seen).toEqual(sent);
});

test('a WebSocket that does not come back is polled for at once, not when the long pause is over', async () => {
  const endpoint = await openEndpoint();
  const { seen } = follow([endpoint], createCursors());
  await expect.poll(() => endpoint.subscribers).toBe(1);
  land(1);
  endpoint.notify();
  await expect.poll(() => seen.length).toBe(1);
  await endpoint.closeSockets();
  land(1);
  await expect.poll(() => seen.length).toBe(2);
});

test('without any WebSocket it is polled', async () => {
  const endpoint = await openEndpoint();
  const { seen } = follow([endpoint], createCursors(), { pollMs: 5 });
  const timer = setInterval(() => endpoint.dropSubscribers(), 1);
  stack.defer(() => clearInterval(timer));
  land(2);
  await expect.poll(() => seen.length).toBe(2);
  land(2);
  await expect.poll(() => seen.length).toBe(4);
  expect(seen).toEqual(sent);
});

test('after a restart it goes on where it was handled to, also within a slot', async () => {
  const endpoint = await openEndpoint();
  const database = new MemoryDatabase();
  land(5);
  const first = follow([endpoint], createCursors(database), { handles: (index) => index < 2 });
  await expect.poll(() => first.seen.length).toBe(5);
  await first.stop();
  land(1);
  const second = follow([endpoint], createCursors(database));
  await expect.poll(() => second.seen.length).toBe(4);
  expect(second.seen).toEqual(sent.slice(2));
});

test('handled out of order, nothing is left out after a restart', async () => {
  const endpoint = await openEndpoint();
  const database = new MemoryDatabase();
  land(1);
  land(1);
  land(1);
  // The second and third are handled, the first is not.
  const first = follow([endpoint], createCursors(database), { handles: (index) => index > 0 });
  await expect.poll(() => first.seen.length).toBe(3);
  await first.stop();
  const second = follow([endpoint], createCursors(database));
  await expect.poll(() => second.seen.length).toBe(3);
  expect(second.seen).toEqual(sent);
});

test('another endpoint goes on where one failed', async () => {
  const [first, second] = [await openEndpoint(), await openEndpoint()];
  const { seen } = follow([first, second], createCursors());
  land(2);
  await expect.poll(() => seen.length).toBe(2);
  first.misbehave({ kind: 'reset' });
  first.dropSubscribers();
  land(2);
  await expect.poll(() => seen.length).toBe(4);
  first.behave();
  land(1);
  first.notify();
  second.notify();
  await expect.poll(() => seen.length).toBe(5);
  expect(seen).toEqual(sent);
});

test('an endpoint whose history begins after the cursor is not believed to have nothing', async () => {
  const [short, whole] = [await openEndpoint(), await openEndpoint()];
  const database = new MemoryDatabase();
  land(1);
  const first = follow([whole], createCursors(database));
  await expect.poll(() => first.seen.length).toBe(1);
  await first.stop();
  land(1);
  // The short one lost both.
  short.script = ({ method }) => {
    if (method === 'getSignaturesForAddress') return { kind: 'result', result: [] };
    return method === 'getFirstAvailableBlock' ? { kind: 'result', result: chain.head.slot } : undefined;
  };
  const second = follow([short, whole], createCursors(database));
  await expect.poll(() => second.seen.length).toBe(1);
  expect(second.seen).toEqual(sent.slice(1));
});

test('history longer than a page', async () => {
  const endpoint = await openEndpoint();
  for (let block = 0; block < 11; block += 1) land(100);
  const { seen } = follow([endpoint], createCursors());
  await expect.poll(() => seen.length, { timeout: 20_000 }).toBe(1_100);
  expect(seen).toEqual(sent);
});

test('a follower that handles nothing is given a bounded number', async () => {
  const endpoint = await openEndpoint();
  for (let block = 0; block < 11; block += 1) land(100);
  const { seen } = follow([endpoint], createCursors(), { handles: () => false });
  await expect.poll(() => seen.length, { timeout: 20_000 }).toBe(1_000);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(seen).toHaveLength(1_000);
});
