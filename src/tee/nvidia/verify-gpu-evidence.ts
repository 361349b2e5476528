import { areBytesEqual, encodeHex } from '../../lib/bytes.ts';
import { isDaemonError } from '../../lib/errors.ts';
import { decide, failed, judgeChecks, passed, unchecked } from '../checks.ts';
import type { EvidenceCheck } from '../interface.ts';
import { type Certificate, parseCertificate } from '../x509/certificate.ts';
import { verifyChain } from '../x509/chain.ts';
import { splitPem } from '../x509/pem.ts';
import { NONCE_BYTES } from './constants.ts';
import { readDeviceClaims } from './device-claims.ts';
import { readFirmwareId } from './firmware-id.ts';
import type { NvidiaClaims, NvidiaVerification, NvidiaVerificationRequest } from './interface.ts';
import { acceptUnchecked, judgePolicy } from './judge-policy.ts';
import { type MeasurementReport, parseMeasurementReport } from './measurement-report.ts';
import { type AssignedManifests, assignManifests } from './rim/assign-manifests.ts';
import { judgeMeasurements } from './rim/judge-measurements.ts';
import { verifyManifest } from './rim/verify-manifest.ts';
import { findRoot } from './roots.ts';

/**
 * Judges the evidence of one GPU (or NVSwitch), in the order of NVIDIA's own verifier: the chain to the pinned root,
 * the signature, the firmware id, the nonce, the manifests and their signatures, the measurements; then the policy.
 */
export async function verifyGpuEvidence(request: NvidiaVerificationRequest): Promise<NvidiaVerification> {
  const parsed = parseEvidence(request);
  if ('verdict' in parsed) return conclude(request, { checks: [parsed], claims: null });
  const manifests = assignManifests(parsed.claims, request.rims);
  const checks = [
    passed('report', `SPDM 1.1, ${parsed.report.measurements.size} measurements`),
    ...(await verifyDevice(parsed, request)),
    checkFirmwareId(parsed),
    checkNonce(parsed.report, request.nonce),
    ...manifests.checks,
    ...(await verifyManifests(manifests, request)),
    judgeMeasurements(parsed.claims, manifests),
    unchecked('revocation', "NVIDIA was not asked (OCSP) about the device's certificates and the signers of the RIMs"),
    ...judgePolicy(parsed.claims, request.policy),
  ];
  return conclude(request, { checks, claims: parsed.claims });
}

interface ParsedEvidence {
  readonly report: MeasurementReport;
  readonly leaf: Certificate;
  readonly intermediates: readonly Certificate[];
  readonly firmwareId: Uint8Array | undefined;
  readonly claims: NvidiaClaims;
}

function parseEvidence(request: NvidiaVerificationRequest): ParsedEvidence | EvidenceCheck {
  try {
    const report = parseMeasurementReport(request.report);
    const [leaf, ...intermediates] = parseCertificates(request.certificates);
    if (leaf === undefined) return failed('report', 'no certificate is given, so nothing says what signed the report');
    return { report, leaf, intermediates, firmwareId: readFirmwareId(leaf), claims: readDeviceClaims(report, leaf) };
  } catch (error) {
    if (!isDaemonError(error)) throw error;
    return failed('report', error.message);
  }
}

function parseCertificates(text: string): readonly Certificate[] {
  return splitPem(text, 'CERTIFICATE').map(parseCertificate);
}

async function verifyDevice(
  { report, leaf, intermediates }: ParsedEvidence,
  { atMs, crypto }: NvidiaVerificationRequest,
): Promise<readonly EvidenceCheck[]> {
  const root = findRoot('device');
  const chain = await verifyChain({ leaf, intermediates, root, atMs, crypto });
  const parts = { publicKey: leaf.publicKey, message: report.signed, signature: report.signature };
  const holds = await crypto.verify('ecdsa-p384-sha384', parts);
  const detail = `ECDSA P-384 of ${leaf.subjectText} over ${report.signed.length} bytes`;
  const role = { holds: !leaf.isAuthority, detail: `${leaf.subjectText} is to be no certificate authority` };
  return [...chain, decide('signer', role), decide('report-signature', { holds, detail })];
}

/** What the report says of its boot firmware has to be what the boot ROM certified. */
function checkFirmwareId({ firmwareId, claims }: ParsedEvidence): EvidenceCheck {
  const certified = firmwareId === undefined ? undefined : encodeHex(firmwareId);
  if (certified === undefined) return failed('firmware-id', 'the signing certificate states none');
  if (claims.firmwareId === null) {
    return unchecked('firmware-id', `the report states none; the signing certificate states ${certified}`);
  }
  const detail = `the report states ${claims.firmwareId}, the signing certificate ${certified}`;
  return decide('firmware-id', { holds: claims.firmwareId === certified, detail });
}

function checkNonce({ requesterNonce }: MeasurementReport, nonce: Uint8Array | undefined): EvidenceCheck {
  const found = encodeHex(requesterNonce);
  if (nonce === undefined) return unchecked('nonce', `none was given; the report answers ${found}: it may be old`);
  const holds = nonce.length === NONCE_BYTES && areBytesEqual(nonce, requesterNonce);
  return decide('nonce', { holds, detail: `the report answers ${found}, ${encodeHex(nonce)} was asked` });
}

async function verifyManifests(
  { driver, vbios }: AssignedManifests,
  { atMs, crypto }: NvidiaVerificationRequest,
): Promise<readonly EvidenceCheck[]> {
  const root = findRoot('rim');
  const checks: EvidenceCheck[] = [];
  if (driver !== undefined)
    checks.push(...(await verifyManifest({ role: 'driver', manifest: driver, root, atMs, crypto })));
  if (vbios !== undefined)
    checks.push(...(await verifyManifest({ role: 'vbios', manifest: vbios, root, atMs, crypto })));
  return checks;
}

function conclude(
  { atMs, policy }: NvidiaVerificationRequest,
  { checks, claims }: { readonly checks: readonly EvidenceCheck[]; readonly claims: NvidiaClaims | null },
): NvidiaVerification {
  const judged = checks.map((check) => acceptUnchecked(check, policy));
  return { kind: 'nvidia', verdict: judgeChecks(judged), evaluatedAtMs: atMs, checks: judged, claims };
}
