import type { BlobStore } from '../../../blob/interface.ts';
import type { Job } from '../../../domain/job.ts';
import { TeeError } from '../../../tee/errors.ts';
import type { Confidentiality, InputSealer, JobSecrets } from '../../../tee/interface.ts';
import { SchedulerError } from '../../errors.ts';
import type { JobDraft } from '../../interface.ts';
import { assertBlobHeld, type JobBody } from '../describe-job.ts';
import { readBlob } from './read-blob.ts';
import { storeStream } from './sealed-spool.ts';

export interface ConfidentialIntakeModules {
  readonly blobs: BlobStore;
  readonly confidentiality: Confidentiality;
}

export interface ConfidentialIntakeOptions {
  /** The network has a key that simulates hardware. */
  readonly hasSimulatedTee: boolean;
  /** JSON of this node's own policy, that evidence has to satisfy as well. */
  readonly ownPolicy: string | null;
  /** Where inputs are put together while they are sealed. */
  readonly spoolFolder: string;
}

/** A draft whose inputs are sealed. Disposed: their blobs are not held any more, and the secrets are erased. */
export interface SealedDraft extends Disposable {
  readonly body: JobBody;
  readonly secrets: JobSecrets;
}

type Input = Job['inputs'][number];

/** Seals the inputs of confidential jobs before anything of them is signed or sent. */
export class ConfidentialIntake {
  readonly #modules: ConfidentialIntakeModules;
  readonly #options: ConfidentialIntakeOptions;

  constructor(modules: ConfidentialIntakeModules, options: ConfidentialIntakeOptions) {
    this.#modules = modules;
    this.#options = options;
  }

  /** @throws SchedulerError SCHEDULER_CONFIDENTIAL_REFUSED, SCHEDULER_BLOB_MISSING; BlobError */
  async seal(draft: JobDraft, { policy }: NonNullable<JobDraft['confidential']>): Promise<SealedDraft> {
    this.#assertPossible(draft, policy);
    // Whoever reads this disk finds the plain inputs encrypted, as those of private jobs.
    await Promise.all(draft.inputs.map((input) => assertBlobHeld(input, this.#modules.blobs, { isPrivate: true })));
    const sealer = this.#modules.confidentiality.createInputSealer();
    const pins = new DisposableStack();
    try {
      const inputs: Input[] = [];
      const commitments: Uint8Array[] = [];
      for (const input of draft.inputs) {
        const sealed = await this.#sealInput(sealer, input);
        pins.use(this.#modules.blobs.pin(sealed.input.blob));
        inputs.push(sealed.input);
        commitments.push(sealed.commitment);
      }
      const body: JobBody = { ...draft, inputs, confidential: { policy, commitments } };
      pins.defer(() => this.#modules.confidentiality.erase(sealer.secrets));
      return { body, secrets: sealer.secrets, [Symbol.dispose]: () => pins.dispose() };
    } catch (error) {
      pins.dispose();
      this.#modules.confidentiality.erase(sealer.secrets);
      throw error;
    }
  }

  #assertPossible(draft: JobDraft, policy: string): void {
    const refuse = (reason: string, cause?: unknown): never => {
      throw new SchedulerError({ code: 'SCHEDULER_CONFIDENTIAL_REFUSED', reason }, { cause });
    };
    const { capabilityClass, checkpoints, comparisons } = draft;
    if (checkpoints !== undefined) refuse('it makes checkpoints, and its state must not leave the hardware');
    if (comparisons !== undefined) refuse('its sealed results can only be compared byte for byte');
    if (capabilityClass !== 'tee') refuse(`its class is ${capabilityClass}, and it runs on providers of the class tee`);
    const kinds = this.#readKinds(policy, refuse);
    if (kinds.includes('simulated') && !this.#options.hasSimulatedTee) {
      refuse('its policy accepts simulated hardware, and this network has none');
    }
    const { ownPolicy } = this.#options;
    if (ownPolicy === null) return;
    const own = this.#readKinds(ownPolicy, refuse);
    if (!kinds.some((kind) => own.includes(kind))) {
      refuse(`its policy accepts ${kinds.join(', ')}, and that of this node (attest.policyFile) ${own.join(', ')}`);
    }
  }

  #readKinds(policy: string, refuse: (reason: string, cause?: unknown) => never): readonly string[] {
    try {
      return this.#modules.confidentiality.readPolicy(policy).kinds;
    } catch (error) {
      if (!(error instanceof TeeError)) throw error;
      return refuse(error.message, error);
    }
  }

  async #sealInput(sealer: InputSealer, plain: Input): Promise<{ input: Input; commitment: Uint8Array }> {
    const { blobs } = this.#modules;
    const { path, blob } = plain;
    using _held = blobs.pin(blob);
    const missing = (): Error => new SchedulerError({ code: 'SCHEDULER_BLOB_MISSING', path, blob, heldBytes: null });
    const sealed = sealer.seal(readBlob(blobs, plain, missing));
    const stored = await storeStream({ blobs }, sealed.bytes, { folder: this.#options.spoolFolder });
    return {
      input: { path, blob: stored.blob, sizeBytes: stored.sizeBytes },
      commitment: sealed.readCommitment(),
    };
  }
}
