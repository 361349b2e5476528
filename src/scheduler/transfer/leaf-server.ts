import type { BlobTransferStore } from '../../blob/interface.ts';
import { BLOB_LEAF_BYTES, describeShape, measureLeaf } from '../../domain/blob-shape.ts';
import type { BlobId, PeerKey } from '../../domain/ids.ts';
import { type BlobRequest, type BlobResponse } from '../../domain/messages.ts';
import type { Clock } from '../../lib/clock.ts';
import type { MetricsRegistry } from '../../telemetry/interface.ts';
import {
  CROWDED_TAKE_RATE,
  LEAF_PART_BYTES,
  LEAST_TAKE_RATE,
  MAX_LEAF_ANSWERS,
  MAX_LEAF_ANSWERS_PER_PEER,
  MAX_PUBLIC_LEAF_ANSWERS,
} from './constants.ts';
import { TransferError } from './errors.ts';
import { createLeafServerMetrics, type LeafServerMetrics } from './metrics.ts';

export interface LeafServerModules {
  readonly blobs: Pick<BlobTransferStore, 'stat' | 'read' | 'readNode' | 'partialLeaves'>;
  readonly clock: Clock;
  readonly metrics: MetricsRegistry;
}

export interface LeafServerOptions {
  /** Most bytes of one frame. */
  readonly partBytes: number;
  readonly maxAnswers: number;
  /** Of them to peers that no grant names. */
  readonly maxPublicAnswers: number;
  readonly maxAnswersPerPeer: number;
  readonly leastTakeRate: TakeRate;
  /** Of those that no grant names, while there are as many as may be. */
  readonly crowdedTakeRate: TakeRate;
}

interface TakeRate {
  readonly bytesPerSecond: number;
  readonly graceMs: number;
}

const DEFAULTS: LeafServerOptions = {
  partBytes: LEAF_PART_BYTES,
  maxAnswers: MAX_LEAF_ANSWERS,
  maxPublicAnswers: MAX_PUBLIC_LEAF_ANSWERS,
  maxAnswersPerPeer: MAX_LEAF_ANSWERS_PER_PEER,
  leastTakeRate: LEAST_TAKE_RATE,
  crowdedTakeRate: CROWDED_TAKE_RATE,
};

type Request<Op extends BlobRequest['op']> = Extract<BlobRequest, { op: Op }>;

interface Part {
  readonly leaf: number;
  readonly offset: number;
  readonly length: number;
}

interface Asker {
  readonly peer: PeerKey;
  readonly signal: AbortSignal;
  /** Whether a grant names the blob for it, and not just anybody may have it. */
  readonly isGranted: boolean;
}

const NOT_FOUND = { kind: 'not-found' } as const;

/**
 * Hands out what is here of a blob, whole or in part. Who may have it was judged before. Strangers, who get what is public,
 * take up at most a part of what it does at a time: names cost them nothing, and leases wait for the rest.
 */
export class LeafServer {
  readonly #blobs: LeafServerModules['blobs'];
  readonly #clock: Clock;
  readonly #metrics: LeafServerMetrics;
  readonly #options: LeafServerOptions;
  readonly #answersOf = new Map<PeerKey, number>();
  #answers = 0;
  #publicAnswers = 0;

  constructor(modules: LeafServerModules, options: Partial<LeafServerOptions> = {}) {
    this.#blobs = modules.blobs;
    this.#clock = modules.clock;
    this.#metrics = createLeafServerMetrics(modules.metrics);
    this.#options = { ...DEFAULTS, ...options };
  }

  async stat({ blob }: Request<'stat'>): Promise<BlobResponse> {
    const held = await this.#find(blob);
    if (held === undefined) return NOT_FOUND;
    const { sizeBytes, leaves } = held;
    return { kind: 'stat', sizeBytes, ...(leaves === undefined ? {} : { leaves }) };
  }

  async node({ blob, level, index }: Request<'node'>): Promise<BlobResponse> {
    const bytes = await this.#blobs.readNode(blob, { level, index });
    return bytes === undefined ? NOT_FOUND : { kind: 'node', bytes };
  }

