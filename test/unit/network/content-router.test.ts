import { EventTypes } from '@libp2p/kad-dht';
import { peerIdFromString } from '@libp2p/peer-id';
import { describe, expect, it } from 'vitest';
import { BlobId } from '../../../src/domain/ids.ts';
import { computeRawId } from '../../../src/lib/cid.ts';
import { PROVIDE_REFRESH_MS } from '../../../src/network/constants.ts';
import { type ContentOutlets, ContentRouter } from '../../../src/network/discovery/content-router.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { ALICE, BOB } from '../../support/stream-harness.ts';

const BLOB = BlobId(computeRawId(new Uint8Array([1])));
const OTHER = BlobId(computeRawId(new Uint8Array([2])));

/** A DHT of which a test says how many take a record and who provides what. */
class ScriptedDht {
  readonly told: string[] = [];
  readonly cancelled: string[] = [];
  takers = 1;
  providers: readonly string[] = [];

  async *provide(cid: { toString(): string }) {
    this.told.push(cid.toString());
    for (let taker = 0; taker < this.takers; taker++) {
      yield { type: EventTypes.PEER_RESPONSE, messageName: 'ADD_PROVIDER' };
    }
  }

  async *findProviders() {
    yield { type: EventTypes.SEND_QUERY };
    for (const peer of this.providers) {
      yield { type: EventTypes.PROVIDER, providers: [{ id: peerIdFromString(peer), multiaddrs: [] }] };
    }
  }

  async cancelReprovide(cid: { toString(): string }) {
    this.cancelled.push(cid.toString());
  }
}

function create() {
  const clock = new ManualClock();
  const dht = new ScriptedDht();
  const router = new ContentRouter({ self: ALICE, clock, logger: new NoopLogger() });
  const controller = new AbortController();
  const outlets = { dht, noteAddresses: async () => undefined, signal: controller.signal } as unknown as ContentOutlets;
  return { clock, dht, router, outlets, controller };
}

describe('providing', () => {
  it('tells what was asked for before the network ran, and again in good time', async () => {
    const { clock, dht, router, outlets } = create();
    router.provide(BLOB);
    await clock.advance(1_000);
    expect(dht.told).toEqual([]);
    router.attach(outlets);
    await clock.advance(1_000);
    expect(dht.told).toEqual([BLOB]);
    await clock.advance(PROVIDE_REFRESH_MS);
    expect(dht.told).toEqual([BLOB, BLOB]);
    router.detach();
    expect(clock.pending).toBe(0);
  });

  it('tries again while nobody takes it, ever less often', async () => {
    const { clock, dht, router, outlets } = create();
    dht.takers = 0;
    router.attach(outlets);
    router.provide(BLOB);
    await clock.advance(60_000);
    expect(dht.told.length).toBe(4);
    dht.takers = 1;
    await clock.advance(60_000);
    const told = dht.told.length;
    await clock.advance(PROVIDE_REFRESH_MS / 2);
    expect(dht.told.length).toBe(told);
  });

  it('ends with the last that wants it', async () => {
    const { clock, dht, router, outlets } = create();
    router.attach(outlets);
    const [first, second] = [router.provide(BLOB), router.provide(BLOB)];
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    expect(dht.cancelled).toEqual([]);
    second[Symbol.dispose]();
    expect(dht.cancelled).toEqual([BLOB]);
    router.provide(OTHER);
    await clock.advance(2 * PROVIDE_REFRESH_MS);
    expect(dht.told.filter((cid) => cid === BLOB)).toEqual([]);
  });
});

describe('finding', () => {
  const collect = async (router: ContentRouter, limit: number): Promise<string[]> => {
    const found: string[] = [];
    for await (const peer of router.findProviders(BLOB, { limit })) found.push(peer);
    return found;
  };

  it('gives others, each once, and no more than asked for', async () => {
    const { dht, router, outlets } = create();
    dht.providers = [ALICE, BOB, BOB];
    expect(await collect(router, 8)).toEqual([]);
    router.attach(outlets);
    expect(await collect(router, 8)).toEqual([BOB]);
    expect(await collect(router, 0)).toEqual([]);
  });

  it('ends when the network does', async () => {
    const { dht, router, outlets, controller } = create();
    dht.findProviders = async function* () {
      yield { type: EventTypes.PROVIDER, providers: [{ id: peerIdFromString(BOB), multiaddrs: [] }] };
      throw new TypeError('the query broke off');
    };
    router.attach(outlets);
    expect(await collect(router, 8)).toEqual([BOB]);
    controller.abort();
    dht.findProviders = new ScriptedDht().findProviders;
    expect(await collect(router, 8)).toEqual([]);
  });
});
