import { accepted, decide, unchecked } from '../checks.ts';
import type { EvidenceCheck } from '../interface.ts';
import type { NvidiaClaims } from './interface.ts';
import { type NvidiaPolicy, nvidiaPolicySchema } from './policy.ts';

/** Checks `device-type`, and for what the policy states `policy-chip`, `policy-driver`, `policy-vbios`, `policy-mode`. */
export function judgePolicy(claims: NvidiaClaims, choice: NvidiaPolicy | 'none' | undefined): readonly EvidenceCheck[] {
  if (choice === undefined) {
    const reason = 'no allow-list was given: which driver and VBIOS may run is not judged';
    return [...judgeRules(claims, nvidiaPolicySchema.parse({})), unchecked('policy', reason)];
  }
  return judgeRules(claims, choice === 'none' ? nvidiaPolicySchema.parse({}) : choice);
}

/** What the policy accepts by name although nothing checked it. */
export function acceptUnchecked(check: EvidenceCheck, choice: NvidiaPolicy | 'none' | undefined): EvidenceCheck {
  if (check.verdict !== 'unchecked' || choice === undefined || choice === 'none') return check;
  const names: readonly string[] = choice.acceptUnchecked;
  if (!names.includes(check.name)) return check;
  return accepted(check.name, check.detail);
}

function judgeRules(claims: NvidiaClaims, policy: NvidiaPolicy): readonly EvidenceCheck[] {
  const driver = { allowed: policy.driverVersions, min: policy.minDriverVersion, radix: 10 } as const;
  const vbios = { allowed: policy.vbiosVersions, min: policy.minVbiosVersion, radix: 16 } as const;
  return [
    checkOneOf('device-type', claims.deviceType, policy.deviceTypes),
    ...checkListed('policy-chip', claims.chip, policy.chips),
    ...checkListed('policy-mode', claims.mode, policy.modes),
    ...judgeVersion('policy-driver', claims.driverVersion, driver),
    ...judgeVersion('policy-vbios', claims.vbiosVersion, vbios),
  ];
}

interface VersionRule {
  readonly allowed: readonly string[] | undefined;
  readonly min: string | undefined;
  readonly radix: 10 | 16;
}

function judgeVersion(name: string, version: string | null, rule: VersionRule): readonly EvidenceCheck[] {
  const { allowed, min, radix } = rule;
  if (min === undefined) return checkListed(name, version, allowed);
  const holds = version !== null && isAtLeast(version, min, radix);
  const minimum = decide(name, { holds, detail: `${version ?? 'none'} is compared with the minimum ${min}` });
  return [minimum, ...checkListed(name, version, allowed)];
}

function checkListed(
  name: string,
  value: string | null,
  allowed: readonly string[] | undefined,
): readonly EvidenceCheck[] {
  return allowed === undefined ? [] : [checkOneOf(name, value, allowed)];
}

function checkOneOf(name: string, value: string | null, allowed: readonly string[]): EvidenceCheck {
  const holds = value !== null && allowed.includes(value);
  return decide(name, { holds, detail: `${value ?? 'none'} is looked up in ${allowed.join(', ')}` });
}

/** Part by part as numbers; a version that is no such list of numbers, or has another number of parts, is not. */
function isAtLeast(version: string, min: string, radix: 10 | 16): boolean {
  const [found, wanted] = [version, min].map((text) => text.split('.').map((part) => Number.parseInt(part, radix)));
  if (found === undefined || wanted === undefined || found.some(Number.isNaN)) return false;
  for (const [index, least] of wanted.entries()) {
    const part = found[index] ?? 0;
    if (part !== least) return part > least;
  }
  return true;
}
