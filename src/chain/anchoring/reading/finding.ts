import type { VerificationVerdict } from '../../../domain/assurance.ts';

/** What is checked of an anchor at each endpoint, in this order. */
export const CHECKED = ['genesis', 'program', 'transaction', 'entry', 'log'] as const;
export type Checked = (typeof CHECKED)[number];

/** What one endpoint says: the claim as it was checked, in words, and whether it holds. */
export interface Finding {
  readonly name: string;
  readonly verdict: VerificationVerdict;
}

/** Of one endpoint; what it was not asked is missing. */
export interface EndpointFindings {
  readonly url: string;
  readonly blockTimeMs: number | null;
  readonly findings: Readonly<Partial<Record<Checked, Finding>>>;
}

export function valid(name: string): Finding {
  return { name, verdict: { kind: 'valid' } };
}

export function invalid(name: string, code: string, reason: string): Finding {
  return { name, verdict: { kind: 'invalid', code, reason } };
}

export function unchecked(name: string, missing: string): Finding {
  return { name, verdict: { kind: 'unchecked', missing } };
}
