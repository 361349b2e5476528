import { LRUCache } from 'lru-cache';
import type { BlobStore } from '../../blob/interface.ts';
import type { BlobId, PeerKey } from '../../domain/ids.ts';
import { computeRawCid } from '../../lib/cid.ts';
import type { PeerTransport } from '../../network/interface.ts';
import type { InputFile } from '../../sandbox/interface.ts';
import { fetchBlob } from '../blob-fetcher.ts';
import type { Attempt } from './attempt.ts';
import { MAX_SUPPLIED_BLOBS } from './constants.ts';
import { ProviderError } from './errors.ts';

export interface InputLoaderModules {
  readonly blobs: BlobStore;
  readonly transport: Pick<PeerTransport, 'request'>;
  readonly self: PeerKey;
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
 * Brings a job's module and inputs into memory: from the lease request, or from the requester.
 * What the store holds of others is not read for a requester until it has shown that it has the bytes: an id alone,
 * which receipts and bundles publish, must not give a job access to another requester's data.
 */
export class InputLoader {
  readonly #modules: InputLoaderModules;
  readonly #supplied = new LRUCache<string, true>({ max: MAX_SUPPLIED_BLOBS });

  constructor(modules: InputLoaderModules) {
    this.#modules = modules;
  }

  /** True if nothing has to be fetched. */
  isAtHand(attempt: Attempt): boolean {
    return listNeeded(attempt).every(({ blob }) => attempt.run.options.inlineBlobs.has(blob));
  }

  /** @throws ProviderError PROVIDER_INPUT_MISMATCH; SchedulerError, NetworkError, BlobError from the transfer */
  async load(attempt: Attempt, signal: AbortSignal): Promise<LoadedInputs> {
    const { workload, inputs } = attempt.job.value;
    const module = await this.#loadBlob(
      attempt,
      { blob: workload.module, sizeBytes: workload.moduleSizeBytes },
      signal,
    );
    const files: InputFile[] = [];
    for (const input of inputs) {
      files.push({ path: input.path, bytes: await this.#loadBlob(attempt, input, signal) });
    }
    return { module, inputs: files };
  }

  async #loadBlob(attempt: Attempt, needed: NeededBlob, signal: AbortSignal): Promise<Uint8Array> {
    const bytes = attempt.run.readInline(needed.blob, isBlob) ?? (await this.#fetch(attempt.requester, needed, signal));
    if (bytes.length === needed.sizeBytes) return bytes;
    throw new ProviderError({
      code: 'PROVIDER_INPUT_MISMATCH',
      blob: needed.blob,
      expectedBytes: needed.sizeBytes,
      foundBytes: bytes.length,
    });
  }

  async #fetch(peer: PeerKey, { blob, sizeBytes }: NeededBlob, signal: AbortSignal): Promise<Uint8Array> {
    const { blobs, transport } = this.#modules;
    using _pin = blobs.pin(blob);
    const key = `${peer}/${blob}`;
    const isKnownToHave = peer === this.#modules.self || this.#supplied.has(key);
    // fetchBlob takes a held blob as fetched; one that this requester did not supply is asked for all the same.
    const stat = isKnownToHave ? blobs.stat.bind(blobs) : async () => undefined;
    const receive = blobs.receive.bind(blobs);
    await fetchBlob({ transport, blobs: { stat, receive } }, { peer, blob, sizeBytes }, { signal });
    this.#supplied.set(key, true);
    return await blobs.get(blob, sizeBytes);
  }
}

function listNeeded(attempt: Attempt): readonly NeededBlob[] {
  const { workload, inputs } = attempt.job.value;
  return [{ blob: workload.module, sizeBytes: workload.moduleSizeBytes }, ...inputs];
}

function isBlob(blob: BlobId, bytes: Uint8Array): boolean {
  return computeRawCid(bytes).toString() === blob;
}
