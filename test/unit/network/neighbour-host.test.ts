import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FixedBeacon } from '../../../src/beacon/computed-beacon.ts';
import type { PeerKey } from '../../../src/domain/ids.ts';
import type { NodeRecord } from '../../../src/domain/node-record.ts';
import type { Signed } from '../../../src/domain/signed.ts';
import type { Identity } from '../../../src/identity/interface.ts';
import { BackgroundTasks } from '../../../src/network/background-tasks.ts';
import { NeighbourHost } from '../../../src/network/neighbour-host.ts';
import type { AutonomousSystems } from '../../../src/network/neighbours/ports.ts';
import { LevelNeighbourStore } from '../../../src/network/neighbours/stored/level-neighbour-store.ts';
import type { NetworkOptions } from '../../../src/network/options.ts';
import { PeerPenalties } from '../../../src/network/peers/peer-penalties.ts';
import { TransportMesh } from '../../support/fake-transport.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { MemoryDatabase } from '../../support/memory-database.ts';
import { CountingRandom, createPeer, createVrfKey } from '../../support/neighbour-rig.ts';
import { createTestIdentity, RecordingLogger, RecordingMetrics } from '../../support/network.ts';
import { signNodeRecord } from '../../support/record-builder.ts';

const EPOCHS = { networkId: 'test', roundMs: 30_000, epochRounds: 120, seed: new Uint8Array(32) };
const logger = new RecordingLogger();

let clock: ManualClock;
let mesh: TransportMesh;
let database: MemoryDatabase;
let identity: Identity;
let template: Signed<NodeRecord>;
let host: NeighbourHost;
beforeEach(async () => {
  clock = new ManualClock();
  mesh = new TransportMesh(clock);
  database = new MemoryDatabase();
  identity = await createTestIdentity();
  template = await signNodeRecord(identity, clock.nowMs());
});
afterEach(() => host.stop());

async function start(preset: NetworkOptions['preset'], autonomousSystems?: AutonomousSystems): Promise<void> {
  host = new NeighbourHost(
    {
      identity,
      database,
      beacon: new FixedBeacon({ clock }, EPOCHS),
      autonomousSystems,
      clock,
      random: new CountingRandom('host'),
      logger,
      registry: new RecordingMetrics(),
      transport: mesh.join(identity.peer),
      book: { isConnected: () => true, get: () => undefined, list: () => [] },
      penalties: new PeerPenalties(clock),
      background: new BackgroundTasks(logger, () => false),
      intake: { take: async () => ({ kind: 'accept' }) },
      exchange: { ask: async () => undefined },
      ownRecord: () => template,
      running: () => null,
      onPenalty: () => undefined,
    },
    {
      networkId: 'test',
      preset,
      listen: [],
      announce: [],
      bootstrap: [],
      mdns: false,
      preSharedKey: null,
      recordTtlMs: 600_000,
      software: 'test',
    },
  );
  await host.start();
}

/** A node that takes every claim, whose record has just come in. */
function meet(name: string, address = '/ip4/203.0.113.1/tcp/1'): PeerKey {
  const peer = createPeer(name);
  mesh.join(peer).handle('neighbour', async function* () {
    yield { kind: 'accepted', networkSize: 20 };
  });
  const value = { ...template.value, peer, vrfPublicKey: createVrfKey(name), addresses: [address] };
  host.noteRecord({ ...template, value }, 'somebody');
  return peer;
}

describe('the neighbours of a daemon with a table of autonomous systems', () => {
  it.each([
    ['production', 4],
    ['development', 8],
    ['local', 8],
  ] as const)('are, on %s, at most %i of one system', async (preset, expected) => {
    await start(preset, { find: () => 64_500 });
    for (let index = 0; index < 20; index += 1) meet(`node ${index}`, `/ip4/203.0.${index}.1/tcp/1`);
    await clock.advance(20_000);
    const { outbound, neighbours } = host.neighbours.status();
    expect(outbound).toBe(expected);
    for (const { groups } of neighbours) expect(groups).toContain('asn AS64500');
  });
});

/** What a daemon would find that is started after this one was killed. */
async function findStored(): Promise<readonly string[]> {
  const store = new LevelNeighbourStore({ database: database.clone(), logger });
  return (await store.loadCandidates()).candidates.map(({ peer }) => peer);
}

describe('the ages of candidates, for a daemon that is killed', () => {
  it('are on disk five minutes after the first that was not', async () => {
    await start('local');
    await clock.advance(20_000);
    const first = meet('first');
    await clock.advance(200_000);
    const second = meet('second');
    await clock.advance(90_000);
    expect(await findStored()).toEqual([]);
    await clock.advance(20_000);
    expect((await findStored()).toSorted()).toEqual([first, second].toSorted());
  });

  it('are on disk at once when many are new', async () => {
    await start('local');
    await clock.advance(20_000);
    for (let index = 0; index < 63; index += 1) meet(`node ${index}`);
    await clock.advance(1_000);
    expect(await findStored()).toEqual([]);
    meet('one more');
    await clock.advance(10);
    expect(await findStored()).toHaveLength(64);
  });

  it('are all on disk when it is stopped instead, and no timer is left', async () => {
    await start('local');
    const peer = meet('first');
    await host.stop();
    expect(await findStored()).toEqual([peer]);
    expect(clock.pending).toBe(0);
  });
});
