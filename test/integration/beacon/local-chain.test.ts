import { describe, expect, it } from 'vitest';
import { ChainBeacon } from '../../../src/beacon/chain-beacon.ts';
import { computeChainBeacon } from '../../../src/beacon/compute-beacon.ts';
import { EndpointPool } from '../../../src/chain/endpoints/endpoint-pool.ts';
import { ChainBlockSource } from '../../../src/chain/reader/chain-block-source.ts';
import { SystemClock } from '../../../src/lib/clock.ts';
import { SystemRandom } from '../../../src/lib/random.ts';
import { LiteLocalChain } from '../../../src/localnet/lite-local-chain.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../../src/telemetry/noop-metrics.ts';
import { MemoryDatabase } from '../../support/memory-database.ts';

const ROUND_MS = 1_000;
const modules = {
  clock: new SystemClock(),
  random: new SystemRandom(),
  logger: new NoopLogger(),
  metrics: new NoopMetricsRegistry(),
};

async function openBeacon(chain: LiteLocalChain, database: MemoryDatabase) {
  const stack = new AsyncDisposableStack();
  const { genesis, url } = chain.status();
  const pool = stack.use(new EndpointPool(modules, { genesis, rpcUrls: [url] }));
  const beacon = stack.use(
    new ChainBeacon(
      { ...modules, database, blocks: new ChainBlockSource({ pool }, { genesis }) },
      { networkId: 'lab', roundMs: ROUND_MS, epochRounds: 2, genesis, pollIntervalMs: 50 },
    ),
  );
  return { beacon, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describe('the beacon of a local chain', () => {
  it('is what its blocks say, for every node the same, and called predictable', async ({ signal }) => {
    await using chain = new LiteLocalChain(modules, { directory: null, port: 0, slotMs: 20 });
    await chain.start({ signal });
    await using one = await openBeacon(chain, new MemoryDatabase());
    await using two = await openBeacon(chain, new MemoryDatabase());
    const round = one.beacon.roundAt(Date.now());
    const [first, second] = await Promise.all([
      one.beacon.value(round, { signal }),
      two.beacon.value(round, { signal }),
    ]);
    expect(second).toEqual(first);
    const { block, value } = first;
    expect(block?.timeMs).toBeGreaterThanOrEqual(one.beacon.startOfRound(round));
    expect(value).toEqual(computeChainBeacon({ networkId: 'lab', round }, block?.blockHash ?? new Uint8Array()));
    expect(first.isPredictable).toBe(true);
  });

  it('that is gone leaves what is known, and a reason', async ({ signal }) => {
    const database = new MemoryDatabase();
    const chain = new LiteLocalChain(modules, { directory: null, port: 0, slotMs: 20 });
    await chain.start({ signal });
    await using node = await openBeacon(chain, database);
    const round = node.beacon.roundAt(Date.now());
    const known = await node.beacon.value(round, { signal });
    await chain[Symbol.asyncDispose]();
    expect(await node.beacon.value(round, { signal })).toEqual(known);
    await expect(node.beacon.value(round - 1, { signal })).rejects.toMatchObject({ code: 'BEACON_UNAVAILABLE' });
    expect(node.beacon.status()).toMatchObject({
      latestKnown: { round },
      problem: { code: expect.stringMatching(/^CHAIN_/) },
    });
  });
});
