import { afterEach, describe, expect, it } from 'vitest';
import type { SnapshotEntry } from '../../../../src/blob/interface.ts';
import type { BlobId, JobId, PeerKey } from '../../../../src/domain/ids.ts';
import type { BlobRequest, BlobResponse } from '../../../../src/domain/messages.ts';
import { encodeObject } from '../../../../src/domain/object-type.ts';
import { SNAPSHOT } from '../../../../src/domain/snapshot.ts';
import { concatBytes } from '../../../../src/lib/bytes.ts';
import { computeObjectCid, computeRawCid, sha256 } from '../../../../src/lib/cid.ts';
import type { PeerTransport } from '../../../../src/network/interface.ts';
import { sealPiece } from '../../../../src/proofs/snapshot-seal.ts';
import { encodeSnapshotOf } from '../../../../src/scheduler/snapshots/encode-snapshot.ts';
import { readResumeState } from '../../../../src/scheduler/snapshots/read-pieces.ts';
import type { FetchProgress, SnapshotFetchRequest } from '../../../../src/scheduler/snapshots/snapshot-fetcher.ts';
import { SnapshotMaker } from '../../../../src/scheduler/snapshots/snapshot-maker.ts';
import { TransportMesh } from '../../../support/fake-transport.ts';
import { ManualClock, settleTasks, until } from '../../../support/manual-clock.ts';
import { identityOf } from '../../../support/requester-rig.ts';
import { type SnapshotNode, type SnapshotNodeSetup, startSnapshotNode } from '../../../support/snapshot-node.ts';
import { makeSnapshot, memoryStateOf, type ProgramState } from '../../../support/snapshot-states.ts';
import { itemOf, leaseOf, TEST_JOB } from '../../../support/snapshots.ts';

const KEY = new Uint8Array(32).fill(9);
/** The store and the protocol know no pages: shorter ones are faster. */
const PAGE = 1_500;
const WHOLE_PAGE = 65_536;
const LEASE = leaseOf(1);
const OTHER_JOB = computeObjectCid(new Uint8Array([7])).toString() as JobId;
/** More than one request's worth. */
const PAGES = 150;
const pagesOf = (count: number, { salt = 0, pageBytes = PAGE } = {}): Uint8Array[] =>
  Array.from({ length: count }, (_, index) => itemOf(salt * 10_000 + index, pageBytes));

let nodes: SnapshotNode[] = [];
afterEach(async () => {
  for (const node of nodes.reverse()) await node[Symbol.asyncDispose]();
  nodes = [];
});

const peers: Promise<readonly PeerKey[]> = Promise.all([1, 2, 3].map(async (seed) => (await identityOf(seed)).peer));

async function start(setup: Partial<SnapshotNodeSetup> = {}) {
  const clock = new ManualClock();
  const mesh = new TransportMesh(clock);
  const [first, second, third] = (await peers) as [PeerKey, PeerKey, PeerKey];
  const provider = await startSnapshotNode({ mesh, clock, peer: first });
  const holder = await startSnapshotNode({ mesh, clock, peer: second, ...setup });
  nodes.push(provider, holder);
  return { clock, mesh, provider, holder, third };
}

/** A state in the provider's store, granted to the holder. */
async function provide(provider: SnapshotNode, to: PeerKey, state: ProgramState, key: Uint8Array | null = null) {
  const maker = new SnapshotMaker({ store: provider.store }, { job: TEST_JOB, lease: LEASE, key });
  const { entry } = await makeSnapshot(maker, state);
  provider.grants.grant(to, [entry.reference.blob]);
  return entry;
}

function requestOf(entry: SnapshotEntry, peer: PeerKey, state: ProgramState): SnapshotFetchRequest {
  const { step, stateRoot } = state.checkpoint;
  return {
    peer,
    reference: entry.reference,
    key: { role: 'holder', lease: LEASE, step },
    snapshotKey: null,
    expected: { job: TEST_JOB, step, stateRoot },
    keptUntilMs: 2e15,
  };
}

