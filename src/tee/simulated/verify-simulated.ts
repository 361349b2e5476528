import { areBytesEqual, encodeHex } from '../../lib/bytes.ts';
import { decide, failed, judgeChecks, passed, unchecked } from '../checks.ts';
import { encodeEd25519PublicKey } from '../crypto/signature-schemes.ts';
import { TeeError } from '../errors.ts';
import type { EvidenceCheck, EvidenceCrypto, EvidenceVerification } from '../interface.ts';
import type { SimulatedPolicy } from './policy.ts';
import {
  parseSimulatedReport,
  SIMULATED_REPORT_DATA_BYTES,
  SIMULATED_ROOT_BYTES,
  type SimulatedReport,
} from './report.ts';

export interface SimulatedRequest {
  readonly evidence: Uint8Array;
  /** Of the network's definition; without it no verdict is better than unchecked. */
  readonly simulatedRoot?: Uint8Array;
  /** Not given: `measurement` is unchecked. 'none': left out, by the caller's own word. */
  readonly policy?: SimulatedPolicy | 'none';
  /** Expected, at most 64 bytes; shorter is padded with zeros. */
  readonly reportData?: Uint8Array;
  readonly atMs: number;
  readonly crypto: EvidenceCrypto;
}

export interface SimulatedClaims {
  readonly warning: typeof SIMULATED_WARNING;
  /** Hex. Made up: it measures nothing. */
  readonly measurement: string;
  readonly reportData: string;
  /** By the clock of who made it; not judged, as no hardware says it. */
  readonly signedAt: string;
}

const KIND = 'simulated';
/** On every line that a person may take for more than it is. */
export const SIMULATED_WARNING = 'SIMULATED, no hardware';

/** Checks SIMULATED evidence against the root of a test network. Never throws for what is in the request's bytes. */
export async function verifySimulated(request: SimulatedRequest): Promise<EvidenceVerification<SimulatedClaims>> {
  const { evidence, policy, atMs } = request;
  const report = tryParse(evidence);
  if ('verdict' in report) {
    return { kind: KIND, verdict: 'invalid', evaluatedAtMs: atMs, checks: [report], claims: null };
  }
  const { measurement, reportData, signedAtMs } = report.statement;
  const checks = [
    passed('format', 'a simulated report'),
    ...(await judgeSignature(report, request)),
    ...judgeReportData(reportData, request.reportData),
    ...judgeMeasurement(encodeHex(measurement), policy),
  ].map((check) => ({ ...check, detail: `${SIMULATED_WARNING}: ${check.detail}` }));
  const claims = {
    warning: SIMULATED_WARNING,
    measurement: encodeHex(measurement),
    reportData: encodeHex(reportData),
    signedAt: new Date(signedAtMs).toISOString(),
  } as const;
  return { kind: KIND, verdict: judgeChecks(checks), evaluatedAtMs: atMs, checks, claims };
}

function tryParse(evidence: Uint8Array): SimulatedReport | EvidenceCheck {
  try {
    return parseSimulatedReport(evidence);
  } catch (error) {
    if (error instanceof TeeError) return failed('format', `${SIMULATED_WARNING}: ${error.message}`);
    throw error;
  }
}

async function judgeSignature(
  { signed, signature }: SimulatedReport,
  { simulatedRoot: root, crypto }: SimulatedRequest,
): Promise<readonly EvidenceCheck[]> {
  const signatureName = 'report-signature';
  if (root === undefined) {
    return [
      unchecked('root', 'no simulated root was given; only the definition of a test network names one'),
      unchecked(signatureName, 'there is no root to judge it by'),
    ];
  }
  const publicKey = encodeEd25519PublicKey(root);
  const holds = await crypto.verify('ed25519', { publicKey, message: signed, signature });
  return [
    decide('root', {
      holds: root.length === SIMULATED_ROOT_BYTES,
      detail: `the root of the test network is ${encodeHex(root)}`,
    }),
    decide(signatureName, { holds, detail: `Ed25519 by that root ${holds ? 'holds' : 'does not hold'}` }),
  ];
}

/** Left out if the caller expects nothing. */
function judgeReportData(found: Uint8Array, expected: Uint8Array | undefined): readonly EvidenceCheck[] {
  if (expected === undefined) return [];
  const name = 'report-data';
  if (expected.length > SIMULATED_REPORT_DATA_BYTES)
    return [failed(name, `${expected.length} bytes are expected; it has ${SIMULATED_REPORT_DATA_BYTES}`)];
  const padded = new Uint8Array(SIMULATED_REPORT_DATA_BYTES);
  padded.set(expected);
  const detail = `report data is ${encodeHex(found)}; expected ${encodeHex(padded)}`;
  return [decide(name, { holds: areBytesEqual(found, padded), detail })];
}

function judgeMeasurement(measurement: string, policy: SimulatedPolicy | 'none' | undefined): readonly EvidenceCheck[] {
  const name = 'measurement';
  if (policy === 'none') return [];
  if (policy === undefined) return [unchecked(name, 'no allow-list was given: which code runs is not judged')];
  const list = policy.measurements;
  if (list === undefined) return [unchecked(name, 'the policy lists no measurements: which code runs is not judged')];
  const holds = list.includes(measurement);
  const detail = `measurement ${measurement} is ${holds ? 'one' : 'none'} of the ${list.length} accepted`;
  return [decide(name, { holds, detail })];
}
