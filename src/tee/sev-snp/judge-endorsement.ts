import { areBytesEqual, encodeHex } from '../../lib/bytes.ts';
import { decide, failed, unchecked } from '../checks.ts';
import { TeeError } from '../errors.ts';
import type { EvidenceCheck } from '../interface.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { verifyChain } from '../x509/chain.ts';
import { MAX_CERTIFICATES } from './constants.ts';
import { type Endorsement, isEndorsement, parseEndorsement } from './endorsement.ts';
import type { SevSnpRequest } from './interface.ts';
import { type Issuers, judgeMissingChain, judgeRevocation } from './judge-revocation.ts';
import { computeVcekUrl } from './key-distribution.ts';
import { findPinnedCertificate } from './pinned-certificates.ts';
import { findProductOfCpu } from './products.ts';
import { isZero, type SevSnpReport } from './report.ts';
import { areTcbsEqual, decodeTcb, formatTcb } from './tcb.ts';

export interface EndorsementJudgement {
  /** Undefined if none was given or it is malformed. */
  readonly endorsement: Endorsement | undefined;
  readonly checks: readonly EvidenceCheck[];
  readonly revocationJudged: boolean;
}

/** Checks that need the certificate of the key that signed; each stands in the result without one too. */
const NAMES = ['chain', 'validity', 'signing-key', 'report-signature', 'tcb', 'chip-id'] as const;

export async function judgeEndorsement(request: SevSnpRequest, report: SevSnpReport): Promise<EndorsementJudgement> {
  const found = findEndorsement(request.certificates);
  if (found === undefined || 'verdict' in found) {
    const first = found ?? unchecked('certificate', describeMissing(report));
    const rest = NAMES.map((name) => unchecked(name, 'there is no certificate to judge it by'));
    const product = report.cpu === null ? undefined : findProductOfCpu(report.cpu);
    const checks = [first, ...rest, judgeMissingChain(request, product)];
    return { endorsement: undefined, checks, revocationJudged: false };
  }
  const checks = [
    decide('certificate', { holds: true, detail: describeEndorsement(found) }),
    ...(await judgeChain(request, found)),
    ...(await judgeRevocation(request, findIssuers(found))),
    judgeSigningKey(report, found),
    await judgeSignature(request, report, found),
    judgeTcb(report, found),
    judgeChip(report, found),
  ];
  return { endorsement: found, checks, revocationJudged: (request.revocationLists ?? []).length > 0 };
}

/** The only one of AMD's for signing reports; several would leave open which one is meant. */
function findEndorsement(given: readonly Uint8Array[]): Endorsement | EvidenceCheck | undefined {
  const name = 'certificate';
  if (given.length > MAX_CERTIFICATES)
    return failed(name, `${given.length} are given; at most ${MAX_CERTIFICATES} are read`);
  try {
    const own = given.map((der) => parseCertificate(der)).filter((certificate) => isEndorsement(certificate));
    const [certificate, second] = own;
    if (second !== undefined) return failed(name, `${own.length} VCEK or VLEK certificates are given; one is needed`);
    return certificate === undefined ? undefined : parseEndorsement(certificate);
  } catch (error) {
    if (error instanceof TeeError) return failed(name, error.message);
    throw error;
  }
}

function describeEndorsement(endorsement: Endorsement): string {
  const of = endorsement.kind === 'vcek' ? 'VCEK of a chip' : `VLEK of ${endorsement.cloudProvider}`;
  return `${of}, ${endorsement.productName}, certified for ${formatTcb(endorsement.tcb)}`;
}

function describeMissing(report: SevSnpReport): string {
  if (report.signingKey === 'vlek')
    return 'the VLEK certificate is needed: the cloud provider gives it with the report';
  const url = computeVcekUrl(report);
  return `the VCEK certificate is needed${url === undefined ? '' : `: ${url}`}`;
}

/** Above the certificate only what is pinned here counts. */
async function judgeChain(
  { atMs, crypto }: SevSnpRequest,
  endorsement: Endorsement,
): Promise<readonly EvidenceCheck[]> {
  const { issuer, root } = findIssuers(endorsement);
  return verifyChain({ leaf: endorsement.certificate, intermediates: [issuer], root, atMs, crypto });
}

function findIssuers({ product, kind }: Endorsement): Issuers {
  const issuer = findPinnedCertificate(product, kind === 'vcek' ? 'ask' : 'asvk');
  return { product, issuer, root: findPinnedCertificate(product, 'ark') };
}

function judgeSigningKey({ signingKey, isChipKeyMasked }: SevSnpReport, { kind }: Endorsement): EvidenceCheck {
  const name = 'signing-key';
  if (isChipKeyMasked) return failed(name, 'the platform masks its key: the firmware does not sign');
  return decide(name, {
    holds: signingKey === kind,
    detail: `the report says ${signingKey}, the certificate is a ${kind}`,
  });
}

async function judgeSignature(
  { crypto }: SevSnpRequest,
  { signed, signature }: SevSnpReport,
  { certificate }: Endorsement,
): Promise<EvidenceCheck> {
  const name = 'report-signature';
  if (signature === null) return failed(name, 'r or s has more than 48 bytes');
  const parts = { publicKey: certificate.publicKey, message: signed, signature };
  const holds = await crypto.verify('ecdsa-p384-sha384', parts);
  return decide(name, { holds, detail: `ECDSA P-384 by the certified key ${holds ? 'holds' : 'does not hold'}` });
}

/** The key is derived from the reported TCB, so that older firmware cannot have it. */
function judgeTcb({ reportedTcb }: SevSnpReport, { product, tcb: certified }: Endorsement): EvidenceCheck {
  const reported = decodeTcb(product, reportedTcb);
  if (reported === undefined)
    return failed('tcb', `a reserved byte of the reported TCB is not zero: ${encodeHex(reportedTcb)}`);
  return decide('tcb', {
    holds: areTcbsEqual(reported, certified),
    detail: `reported ${formatTcb(reported)}; certified ${formatTcb(certified)}`,
  });
}

function judgeChip({ chipId }: SevSnpReport, endorsement: Endorsement): EvidenceCheck {
  const name = 'chip-id';
  if (isZero(chipId)) return decide(name, { holds: true, detail: 'the platform masks it' });
  if (endorsement.kind === 'vlek') return decide(name, { holds: true, detail: 'a VLEK is not of one chip' });
  const certified = new Uint8Array(chipId.length);
  certified.set(endorsement.hardwareId);
  return decide(name, {
    holds: areBytesEqual(chipId, certified),
    detail: `reported ${encodeHex(chipId)}; certified ${encodeHex(endorsement.hardwareId)}`,
  });
}