/** Changes what a peer answers. */
function answering(
  change: (response: BlobResponse, request: BlobRequest, index: number) => BlobResponse | undefined | 'stop' | 'hang',
) {
  return (transport: PeerTransport): PeerTransport => ({
    ...transport,
    handle: (protocol, handler) => transport.handle(protocol, handler),
    request: (peer, protocol, request, options) => transport.request(peer, protocol, request, options),
    stream: async function* (peer, protocol, request, options = {}) {
      let index = 0;
      for await (const response of transport.stream(peer, protocol, request, options)) {
        const changed = change(response as BlobResponse, request as BlobRequest, index);
        index += 1;
        if (changed === 'stop') return;
        if (changed === 'hang') {
          await new Promise((_resolve, reject) => {
            options.signal?.addEventListener('abort', () => reject(options.signal?.reason as Error), { once: true });
          });
        } else if (changed !== undefined) yield changed as typeof response;
      }
    },
  });
}

describe('fetching a snapshot', () => {
  it.each([
    ['as it is', null, null],
    ['sealed, without its key', KEY, null],
    ['sealed, with its key', KEY, KEY],
  ])('brings it over %s', async (_name, makerKey, snapshotKey) => {
    const { provider, holder } = await start();
    const state = memoryStateOf(5, pagesOf(PAGES), itemOf(5_555, 70_000));
    const entry = await provide(provider, holder.peer, state, makerKey);
    const seen: FetchProgress[] = [];
    const fetched = await holder.fetcher.fetch(
      { ...requestOf(entry, provider.peer, state), snapshotKey },
      { onProgress: (progress) => seen.push(progress) },
    );
    expect(fetched).toMatchObject({ items: PAGES + 2, itemsMoved: PAGES + 2, itemsHere: 0, bytesHere: 0 });
    expect(fetched.bytesMoved).toBe(entry.itemBytes + entry.reference.sizeBytes);
    expect(fetched.entry).toMatchObject({ role: 'holder', step: 5, reference: entry.reference });
    expect(holder.store.list({ role: 'holder' })).toEqual([fetched.entry]);
    expect(seen.at(-1)?.itemsMoved).toBe(PAGES + 2);
    expect(seen.length).toBeGreaterThan(PAGES);
    const expected = { job: TEST_JOB, step: 5, stateRoot: state.checkpoint.stateRoot };
    const resume = await readResumeState(holder.store, entry.reference.blob, { key: makerKey, expected });
    let place = 0;
    for await (const piece of resume.pieces) {
      expect(Buffer.compare(piece, state.pieces[place] ?? new Uint8Array())).toBe(0);
      place += 1;
    }
    expect(place).toBe(PAGES + 2);
  });

  it('moves only what is missing', async () => {
    const { provider, holder } = await start();
    const pages = pagesOf(20);
    const first = memoryStateOf(1, pages);
    const second = memoryStateOf(2, [...pages.slice(0, 19), itemOf(999, PAGE)]);
    for (const state of [first, second]) {
      const entry = await provide(provider, holder.peer, state);
      const fetched = await holder.fetcher.fetch(requestOf(entry, provider.peer, state));
      expect(fetched.itemsMoved).toBe(state === first ? 20 : 1);
    }
    const entry = await provide(provider, holder.peer, second);
    expect(await holder.fetcher.fetch(requestOf(entry, provider.peer, second))).toMatchObject({
      itemsMoved: 0,
      bytesMoved: 0,
      bytesHere: 20 * PAGE,
    });
  });

  it('of the same state from several replicas moves it once', async () => {
    const { provider, holder, mesh, clock, third } = await start();
    const other = await startSnapshotNode({ mesh, clock, peer: third });
    nodes.push(other);
    const state = memoryStateOf(1, pagesOf(20));
    const entries = await Promise.all([provider, other].map((node) => provide(node, holder.peer, state)));
    const requests = [provider, other].map((node, index) => ({
      ...requestOf(entries[index] as SnapshotEntry, node.peer, state),
      key: { role: 'holder' as const, lease: leaseOf(index), step: 1 },
      isOwn: ({ lease }: SnapshotEntry) => [leaseOf(0), leaseOf(1)].includes(lease),
    }));
    const fetched = await Promise.all(requests.map((request) => holder.fetcher.fetch(request)));
    expect(fetched.map(({ itemsMoved }) => itemsMoved).toSorted((a, b) => a - b)).toEqual([0, 20]);
    expect(holder.store.list({})).toHaveLength(2);
  });

  it('is refused without a grant, and for a snapshot that is not there', async () => {
    const { provider, holder } = await start();
    const state = memoryStateOf(1, pagesOf(2));
    const maker = new SnapshotMaker({ store: provider.store }, { job: TEST_JOB, lease: LEASE, key: null });
    const { entry } = await makeSnapshot(maker, state);
    const request = requestOf(entry, provider.peer, state);
    const refused = { code: 'SNAPSHOT_NOT_SERVED', retryable: true };
    await expect(holder.fetcher.fetch(request)).rejects.toMatchObject(refused);
    provider.grants.grant(holder.peer, [entry.reference.blob]);
    await provider.store.release(entry);
    await expect(holder.fetcher.fetch(request)).rejects.toMatchObject(refused);
    expect(holder.store.usage()).toMatchObject({ snapshots: 0, bytes: 0 });
  });

  it('ends when the peer lets go of it midway', async () => {
    const { provider, holder } = await start();
    const state = memoryStateOf(1, pagesOf(PAGES));
    const entry = await provide(provider, holder.peer, state);
    let hasReleased = false;
    const fetching = holder.fetcher.fetch(requestOf(entry, provider.peer, state), {
      onProgress: ({ itemsMoved }) => {
        if (itemsMoved < 20 || hasReleased) return;
        hasReleased = true;
        void provider.store.release(entry);
      },
    });
    await expect(fetching).rejects.toMatchObject({ code: 'SNAPSHOT_NOT_SERVED' });
  });

  const flip = (bytes: Uint8Array): Uint8Array => bytes.map((byte, index) => (index === 0 ? byte ^ 1 : byte));
  const cases: readonly (readonly [string, Parameters<typeof answering>[0]])[] = [
    [
      'an item of other bytes',
      (response, _request, index) =>
        response.kind === 'items' && index === 1 ? { ...response, items: response.items.map(flip) } : response,
    ],
    [
      'items in another order',
      (response) => (response.kind === 'items' ? { ...response, items: [...response.items].reverse() } : response),
    ],
    ['fewer items', (response, _request, index) => (index === 1 ? 'stop' : response)],
    [
      'more items',
      (response) =>
        response.kind === 'items' && response.items.length < 8
          ? { ...response, items: [...response.items, ...response.items.slice(0, 2)] }
          : response,
    ],
    [
      'a chunk in place of items',
      (response) => (response.kind === 'items' ? { kind: 'chunk', sizeBytes: 1, bytes: new Uint8Array(1) } : response),
    ],
  ];
  it.each(cases)('refuses %s, and takes the rest from another peer', async (_name, change) => {
    const { provider, holder } = await start({
      wrap: (transport) => {
        const bad = answering(change)(transport);
        return { ...bad, stream: (...args) => (isBad ? bad : transport).stream(...args) } as PeerTransport;
      },
    });
    let isBad = true;
    const state = memoryStateOf(1, pagesOf(PAGES));
    const entry = await provide(provider, holder.peer, state);
    const request = requestOf(entry, provider.peer, state);
    await expect(holder.fetcher.fetch(request)).rejects.toMatchObject({
      code: expect.stringMatching(/^SNAPSHOT_(INVALID|NOT_SERVED)$/),
    });
    expect(holder.store.list({})).toEqual([]);
    isBad = false;
    expect((await holder.fetcher.fetch(request)).entry.reference).toEqual(entry.reference);
  });

  it('refuses a snapshot of another state, step or job, and a sealed item that is no piece of it', async () => {
    const { provider, holder } = await start();
    const state = memoryStateOf(1, pagesOf(3));
    const entry = await provide(provider, holder.peer, state);
    const request = requestOf(entry, provider.peer, state);
    const invalid = { code: 'SNAPSHOT_INVALID' };
    const wrongRoot = { ...request, expected: { ...request.expected, stateRoot: new Uint8Array(32) } };
    await expect(holder.fetcher.fetch(wrongRoot)).rejects.toMatchObject(invalid);
    const wrongStep = { ...request, expected: { ...request.expected, step: 2 } };
    await expect(holder.fetcher.fetch(wrongStep)).rejects.toMatchObject(invalid);
    const wrongSeal = { ...request, expected: { ...request.expected, sealed: true } };
    await expect(holder.fetcher.fetch(wrongSeal)).rejects.toMatchObject(invalid);
    const wrongSize = { ...request, reference: { ...request.reference, sizeBytes: request.reference.sizeBytes - 1 } };
    await expect(holder.fetcher.fetch(wrongSize)).rejects.toMatchObject(invalid);
    const sealedEntry = await provide(provider, holder.peer, state, KEY);
    const otherKey = { ...requestOf(sealedEntry, provider.peer, state), snapshotKey: new Uint8Array(32) };
    await expect(holder.fetcher.fetch(otherKey)).rejects.toMatchObject(invalid);
    expect(holder.store.list({})).toEqual([]);
  });

  it('refuses an object of another hash, although it is a snapshot', async () => {
    const { provider, holder } = await start({
      wrap: (transport) => ({
        handle: (protocol, handler) => transport.handle(protocol, handler),
        stream: (...args) => transport.stream(...args),
        request: async (...args) => {
          const response = (await transport.request(...args)) as BlobResponse;
          return (response.kind === 'chunk' ? { ...response, bytes: flipLast(response.bytes) } : response) as never;
        },
      }),
    });
    const flipLast = (bytes: Uint8Array): Uint8Array => bytes.with(200, (bytes[200] ?? 0) ^ 1);
    const state = memoryStateOf(1, pagesOf(3));
    const entry = await provide(provider, holder.peer, state, KEY);
    await expect(holder.fetcher.fetch(requestOf(entry, provider.peer, state))).rejects.toMatchObject({
      code: 'SNAPSHOT_INVALID',
      info: { reason: 'its object has another hash' },
    });
  });

  it('finds a sealed item that is no piece of the state as it comes, with the key', async () => {
    const { provider, holder } = await start();
    const state = memoryStateOf(1, pagesOf(2));
    const swapped = [...state.pieces].reverse().map((piece) => sealPiece(KEY, sha256(piece), piece));
    const items = concatBytes(...swapped.map((item) => sha256(item)));
    const snapshot = encodeSnapshotOf({ ...state.checkpoint, job: TEST_JOB, items, key: KEY });
    const key = { role: 'provider', lease: LEASE, step: 1 } as const;
    await using writer = await provider.store.begin(key, snapshot, { keptUntilMs: 2e15 });
    for (const [place, item] of swapped.entries()) await writer.add(place, item);
    const entry = await writer.commit();
    provider.grants.grant(holder.peer, [entry.reference.blob]);
    const request = requestOf(entry, provider.peer, state);
    await expect(holder.fetcher.fetch({ ...request, snapshotKey: KEY })).rejects.toMatchObject({
      code: 'SNAPSHOT_INVALID',
    });
    // Without the key nobody can tell.
    expect(await holder.fetcher.fetch(request)).toMatchObject({ items: 2 });
  });

  it('goes on where a connection broke, from the same or another peer', async () => {
    const { provider, holder, mesh, clock, third } = await start();
    const other = await startSnapshotNode({ mesh, clock, peer: third });
    nodes.push(other);
    const state = memoryStateOf(1, pagesOf(PAGES));
    const [entry] = await Promise.all([provider, other].map((node) => provide(node, holder.peer, state)));
    const request = requestOf(entry as SnapshotEntry, provider.peer, state);
    let moved = 0;
    const breaking = holder.fetcher.fetch(request, {
      onProgress: ({ itemsMoved }) => {
        moved = itemsMoved;
        if (itemsMoved === 40) mesh.cut(provider.peer);
      },
    });
    await expect(breaking).rejects.toMatchObject({ code: 'NETWORK_CONNECTION_LOST' });
    expect(holder.store.list({})).toEqual([]);
    await expect(holder.fetcher.fetch(request)).rejects.toMatchObject({ code: 'NETWORK_UNREACHABLE' });
    const wrongState = { ...request, expected: { ...request.expected, stateRoot: new Uint8Array(32) } };
    await expect(holder.fetcher.fetch({ ...wrongState, peer: other.peer })).rejects.toMatchObject({
      code: 'SNAPSHOT_INVALID',
    });
    const sentBefore = mesh.sent.length;
    const fetched = await holder.fetcher.fetch({ ...request, peer: other.peer });
    expect(fetched.itemsHere).toBe(moved);
    expect(fetched.itemsMoved).toBe(PAGES - moved);
    // Not even the object is asked for again.
    expect(mesh.sent.length - sentBefore).toBe(Math.ceil((PAGES - moved) / 64));
  });

  it('lets go of what broke off when nobody comes for it', async () => {
    const { provider, holder, mesh, clock } = await start();
    const state = memoryStateOf(1, pagesOf(60, { pageBytes: WHOLE_PAGE }));
    const entry = await provide(provider, holder.peer, state);
    const breaking = holder.fetcher.fetch(requestOf(entry, provider.peer, state), {
      onProgress: ({ itemsMoved }) => itemsMoved === 40 && mesh.cut(provider.peer),
    });
    await expect(breaking).rejects.toMatchObject({ code: 'NETWORK_CONNECTION_LOST' });
    expect(holder.disk.names).toHaveLength(1);
    await clock.advance(119_000);
    expect(holder.disk.names).toHaveLength(1);
    await clock.advance(2_000);
    expect(holder.disk.names).toEqual([]);
  });

  it('is given up when nothing comes any more, and not while something does', async () => {
    const { provider, holder, clock } = await start({
      wrap: answering((response, _request, index) => (index === 3 ? 'hang' : response)),
    });
    const state = memoryStateOf(1, pagesOf(60));
    const entry = await provide(provider, holder.peer, state);
    let last = 0;
    const stalled = holder.fetcher
      .fetch(requestOf(entry, provider.peer, state), { onProgress: ({ itemsMoved }) => (last = itemsMoved) })
      .catch((error: unknown) => error);
    await until(() => last === 24);
    await clock.advance(14_000);
    expect(await Promise.race([stalled, settleTasks().then(() => 'waiting')])).toBe('waiting');
    await clock.advance(2_000);
    expect(await stalled).toMatchObject({ code: 'SNAPSHOT_STALLED', retryable: true });
  });

  it('is not given up while something comes, however slowly', async () => {
    const slow: { clock?: ManualClock } = {};
    const { provider, holder, clock } = await start({
      wrap: (transport) => ({
        handle: (protocol, handler) => transport.handle(protocol, handler),
        request: (...args) => transport.request(...args),
        stream: async function* (...args) {
          for await (const response of transport.stream(...args)) {
            await new Promise<void>((resolve) => slow.clock?.schedule(10_000, resolve));
            yield response;
          }
        },
      }),
    });
    slow.clock = clock;
    const state = memoryStateOf(1, pagesOf(40));
    const entry = await provide(provider, holder.peer, state);
    let isDone = false;
    const fetching = holder.fetcher.fetch(requestOf(entry, provider.peer, state)).finally(() => {
      isDone = true;
    });
    fetching.catch(() => undefined);
    for (let turn = 0; turn < 10 && !isDone; turn += 1) await clock.advance(10_000);
    expect(await fetching).toMatchObject({ itemsMoved: 40, durationMs: 50_000 });
  });

  it('passes an abort on and leaves nothing running', async () => {
    const { provider, holder } = await start();
    const state = memoryStateOf(1, pagesOf(PAGES));
    const entry = await provide(provider, holder.peer, state);
    const controller = new AbortController();
    const aborted = holder.fetcher.fetch(requestOf(entry, provider.peer, state), {
      signal: controller.signal,
      onProgress: ({ itemsMoved }) => itemsMoved === 30 && controller.abort(),
    });
    await expect(aborted).rejects.toMatchObject({ name: 'AbortError' });
    expect(holder.store.list({})).toEqual([]);
  });

  it('keeps to the caller’s limit and to the store’s', async () => {
    const { provider, holder } = await start({ maxBytes: 50 * WHOLE_PAGE });
    const state = memoryStateOf(1, pagesOf(60, { pageBytes: WHOLE_PAGE }));
    const entry = await provide(provider, holder.peer, state);
    const request = requestOf(entry, provider.peer, state);
    await expect(holder.fetcher.fetch({ ...request, maxNewBytes: 50 * WHOLE_PAGE })).rejects.toMatchObject({
      code: 'SNAPSHOT_TOO_LARGE',
    });
    await expect(holder.fetcher.fetch(request)).rejects.toMatchObject({ code: 'SNAPSHOT_STORE_FULL' });
    const sealedState = memoryStateOf(2, pagesOf(40, { salt: 5, pageBytes: WHOLE_PAGE }));
    const sealed = await provide(provider, holder.peer, sealedState, KEY);
    const sealedRequest = { ...requestOf(sealed, provider.peer, sealedState), maxNewBytes: 10 * WHOLE_PAGE };
    await expect(holder.fetcher.fetch(sealedRequest)).rejects.toMatchObject({ code: 'SNAPSHOT_TOO_LARGE' });
    const huge = { ...request, reference: { ...request.reference, sizeBytes: 15 * 2 ** 20 } };
    await expect(holder.fetcher.fetch(huge)).rejects.toMatchObject({ code: 'SNAPSHOT_TOO_LARGE' });
    expect(holder.store.list({})).toEqual([]);
    expect(holder.disk.names).toEqual([]);
  });

  it('on a full disk leaves nothing behind and works again later', async () => {
    const { provider, holder } = await start();
    const state = memoryStateOf(1, pagesOf(30));
    const entry = await provide(provider, holder.peer, state);
    const request = requestOf(entry, provider.peer, state);
    holder.disk.isFull = true;
    await expect(holder.fetcher.fetch(request)).rejects.toMatchObject({ code: 'BLOB_DISK_FULL' });
    expect(holder.disk.names).toEqual([]);
    holder.disk.isFull = false;
    expect(await holder.fetcher.fetch(request)).toMatchObject({ itemsMoved: 30 });
  });
});

