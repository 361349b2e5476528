import { afterEach, describe, expect, it } from 'vitest';
import type { PeerKey } from '../../../src/domain/ids.ts';
import { encodeSelectionInput } from '../../../src/vrf/selection.ts';
import { JumpClock } from '../../support/jump-clock.ts';
import { startTestNode, TEST_CONTENT, type TestNode, type TestNodeSetup, until } from '../../support/network.ts';

const EPOCH_MS = 3_600_000;

/** On a busy machine a handshake takes seconds. */
const PATIENCE_MS = 60_000;
const SLOTS = 3;

const nodes: TestNode[] = [];
afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node[Symbol.asyncDispose]()));
});

async function start(setup: TestNodeSetup = {}): Promise<TestNode> {
  const node = await startTestNode(setup);
  nodes.push(node);
  await node.network.updateRecord(TEST_CONTENT);
  return node;
}

async function startMany(count: number, clock: JumpClock): Promise<TestNode[]> {
  const common = {
    neighbours: { slots: SLOTS, gatherMs: 500, graceMs: 500, upkeepMs: 1_000 },
    recordTtlMs: 24 * EPOCH_MS,
  };
  const hub = await start({ clock, options: common });
  const options = { ...common, bootstrap: [hub.address()] };
  return [hub, ...(await Promise.all(Array.from({ length: count - 1 }, () => start({ clock, options }))))];
}

const chosen = (node: TestNode): PeerKey[] =>
  node.network.neighbours
    .status()
    .neighbours.flatMap(({ peer, direction }) => (direction === 'outbound' ? [peer] : []));

describe('daemons on loopback', () => {
  it('choose neighbours, turn them over, and heal when some are gone', { timeout: 4 * PATIENCE_MS }, async () => {
    const clock = new JumpClock();
    const mesh = await startMany(7, clock);
    const knowsOf = (node: TestNode) => (peer: PeerKey) =>
      mesh
        .find(({ identity }) => identity.peer === peer)
        ?.network.neighbours.status()
        .neighbours.some((view) => view.direction === 'inbound' && view.peer === node.identity.peer) === true;
    const isFull = (node: TestNode) => (): boolean =>
      chosen(node).length === SLOTS && chosen(node).every(knowsOf(node));
    await Promise.all(mesh.map((node) => until(node, isFull(node), PATIENCE_MS, 'three neighbours that know')));
    const [node] = mesh;
    if (node === undefined) throw new TypeError('unreachable');
    for (const info of node.network.peers.list()) {
      expect(info.neighbour).toBe(node.network.neighbours.isNeighbour(info.peer));
    }
    for (let turn = 0; turn < 3; turn += 1) {
      const before = new Set(chosen(node));
      clock.jump(EPOCH_MS);
      const { epoch } = node.network.neighbours.status();
      const hasTurned = (other: TestNode) => (): boolean =>
        other.network.neighbours.status().chosenAtEpoch === epoch && isFull(other)();
      await Promise.all(mesh.map((other) => until(other, hasTurned(other), PATIENCE_MS, `epoch ${epoch}`)));
      expect(chosen(node).some((peer) => before.has(peer))).toBe(true);
    }
    expect(node.network.neighbours.status()).toMatchObject({ isGenesis: false, networkSize: 7 });

    const gone = mesh.splice(5, 2);
    await Promise.all(gone.map((other) => other[Symbol.asyncDispose]()));
    const lost = new Set(gone.map(({ identity }) => identity.peer));
    const isHealed = (other: TestNode) => (): boolean =>
      chosen(other).length === SLOTS && chosen(other).every((peer) => !lost.has(peer));
    await Promise.all(mesh.map((other) => until(other, isHealed(other), PATIENCE_MS, 'healing')));
    const steps = async (): Promise<boolean> => {
      const [peer] = chosen(node);
      const checks = peer === undefined ? [] : await node.network.neighbours.verify(peer, {});
      return checks.find(({ direction }) => direction === 'outbound')?.isValid === true;
    };
    await expect.poll(steps, { timeout: PATIENCE_MS }).toBe(true);
  });

  it('refuse a false proof, count it, and disconnect whoever goes on with it', {
    timeout: 2 * PATIENCE_MS,
  }, async () => {
    const honest = await start();
    const liar = await start({ options: { bootstrap: [honest.address()] } });
    await until(honest, () => (honest.network.peers.get(liar.identity.peer)?.record ?? null) !== null, PATIENCE_MS);
    const { epoch } = honest.network.neighbours.status();
    const record = liar.network.peers.get(honest.identity.peer)?.record?.wire;
    const own = honest.network.peers.get(liar.identity.peer)?.record?.wire;
    if (record === undefined || own === undefined) throw new TypeError('unreachable');
    const { vrfPublicKey } = liar.identity;
    const claim = { op: 'claim', epoch, vrfPublicKey, record: own } as const;
    const ask = (request: Parameters<typeof liar.network.request<'neighbour'>>[2]) =>
      liar.network.request(honest.identity.peer, 'neighbour', request);
    // Of another network, then none at all, then under another peer's record.
    const input = encodeSelectionInput({ network: 'another', epoch, beacon: new Uint8Array(32) });
    const proof = await liar.identity.proveVrf(input);
    expect(await ask({ ...claim, proof })).toMatchObject({ kind: 'refused', code: 'bad-proof' });
    expect(await ask({ ...claim, proof, record })).toMatchObject({ kind: 'refused', code: 'bad-record' });
    expect(honest.metrics.read('fogproof_neighbour_claims_total', { code: 'bad-proof' })).toBe(1);
    for (let index = 0; index < 3; index += 1) {
      await ask({ ...claim, proof: new Uint8Array(80).fill(index) }).catch(() => undefined);
    }
    await until(honest, () => honest.metrics.read('fogproof_network_bans_total') > 0, PATIENCE_MS, 'a ban');
    expect(honest.network.neighbours.isNeighbour(liar.identity.peer)).not.toBe('inbound');
  });

  it('come back to the same neighbours after a restart', { timeout: 2 * PATIENCE_MS }, async () => {
    const hub = await start();
    const other = await start({ options: { bootstrap: [hub.address()], neighbours: { gatherMs: 100 } } });
    await until(other, () => chosen(other).length === 1, PATIENCE_MS, 'a neighbour');
    const before = other.network.neighbours.status().neighbours.filter(({ direction }) => direction === 'outbound');
    const { identity, database } = other;
    await other.network.stop();
    const again = await start({
      identity,
      database: database.clone(),
      options: { bootstrap: [hub.address()] },
    });
    const after = again.network.neighbours.status().neighbours.filter(({ direction }) => direction === 'outbound');
    expect(after.map(({ peer, rank, sinceMs }) => ({ peer, rank, sinceMs }))).toEqual(
      before.map(({ peer, rank, sinceMs }) => ({ peer, rank, sinceMs })),
    );
    await until(hub, () => hub.network.neighbours.isNeighbour(identity.peer) !== null, PATIENCE_MS);
  });
});
