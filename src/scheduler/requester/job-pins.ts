import type { BlobStore } from '../../blob/interface.ts';
import type { BlobId, JobId } from '../../domain/ids.ts';
import type { Job } from '../../domain/job.ts';
import type { Receipt } from '../../domain/receipt.ts';
import type { Signed } from '../../domain/signed.ts';
import { jobIdOf } from '../object-ids.ts';
import { listResultFiles } from './collect-outputs.ts';
import { listJobBlobs } from './inline-blobs.ts';

interface Held {
  /** Evidence that secrets were released on, of each attempt. */
  readonly evidence: DisposableStack;
  inputs?: Disposable;
  results?: Disposable;
}

/** What jobs that have not ended need in the store: what they are run with, and the results that they are judged by. */
export class JobPins {
  readonly #blobs: Pick<BlobStore, 'pin'>;
  readonly #held = new Map<JobId, Held>();

  constructor(modules: { readonly blobs: Pick<BlobStore, 'pin'> }) {
    this.#blobs = modules.blobs;
  }

  holdInputs(job: Signed<Job>): void {
    this.#replace(jobIdOf(job), 'inputs', listJobBlobs(job.value));
  }

  /** In the place of those that were held before. */
  holdResults(job: JobId, receipts: readonly Signed<Receipt>[]): void {
    const files = receipts.flatMap(({ value }) => listResultFiles(value));
    this.#replace(job, 'results', files);
  }

  /** Beside that of other attempts. */
  holdEvidence(job: JobId, blob: BlobId): void {
    this.#find(job).evidence.use(this.#blobs.pin(blob));
  }

  /** The job has ended. */
  release(job: JobId): void {
    const held = this.#held.get(job);
    this.#held.delete(job);
    held?.inputs?.[Symbol.dispose]();
    held?.results?.[Symbol.dispose]();
    held?.evidence.dispose();
  }

  releaseAll(): void {
    for (const job of this.#held.keys()) this.release(job);
  }

  #find(job: JobId): Held {
    const held = this.#held.get(job) ?? { evidence: new DisposableStack() };
    this.#held.set(job, held);
    return held;
  }

  #replace(job: JobId, purpose: 'inputs' | 'results', named: readonly { readonly blob: BlobId }[]): void {
    const held = this.#find(job);
    const before = held[purpose];
    held[purpose] = pinAll(this.#blobs, named);
    before?.[Symbol.dispose]();
  }
}

/** Until it is disposed of, none of these is evicted. */
export function pinAll(store: Pick<BlobStore, 'pin'>, named: readonly { readonly blob: BlobId }[]): Disposable {
  const pins = new DisposableStack();
  for (const blob of new Set(named.map((one) => one.blob))) pins.use(store.pin(blob));
  return pins;
}
