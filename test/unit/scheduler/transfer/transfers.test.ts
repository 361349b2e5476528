import { describe, expect, it } from 'vitest';
import { computeBlobId } from '../../../../src/domain/blob-tree.ts';
import type { PeerKey } from '../../../../src/domain/ids.ts';
import type { BlobResponse } from '../../../../src/domain/messages.ts';
import { bytesOfLeaves, fetchRequest, isSame, TransferRig } from '../../../support/transfer-rig.ts';

const BYTES = bytesOfLeaves(6);
const BLOB = computeBlobId(BYTES);

/** Says nothing more until the request is given up. */
async function* silence(signal: AbortSignal): AsyncGenerator<BlobResponse> {
  await new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  yield { kind: 'not-found' };
}

describe('a transfer', () => {
  it('brings a blob of several leaves over, each leaf once', async () => {
    const rig = await TransferRig.create();
    const source = await rig.addPeer(2, BYTES);
    const seen: number[] = [];
    const fetching = rig.transfers.fetchBlob(fetchRequest(BLOB, BYTES, source), {
      onProgress: ({ bytesHere }) => seen.push(bytesHere),
    });
    const fetched = await rig.settle(fetching);
    expect(isSame(rig.store.blobs.get(BLOB), BYTES)).toBe(true);
    expect(fetched.bytesMoved).toBe(BYTES.length);
    expect(rig.store.added.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(seen.at(-1)).toBe(BYTES.length);
    expect(rig.clock.pending).toBe(0);
  });

  it('asks for nothing that is here already', async () => {
    const rig = await TransferRig.create();
    const source = await rig.addPeer(2, BYTES);
    await rig.store.put(BYTES);
    await rig.transfers.fetchBlob(fetchRequest(BLOB, BYTES, source));
    expect(source.asked).toEqual([]);
  });

  it('takes small blobs whole, from the next source if the first does not have it', async () => {
    const rig = await TransferRig.create();
    const small = BYTES.subarray(0, 1000);
    const [empty, source] = [await rig.addPeer(2, null), await rig.addPeer(3, small)];
    await rig.settle(rig.transfers.fetchBlob(fetchRequest(computeBlobId(small), small, empty, source)));
    expect(isSame(rig.store.blobs.get(computeBlobId(small)), small)).toBe(true);
  });

  it('drops a source that sends a wrong leaf, and keeps nothing of it', async () => {
    const rig = await TransferRig.create();
    const [liar, honest] = [await rig.addPeer(2, BYTES), await rig.addPeer(3, BYTES)];
    liar.behave = async function* (_request, answer) {
      for await (const part of answer()) {
        if (part.kind !== 'leaf-part') yield part;
        else yield { ...part, bytes: part.bytes.map((byte, index) => (index === 7 ? byte ^ 1 : byte)) };
      }
    };
    await rig.settle(rig.transfers.fetchBlob(fetchRequest(BLOB, BYTES, liar, honest)));
    expect(isSame(rig.store.blobs.get(BLOB), BYTES)).toBe(true);
    const alone = await TransferRig.create();
    const other = await alone.addPeer(2, BYTES);
    other.behave = liar.behave;
    const fetching = alone.transfers.fetchBlob(fetchRequest(BLOB, BYTES, other));
    await expect(alone.settle(fetching)).rejects.toMatchObject({ code: 'TRANSFER_NO_SOURCE' });
    expect(alone.store.added).toEqual([]);
  });

  it.each([
    ['a node of another blob', 'node'],
    ['another kind of answer', 'kind'],
    ['a leaf out of order', 'order'],
    ['a leaf that is too long', 'long'],
    ['an empty part', 'empty'],
    ['an answer that ends too early', 'early'],
    ['another size', 'size'],
  ])('drops a source that sends %s', async (_name, fault) => {
    const rig = await TransferRig.create();
    const liar = await rig.addPeer(2, BYTES);
    liar.behave = async function* (request, answer) {
      for await (const part of answer()) {
        if (fault === 'size' && part.kind === 'stat') yield { ...part, sizeBytes: part.sizeBytes + 1 };
        else if (fault === 'node' && part.kind === 'node') yield { kind: 'node', bytes: new Uint8Array(40) };
        else if (part.kind !== 'leaf-part') yield part;
        else if (fault === 'kind') yield { kind: 'chunk', sizeBytes: 1, bytes: part.bytes };
        else if (fault === 'order') yield { ...part, leaf: part.leaf + 1 };
        else if (fault === 'empty') yield { ...part, bytes: new Uint8Array() };
        else if (fault === 'early') return;
        else if (fault === 'long') {
          yield part;
          yield part;
          yield part;
        } else yield part;
      }
      expect(request.op).not.toBe('items');
    };
    const fetching = rig.transfers.fetchBlob(fetchRequest(BLOB, BYTES, liar));
    await expect(rig.settle(fetching)).rejects.toMatchObject({ code: 'TRANSFER_NO_SOURCE' });
    expect(rig.store.blobs.size).toBe(0);
  });

  it('makes no room for a blob before its root has come', async () => {
    const rig = await TransferRig.create();
    const liar = await rig.addPeer(2, null);
    liar.behave = async function* (request) {
      if (request.op === 'stat') yield { kind: 'stat', sizeBytes: BYTES.length };
      else yield { kind: 'node', bytes: new Uint8Array(40) };
    };
    const fetching = rig.transfers.fetchBlob(fetchRequest(BLOB, BYTES, liar));
    await expect(rig.settle(fetching)).rejects.toMatchObject({ code: 'TRANSFER_NO_SOURCE' });
    expect(rig.store.partials.size).toBe(0);
  });

  it('goes on where it was, in another process', async () => {
    const rig = await TransferRig.create();
    const source = await rig.addPeer(2, BYTES);
    const stop = new AbortController();
    source.behave = async function* (request, answer, { signal }) {
      if (request.op === 'leaves' && request.first >= 3) yield* silence(signal);
      else yield* answer();
    };
    const first = rig.transfers.fetchBlob(fetchRequest(BLOB, BYTES, source), {
      signal: stop.signal,
      onProgress: ({ bytesHere }) => {
        if (bytesHere >= 3 * 2 ** 20) stop.abort();
      },
    });
    await expect(rig.settle(first)).rejects.toThrow();
    await rig.transfers.stop();
    const had = rig.store.added.length;
    expect(had).toBeGreaterThanOrEqual(3);
    source.behave = null;
    const fetched = await rig.settle(rig.createTransfers().fetchBlob(fetchRequest(BLOB, BYTES, source)));
    expect(rig.store.added.length).toBe(6);
    expect(fetched.bytesMoved).toBeLessThan(BYTES.length - 2 * 2 ** 20);
    expect(isSame(rig.store.blobs.get(BLOB), BYTES)).toBe(true);
  });

  it('sets a source aside that falls silent, and gives its leaves to another', async () => {
    const rig = await TransferRig.create({ stallMs: 1_000 });
    const [staller, honest] = [await rig.addPeer(2, BYTES), await rig.addPeer(3, BYTES)];
    staller.behave = async function* (request, answer, { signal }) {
      if (request.op === 'leaves') yield* silence(signal);
      else yield* answer();
    };
    await rig.settle(rig.transfers.fetchBlob(fetchRequest(BLOB, BYTES, staller, honest)));
    expect(isSame(rig.store.blobs.get(BLOB), BYTES)).toBe(true);
    const alone = rig.transfers.fetchBlob(fetchRequest(BLOB, BYTES, staller));
    await rig.settle(alone);
    rig.store.blobs.clear();
    const stalled = rig.transfers.fetchBlob(fetchRequest(BLOB, BYTES, staller));
    await expect(rig.settle(stalled)).rejects.toMatchObject({ code: 'TRANSFER_NO_SOURCE' });
  });

  it('does not wait for the last leaves of a slow source', async () => {
    const rig = await TransferRig.create({ stallMs: 60_000, leastRate: { bytesPerSecond: 1, graceMs: 600_000 } });
    const [slow, fast] = [await rig.addPeer(2, BYTES), await rig.addPeer(3, BYTES)];
    slow.behave = async function* (request, answer, context) {
      if (request.op === 'leaves') {
        for await (const part of answer()) {
          await new Promise<void>((resolve) => {
            rig.clock.schedule(20_000, resolve);
          });
          if (context.signal.aborted) return;
          yield part;
        }
      } else yield* answer();
    };
    const startedMs = rig.clock.monotonicMs();
    await rig.settle(rig.transfers.fetchBlob(fetchRequest(BLOB, BYTES, slow, fast)));
    expect(rig.clock.monotonicMs() - startedMs).toBeLessThan(20_000);
  });

  it('lets go of a source that drips', async () => {
    const rig = await TransferRig.create({ stallMs: 5_000, leastRate: { bytesPerSecond: 1_000, graceMs: 4_000 } });
    const dripping = await rig.addPeer(2, BYTES);
    dripping.behave = async function* (request, answer) {
      if (request.op !== 'leaves') {
        yield* answer();
        return;
      }
      for (let byte = 0; byte < 1_000; byte++) {
        await new Promise<void>((resolve) => {
          rig.clock.schedule(1_000, resolve);
        });
        yield { kind: 'leaf-part', leaf: request.first, bytes: new Uint8Array(1) };
      }
    };
    const startedMs = rig.clock.monotonicMs();
    const fetching = rig.transfers.fetchBlob(fetchRequest(BLOB, BYTES, dripping));
    await expect(rig.settle(fetching)).rejects.toMatchObject({ code: 'TRANSFER_NO_SOURCE' });
    expect(rig.clock.monotonicMs() - startedMs).toBeLessThan(60_000);
  });

  it('takes each leaf from whom has it', async () => {
    const rig = await TransferRig.create();
    const parts = [await rig.addPeer(2, null), await rig.addPeer(3, null)];
    const whole = await rig.addPeer(4, BYTES);
    for (const [place, part] of parts.entries()) {
      const reception = await part.store.openReception(BLOB, BYTES.length, {});
      const root = { level: 0, index: 0 };
      await reception.addNode(root, (await whole.store.readNode(BLOB, root)) ?? new Uint8Array());
      for (let leaf = place; leaf < 6; leaf += 2) await reception.addLeaf(leaf, leafOf(leaf));
      part.grants.grant(rig.self, [BLOB]);
    }
    await rig.settle(rig.transfers.fetchBlob(fetchRequest(BLOB, BYTES, ...parts)));
    expect(isSame(rig.store.blobs.get(BLOB), BYTES)).toBe(true);
    expect(parts.every(({ asked }) => asked.some(({ op }) => op === 'leaves'))).toBe(true);
  });

  it('survives the loss of sources, also of all but one that comes late', async () => {
    const rig = await TransferRig.create();
    const [dying, late] = [await rig.addPeer(2, BYTES), await rig.addPeer(3, BYTES)];
    const found = Promise.withResolvers<PeerKey>();
    async function* find(): AsyncGenerator<PeerKey> {
      yield dying.peer;
      yield await found.promise;
    }
    const fetching = rig.transfers.fetchBlob(
      { blob: BLOB, sizeBytes: BYTES.length, sources: find() },
      {
        onProgress: ({ bytesMoved }) => {
          if (bytesMoved >= 2 ** 20) rig.mesh.cut(dying.peer);
        },
      },
    );
    await rig.clock.advance(30_000);
    expect(rig.store.blobs.size).toBe(0);
    found.resolve(late.peer);
    await rig.settle(fetching);
    expect(isSame(rig.store.blobs.get(BLOB), BYTES)).toBe(true);
  });

  it('fails by the fault of its own disk at once, and by nobody else', async () => {
    const rig = await TransferRig.create();
    const source = await rig.addPeer(2, BYTES);
    rig.store.failure = new TypeError('the disk is full');
    const fetching = rig.transfers.fetchBlob(fetchRequest(BLOB, BYTES, source));
    await expect(rig.settle(fetching)).rejects.toThrow('the disk is full');
  });

  it('ends with its last waiter, not with the first', async () => {
    const rig = await TransferRig.create();
    const source = await rig.addPeer(2, BYTES);
    const gate = Promise.withResolvers<void>();
    source.behave = async function* (request, answer) {
      if (request.op === 'leaves') await gate.promise;
      yield* answer();
    };
    const stop = new AbortController();
    const request = fetchRequest(BLOB, BYTES, source);
    const [first, second] = [
      rig.transfers.fetchBlob(request, { signal: stop.signal }),
      rig.transfers.fetchBlob(request),
    ];
    await rig.clock.advance(100);
    stop.abort(new TypeError('no longer wanted'));
    await expect(rig.settle(first)).rejects.toThrow('no longer wanted');
    gate.resolve();
    await rig.settle(second);
    expect(rig.store.added.length).toBe(6);
  });

  it.each([0, 1, 2, 4, 8, 16])('is not joined once its last waiter has gone, %i steps ago', async (steps) => {
    const rig = await TransferRig.create();
    const source = await rig.addPeer(2, BYTES);
    let isSilent = true;
    source.behave = async function* (request, answer, { signal }) {
      if (isSilent && request.op === 'leaves') yield* silence(signal);
      else yield* answer();
    };
    const stop = new AbortController();
    const request = fetchRequest(BLOB, BYTES, source);
    const first = rig.transfers.fetchBlob(request, { signal: stop.signal });
    await rig.clock.advance(100);
    isSilent = false;
    stop.abort(new TypeError('no longer wanted'));
    for (let step = 0; step < steps; step++) await Promise.resolve();
    const second = rig.transfers.fetchBlob(request);
    await expect(first).rejects.toThrow('no longer wanted');
    await rig.settle(second);
    expect(isSame(rig.store.blobs.get(BLOB), BYTES)).toBe(true);
  });

  it.each([0, 1, 2, 4])('is not begun for one who has waited %i steps when the node stops', async (steps) => {
    const rig = await TransferRig.create();
    const source = await rig.addPeer(2, BYTES);
    source.behave = async function* (request, answer, { signal }) {
      if (request.op === 'leaves') yield* silence(signal);
      else yield* answer();
    };
    const stop = new AbortController();
    const request = fetchRequest(BLOB, BYTES, source);
    const first = rig.transfers.fetchBlob(request, { signal: stop.signal });
    await rig.clock.advance(100);
    stop.abort(new TypeError('no longer wanted'));
    const second = rig.transfers.fetchBlob(request);
    for (let step = 0; step < steps; step++) await Promise.resolve();
    const refused = expect(first).rejects.toThrow('no longer wanted');
    await Promise.all([
      refused,
      rig.transfers.stop(),
      expect(second).rejects.toMatchObject({ code: 'TRANSFER_STOPPED' }),
    ]);
  });

  it.each([
    ['joins one in plain', [false, true]],
    ['is joined by one in plain', [true, false]],
  ] as const)('ends with an encrypted blob if a private one %s', async (_name, wanted) => {
    const rig = await TransferRig.create();
    const source = await rig.addPeer(2, BYTES);
    const request = fetchRequest(BLOB, BYTES, source);
    await rig.settle(
      Promise.all(wanted.map((isPrivate) => rig.transfers.fetchBlob(isPrivate ? { ...request, isPrivate } : request))),
    );
    expect(rig.store.added.length).toBe(6);
    expect(rig.store.privates).toContain(BLOB);
  });

  it('is not held up by one who names a wrong size of the same blob', async () => {
    const rig = await TransferRig.create({ stallMs: 60_000 });
    const [liar, honest] = [await rig.addPeer(2, null), await rig.addPeer(3, BYTES)];
    liar.behave = async function* (_request, _answer, { signal }) {
      yield* silence(signal);
    };
    const stop = new AbortController();
    const wrong = rig.transfers.fetchBlob(
      { blob: BLOB, sizeBytes: BYTES.length + 5, sources: [liar.peer] },
      { signal: stop.signal },
    );
    await rig.settle(rig.transfers.fetchBlob(fetchRequest(BLOB, BYTES, honest)));
    stop.abort();
    await expect(rig.settle(wrong)).rejects.toThrow();
    expect(isSame(rig.store.blobs.get(BLOB), BYTES)).toBe(true);
  });
});

describe('a proof of possession', () => {
  it('takes every leaf from the peer although the blob is here', async () => {
    const rig = await TransferRig.create();
    const source = await rig.addPeer(2, BYTES);
    await rig.store.put(BYTES);
    const request = { ...fetchRequest(BLOB, BYTES, source), provenBy: source.peer };
    const fetched = await rig.settle(rig.transfers.fetchBlob(request));
    expect(fetched.bytesMoved).toBe(BYTES.length);
    expect((await rig.settle(rig.transfers.fetchBlob(request))).bytesMoved).toBe(0);
  });

  it('is not given by a peer that has only the id', async () => {
    const rig = await TransferRig.create();
    await rig.store.put(BYTES);
    const liar = await rig.addPeer(2, BYTES);
    liar.behave = async function* (_request, answer) {
      for await (const part of answer()) {
        yield part.kind === 'leaf-part' && part.leaf === 5
          ? { ...part, bytes: new Uint8Array(part.bytes.length) }
          : part;
      }
    };
    const fetching = rig.transfers.fetchBlob({ ...fetchRequest(BLOB, BYTES, liar), provenBy: liar.peer });
    await expect(rig.settle(fetching)).rejects.toMatchObject({ code: 'TRANSFER_NO_SOURCE' });
  });

  it('is not given by what another peer sent of the same blob', async () => {
    const rig = await TransferRig.create();
    const [claimant, honest] = [await rig.addPeer(2, null), await rig.addPeer(3, BYTES)];
    claimant.behave = async function* (request) {
      if (request.op === 'stat') yield { kind: 'stat', sizeBytes: BYTES.length };
      else yield { kind: 'not-found' };
    };
    const claimed = rig.transfers.fetchBlob({ ...fetchRequest(BLOB, BYTES, claimant), provenBy: claimant.peer });
    claimed.catch(() => undefined);
    await rig.settle(rig.transfers.fetchBlob(fetchRequest(BLOB, BYTES, honest)));
    await expect(rig.settle(claimed)).rejects.toMatchObject({ code: 'TRANSFER_NO_SOURCE' });
  });

  it('is asked for small blobs too', async () => {
    const rig = await TransferRig.create();
    const small = BYTES.slice(0, 1000);
    const { blob } = await rig.store.put(small);
    const liar = await rig.addPeer(2, null);
    liar.behave = async function* () {
      yield { kind: 'chunk', sizeBytes: 1000, bytes: new Uint8Array(1000) };
    };
    const request = { ...fetchRequest(blob, small, liar), provenBy: liar.peer };
    await expect(rig.settle(rig.transfers.fetchBlob(request))).rejects.toMatchObject({ code: 'TRANSFER_LIED' });
    const honest = await rig.addPeer(3, small);
    await rig.settle(rig.transfers.fetchBlob({ ...fetchRequest(blob, small, honest), provenBy: honest.peer }));
    expect(honest.asked.length).toBe(1);
  });
});

function leafOf(leaf: number): Uint8Array {
  return BYTES.slice(leaf * 2 ** 20, (leaf + 1) * 2 ** 20);
}
