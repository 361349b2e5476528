import { readdir } from 'node:fs/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { SnapshotEntry } from '../../../src/blob/interface.ts';
import { readResumeState } from '../../../src/scheduler/snapshots/read-pieces.ts';
import type { SnapshotFetchRequest } from '../../../src/scheduler/snapshots/snapshot-fetcher.ts';
import { SnapshotMaker } from '../../../src/scheduler/snapshots/snapshot-maker.ts';
import { type SnapshotHost, startSnapshotHost } from '../../support/snapshot-host.ts';
import { makeSnapshot, memoryStateOf, type ProgramState } from '../../support/snapshot-states.ts';
import { itemOf, leaseOf, TEST_JOB } from '../../support/snapshots.ts';

const PAGE = 65_536;
const PAGES = 128;
const KEY = new Uint8Array(32).fill(3);
const LEASE = leaseOf(1);

const closing: AsyncDisposable[] = [];
afterEach(async () => {
  for (const host of closing.splice(0).reverse()) await host[Symbol.asyncDispose]();
});

async function startPair(): Promise<{ provider: SnapshotHost; holder: SnapshotHost }> {
  const provider = await startSnapshotHost();
  const holder = await startSnapshotHost();
  closing.push(provider, holder);
  await holder.node.network.connect(provider.node.address());
  return { provider, holder };
}

const pages = Array.from({ length: PAGES }, (_, index) => itemOf(index, PAGE));

function requestOf(entry: SnapshotEntry, provider: SnapshotHost, state: ProgramState): SnapshotFetchRequest {
  const { step, stateRoot } = state.checkpoint;
  return {
    peer: provider.node.identity.peer,
    reference: entry.reference,
    key: { role: 'holder', lease: LEASE, step },
    snapshotKey: null,
    expected: { job: TEST_JOB, step, stateRoot },
    keptUntilMs: 2e15,
  };
}

describe('snapshots over libp2p', () => {
  it.each([
    ['as they are', null],
    ['sealed', KEY],
  ])('move %s: all of the first, and of the next one what changed', async (_name, key) => {
    const { provider, holder } = await startPair();
    const maker = new SnapshotMaker({ store: provider.store }, { job: TEST_JOB, lease: LEASE, key });
    const moved: number[] = [];
    for (const step of [1, 2]) {
      const state = memoryStateOf(step, pages.with(step, itemOf(1_000 + step, PAGE)));
      const { entry } = await makeSnapshot(maker, state);
      provider.grants.grant(holder.node.identity.peer, [entry.reference.blob]);
      const request = requestOf(entry, provider, state);
      const fetched = await holder.fetcher.fetch(request);
      moved.push(fetched.bytesMoved);
      const { stateRoot } = state.checkpoint;
      const expected = { job: TEST_JOB, step, stateRoot };
      const resume = await readResumeState(holder.store, entry.reference.blob, { key, expected });
      let place = 0;
      for await (const piece of resume.pieces) {
        expect(Buffer.compare(piece, state.pieces[place] ?? new Uint8Array())).toBe(0);
        place += 1;
      }
      expect(place).toBe(PAGES);
    }
    expect(moved[0]).toBeGreaterThan(PAGES * PAGE);
    // Two pages (one goes back to what it was) and the object.
    expect(moved[1]).toBeLessThan(2 * (PAGE + 16) + 10_000);
    expect(await readdir(holder.folder)).toHaveLength(2);
  });

  it('go on after the connection was lost', async () => {
    const { provider, holder } = await startPair();
    const maker = new SnapshotMaker({ store: provider.store }, { job: TEST_JOB, lease: LEASE, key: null });
    const state = memoryStateOf(1, pages);
    const { entry } = await makeSnapshot(maker, state);
    provider.grants.grant(holder.node.identity.peer, [entry.reference.blob]);
    const request = requestOf(entry, provider, state);
    let moved = 0;
    let stopping: Promise<void> | undefined;
    const breaking = holder.fetcher.fetch(request, {
      onProgress: ({ itemsMoved }) => {
        moved = itemsMoved;
        if (itemsMoved >= 20) stopping ??= provider.node.network.stop();
      },
    });
    await expect(breaking).rejects.toMatchObject({ code: expect.stringMatching(/^NETWORK_/) });
    await stopping;
    expect(moved).toBeLessThan(PAGES);
    // The same snapshot from another node that holds it.
    const other = await startSnapshotHost();
    closing.push(other);
    await holder.node.network.connect(other.node.address());
    await makeSnapshot(new SnapshotMaker({ store: other.store }, { job: TEST_JOB, lease: LEASE, key: null }), state);
    other.grants.grant(holder.node.identity.peer, [entry.reference.blob]);
    const fetched = await holder.fetcher.fetch({ ...request, peer: other.node.identity.peer });
    expect(fetched).toMatchObject({ itemsHere: moved, itemsMoved: PAGES - moved });
  });
});
