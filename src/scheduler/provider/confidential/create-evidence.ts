import {
  ATTEMPT_EVIDENCE,
  type AttemptEvidence,
  type AttestRequest,
  RUNTIME_DATA,
  type RuntimeData,
} from '../../../domain/confidential.ts';
import { type BlobId, type PeerKey, UnixMs } from '../../../domain/ids.ts';
import { encodeObject } from '../../../domain/object-type.ts';
import { computeRawId } from '../../../lib/cid.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { AttemptKeys, Confidentiality, EvidenceProducer } from '../../../tee/interface.ts';
import type { Attempt } from '../attempts/attempt.ts';
import { RELEASE_TIMEOUT_MS } from './constants.ts';
import type { ShownEvidence } from './shown-evidence.ts';

export interface EvidenceModules {
  readonly confidentiality: Confidentiality;
  readonly producer: EvidenceProducer;
  readonly self: PeerKey;
  readonly clock: Clock;
}

export type Challenge = Extract<AttestRequest, { op: 'challenge' }>;

/**
 * Keys of this attempt, and evidence that they were made here: the hardware signs the hash of what they are for. @throws
 * TeeError; DomainError for evidence that is too large; the attempt's reason to end
 */
export async function createEvidence(
  modules: EvidenceModules,
  attempt: Attempt,
  challenge: Challenge,
): Promise<ShownEvidence> {
  const { confidentiality, producer } = modules;
  const keys = await confidentiality.createAttemptKeys();
  try {
    const described = describeRuntime(modules, attempt, { challenge, keys });
    const runtimeData = encodeObject(RUNTIME_DATA, described);
    const reportData = await confidentiality.computeReportData(runtimeData);
    const gpuNonce = attempt.options.showsGpus === true ? await confidentiality.computeGpuNonce(reportData) : null;
    const produced = await producer.produce({ reportData, gpuNonce, signal: attempt.signal });
    const whole: AttemptEvidence = { type: 'fogproof/attempt-evidence@1', runtimeData, ...produced };
    const evidence = encodeObject(ATTEMPT_EVIDENCE, whole);
    const evidenceId = computeRawId(evidence) as BlobId;
    return { nonce: described.nonce, evidence, evidenceId, keys, expiresAtMs: described.expiresAtMs };
  } catch (error) {
    keys[Symbol.dispose]();
    throw error;
  }
}

function describeRuntime(
  { self, clock }: EvidenceModules,
  attempt: Attempt,
  { challenge, keys }: { readonly challenge: Challenge; readonly keys: AttemptKeys },
): RuntimeData {
  const { executor, isolation } = attempt.options;
  return {
    type: 'fogproof/runtime-data@1',
    network: attempt.lease.value.network,
    nonce: challenge.nonce,
    job: attempt.jobId,
    lease: attempt.id,
    requester: attempt.requester,
    requesterKey: challenge.requesterKey,
    provider: self,
    encryptionKey: keys.encryptionKey,
    signingKey: keys.signingKey,
    sandbox: { isolation, instrumenter: executor.instrumenter },
    expiresAtMs: UnixMs(clock.nowMs() + RELEASE_TIMEOUT_MS),
  };
}
