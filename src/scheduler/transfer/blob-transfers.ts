import { createHash } from 'node:crypto';
import { BlobError } from '../../blob/errors.ts';
import type { BlobTransferStore } from '../../blob/interface.ts';
import { BLOB_LEAF_BYTES, type BlobShape, describeShape } from '../../domain/blob-shape.ts';
import { isTreeId } from '../../domain/blob-tree.ts';
import type { BlobId, PeerKey } from '../../domain/ids.ts';
import { raceSignal } from '../../lib/abort.ts';
import { formatRawId } from '../../lib/cid.ts';
import type { Clock } from '../../lib/clock.ts';
import { describeError } from '../../lib/errors.ts';
import type { PeerTransport } from '../../network/interface.ts';
import type { MetricsRegistry } from '../../telemetry/interface.ts';
import { fetchChunks } from '../blob-fetcher.ts';
import { TransferError } from './errors.ts';
import type { BlobFetching, BlobFetchRequest, FetchedBlob, FetchOptions } from './interface.ts';
import { ProofSink } from './leaf-sink.ts';
import { createTransferMetrics, type TransferMetrics } from './metrics.ts';
import { TRANSFER_DEFAULTS, type TransferOptions } from './options.ts';
import { SuppliedLeaves } from './supplied-leaves.ts';
import { createSwarm, TreeTransfer } from './tree-transfer.ts';

export interface BlobTransfersModules {
  readonly transport: Pick<PeerTransport, 'request' | 'stream'>;
  readonly blobs: BlobTransferStore;
  readonly clock: Clock;
  readonly metrics: MetricsRegistry;
}

/** All blobs that are on their way to this node. One for a node: requester and provider share it. */
export class BlobTransfers implements BlobFetching, AsyncDisposable {
  readonly #modules: BlobTransfersModules;
  readonly #options: TransferOptions;
  readonly #metrics: TransferMetrics;
  readonly #supplied = new SuppliedLeaves();
  /** By blob and size: who names a wrong size shares nothing with those that name the right one. */
  readonly #running = new Map<string, TreeTransfer>();
  readonly #controller = new AbortController();
  #fetches = 0;

  constructor(modules: BlobTransfersModules, options: Partial<TransferOptions> = {}) {
    this.#modules = modules;
    this.#options = { ...TRANSFER_DEFAULTS, ...options };
    this.#metrics = createTransferMetrics(modules.metrics);
  }

