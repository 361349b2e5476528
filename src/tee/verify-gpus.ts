import { decide, judgeChecks } from './checks.ts';
import type { EvidenceCheck, EvidenceVerification } from './interface.ts';
import { isCollectedEvidence, parseCollectedEvidence } from './nvidia/collected-evidence.ts';
import type { NvidiaClaims, NvidiaVerificationRequest } from './nvidia/interface.ts';
import { verifyGpuEvidence } from './nvidia/verify-gpu-evidence.ts';

/** Of a file of several devices, each by its place in it. */
export interface CollectedClaims {
  readonly devices: readonly (NvidiaClaims | null)[];
}

/**
 * A report, or a file of NVIDIA's attestation CLI with those of every device of a machine, which brings its own
 * certificates. Of several devices, each check is named `2/report-signature` and all have to pass; `devices-distinct`
 * besides.
 * @throws TeeError for a file of several that is malformed
 */
export async function verifyGpus(
  request: NvidiaVerificationRequest,
): Promise<EvidenceVerification<NvidiaClaims | CollectedClaims>> {
  if (!isCollectedEvidence(request.report)) return verifyGpuEvidence(request);
  const collected = parseCollectedEvidence(request.report);
  const devices = await Promise.all(collected.map((device) => verifyGpuEvidence({ ...request, ...device })));
  const [only] = devices;
  if (only !== undefined && devices.length === 1) return only;
  const named = devices.flatMap(({ checks: own }, index) =>
    own.map((check) => ({ ...check, name: `${index + 1}/${check.name}` })),
  );
  const checks = [...named, checkDistinct(devices.map(({ claims }) => claims))];
  return {
    kind: 'nvidia',
    verdict: judgeChecks(checks),
    evaluatedAtMs: request.atMs,
    checks,
    claims: { devices: devices.map(({ claims }) => claims) },
  };
}

/** One GPU that reports eight times is not eight GPUs. */
function checkDistinct(devices: readonly (NvidiaClaims | null)[]): EvidenceCheck {
  const known = new Set(devices.map((claims) => claims?.deviceId));
  const holds = known.size === devices.length;
  return decide('devices-distinct', { holds, detail: `${devices.length} reports are of ${known.size} devices` });
}
