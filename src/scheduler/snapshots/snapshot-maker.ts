import type { SnapshotEntry, SnapshotKey, SnapshotStore, SnapshotWriter } from '../../blob/interface.ts';
import type { JobId, LeaseId } from '../../domain/ids.ts';
import { areBytesEqual } from '../../lib/bytes.ts';
import { sha256 } from '../../lib/cid.ts';
import { sealPiece } from '../../proofs/snapshot-seal.ts';
import { DIGEST_BYTES } from '../../proofs/state-pieces.ts';
import type { StateCheckpoint } from '../../sandbox/interface.ts';
import { encodeSnapshotOf, type SnapshotContent } from './encode-snapshot.ts';
import { SnapshotError } from './errors.ts';

export interface SnapshotMakerOptions {
  readonly job: JobId;
  readonly lease: LeaseId;
  /** The job's snapshot key; null makes snapshots that are not sealed. */
  readonly key: Uint8Array | null;
}

/** A snapshot being made at a checkpoint: what an order asks of the program. Dispose in any case. */
export interface SnapshotTask extends AsyncDisposable {
  /** Pieces that are not here yet, by their place, ascending. */
  readonly wanted: readonly number[];
  /** @throws SnapshotError SNAPSHOT_INVALID unless the bytes are that piece; BlobError BLOB_DISK_FULL, SNAPSHOT_STORE_FULL */
  readonly receive: (place: number, bytes: Uint8Array) => Promise<void>;
  /** Durable when it resolves. */
  readonly complete: () => Promise<SnapshotEntry>;
}

/** Makes the snapshots of one attempt in the provider's own store, one at a time. */
export class SnapshotMaker {
  readonly #store: Pick<SnapshotStore, 'begin' | 'collect'>;
  readonly #options: SnapshotMakerOptions;
  /** SHA-256 of sealed pieces of the latest state, by that of the piece. */
  #sealed = new Map<string, Uint8Array>();

  constructor(modules: { readonly store: Pick<SnapshotStore, 'begin' | 'collect'> }, options: SnapshotMakerOptions) {
    this.#store = modules.store;
    this.#options = options;
  }

  /** @throws BlobError SNAPSHOT_STORE_FULL: the program goes on without a snapshot here */
  async begin(checkpoint: StateCheckpoint, options: { readonly keptUntilMs: number }): Promise<SnapshotTask> {
    const key: SnapshotKey = { role: 'provider', lease: this.#options.lease, step: checkpoint.step };
    if (this.#options.key !== null) return await this.#beginSealed(checkpoint, this.#options.key, { key, ...options });
    const snapshot = encodeSnapshotOf(this.#describe(checkpoint, checkpoint.pieces));
    return createOpenTask(await this.#store.begin(key, snapshot, options));
  }

  #describe({ step, stateRoot, state }: StateCheckpoint, items: Uint8Array): SnapshotContent {
    const { job, key } = this.#options;
    return { job, step, stateRoot, state, items, key };
  }

  async #beginSealed(
    checkpoint: StateCheckpoint,
    sealKey: Uint8Array,
    { key, keptUntilMs }: { readonly key: SnapshotKey; readonly keptUntilMs: number },
  ): Promise<SnapshotTask> {
    const { pieces } = checkpoint;
    const collector = await this.#store.collect(key, { keptUntilMs });
    const items = new Uint8Array(pieces.length);
    const wanted: number[] = [];
    const sealed = new Map<string, Uint8Array>();
    for (let place = 0; place < pieces.length / DIGEST_BYTES; place += 1) {
      const name = nameOf(digestAt(pieces, place));
      const item = this.#sealed.get(name);
      if (item === undefined || !collector.hold(item)) wanted.push(place);
      else {
        items.set(item, place * DIGEST_BYTES);
        sealed.set(name, item);
      }
    }
    const receive = async (place: number, bytes: Uint8Array): Promise<void> => {
      const digest = digestAt(pieces, place);
      if (!areBytesEqual(sha256(bytes), digest)) throw notThatPiece(place);
      const item = await collector.add(sealPiece(sealKey, digest, bytes));
      items.set(item, place * DIGEST_BYTES);
      sealed.set(nameOf(digest), item);
    };
    const complete = async (): Promise<SnapshotEntry> => {
      const entry = await collector.commit(encodeSnapshotOf(this.#describe(checkpoint, items)));
      this.#sealed = sealed;
      return entry;
    };
    return { wanted, receive, complete, [Symbol.asyncDispose]: () => collector[Symbol.asyncDispose]() };
  }
}

function createOpenTask(writer: SnapshotWriter): SnapshotTask {
  return {
    wanted: writer.missing,
    receive: (place, bytes) => writer.add(place, bytes),
    complete: () => writer.commit(),
    [Symbol.asyncDispose]: () => writer[Symbol.asyncDispose](),
  };
}

function notThatPiece(place: number): SnapshotError {
  return new SnapshotError({ code: 'SNAPSHOT_INVALID', reason: `the bytes given for piece ${place} are others` });
}

function nameOf(digest: Uint8Array): string {
  return Buffer.from(digest.buffer, digest.byteOffset, digest.length).toString('latin1');
}

function digestAt(digests: Uint8Array, place: number): Uint8Array {
  return digests.subarray(place * DIGEST_BYTES, (place + 1) * DIGEST_BYTES);
}