describe('handing out items', () => {
  it('answers frames of at most eight, and not-found at what the snapshot does not have', async () => {
    const { provider, holder } = await start();
    const state = memoryStateOf(1, pagesOf(20));
    const { reference } = await provide(provider, holder.peer, state);
    const ask = async (items: number[]): Promise<BlobResponse[]> => {
      const frames: BlobResponse[] = [];
      const request = { op: 'items' as const, snapshot: reference.blob, items };
      for await (const frame of holder.transport.stream(provider.peer, 'blob', request)) frames.push(frame);
      return frames;
    };
    const frames = await ask(Array.from({ length: 20 }, (_, index) => 19 - index));
    expect(frames.map((frame) => (frame.kind === 'items' ? frame.items.length : 0))).toEqual([8, 8, 4]);
    const [first] = frames;
    if (first?.kind !== 'items') throw new TypeError('no items');
    expect(sha256(first.items[0] ?? new Uint8Array())).toEqual(sha256(state.pieces[19] ?? new Uint8Array()));
    expect((await ask([20])).map(({ kind }) => kind)).toEqual(['not-found']);
    expect((await ask([0, 20])).map(({ kind }) => kind)).toEqual(['not-found']);
  });

  it('ends when the snapshot is released, also for who was reading it', async () => {
    const { provider, holder } = await start();
    const entry = await provide(provider, holder.peer, memoryStateOf(1, pagesOf(3)));
    const read = { op: 'read' as const, blob: entry.reference.blob, offset: 0, maxBytes: 100 };
    const ask = () => holder.transport.request(provider.peer, 'blob', read);
    expect(await ask()).toMatchObject({ kind: 'chunk', sizeBytes: entry.reference.sizeBytes });
    await provider.store.release(entry);
    expect(await ask()).toEqual({ kind: 'not-found' });
  });

  it('reads no further ahead than the frame that was asked for', async () => {
    const { provider, holder } = await start();
    const { reference } = await provide(provider, holder.peer, memoryStateOf(1, pagesOf(64)));
    let reads = 0;
    const read = provider.disk.read.bind(provider.disk);
    provider.disk.read = (name, position, length) => {
      reads += 1;
      return read(name, position, length);
    };
    const request = { op: 'items' as const, snapshot: reference.blob, items: Array.from({ length: 64 }, (_, i) => i) };
    const frames = holder.transport.stream(provider.peer, 'blob', request)[Symbol.asyncIterator]();
    await frames.next();
    await settleTasks();
    expect(reads).toBeLessThanOrEqual(1 + 8);
    await frames.return?.();
  });

  describe('of somebody else’s job that is held here', () => {
    /** A holder with a snapshot, and a peer that knows of it what is public. */
    async function startTheft() {
      const { provider, holder, mesh, clock, third } = await start();
      const thief = await startSnapshotNode({ mesh, clock, peer: third });
      nodes.push(thief);
      const state = memoryStateOf(1, pagesOf(3));
      const entry = await provide(provider, holder.peer, state);
      await holder.fetcher.fetch(requestOf(entry, provider.peer, state));
      const own = { role: 'holder' as const, lease: leaseOf(7), step: 1 };
      return { holder, thief, state, entry, own };
    }

    it('is not had by its id', async () => {
      const { holder, thief, state, entry, own } = await startTheft();
      const request = { ...requestOf(entry, thief.peer, state), key: own };
      await expect(holder.fetcher.fetch(request)).rejects.toThrow(/does not hand out/);
      expect(holder.store.list({ lease: own.lease })).toEqual([]);
    });

    it('is not had by the hash of a piece', async () => {
      const { holder, thief, state, own } = await startTheft();
      const { step, stateRoot, state: body, pieces } = state.checkpoint;
      // The thief has the object of a state of the same pages, and none of these.
      const snapshot = encodeSnapshotOf({ job: TEST_JOB, step, stateRoot, state: body, items: pieces, key: null });
      const bytes = encodeObject(SNAPSHOT, { ...snapshot, job: OTHER_JOB, sealed: true });
      const blob = computeRawCid(bytes).toString() as BlobId;
      thief.transport.handle('blob', async function* (request) {
        if (request.op === 'read') yield { kind: 'chunk', sizeBytes: bytes.length, bytes };
        else yield { kind: 'not-found' };
      });
      const request = {
        peer: thief.peer,
        reference: { blob, sizeBytes: bytes.length },
        key: own,
        snapshotKey: null,
        expected: { job: OTHER_JOB, step },
        keptUntilMs: 2e15,
      };
      await expect(holder.fetcher.fetch(request)).rejects.toThrow(/does not hand out/);
      expect(holder.store.list({ lease: own.lease })).toEqual([]);
    });

    it('is had by who has all of it', async () => {
      const { holder, thief, state, own } = await startTheft();
      const entry = await provide(thief, holder.peer, state);
      const fetched = await holder.fetcher.fetch({ ...requestOf(entry, thief.peer, state), key: own });
      expect(fetched).toMatchObject({ itemsMoved: 3, itemsHere: 0 });
      expect(holder.store.usage().snapshots).toBe(1);
    });
  });

  it('takes no bytes from who is not granted the snapshot, although it knows its id', async () => {
    const { provider, holder } = await start();
    const state = memoryStateOf(1, pagesOf(3));
    const maker = new SnapshotMaker({ store: provider.store }, { job: TEST_JOB, lease: LEASE, key: null });
    const { reference } = (await makeSnapshot(maker, state)).entry;
    const kinds: string[] = [];
    const read = { op: 'read' as const, blob: reference.blob, offset: 0, maxBytes: 100 };
    const items = { op: 'items' as const, snapshot: reference.blob, items: [0] };
    for (const request of [read, items]) {
      for await (const { kind } of holder.transport.stream(provider.peer, 'blob', request)) kinds.push(kind);
    }
    expect(kinds).toEqual(['not-found', 'not-found']);
  });
});