  async fetchBlob(request: BlobFetchRequest, options: FetchOptions = {}): Promise<FetchedBlob> {
    options.signal?.throwIfAborted();
    const startedMs = this.#modules.clock.monotonicMs();
    const { blob, sizeBytes } = request;
    const isHeld = (await this.#modules.blobs.stat(blob))?.sizeBytes === sizeBytes;
    let bytesMoved = 0;
    if (isHeld) await this.#keepPrivate(request);
    if (!isHeld || request.provenBy !== undefined) {
      bytesMoved = await this.#counted(() => this.#fetch(request, options));
    }
    // It may have come by the transfer of somebody who wanted it in plain.
    if (!isHeld) await this.#keepPrivate(request);
    return { blob, sizeBytes, bytesMoved, durationMs: this.#modules.clock.monotonicMs() - startedMs };
  }

  /** Encrypts what is here in plain, if it is to be private. */
  async #keepPrivate({ blob, sizeBytes, isPrivate }: BlobFetchRequest): Promise<void> {
    if (isPrivate === true) await this.#modules.blobs.receive(blob, sizeBytes, nothing(), { isPrivate });
  }

  /** Ends all transfers; what arrived is kept. */
  async stop(): Promise<void> {
    const reason = new TransferError({ code: 'TRANSFER_STOPPED' });
    this.#controller.abort(reason);
    const running = [...this.#running.values()];
    for (const transfer of running) transfer.stop(reason);
    await Promise.allSettled(running.map(({ done }) => done));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #counted(fetch: () => Promise<number>): Promise<number> {
    if (this.#controller.signal.aborted) throw new TransferError({ code: 'TRANSFER_STOPPED' });
    const { maxTransfers } = this.#options;
    if (this.#fetches >= maxTransfers) throw new TransferError({ code: 'TRANSFER_BUSY', running: this.#fetches });
    this.#fetches += 1;
    this.#metrics.running.set(this.#fetches);
    let outcome = 'failed';
    try {
      const moved = await fetch();
      outcome = 'fetched';
      return moved;
    } finally {
      this.#fetches -= 1;
      this.#metrics.running.set(this.#fetches);
      this.#metrics.ended.increment({ outcome });
    }
  }

  async #fetch(request: BlobFetchRequest, options: FetchOptions): Promise<number> {
    if (!isTreeId(request.blob)) return await this.#fetchWhole(request, options);
    const shape = describeTreeShape(request);
    const moved = await this.#fetchTree(request, shape, options);
    return moved + (await this.#prove(request, shape, options));
  }

  /** Joins the transfer of this blob, or begins it. */
  async #fetchTree(request: BlobFetchRequest, shape: BlobShape, options: FetchOptions): Promise<number> {
    const { blob, sizeBytes } = request;
    const key = `${blob}/${sizeBytes}`;
    let known: TreeTransfer | undefined;
    for (;;) {
      if ((await this.#modules.blobs.stat(blob))?.sizeBytes === sizeBytes) return 0;
      known = this.#running.get(key);
      if (known?.hasEnded !== true) break;
      await settled(known.done, options.signal);
    }
    const transfer = known ?? this.#begin(key, { blob, shape, isPrivate: request.isPrivate ?? false });
    await transfer.join(request, options);
    return known === undefined ? transfer.bytesMoved : 0;
  }

  #begin(
    key: string,
    options: { readonly blob: BlobId; readonly shape: BlobShape; readonly isPrivate: boolean },
  ): TreeTransfer {
    if (this.#controller.signal.aborted) throw new TransferError({ code: 'TRANSFER_STOPPED' });
    const { blobs: store, transport, clock } = this.#modules;
    const modules = { transport, clock, metrics: this.#metrics, store, supplied: this.#supplied };
    const transfer = new TreeTransfer(modules, { ...this.#options, ...options });
    this.#running.set(key, transfer);
    const forget = (): void => {
      if (this.#running.get(key) === transfer) this.#running.delete(key);
    };
    transfer.done.then(forget, forget);
    return transfer;
  }

  /** Has the peer send the leaves that it has not sent yet, and compares them with those that are here. */
  async #prove(request: BlobFetchRequest, shape: BlobShape, options: FetchOptions): Promise<number> {
    const { blob, provenBy } = request;
    if (provenBy === undefined) return 0;
    const supplied = this.#supplied.of(provenBy, blob, shape.leafCount);
    if (supplied.isWhole) return 0;
    const { blobs: store, transport, clock } = this.#modules;
    const sink = new ProofSink({ store, supplied }, { blob, shape });
    const modules = { transport, clock, metrics: this.#metrics };
    const swarm = createSwarm(modules, { ...this.#options, blob, sink }, options.onProgress ?? (() => undefined));
    const signals = [this.#controller.signal, ...(options.signal === undefined ? [] : [options.signal])];
    const onAbort = (): void => {
      for (const { aborted, reason } of signals) if (aborted) swarm.stop(reason as Error);
    };
    for (const signal of signals) signal.addEventListener('abort', onAbort, { once: true });
    onAbort();
    try {
      swarm.addSource(provenBy);
      await swarm.run();
    } finally {
      for (const signal of signals) signal.removeEventListener('abort', onAbort);
    }
    return swarm.bytesMoved;
  }

  /** A blob without a tree comes whole, from one source after the other. */
  async #fetchWhole(request: BlobFetchRequest, options: FetchOptions): Promise<number> {
    const { blob, provenBy } = request;
    const errors: Error[] = [];
    const reasons: string[] = [];
    const sources = provenBy === undefined ? request.sources : [provenBy];
    for await (const peer of sources) {
      try {
        return await this.#fetchWholeFrom(peer, request, options);
      } catch (error) {
        options.signal?.throwIfAborted();
        if (!(error instanceof Error) || isOwnFault(error)) throw error;
        errors.push(error);
        reasons.push(`${peer}: ${describeError(error)}`);
      }
    }
    const [first, second] = errors;
    if (first !== undefined && second === undefined) throw first;
    const reason = reasons.join('; ').slice(0, 500) || 'no peer to ask';
    throw new TransferError({ code: 'TRANSFER_NO_SOURCE', blob, reason }, { cause: errors.at(-1) });
  }

  async #fetchWholeFrom(peer: PeerKey, request: BlobFetchRequest, options: FetchOptions): Promise<number> {
    const { blobs, transport } = this.#modules;
    const { blob, sizeBytes } = request;
    const hash = createHash('sha256');
    let moved = 0;
    const count = async function* (chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      for await (const chunk of chunks) {
        hash.update(chunk);
        moved += chunk.length;
        options.onProgress?.({ sizeBytes, bytesHere: moved, bytesMoved: moved, sources: 1 });
        yield chunk;
      }
    };
    const chunks = count(fetchChunks({ transport }, { peer, blob, sizeBytes }, options));
    if ((await blobs.stat(blob)) === undefined) {
      await blobs.receive(blob, sizeBytes, chunks, { isPrivate: request.isPrivate ?? false });
    }
    // A store takes a blob that it has as received without looking: who must prove it sends it all the same.
    if (request.provenBy !== undefined && moved < sizeBytes) for await (const _chunk of chunks);
    if (request.provenBy !== undefined && formatRawId(hash.digest()) !== (blob as string)) {
      throw new TransferError({ code: 'TRANSFER_LIED', blob, peer, reason: 'its hash is another' });
    }
    return moved;
  }
}

/** However it ends: another's failure is nobody else's. */
async function settled(task: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  const end = task.catch(() => undefined);
  await (signal === undefined ? end : raceSignal(end, signal));
}

async function* nothing(): AsyncGenerator<Uint8Array> {}

function describeTreeShape({ blob, sizeBytes }: BlobFetchRequest): BlobShape {
  if (sizeBytes <= BLOB_LEAF_BYTES) throw new TransferError({ code: 'TRANSFER_BAD_SIZE', blob, sizeBytes });
  try {
    return describeShape(sizeBytes);
  } catch (cause) {
    throw new TransferError({ code: 'TRANSFER_BAD_SIZE', blob, sizeBytes }, { cause });
  }
}

/** A full or failing disk of ours is no fault of a peer's. */
function isOwnFault(error: Error): boolean {
  return error instanceof BlobError && error.code !== 'BLOB_MISMATCH';
}
