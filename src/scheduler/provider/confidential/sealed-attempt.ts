import type { ObjectId } from '../../../domain/ids.ts';
import type { Job } from '../../../domain/job.ts';
import type { Outcome, ReceiptAttestation } from '../../../domain/receipt.ts';
import { concatBytes } from '../../../lib/bytes.ts';
import { InternalError } from '../../../lib/errors.ts';
import { computeOutputRoot } from '../../../proofs/commitment.ts';
import type { ExecutionResult, InputFile } from '../../../sandbox/interface.ts';
import type { Confidentiality, JobSecrets } from '../../../tee/interface.ts';
import type { Attempt } from '../attempts/attempt.ts';
import type { Conclusion } from '../results/conclusion.ts';
import { SealedEvents } from './sealed-events.ts';
import type { ShownEvidence } from './shown-evidence.ts';

export interface SealedAttemptOptions {
  readonly attempt: Attempt;
  readonly shown: ShownEvidence;
  readonly secrets: JobSecrets;
  /** Of the signed release. */
  readonly release: ObjectId;
}

/**
 * A confidential attempt from its release on: what goes into the program is opened here, what comes out of it is sealed
 * here. Secrets and plaintext are in memory only, and zeroed when it is disposed.
 */
export class SealedAttempt implements Disposable {
  readonly release: ObjectId;
  readonly events: SealedEvents;
  readonly #confidentiality: Confidentiality;
  readonly #options: SealedAttemptOptions;
  readonly #commitments: readonly Uint8Array[];
  readonly #plain: Uint8Array[] = [];
  #isDisposed = false;

  constructor(confidentiality: Confidentiality, options: SealedAttemptOptions) {
    this.#confidentiality = confidentiality;
    this.#options = options;
    this.#commitments = commitmentsOf(options.attempt.job.value);
    this.release = options.release;
    this.events = new SealedEvents(confidentiality.createEventSealer(options.secrets.contentKey, options.attempt.id));
  }

  /** @throws TeeError TEE_NOT_OPENED, TEE_COMMITMENT_MISMATCH */
  async openInputs(sealed: readonly InputFile[]): Promise<readonly InputFile[]> {
    const { secrets } = this.#options;
    const opened: InputFile[] = [];
    for (const [index, { path, bytes }] of sealed.entries()) {
      const commitment = this.#commitments[index] ?? new Uint8Array();
      // Sealing adds to it: what was sealed has fewer bytes.
      const opening = { secrets, index, commitment, maxBytes: bytes.length };
      opened.push({ path, bytes: this.#hold(await this.#confidentiality.openInput(whole(bytes), opening)) });
    }
    return opened;
  }

  /**
   * What may be told of an execution: its outputs sealed, its metrics' hash keyed.
   * @throws whatever an event could not be sealed for
   */
  async sealExecution(execution: ExecutionResult): Promise<ExecutionResult> {
    await this.events.settle();
    this.events.assertSealed();
    for (const { bytes } of execution.outputs) this.#hold(bytes);
    const outputs: InputFile[] = [];
    for (const { path, bytes } of execution.outputs) {
      const key = { contentKey: this.#contentKey, path };
      outputs.push({ path, bytes: await collect(this.#confidentiality.sealOutput(bytes, key)) });
      bytes.fill(0);
    }
    const metricsHash = await this.#confidentiality.keyMetricsHash(this.#contentKey, execution.metricsHash);
    return { ...execution, outputs, metricsHash };
  }

  /**
   * Of how it ended the code alone is told. The attested key signs what is a result; what ended through this node has
   * nothing to stand behind.
   */
  async attest(conclusion: Conclusion): Promise<Conclusion> {
    const result = { ...conclusion.result, outcome: withoutDetail(conclusion.result.outcome) };
    if (result.outcome.kind === 'attempt-failed') return { ...conclusion, result };
    const { attempt, shown } = this.#options;
    const signature = await shown.keys.sign({
      job: attempt.jobId,
      lease: attempt.id,
      nonce: shown.nonce,
      commitments: this.#commitments,
      outputRoot: computeOutputRoot(result),
    });
    const attestation: ReceiptAttestation = {
      evidence: shown.evidenceId,
      evidenceSizeBytes: shown.evidence.length,
      release: this.release,
      signature,
    };
    return { ...conclusion, result, attestation };
  }

  /** To be called when nothing is under way any more. */
  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.#confidentiality.erase(this.#options.secrets);
    for (const bytes of this.#plain.splice(0)) bytes.fill(0);
  }

  /** Zeroed, it is a key that everybody knows. */
  get #contentKey(): Uint8Array {
    if (this.#isDisposed) throw new InternalError('a confidential attempt has ended while it was at work');
    return this.#options.secrets.contentKey;
  }

  /** To be zeroed at the end. */
  #hold(bytes: Uint8Array): Uint8Array {
    this.#plain.push(bytes);
    return bytes;
  }
}

function commitmentsOf({ confidential }: Job): readonly Uint8Array[] {
  if (confidential === undefined) throw new InternalError('a job that is not confidential has been sealed');
  return confidential.commitments;
}

/** A program's last words, and those of the engine about it, may say what it read. */
function withoutDetail(outcome: Outcome): Outcome {
  return outcome.kind === 'completed' ? outcome : { ...outcome, detail: '' };
}

async function* whole(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of chunks) parts.push(part);
  return concatBytes(...parts);
}
