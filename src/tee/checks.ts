import type { EvidenceCheck, EvidenceVerdict } from './interface.ts';

export function passed(name: string, detail: string): EvidenceCheck {
  return { name, verdict: 'passed', detail };
}

export function failed(name: string, detail: string): EvidenceCheck {
  return { name, verdict: 'failed', detail };
}

export function unchecked(name: string, detail: string): EvidenceCheck {
  return { name, verdict: 'unchecked', detail };
}

/** What nothing checked, and the policy accepts by name; the detail keeps why it was not. */
export function accepted(name: string, why: string): EvidenceCheck {
  return passed(name, `not checked, which the policy accepts: ${why}`);
}

export function decide(name: string, outcome: { readonly holds: boolean; readonly detail: string }): EvidenceCheck {
  return { name, verdict: outcome.holds ? 'passed' : 'failed', detail: outcome.detail };
}

/** No check at all is not a pass. */
export function judgeChecks(checks: readonly EvidenceCheck[]): EvidenceVerdict {
  if (checks.some(({ verdict }) => verdict === 'failed')) return 'invalid';
  if (checks.length === 0 || checks.some(({ verdict }) => verdict !== 'passed')) return 'unchecked';
  return 'valid';
}
