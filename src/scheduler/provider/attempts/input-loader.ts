import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { BlobStore } from '../../../blob/interface.ts';
import type { BlobId, PeerKey } from '../../../domain/ids.ts';
import { MAX_INLINE_BYTES } from '../../../domain/messages.ts';
import { computeRawId, formatRawId } from '../../../lib/cid.ts';
import type { PeerTransport } from '../../../network/interface.ts';
import type { InputFile } from '../../../sandbox/interface.ts';
import type { Logger } from '../../../telemetry/interface.ts';
import { fetchBlob } from '../../blob-fetcher.ts';
import { MAX_SUPPLIED_BLOBS, RECENT_INPUT_BYTES } from '../constants.ts';
import { ProviderError } from '../errors.ts';
import type { Attempt } from './attempt.ts';

export interface InputLoaderModules {
  readonly blobs: BlobStore;
  readonly transport: Pick<PeerTransport, 'request'>;
  readonly self: PeerKey;
  readonly logger: Logger;
}

export interface LoadedInputs {
  readonly module: Uint8Array;
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
export class InputLoader {
  readonly #modules: InputLoaderModules;
  readonly #supplied = new LRUCache<string, true>({ max: MAX_SUPPLIED_BLOBS });
  /** Small blobs by requester: what came inline once is not sent again. */
  readonly #recent = new LRUCache<string, Uint8Array>({
    maxSize: RECENT_INPUT_BYTES,
    maxEntrySize: MAX_INLINE_BYTES,
    sizeCalculation: (bytes) => bytes.length + 1,
  });

  constructor(modules: InputLoaderModules) {
    this.#modules = modules;
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
        await blobs.put(bytes);
      } catch (error) {
        logger.warn({ blob, error }, 'an input is not kept: after a restart it has to be fetched again');
      }
    }
  }

  /** The requester has shown that it has these: an attempt of its ran with them before the restart. */
  trust(attempt: Attempt): void {
    for (const { blob } of listNeeded(attempt)) this.#supplied.set(keyOf(attempt.requester, blob), true);
  }

  /** @throws ProviderError; SchedulerError, NetworkError, BlobError from the transfer */
  async load(attempt: Attempt, signal: AbortSignal): Promise<LoadedInputs> {
    const { workload, inputs } = attempt.job.value;
    const needed = { blob: workload.module, sizeBytes: workload.moduleSizeBytes };
    const module = await this.#loadBlob(attempt, needed, signal);
    const files: InputFile[] = [];
    for (const input of inputs) {
      files.push({ path: input.path, bytes: await this.#loadBlob(attempt, input, signal) });
    }
    return { module, inputs: files };
  }

  async #loadBlob(attempt: Attempt, needed: NeededBlob, signal: AbortSignal): Promise<Uint8Array> {
    const key = keyOf(attempt.requester, needed.blob);
    const bytes =
      this.#recent.get(key) ??
      attempt.run.readInline(needed.blob, isBlob) ??
      (await this.#fetch(attempt.requester, needed, signal));
    if (bytes.length !== needed.sizeBytes) {
      const { blob, sizeBytes: expectedBytes } = needed;
      throw new ProviderError({ code: 'PROVIDER_INPUT_SIZE', blob, expectedBytes, foundBytes: bytes.length });
    }
    this.#recent.set(key, bytes);
    return bytes;
  }

  async #fetch(peer: PeerKey, { blob, sizeBytes }: NeededBlob, signal: AbortSignal): Promise<Uint8Array> {
    const { blobs, transport, self } = this.#modules;
    using _pin = blobs.pin(blob);
    const key = keyOf(peer, blob);
    const isKnownToHave = peer === self || this.#supplied.has(key);
    const stat = isKnownToHave ? blobs.stat.bind(blobs) : async () => undefined;
    const receive = this.#receive.bind(this);
    await fetchBlob({ transport, blobs: { stat, receive } }, { peer, blob, sizeBytes }, { signal });
    this.#supplied.set(key, true);
    return await blobs.get(blob, sizeBytes);
  }

  /** A store takes a blob that it holds as received without looking; here the bytes must have come all the same. */
  async #receive(blob: BlobId, sizeBytes: number, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const { blobs } = this.#modules;
    if ((await blobs.stat(blob)) === undefined) return await blobs.receive(blob, sizeBytes, chunks);
    const hash = createHash('sha256');
    for await (const chunk of chunks) hash.update(chunk);
    if (formatRawId(hash.digest()) === blob) return;
    throw new ProviderError({ code: 'PROVIDER_INPUT_FORGED', blob });
  }
}

function keyOf(peer: PeerKey, blob: BlobId): string {
  return `${peer}/${blob}`;
}

function listNeeded(attempt: Attempt): readonly NeededBlob[] {
  const { workload, inputs } = attempt.job.value;
  return [{ blob: workload.module, sizeBytes: workload.moduleSizeBytes }, ...inputs];
}

function isBlob(blob: BlobId, bytes: Uint8Array): boolean {
  return computeRawId(bytes) === blob;
}
