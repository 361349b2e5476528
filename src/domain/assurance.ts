/**
 * The kinds of assurance of the design, section 7. This version produces and checks these. `replicated` is said of
 * byte-identical results alone; of training rounds compared as numbers it is `replicated-within-tolerance`.
 */
export const ASSURANCE_KINDS = ['signed', 'replicated', 'replicated-within-tolerance', 'attested', 'anchored'] as const;
export type AssuranceKind = (typeof ASSURANCE_KINDS)[number];

/** Outcome of checking one assurance. `unchecked` names what was missing and is never a pass. */
export type VerificationVerdict =
  | { readonly kind: 'valid' }
  | { readonly kind: 'invalid'; readonly code: string; readonly reason: string }
  | { readonly kind: 'unchecked'; readonly missing: string };

export interface AssuranceReport {
  readonly assurance: AssuranceKind;
  /** What is claimed, in plain words, with the names and figures of this bundle: one line for each claimant. */
  readonly statement: string;
  readonly by: readonly string[];
  readonly assumes: readonly string[];
  readonly doesNotClaim: readonly string[];
  readonly verdict: VerificationVerdict;
  /** It rests, wholly or in part, on evidence that no hardware made: SIMULATED, for tests. */
  readonly isSimulated?: true;
  /** Each single check with its outcome, in the order made. */
  readonly checks: readonly { readonly name: string; readonly verdict: VerificationVerdict }[];
}
