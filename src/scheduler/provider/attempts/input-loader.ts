import { LRUCache } from 'lru-cache';
import type { BlobStore } from '../../../blob/interface.ts';
import type { BlobId, PeerKey } from '../../../domain/ids.ts';
import { MAX_INLINE_BYTES } from '../../../domain/messages.ts';
import { findProgramBlob } from '../../../domain/workload.ts';
import { computeRawId } from '../../../lib/cid.ts';
import type { Clock } from '../../../lib/clock.ts';
import { IdleCache } from '../../../lib/idle-cache.ts';
import type { InputFile } from '../../../sandbox/interface.ts';
import type { Logger } from '../../../telemetry/interface.ts';
import { sealStore, sealTransfers } from '../../private-blobs.ts';
import type { BlobFetching } from '../../transfer/interface.ts';
import { MAX_SUPPLIED_BLOBS, RECENT_INPUT_BYTES } from '../constants.ts';
import { ProviderError } from '../errors.ts';
import type { Attempt } from './attempt.ts';

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
    return { module, inputs: files };
  }

  async #loadBlob(attempt: Attempt, needed: NeededBlob, signal: AbortSignal): Promise<Uint8Array> {
    const key = keyOf(attempt.requester, needed.blob);
    const bytes =
      this.#recent.get(key) ??
      attempt.run.readInline(needed.blob, isBlob) ??
      (await this.#fetch(attempt, needed, signal));
    if (bytes.length !== needed.sizeBytes) {
      const { blob, sizeBytes: expectedBytes } = needed;
      throw new ProviderError({ code: 'PROVIDER_INPUT_SIZE', blob, expectedBytes, foundBytes: bytes.length });
    }
    this.#recent.set(key, bytes);
    return bytes;
  }

  async #fetch(attempt: Attempt, { blob, sizeBytes }: NeededBlob, signal: AbortSignal): Promise<Uint8Array> {
    const { requester: peer, job } = attempt;
    const { blobs, self } = this.#modules;
    const transfers = sealTransfers(job.value, this.#modules.transfers);
    using _pin = blobs.pin(blob);
    const key = keyOf(peer, blob);
    const proof = peer === self || this.#supplied.has(key) ? {} : { provenBy: peer };
    // No other source: one that grants it to this node for its own job must not serve somebody who has no more than its id.
    await transfers.fetchBlob({ blob, sizeBytes, sources: [peer], ...proof }, { signal });
    this.#supplied.set(key, true);
    return await blobs.get(blob, sizeBytes);
  }
}

function keyOf(peer: PeerKey, blob: BlobId): string {
  return `${peer}/${blob}`;
}

function listNeeded(attempt: Attempt): readonly NeededBlob[] {
  const { workload, inputs } = attempt.job.value;
  const program = findProgramBlob(workload);
  return program === null ? inputs : [program, ...inputs];
}

function isBlob(blob: BlobId, bytes: Uint8Array): boolean {
  return computeRawId(bytes) === blob;
}