  /** The leaves up to the first that is not here, each part read while the one before is sent. */
  async *leaves(request: Request<'leaves'>, asker: Asker): AsyncGenerator<BlobResponse> {
    using _answer = this.#begin(asker);
    const held = await this.#find(request.blob);
    if (held === undefined) {
      yield NOT_FOUND;
      return;
    }
    const parts = [...listParts(request, held.sizeBytes, this.#options.partBytes)];
    const startedMs = this.#clock.monotonicMs();
    let sentBytes = 0;
    let ahead = this.#read(request.blob, parts[0]);
    for (const [index, part] of parts.entries()) {
      const bytes = await ahead;
      if (asker.signal.aborted) return;
      ahead = bytes === undefined ? ahead : this.#read(request.blob, parts[index + 1]);
      if (bytes?.length !== part.length) {
        yield NOT_FOUND;
        return;
      }
      yield { kind: 'leaf-part', leaf: part.leaf, bytes };
      sentBytes += bytes.length;
      this.#metrics.bytesSent.increment({}, bytes.length);
      this.#assertTaken(request.blob, asker, { elapsedMs: this.#clock.monotonicMs() - startedMs, sentBytes });
    }
    if (parts.length === 0) yield NOT_FOUND;
  }

  /** Fails later, when its turn comes. */
  #read(blob: BlobId, part: Part | undefined): Promise<Uint8Array | undefined> {
    if (part === undefined) return Promise.resolve(undefined);
    const reading = this.#blobs.read(blob, part.offset, part.length);
    reading.catch(() => undefined);
    return reading;
  }

  async #find(blob: BlobId): Promise<{ readonly sizeBytes: number; readonly leaves?: Uint8Array } | undefined> {
    return (await this.#blobs.stat(blob)) ?? this.#blobs.partialLeaves(blob);
  }

  /** @throws TransferError TRANSFER_BUSY */
  #begin({ peer, isGranted }: Asker): Disposable {
    const { maxAnswers, maxAnswersPerPeer } = this.#options;
    const ofPeer = this.#answersOf.get(peer) ?? 0;
    if (this.#answers >= maxAnswers || ofPeer >= maxAnswersPerPeer || (!isGranted && this.#isCrowded)) {
      this.#metrics.refused.increment({ code: 'TRANSFER_BUSY' });
      throw new TransferError({ code: 'TRANSFER_BUSY', running: this.#answers });
    }
    const publicAnswers = isGranted ? 0 : 1;
    this.#answers += 1;
    this.#publicAnswers += publicAnswers;
    this.#answersOf.set(peer, ofPeer + 1);
    return {
      [Symbol.dispose]: () => {
        this.#answers -= 1;
        this.#publicAnswers -= publicAnswers;
        const left = (this.#answersOf.get(peer) ?? 1) - 1;
        if (left > 0) this.#answersOf.set(peer, left);
        else this.#answersOf.delete(peer);
      },
    };
  }

  get #isCrowded(): boolean {
    return this.#publicAnswers >= this.#options.maxPublicAnswers;
  }

  /** Who takes too slowly gives its place to others. @throws TransferError TRANSFER_NOT_TAKEN */
  #assertTaken(
    blob: BlobId,
    { peer, isGranted }: Asker,
    { elapsedMs, sentBytes }: { readonly elapsedMs: number; readonly sentBytes: number },
  ): void {
    const { leastTakeRate, crowdedTakeRate } = this.#options;
    const { bytesPerSecond, graceMs } = !isGranted && this.#isCrowded ? crowdedTakeRate : leastTakeRate;
    if (elapsedMs <= graceMs || sentBytes >= (elapsedMs / 1000) * bytesPerSecond) return;
    this.#metrics.refused.increment({ code: 'TRANSFER_NOT_TAKEN' });
    throw new TransferError({ code: 'TRANSFER_NOT_TAKEN', blob, peer });
  }
}

function* listParts(request: Request<'leaves'>, sizeBytes: number, partBytes: number): Generator<Part> {
  const shape = describeShape(sizeBytes);
  const end = Math.min(request.first + request.count, shape.leafCount);
  for (let leaf = request.first; leaf < end; leaf++) {
    const leafBytes = measureLeaf(shape, leaf);
    for (let within = 0; within < leafBytes; within += partBytes) {
      const length = Math.min(partBytes, leafBytes - within);
      yield { leaf, offset: leaf * BLOB_LEAF_BYTES + within, length };
    }
  }
}
