import type { BlobTransferStore } from '../../blob/interface.ts';
import { BLOB_LEAF_BYTES, describeShape, measureLeaf } from '../../domain/blob-shape.ts';
import type { BlobId, PeerKey } from '../../domain/ids.ts';
import { type BlobRequest, type BlobResponse } from '../../domain/messages.ts';
import type { Clock } from '../../lib/clock.ts';
import type { MetricsRegistry } from '../../telemetry/interface.ts';
import { LEAF_PART_BYTES, LEAST_TAKE_RATE, MAX_LEAF_ANSWERS, MAX_LEAF_ANSWERS_PER_PEER } from './constants.ts';
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
  readonly maxAnswersPerPeer: number;
  readonly leastTakeRate: { readonly bytesPerSecond: number; readonly graceMs: number };
}

const DEFAULTS: LeafServerOptions = {
  partBytes: LEAF_PART_BYTES,
  maxAnswers: MAX_LEAF_ANSWERS,
  maxAnswersPerPeer: MAX_LEAF_ANSWERS_PER_PEER,
  leastTakeRate: LEAST_TAKE_RATE,
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
}

const NOT_FOUND = { kind: 'not-found' } as const;

/** Hands out what is here of a blob, whole or in part. Who may have it was judged before. */
export class LeafServer {
  readonly #blobs: LeafServerModules['blobs'];
  readonly #clock: Clock;
  readonly #metrics: LeafServerMetrics;
  readonly #options: LeafServerOptions;
  readonly #answersOf = new Map<PeerKey, number>();
  #answers = 0;

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
  async *leaves(request: Request<'leaves'>, { peer, signal }: Asker): AsyncGenerator<BlobResponse> {
    using _answer = this.#begin(peer);
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
      if (signal.aborted) return;
      ahead = bytes === undefined ? ahead : this.#read(request.blob, parts[index + 1]);
      if (bytes?.length !== part.length) {
        yield NOT_FOUND;
        return;
      }
      yield { kind: 'leaf-part', leaf: part.leaf, bytes };
      sentBytes += bytes.length;
      this.#metrics.bytesSent.increment({}, bytes.length);
      this.#assertTaken({ blob: request.blob, peer }, this.#clock.monotonicMs() - startedMs, sentBytes);
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
  #begin(peer: PeerKey): Disposable {
    const ofPeer = this.#answersOf.get(peer) ?? 0;
    if (this.#answers >= this.#options.maxAnswers || ofPeer >= this.#options.maxAnswersPerPeer) {
      this.#metrics.refused.increment({ code: 'TRANSFER_BUSY' });
      throw new TransferError({ code: 'TRANSFER_BUSY', running: this.#answers });
    }
    this.#answers += 1;
    this.#answersOf.set(peer, ofPeer + 1);
    return {
      [Symbol.dispose]: () => {
        this.#answers -= 1;
        const left = (this.#answersOf.get(peer) ?? 1) - 1;
        if (left > 0) this.#answersOf.set(peer, left);
        else this.#answersOf.delete(peer);
      },
    };
  }

  /** Who takes too slowly gives its place to others. @throws TransferError TRANSFER_NOT_TAKEN */
  #assertTaken(who: { readonly blob: BlobId; readonly peer: PeerKey }, elapsedMs: number, sentBytes: number): void {
    const { bytesPerSecond, graceMs } = this.#options.leastTakeRate;
    if (elapsedMs <= graceMs || sentBytes >= (elapsedMs / 1000) * bytesPerSecond) return;
    this.#metrics.refused.increment({ code: 'TRANSFER_NOT_TAKEN' });
    throw new TransferError({ code: 'TRANSFER_NOT_TAKEN', ...who });
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
