import { createHash } from 'node:crypto';
import { isDaemonError } from '../../lib/errors.ts';
import type { Random } from '../../lib/random.ts';
import { judgeChecks } from '../../tee/checks.ts';
import type {
  EvidenceCheck,
  EvidenceCrypto,
  EvidenceProducer,
  EvidenceVerdict,
  EvidenceVerification,
  ProducedEvidence,
} from '../../tee/interface.ts';
import type { EvidencePolicy } from '../../tee/policy.ts';
import type { Detection, TeeFinding } from '../../tee/produce/detect-producer.ts';
import { verifyEvidence } from '../../tee/verify-evidence.ts';

const REPORT_DATA_BYTES = 64;

/** Nobody here asks NVIDIA by OCSP: the check says so, and that it was not done. */
const GPU_POLICY: EvidencePolicy = { nvidia: { deviceTypes: ['gpu'], acceptUnchecked: ['revocation'] } };

export interface SelfTestModules {
  readonly random: Random;
  readonly crypto: EvidenceCrypto;
}

export interface SelfTestOptions {
  /** 'none': only whether the evidence is genuine. */
  readonly policy: EvidencePolicy | 'none';
  readonly atMs: number;
  /** SIMULATED: of the network. */
  readonly simulatedRoot: Uint8Array | null;
  readonly signal: AbortSignal;
}

export interface SelfTestResult {
  /** unchecked also if there is no hardware. */
  readonly verdict: EvidenceVerdict;
  readonly findings: readonly TeeFinding[];
  readonly kind: EvidenceProducer['kind'] | null;
  readonly reportData: Uint8Array | null;
  readonly gpuNonce: Uint8Array | null;
  readonly evidence: ProducedEvidence | null;
  readonly verification: EvidenceVerification<object> | null;
  readonly gpus: EvidenceVerification<object> | null;
  /** Why no evidence was made. */
  readonly failure: { readonly code: string; readonly message: string; readonly hint: string } | null;
}

/** Evidence of this machine for a nonce made now, judged as a requester would. Throws only what the signal says. */
export async function runSelfTest(
  { producer, findings }: Detection,
  { random, crypto }: SelfTestModules,
  options: SelfTestOptions,
): Promise<SelfTestResult> {
  const nothing = { evidence: null, verification: null, gpus: null, reportData: null, gpuNonce: null, failure: null };
  if (producer === null) return { ...nothing, findings, kind: null, verdict: 'unchecked' };
  const { kind } = producer;
  const reportData = random.bytes(REPORT_DATA_BYTES);
  // A GPU that answers this was asked for this report and no other.
  const gpuNonce = producer.hasGpus ? new Uint8Array(createHash('sha256').update(reportData).digest()) : null;
  const asked = { findings, kind, reportData, gpuNonce };
  try {
    const evidence = await producer.produce({ reportData, gpuNonce, signal: options.signal });
    const verification = await judgeMachine(evidence, reportData, { ...options, crypto });
    const gpus = await judgeGpus(evidence, gpuNonce, { ...options, crypto });
    const checks: readonly EvidenceCheck[] = [...verification.checks, ...(gpus?.checks ?? [])];
    return { ...nothing, ...asked, evidence, verification, gpus, verdict: judgeChecks(checks) };
  } catch (error) {
    options.signal.throwIfAborted();
    if (!isDaemonError(error)) throw error;
    const { code, message, hint } = error;
    return { ...nothing, ...asked, failure: { code, message, hint }, verdict: 'invalid' };
  }
}

type JudgeOptions = SelfTestOptions & Pick<SelfTestModules, 'crypto'>;

function judgeMachine(
  { kind, report, certificates, collateral }: ProducedEvidence,
  reportData: Uint8Array,
  { policy, atMs, crypto, simulatedRoot }: JudgeOptions,
): Promise<EvidenceVerification<object>> {
  return verifyEvidence(kind, {
    evidence: report,
    certificates,
    ...(collateral === null ? {} : { collateral }),
    ...(simulatedRoot === null ? {} : { simulatedRoot }),
    reportData,
    policy,
    atMs,
    crypto,
  });
}

async function judgeGpus(
  { gpus }: ProducedEvidence,
  nonce: Uint8Array | null,
  { policy, atMs, crypto }: JudgeOptions,
): Promise<EvidenceVerification<object> | null> {
  if (gpus === null || nonce === null) return null;
  const chosen = policy === 'none' || policy.nvidia === undefined ? GPU_POLICY : policy;
  const { report: evidence, certificates, manifests: rims } = gpus;
  return verifyEvidence('nvidia', { evidence, certificates, rims, nonce, policy: chosen, atMs, crypto });
}
