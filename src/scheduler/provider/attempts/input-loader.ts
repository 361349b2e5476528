import { LRUCache } from 'lru-cache';
import type { BlobStore } from '../../../blob/interface.ts';
import type { BlobId, PeerKey } from '../../../domain/ids.ts';
import { MAX_INLINE_BYTES } from '../../../domain/messages.ts';
import { findProgramBlob, listProgramBlobs } from '../../../domain/workload.ts';
import { computeRawId } from '../../../lib/cid.ts';
import type { Clock } from '../../../lib/clock.ts';
import { InternalError } from '../../../lib/errors.ts';
import { IdleCache } from '../../../lib/idle-cache.ts';
import type { ImageSource, InputFile } from '../../../sandbox/interface.ts';
import type { Logger } from '../../../telemetry/interface.ts';
import { sealStore, sealTransfers } from '../../private-blobs.ts';
import type { BlobFetching } from '../../transfer/interface.ts';
import { MAX_SUPPLIED_BLOBS, RECENT_INPUT_BYTES } from '../constants.ts';
import { ProviderError } from '../errors.ts';
import type { Attempt } from './attempt.ts';

/** Of a layer at a time. */
const READ_BYTES = 1024 * 1024;

export interface InputLoaderModules {
  readonly blobs: BlobStore;
  readonly transfers: BlobFetching;
  readonly self: PeerKey;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface LoadedInputs {
  /** Null where the job names none (`findProgramBlob`). */
  readonly module: Uint8Array | null;
  /** Undefined where the job runs none. */
  readonly image: ImageSource | undefined;
  readonly inputs: readonly InputFile[];
}

interface NeededBlob {
  readonly blob: BlobId;
  readonly sizeBytes: number;
}

/**
 * Brings a job's module and inputs into memory: from the lease request, from memory, or from the requester.
 * What the store holds of others is not read for a requester until it has shown that it has the bytes: an id alone,
 * which receipts and bundles publish, must not give a job access to another requester's data.
 */
export class InputLoader implements Disposable {
  readonly #modules: InputLoaderModules;
  readonly #supplied = new LRUCache<string, true>({ max: MAX_SUPPLIED_BLOBS });
  /** Small blobs by requester: what came inline once is not sent again. */
  readonly #recent: IdleCache<string, Uint8Array>;

