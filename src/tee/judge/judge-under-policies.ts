import type { AttemptEvidence } from '../../domain/confidential.ts';
import { failed, passed, unchecked } from '../checks.ts';
import { TeeError } from '../errors.ts';
import type { EvidenceCheck, EvidenceCrypto, EvidenceKind, EvidenceVerification } from '../interface.ts';
import type { EvidencePolicy } from '../policy.ts';
import { computeGpuNonce } from '../release/report-data.ts';
import { type EvidenceRequest, verifyEvidence } from '../verify-evidence.ts';

export interface PolicyRequest {
  readonly evidence: AttemptEvidence;
  readonly reportData: Uint8Array;
  readonly policies: readonly EvidencePolicy[];
  readonly atMs: number;
  readonly crypto: EvidenceCrypto;
  readonly simulatedRoot: Uint8Array | null;
}

interface PolicyJudgement {
  readonly checks: readonly EvidenceCheck[];
  readonly claims: object | null;
}

/** Names that mean something else here than in the report of a kind. */
const RENAMED: Readonly<Record<string, string>> = {
  'report-data': 'binding',
  // Azure's, in which its virtual TPM's keys are.
  'runtime-data': 'hcl-runtime-data',
};

/** What the hardware says, under each policy. A check that a later policy leaves as it was is named once. */
export async function judgeUnderPolicies(request: PolicyRequest): Promise<PolicyJudgement> {
  const [first, ...others] = request.policies;
  if (first === undefined) {
    const { checks, claims } = await judgeReport(request, undefined);
    return { checks: [unchecked('policy', 'no policy was given, so nothing is accepted by any'), ...checks], claims };
  }
  const { checks, claims } = await judgeByPolicy(request, first);
  const all = [...checks, ...judgeGpusShown(request.evidence, first)];
  const known = new Set(all.map((check) => JSON.stringify(check)));
  for (const [index, policy] of others.entries()) {
    const { checks: more } = await judgeByPolicy(request, policy);
    const fresh = more.filter((check) => !known.has(JSON.stringify(check)));
    all.push(...fresh.map((check) => ({ ...check, name: `policy-${index + 2}/${check.name}` })));
  }
  return { checks: all, claims };
}

async function judgeByPolicy(request: PolicyRequest, policy: EvidencePolicy): Promise<PolicyJudgement> {
  const { kind, gpus } = request.evidence;
  const hasSection = policy[kind] !== undefined;
  const accepted = hasSection
    ? passed('policy', `it has a section '${kind}'`)
    : failed('policy', `it has no section '${kind}': evidence of this kind is not accepted`);
  const { checks, claims } = await judgeReport(request, hasSection ? policy : undefined);
  const ofGpus = gpus === null ? [] : await judgeGpus(request, { gpus, policy });
  return { checks: [accepted, ...checks, ...ofGpus], claims };
}

async function judgeReport(request: PolicyRequest, policy: EvidencePolicy | undefined): Promise<PolicyJudgement> {
  const { evidence, reportData, simulatedRoot } = request;
  const { checks, claims } = await tryVerify(evidence.kind, {
    evidence: evidence.report,
    certificates: evidence.certificates,
    reportData,
    ...(evidence.collateral === null ? {} : { collateral: evidence.collateral }),
    ...(simulatedRoot === null ? {} : { simulatedRoot }),
    ...takeCommon(request, policy),
  });
  const named = checks.map((check) => ({ ...check, name: RENAMED[check.name] ?? check.name }));
  if (named.some(({ name }) => name === 'binding')) return { checks: named, claims };
  return { checks: [...named, unchecked('binding', 'the report could not be read')], claims };
}

/** Evidence of GPUs that is demanded has to be there. */
function judgeGpusShown({ gpus }: AttemptEvidence, policy: EvidencePolicy): readonly EvidenceCheck[] {
  if (policy.nvidia === undefined || gpus !== null) return [];
  return [failed('gpus', "the policy has a section 'nvidia', and no evidence of GPUs was shown")];
}

async function judgeGpus(
  request: PolicyRequest,
  { gpus, policy }: { readonly gpus: NonNullable<AttemptEvidence['gpus']>; readonly policy: EvidencePolicy },
): Promise<readonly EvidenceCheck[]> {
  if (policy.nvidia === undefined) {
    return [failed('gpus', "it has no section 'nvidia': evidence of GPUs is not accepted")];
  }
  const { checks } = await tryVerify('nvidia', {
    evidence: gpus.report,
    certificates: gpus.certificates,
    rims: gpus.manifests,
    nonce: await computeGpuNonce(request.crypto, request.reportData),
    ...takeCommon(request, policy),
  });
  const named = checks.map((check) => ({ ...check, name: nameGpuCheck(check.name) }));
  const answersNonce = named.some(({ name }) => name.startsWith(GPU_NONCE));
  return [
    passed('gpus', "it has a section 'nvidia'"),
    ...named,
    ...(answersNonce ? [] : [unchecked(GPU_NONCE, 'the report of the GPUs could not be read')]),
  ];
}

const GPU_NONCE = 'gpu-nonce';

/** Of a file of several devices, names are `2/nonce`. */
function nameGpuCheck(name: string): string {
  const device = /^(?:(\d+)\/)?nonce$/u.exec(name);
  if (device === null) return `gpu/${name}`;
  return device[1] === undefined ? GPU_NONCE : `${GPU_NONCE}/${device[1]}`;
}

function takeCommon({ atMs, crypto }: PolicyRequest, policy: EvidencePolicy | undefined) {
  return { atMs, crypto, ...(policy === undefined ? {} : { policy }) };
}

/** Certificates and collateral that cannot be read are a finding here, not an error: they come from the provider. */
async function tryVerify(
  kind: EvidenceKind,
  request: EvidenceRequest,
): Promise<Pick<EvidenceVerification<object>, 'checks' | 'claims'>> {
  try {
    return await verifyEvidence(kind, request);
  } catch (error) {
    if (error instanceof TeeError) return { checks: [failed('evidence-files', error.message)], claims: null };
    throw error;
  }
}
