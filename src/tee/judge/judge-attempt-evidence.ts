/**
 * Whether evidence is of an environment that a policy accepts, and was made for one attempt: the report carries the digest
 * of the runtime data, and the runtime data names the attempt, the nonce of who asks and the keys (docs/confidential.md).
 */
import { ATTEMPT_EVIDENCE, type AttemptEvidence, RUNTIME_DATA } from '../../domain/confidential.ts';
import { decodeObject, type ObjectType } from '../../domain/object-type.ts';
import { isDaemonError } from '../../lib/errors.ts';
import { decide, failed, judgeChecks, passed } from '../checks.ts';
import type { AttemptExpectation, AttemptJudgement, EvidenceCheck, EvidenceCrypto } from '../interface.ts';
import type { EvidencePolicy } from '../policy.ts';
import { computeReportData } from '../release/report-data.ts';
import { judgeRuntimeData } from './judge-runtime-data.ts';
import { judgeUnderPolicies } from './judge-under-policies.ts';
import { listMeasurements } from './list-measurements.ts';

export interface AttemptEvidenceRequest {
  /** Canonical `fogproof/attempt-evidence@1`, from anybody. */
  readonly evidence: Uint8Array;
  readonly expectation: AttemptExpectation;
  /** The first, the job's, says what has to be shown; each has to accept what is shown. */
  readonly policies: readonly EvidencePolicy[];
  readonly atMs: number;
  readonly crypto: EvidenceCrypto;
  /** Of a test network; null: SIMULATED evidence is not valid. */
  readonly simulatedRoot: Uint8Array | null;
}

/** Never throws for what is in the evidence. */
export async function judgeAttemptEvidence(request: AttemptEvidenceRequest): Promise<AttemptJudgement> {
  const evidence = tryDecode(ATTEMPT_EVIDENCE, request.evidence);
  if ('fault' in evidence) return refuse(request, [failed('evidence-format', evidence.fault)], null);
  const { kind, runtimeData: runtimeBytes } = evidence.value;
  const checks: EvidenceCheck[] = [
    passed('evidence-format', `canonical ${ATTEMPT_EVIDENCE.type}`),
    ...judgeKind(evidence.value, request.expectation),
  ];
  const runtimeData = tryDecode(RUNTIME_DATA, runtimeBytes);
  if ('fault' in runtimeData) {
    return refuse(request, [...checks, failed('runtime-data', runtimeData.fault)], evidence.value);
  }
  checks.push(passed('runtime-data', `canonical ${RUNTIME_DATA.type}`));
  checks.push(...judgeRuntimeData(runtimeData.value, request.expectation, request.atMs));
  const reportData = await computeReportData(request.crypto, runtimeBytes);
  const judged = await judgeUnderPolicies({ ...request, evidence: evidence.value, reportData });
  checks.push(...judged.checks);
  return {
    verdict: judgeChecks(checks),
    evaluatedAtMs: request.atMs,
    checks,
    runtimeData: runtimeData.value,
    kind,
    measurement: judged.claims === null ? null : (listMeasurements(kind, judged.claims)[0]?.value ?? null),
    claims: judged.claims,
  };
}

function judgeKind({ kind }: AttemptEvidence, { kind: expected }: AttemptExpectation): readonly EvidenceCheck[] {
  if (expected === undefined) return [];
  return [decide('evidence-kind', { holds: kind === expected, detail: `it is of ${kind}; ${expected} was offered` })];
}

function refuse(
  { atMs }: AttemptEvidenceRequest,
  checks: readonly EvidenceCheck[],
  evidence: AttemptEvidence | null,
): AttemptJudgement {
  const kind = evidence?.kind ?? null;
  return {
    verdict: judgeChecks(checks),
    evaluatedAtMs: atMs,
    checks,
    runtimeData: null,
    kind,
    measurement: null,
    claims: null,
  };
}

function tryDecode<Value extends { readonly type: string }>(
  type: ObjectType<Value>,
  bytes: Uint8Array,
): { readonly value: Value } | { readonly fault: string } {
  try {
    return { value: decodeObject(type, bytes) };
  } catch (error) {
    if (isDaemonError(error)) return { fault: error.message };
    throw error;
  }
}
