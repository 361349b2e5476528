import { areBytesEqual, encodeHex } from '../../lib/bytes.ts';
import { decide, failed, judgeChecks, passed, unchecked } from '../checks.ts';
import { TeeError } from '../errors.ts';
import type { EvidenceCheck } from '../interface.ts';
import { describeClaims } from './claims.ts';
import { ECDSA_P384_SHA384 } from './constants.ts';
import type { Endorsement } from './endorsement.ts';
import { type HclReport, isHclReport, parseHclReport } from './hcl-report.ts';
import type { SevSnpRequest, SevSnpVerification } from './interface.ts';
import { judgeEndorsement } from './judge-endorsement.ts';
import { judgePolicy } from './judge-policy.ts';
import { findProductOfCpu, nameProduct, type Product } from './products.ts';
import { isZero, parseReport, type SevSnpReport } from './report.ts';

interface Evidence {
  readonly report: SevSnpReport;
  readonly hcl: HclReport | null;
}

const KIND = 'sev-snp';
const REPORT_DATA_BYTES = 64;

/** Bits 26 to 63 of the guest policy are reserved, bit 17 is one (AMD 56860, revision 1.58, table 9). */
const POLICY_RESERVED = ~0n << 26n;
const POLICY_ONE = 1n << 17n;

/** Checks a report against AMD's roots and a policy. Never throws for what is in the request's bytes. */
export async function verifySevSnp(request: SevSnpRequest): Promise<SevSnpVerification> {
  const { policy, atMs } = request;
  const parsed = parseEvidence(request.evidence);
  if (!('report' in parsed)) {
    return { kind: KIND, verdict: 'invalid', evaluatedAtMs: atMs, checks: [parsed], claims: null };
  }
  const { report, hcl } = parsed;
  const cpuProduct = report.cpu === null ? undefined : findProductOfCpu(report.cpu);
  const { endorsement, checks: endorsed, revocationJudged } = await judgeEndorsement(request, report);
  const product = endorsement?.product ?? cpuProduct;
  const checks = [
    passed('format', `a version ${report.version} report${hcl === null ? '' : " in Azure's HCL form"}`),
    ...judgeFields(report),
    judgeProduct(report, cpuProduct, endorsement),
    ...endorsed,
    ...(hcl === null ? [] : [await judgeRuntimeData(report, hcl, request)]),
    ...judgeReportData(parsed, request.reportData),
    ...judgePolicy({ report, product, endorsement }, policy),
  ];
  return {
    kind: KIND,
    verdict: judgeChecks(checks),
    evaluatedAtMs: atMs,
    checks,
    claims: describeClaims({ report, hcl, product, endorsement, revocationJudged }),
  };
}

function parseEvidence(bytes: Uint8Array): Evidence | EvidenceCheck {
  try {
    if (!isHclReport(bytes)) return { report: parseReport(bytes), hcl: null };
    const hcl = parseHclReport(bytes);
    return { report: parseReport(hcl.report), hcl };
  } catch (error) {
    if (error instanceof TeeError) return failed('format', error.message);
    throw error;
  }
}

function judgeFields(report: SevSnpReport): readonly EvidenceCheck[] {
  const { dirtyReserved, policy, signatureAlgorithm, hasAuthorKey, authorKeyDigest } = report;
  const policyHolds = (policy.bits & POLICY_RESERVED) === 0n && (policy.bits & POLICY_ONE) !== 0n;
  const authorHolds = hasAuthorKey !== isZero(authorKeyDigest);
  return [
    decide('reserved', {
      holds: dirtyReserved.length === 0,
      detail: dirtyReserved.length === 0 ? 'reserved fields are zero' : `not zero: ${dirtyReserved.join(', ')}`,
    }),
    decide('guest-policy', {
      holds: policyHolds,
      detail: `0x${policy.bits.toString(16)}: bit 17 must be one, bits from 26 on zero`,
    }),
    decide('signature-algorithm', {
      holds: signatureAlgorithm === ECDSA_P384_SHA384,
      detail: `${signatureAlgorithm}; only ${ECDSA_P384_SHA384} (ECDSA P-384 with SHA-384) is known`,
    }),
    decide('author-key', {
      holds: authorHolds,
      detail: `the report says ${hasAuthorKey ? 'that' : 'no'} author key was used and its digest is ${isZero(authorKeyDigest) ? '' : 'not '}zero`,
    }),
  ];
}

function judgeProduct(
  { cpu, version }: SevSnpReport,
  cpuProduct: Product | undefined,
  endorsement: Endorsement | undefined,
): EvidenceCheck {
  const name = 'product';
  const certified = endorsement === undefined ? undefined : nameProduct(endorsement.product);
  if (cpu === null) {
    return certified === undefined
      ? unchecked(name, `a version ${version} report does not say which processor made it, and no certificate does`)
      : passed(name, `${certified} by its certificate; a version ${version} report does not say`);
  }
  const seen = `family 0x${cpu.family.toString(16)} model 0x${cpu.model.toString(16)}`;
  if (cpuProduct === undefined) return failed(name, `${seen} is no product that is known here`);
  if (endorsement === undefined)
    return unchecked(name, `${nameProduct(cpuProduct)} by ${seen}; no certificate says so`);
  return decide(name, {
    holds: cpuProduct === endorsement.product,
    detail: `${nameProduct(cpuProduct)} by ${seen}, ${certified} by its certificate`,
  });
}

async function judgeRuntimeData(
  { reportData }: SevSnpReport,
  { runtimeData }: HclReport,
  { crypto }: SevSnpRequest,
): Promise<EvidenceCheck> {
  const hash = await crypto.digest('SHA-256', runtimeData);
  const holds = areBytesEqual(reportData.subarray(0, 32), hash) && isZero(reportData.subarray(32));
  return decide('runtime-data', {
    holds,
    detail: `the report's data is ${holds ? '' : 'not '}the SHA-256 of the runtime data (${encodeHex(hash)}) and zeros`,
  });
}

/** Left out if the caller expects nothing. */
function judgeReportData({ report, hcl }: Evidence, expected: Uint8Array | undefined): readonly EvidenceCheck[] {
  if (expected === undefined) return [];
  const name = 'report-data';
  if (expected.length > REPORT_DATA_BYTES)
    return [failed(name, `${expected.length} bytes are expected; it has ${REPORT_DATA_BYTES}`)];
  const padded = new Uint8Array(REPORT_DATA_BYTES);
  padded.set(expected);
  const found = hcl === null ? report.reportData : hcl.userData;
  if (found === null) return [failed(name, 'the runtime data has no user-data')];
  const where = hcl === null ? 'report data' : "user-data of Azure's runtime data";
  return [
    decide(name, {
      holds: areBytesEqual(found, padded),
      detail: `${where} is ${encodeHex(found)}; expected ${encodeHex(padded)}`,
    }),
  ];
}
