import { describe, expect, it } from 'vitest';
import { BlobError } from '../../../../src/blob/errors.ts';
import type { BlobStat } from '../../../../src/blob/interface.ts';
import { RECEIPT } from '../../../../src/domain/receipt.ts';
import { openSigned } from '../../../../src/proofs/signed-object.ts';
import { HeapBlobStore } from '../../../support/provider-blobs.ts';
import { ScriptedExecutor } from '../../../support/provider-executor.ts';
import { type AnswerLog, leaseIdOf, ProviderRig } from '../../../support/provider-rig.ts';

const FILE_BYTES = 100_000;

/** Evicts all that is not pinned before each put, as a store does that is full of what is used more. */
class TightBlobStore extends HeapBlobStore {
  readonly #maxBytes: number;

  constructor(maxBytes: number) {
    super();
    this.#maxBytes = maxBytes;
  }

  override async put(bytes: Uint8Array): Promise<BlobStat> {
    const pinned = new Set(this.pinned);
    for (const blob of this.blobs.keys()) if (!pinned.has(blob)) this.blobs.delete(blob);
    const heldBytes = [...this.blobs.values()].reduce((sum, { length }) => sum + length, 0);
    if (heldBytes + bytes.length > this.#maxBytes) {
      throw new BlobError({ code: 'BLOB_NO_ROOM', sizeBytes: bytes.length, maxBytes: this.#maxBytes });
    }
    return await super.put(bytes);
  }
}

/** A program with three large files, in a store that has room for so many. */
async function runInStore(files: number) {
  const outputs = [1, 2, 3].map((byte) => ({ path: `/out/${byte}`, bytes: new Uint8Array(FILE_BYTES).fill(byte) }));
  const blobs = new TightBlobStore(files * FILE_BYTES);
  const executor = new ScriptedExecutor(undefined, (execution) => execution.finish({ outputs }));
  const rig = await ProviderRig.start({ blobs, executor });
  const requester = await rig.requester();
  const work = await requester.prepare();
  const log = requester.lease(work);
  await log.done;
  return { blobs, requester, leases: work.leases.map(leaseIdOf), result: await resultOf(log) };
}

async function resultOf(log: AnswerLog) {
  const last = log.events.at(-1)?.event;
  if (last?.kind !== 'receipt') throw new TypeError(`the last event is ${last?.kind}`);
  return (await openSigned(RECEIPT, last.receipt)).value.result;
}

describe('outputs that the store evicts others for', () => {
  it('stay until the result that names them is dropped', async () => {
    const { blobs, requester, leases, result } = await runInStore(3);
    const named = result.outputs.map(({ blob }) => blob);
    expect(result.outcome).toEqual({ kind: 'completed' });
    expect([...blobs.blobs.keys()]).toEqual(expect.arrayContaining(named));
    expect([...blobs.pins].filter(([, count]) => count !== 1)).toEqual([]);
    await requester.sendOne({ op: 'close', leases });
    expect(blobs.pinned).toEqual([]);
  });

  it('are named by no result where they do not fit together, and pin nothing', async () => {
    const { blobs, result } = await runInStore(2);
    expect(result.outcome).toMatchObject({ kind: 'attempt-failed', detail: expect.stringContaining('BLOB_NO_ROOM') });
    expect(result.outputs).toEqual([]);
    expect(blobs.pinned).toEqual([]);
  });
});
