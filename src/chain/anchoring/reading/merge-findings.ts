import type { AnchorReading } from '../../../bundle/interface.ts';
import type { VerificationVerdict } from '../../../domain/assurance.ts';
import { CHECKED, type Checked, type EndpointFindings, type Finding } from './finding.ts';

type Named = Finding & { readonly url: string };

/**
 * All endpoints must agree. One that contradicts another makes the check invalid, both named; one that cannot answer
 * leaves it unchecked.
 */
export function mergeFindings(endpoints: readonly EndpointFindings[]): AnchorReading['checks'] {
  return CHECKED.flatMap((checked) => {
    const findings = endpoints.flatMap((endpoint) => pick(endpoint, checked));
    if (findings.length === 0) return [];
    const name = [...new Set(findings.map((finding) => finding.name))].join('; ');
    return [{ name, verdict: mergeVerdicts(findings) }];
  });
}

function pick({ url, findings }: EndpointFindings, checked: Checked): Named[] {
  const finding = findings[checked];
  return finding === undefined ? [] : [{ ...finding, url }];
}

function mergeVerdicts(findings: readonly Named[]): VerificationVerdict {
  const good = findings.find(({ verdict }) => verdict.kind === 'valid');
  const reasons: string[] = [];
  const missing: string[] = [];
  let code: string | undefined;
  for (const { url, verdict } of findings) {
    if (verdict.kind === 'unchecked') missing.push(`${verdict.missing} (${url})`);
    if (verdict.kind !== 'invalid') continue;
    code ??= verdict.code;
    reasons.push(`${url} says: ${verdict.reason}`);
  }
  if (code !== undefined && good !== undefined) {
    const reason = `endpoints contradict each other: ${reasons.join('; ')}; ${good.url} says that it holds`;
    return { kind: 'invalid', code: 'ENDPOINTS_DISAGREE', reason };
  }
  if (code !== undefined) return { kind: 'invalid', code, reason: reasons.join('; ') };
  return missing.length > 0 ? { kind: 'unchecked', missing: missing.join('; ') } : { kind: 'valid' };
}
