import { LRUCache } from 'lru-cache';
import type { BlobStore } from '../../blob/interface.ts';
import type { BlobId, PeerKey } from '../../domain/ids.ts';
import type { Job } from '../../domain/job.ts';
import type { InlineBlob } from '../../domain/messages.ts';
import { listProgramBlobs as listBlobsOfProgram } from '../../domain/workload.ts';
import { INLINE_BLOB_BYTES, INLINE_CACHE_BYTES, INLINE_REQUEST_BYTES, SENT_BLOBS_REMEMBERED } from '../constants.ts';

export interface NamedBlob {
  readonly path: string;
  readonly blob: BlobId;
  readonly sizeBytes: number;
}

/** The blobs that a provider needs to run a job: those of the program, then the inputs. */
export function listJobBlobs(job: Job): NamedBlob[] {
  return [...listProgramBlobs(job), ...job.inputs];
}

/** Those that a provider may have from the lease on: the sealed inputs of a confidential job follow its evidence. */
export function listOpenBlobs(job: Job): NamedBlob[] {
  return job.confidential === undefined ? listJobBlobs(job) : listProgramBlobs(job);
}

function listProgramBlobs({ workload }: Job): NamedBlob[] {
  return listBlobsOfProgram(workload).map(({ name, blob, sizeBytes }) => ({ path: name, blob, sizeBytes }));
}

/**
 * Small blobs ride with the lease, which saves their fetching a round trip; those that a provider has had from us
 * already stay behind (if it has dropped them, it fetches them).
 */
export class InlineBlobs {
  readonly #blobs: Pick<BlobStore, 'get'>;
  readonly #cache = new LRUCache<BlobId, Uint8Array>({
    maxSize: INLINE_CACHE_BYTES,
    sizeCalculation: (bytes) => Math.max(1, bytes.length),
  });
  readonly #sent = new LRUCache<string, true>({ max: SENT_BLOBS_REMEMBERED });

  constructor(modules: { readonly blobs: Pick<BlobStore, 'get'> }) {
    this.#blobs = modules.blobs;
  }

  async pick(jobs: readonly Job[], provider: PeerKey, maxBytes = INLINE_REQUEST_BYTES): Promise<InlineBlob[]> {
    const picked = new Map<BlobId, NamedBlob>();
    let room = maxBytes;
    for (const named of jobs.flatMap(listOpenBlobs)) {
      const isSmall = named.sizeBytes <= Math.min(INLINE_BLOB_BYTES, room);
      if (!isSmall || picked.has(named.blob) || this.#sent.has(`${provider}/${named.blob}`)) continue;
      picked.set(named.blob, named);
      room -= named.sizeBytes;
    }
    return Promise.all([...picked.values()].map(async ({ blob }) => ({ blob, bytes: await this.#read(blob) })));
  }

  /** The provider has taken these. */
  markSent(inline: readonly InlineBlob[], provider: PeerKey): void {
    for (const { blob } of inline) this.#sent.set(`${provider}/${blob}`, true);
  }

  /** It turned out not to hold what it had: everything is sent again. */
  forget(job: Job, provider: PeerKey): void {
    for (const { blob } of listJobBlobs(job)) this.#sent.delete(`${provider}/${blob}`);
  }

  async #read(blob: BlobId): Promise<Uint8Array> {
    const held = this.#cache.get(blob);
    if (held !== undefined) return held;
    const bytes = await this.#blobs.get(blob, INLINE_BLOB_BYTES);
    this.#cache.set(blob, bytes);
    return bytes;
  }
}