  constructor(modules: InputLoaderModules) {
    this.#modules = modules;
    this.#recent = new IdleCache(modules, {
      maxBytes: RECENT_INPUT_BYTES,
      maxEntryBytes: MAX_INLINE_BYTES,
      sizeOf: (bytes) => bytes.length + 1,
    });
  }

  [Symbol.dispose](): void {
    this.#recent[Symbol.dispose]();
  }

  /** True if nothing has to be fetched. */
  isAtHand(attempt: Attempt): boolean {
    const { inlineBlobs } = attempt.run.options;
    return listNeeded(attempt).every(
      ({ blob }) => inlineBlobs.has(blob) || this.#recent.has(keyOf(attempt.requester, blob)),
    );
  }

  /** Stores what came inline, for the process that may have to go on after this one. Never rejects. */
  async keep(attempt: Attempt): Promise<void> {
    const { blobs, logger } = this.#modules;
    for (const { blob } of listNeeded(attempt)) {
      const bytes = attempt.run.readInline(blob, isBlob) ?? this.#recent.get(keyOf(attempt.requester, blob));
      if (bytes === undefined) continue;
      try {
        await sealStore(attempt.job.value, blobs).put(bytes);
      } catch (error) {
        logger.warn({ blob, error }, 'an input is not kept: after a restart it has to be fetched again');
      }
    }
  }

  /** The requester has shown that it has these: an attempt of its ran with them before the restart. */
  trust(attempt: Attempt): void {
    for (const { blob } of listNeeded(attempt)) this.#supplied.set(keyOf(attempt.requester, blob), true);
  }

  /** @throws ProviderError; TransferError, SchedulerError, NetworkError, BlobError from the transfer */
  async load(attempt: Attempt, signal: AbortSignal): Promise<LoadedInputs> {
    const { workload, inputs } = attempt.job.value;
    const program = findProgramBlob(workload);
    const module = program === null ? null : await this.#loadBlob(attempt, program, signal);
    const files: InputFile[] = [];
    for (const input of inputs) {
      files.push({ path: input.path, bytes: await this.#loadBlob(attempt, input, signal) });
    }
    return { module, image: await this.#loadImage(attempt, signal), inputs: files };
  }

  /** All of an image is brought here, also where it is unpacked already: that is how a requester shows that it has it. */
  async #loadImage(attempt: Attempt, signal: AbortSignal): Promise<ImageSource | undefined> {
    const { workload } = attempt.job.value;
    if (workload.kind !== 'container') return undefined;
    const [manifest, configuration, ...layers] = listProgramBlobs(workload);
    if (manifest === undefined || configuration === undefined) throw new InternalError('an image has a manifest');
    const documents = {
      manifest: await this.#loadBlob(attempt, manifest, signal),
      configuration: await this.#loadBlob(attempt, configuration, signal),
    };
    for (const layer of layers) await this.#bringLayer(attempt, layer, signal);
    const readLayer = (layer: NeededBlob): AsyncIterable<Uint8Array> => this.#readLayer(attempt, layer);
    return {
      async *open(part) {
        const layer = typeof part === 'number' ? layers[part] : undefined;
        if (typeof part === 'string') yield documents[part];
        else if (layer !== undefined) yield* readLayer(layer);
      },
    };
  }

  /** It stays on disk until the attempt ends: layers need not fit memory. */
  async #bringLayer(attempt: Attempt, layer: NeededBlob, signal: AbortSignal): Promise<void> {
    if (this.#readAtHand(attempt, layer) !== undefined) return;
    attempt.pins.push(this.#modules.blobs.pin(layer.blob));
    await this.#bring(attempt, layer, signal);
  }

  async *#readLayer(attempt: Attempt, layer: NeededBlob): AsyncGenerator<Uint8Array> {
    const atHand = this.#readAtHand(attempt, layer);
    if (atHand !== undefined) {
      yield atHand;
      return;
    }
    for (let offset = 0; offset < layer.sizeBytes; offset += READ_BYTES) {
      const length = Math.min(READ_BYTES, layer.sizeBytes - offset);
      const bytes = await this.#modules.blobs.read(layer.blob, offset, length);
      if (bytes === undefined) {
        const { blob, sizeBytes: expectedBytes } = layer;
        throw new ProviderError({ code: 'PROVIDER_INPUT_SIZE', blob, expectedBytes, foundBytes: offset });
      }
      yield bytes;
    }
  }

  #readAtHand(attempt: Attempt, { blob }: NeededBlob): Uint8Array | undefined {
    return this.#recent.get(keyOf(attempt.requester, blob)) ?? attempt.run.readInline(blob, isBlob);
  }

  async #loadBlob(attempt: Attempt, needed: NeededBlob, signal: AbortSignal): Promise<Uint8Array> {
    const key = keyOf(attempt.requester, needed.blob);
    const bytes = this.#readAtHand(attempt, needed) ?? (await this.#fetch(attempt, needed, signal));
    if (bytes.length !== needed.sizeBytes) {
      const { blob, sizeBytes: expectedBytes } = needed;
      throw new ProviderError({ code: 'PROVIDER_INPUT_SIZE', blob, expectedBytes, foundBytes: bytes.length });
    }
    this.#recent.set(key, bytes);
    return bytes;
  }

  async #fetch(attempt: Attempt, needed: NeededBlob, signal: AbortSignal): Promise<Uint8Array> {
    const { blobs } = this.#modules;
    using _pin = blobs.pin(needed.blob);
    await this.#bring(attempt, needed, signal);
    return await blobs.get(needed.blob, needed.sizeBytes);
  }

  /** To the store; nothing travels of what is there and was shown by this requester before. */
  async #bring(attempt: Attempt, { blob, sizeBytes }: NeededBlob, signal: AbortSignal): Promise<void> {
    const { requester: peer, job } = attempt;
    const { self } = this.#modules;
    const transfers = sealTransfers(job.value, this.#modules.transfers);
    const key = keyOf(peer, blob);
    const proof = peer === self || this.#supplied.has(key) ? {} : { provenBy: peer };
    // No other source: one that grants it to this node for its own job must not serve somebody who has no more than its id.
    await transfers.fetchBlob({ blob, sizeBytes, sources: [peer], ...proof }, { signal });
    this.#supplied.set(key, true);
  }
}

function keyOf(peer: PeerKey, blob: BlobId): string {
  return `${peer}/${blob}`;
}

function listNeeded(attempt: Attempt): readonly NeededBlob[] {
  const { workload, inputs } = attempt.job.value;
  return [...listProgramBlobs(workload), ...inputs];
}

function isBlob(blob: BlobId, bytes: Uint8Array): boolean {
  return computeRawId(bytes) === blob;
}
