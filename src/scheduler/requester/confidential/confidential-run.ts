import type { BlobStore } from '../../../blob/interface.ts';
import { RELEASE } from '../../../domain/confidential.ts';
import { type BlobId, type LeaseId, UnixMs } from '../../../domain/ids.ts';
import type { Job } from '../../../domain/job.ts';
import type { Signed } from '../../../domain/signed.ts';
import { InternalError } from '../../../lib/errors.ts';
import type { EnvelopeSigner } from '../../../proofs/interface.ts';
import { signObject } from '../../../proofs/signed-object.ts';
import type { Confidentiality, JobSecrets } from '../../../tee/interface.ts';
import type { ReleasedEvidence } from '../../job-machine-events.ts';
import type { AttemptCase } from '../attempt-case.ts';
import type { Checked } from '../checked.ts';
import type { JobLedger } from '../job-ledger.ts';
import type { JobPins } from '../job-pins.ts';
import { AttestClient, type AttestClientModules, type PromisedEvidence, type ShownEvidence } from './attest-client.ts';
import { type PrintedEvents, SealedEvents } from './printed-events.ts';

export interface ConfidentialRunModules extends AttestClientModules {
  readonly confidentiality: Confidentiality;
  readonly signer: EnvelopeSigner;
  readonly ledger: Pick<JobLedger, 'job' | 'applyAll'>;
  readonly blobs: Pick<BlobStore, 'put'>;
  readonly pins: Pick<JobPins, 'holdEvidence'>;
}

export interface ConfidentialRunOptions {
  readonly networkId: string;
  readonly job: Signed<Job>;
  readonly secrets: JobSecrets;
  /** JSON of this node's own policy. */
  readonly ownPolicy: string | null;
}

/** One accepted attempt, as who drives it sees the release. */
export interface AttemptLink {
  readonly attempt: AttemptCase;
  readonly signal: AbortSignal;
  /** What it needs beside the module may be handed out from now on. */
  readonly onReleasing: () => void;
  /** It showed what it should not, or nothing. */
  readonly onFault: (code: string, reason: string) => void;
  /** Its provider could not be reached, or said itself that it cannot. */
  readonly onFailure: (code: string, reason: string) => void;
}

/** What providers say of themselves, or what comes over them; all else is what they are caught at. */
const ADMITTED: readonly string[] = [
  'UNREACHABLE',
  'NO_EVIDENCE',
  'EVIDENCE_FAILED',
  'AT_CAPACITY',
  'RATE_LIMITED',
  'DRAINING',
  'LEASE_MISMATCH',
];

/**
 * The confidential side of one job: has each attempt show evidence, releases the secrets to it on valid evidence alone, and
 * opens what the attempts print. A release is on disk before it is sent.
 */
export class ConfidentialRun implements Disposable {
  readonly #modules: ConfidentialRunModules;
  readonly #options: ConfidentialRunOptions;
  readonly #client: AttestClient;

  constructor(modules: ConfidentialRunModules, options: ConfidentialRunOptions) {
    this.#modules = modules;
    this.#options = options;
    this.#client = new AttestClient(modules);
  }

  printed(lease: LeaseId): PrintedEvents {
    return new SealedEvents(this.#modules, { lease, secrets: this.#options.secrets });
  }

  /** From the acceptance of a lease to the release. @throws for faults of our own alone */
  async begin(link: AttemptLink, promised: PromisedEvidence): Promise<void> {
    const { lease } = link.attempt;
    const { signal } = link;
    const shown = await this.#client.challenge({ lease, promised, policies: this.#policies }, { signal });
    if (shown.kind === 'invalid') return this.#refuse(link, shown);
    if (!(await this.#journal(link, shown.value))) return;
    const sent = await this.#send(link);
    if (sent.kind === 'invalid') this.#refuse(link, sent);
  }

  /** After a restart nobody knows whether the release arrived. What else became of the attempt its own events tell. */
  async resume(link: AttemptLink): Promise<void> {
    await this.#send(link);
  }

  [Symbol.dispose](): void {
    this.#modules.confidentiality.erase(this.#options.secrets);
  }

  get #policies(): readonly string[] {
    const { job, ownPolicy } = this.#options;
    const { confidential } = job.value;
    if (confidential === undefined) throw new InternalError('the job is not confidential');
    return ownPolicy === null ? [confidential.policy] : [confidential.policy, ownPolicy];
  }

  #refuse(link: AttemptLink, { code, reason }: { readonly code: string; readonly reason: string }): void {
    if (ADMITTED.includes(code)) link.onFailure(code, reason);
    else link.onFault(code, reason);
  }

  /** Intent before effect. False if the attempt was over meanwhile. */
  async #journal({ attempt, signal }: AttemptLink, shown: ShownEvidence): Promise<boolean> {
    const { ledger, pins, blobs } = this.#modules;
    const { blob, sizeBytes } = await blobs.put(shown.bytes);
    pins.holdEvidence(ledger.job, blob);
    const release = await this.#sign(attempt, { ...shown, blob });
    if (signal.aborted) return false;
    const applied = ledger.applyAll(
      [
        {
          kind: 'released',
          atMs: UnixMs(shown.judgement.evaluatedAtMs),
          lease: attempt.id,
          evidence: summarize(shown, { blob, sizeBytes }),
        },
      ],
      { objects: [{ lease: attempt.id, kind: 'release', wire: release.wire }] },
    );
    if (applied.kind === 'rejected') return false;
    attempt.release = { id: release.id, wire: release.wire };
    await applied.persisted;
    return !signal.aborted;
  }

  async #sign(
    { id, lease }: AttemptCase,
    { bytes, judgement, runtimeData, blob }: ShownEvidence & { readonly blob: BlobId },
  ) {
    const { confidentiality, signer } = this.#modules;
    const { secrets, networkId } = this.#options;
    const { job, requester, provider } = lease.value;
    const { encryptionKey } = runtimeData;
    const sealed = await confidentiality.sealSecrets({ secrets, job, evidence: bytes, encryptionKey });
    return await signObject(
      RELEASE,
      {
        type: 'fogproof/release@1',
        network: networkId,
        job,
        lease: id,
        requester,
        provider,
        evidence: blob,
        evaluatedAtMs: UnixMs(judgement.evaluatedAtMs),
        ...sealed,
      },
      signer,
    );
  }

  async #send({ attempt, signal, onReleasing }: AttemptLink): Promise<Checked<null>> {
    if (attempt.release === null) throw new InternalError('there is no release to be sent');
    onReleasing();
    return await this.#client.release(attempt.lease.value.provider, attempt.release.wire, { signal });
  }
}

function summarize(
  { judgement, runtimeData }: ShownEvidence,
  stored: { readonly blob: string; readonly sizeBytes: number },
): ReleasedEvidence {
  const { kind, measurement, checks } = judgement;
  if (kind === null || measurement === null) throw new InternalError('valid evidence has no kind or measurement');
  return {
    kind,
    measurement: measurement.slice(0, 128),
    gpus: checks.some(({ name }) => name.startsWith('gpu/')),
    ...stored,
    signingKey: runtimeData.signingKey,
    nonce: runtimeData.nonce,
  };
}
