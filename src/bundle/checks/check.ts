import type { AssuranceReport, VerificationVerdict } from '../../domain/assurance.ts';
import type { PeerKey } from '../../domain/ids.ts';
import type { Opened } from '../open-evidence.ts';

export type Check = AssuranceReport['checks'][number];

/** Codes of checks that are not about a single signature. */
export const CHECK_CODES = [
  'WRONG_SIGNER',
  'WRONG_PARTIES',
  'WRONG_TERMS',
  'WRONG_TIME',
  'WRONG_RESULT',
  'WRONG_ISOLATION',
  'OVER_LIMIT',
  'REPEATED',
  'WRONG_BLOB',
  'NO_COMMITMENT',
  'WRONG_COMMITMENT',
  'WRONG_SET',
  'NOT_DIVERSE',
  'NO_QUORUM',
  'NOT_ACCOUNTED',
  'NO_RESULT',
  'WRONG_RECEIPT',
  'WRONG_CHAIN',
  'WRONG_LINE',
  'WRONG_STATE',
  'NOT_IN_BATCH',
  'WRONG_LOG',
  'CONTRADICTORY',
  'NOT_ATTESTED',
  'WRONG_RELEASE',
  'WRONG_EVIDENCE',
  'EVIDENCE_REFUSED',
  'WRONG_ATTESTATION',
] as const;
export type CheckCode = (typeof CHECK_CODES)[number];

export const VALID: VerificationVerdict = { kind: 'valid' };

/** One rule: whether it holds, and in plain words what is wrong where it does not. */
export type Rule = readonly [holds: boolean, reason: string];

/** Valid if every rule holds, else invalid for the first that does not. */
export function checkRules(name: string, code: CheckCode, rules: readonly Rule[]): Check {
  const broken = rules.find(([holds]) => !holds);
  return { name, verdict: broken === undefined ? VALID : { kind: 'invalid', code, reason: broken[1] } };
}

export function uncheckedCheck(name: string, missing: string): Check {
  return { name, verdict: { kind: 'unchecked', missing } };
}

/** The signature holds and is of the party that the object names or that it must come from. */
export function checkSignature(name: string, opened: Opened<unknown>, expected: PeerKey | undefined): Check {
  if (opened.kind === 'refused') {
    return { name, verdict: { kind: 'invalid', code: opened.code, reason: opened.reason } };
  }
  if (expected === undefined)
    return uncheckedCheck(name, 'who must have signed it: the object that says so is refused');
  const reason = `it is signed by ${opened.signed.signer} and must be by ${expected}`;
  return checkRules(name, 'WRONG_SIGNER', [[opened.signed.signer === expected, reason]]);
}

/** Invalid if any check is, else unchecked if any is, else valid. */
export function combineChecks(checks: readonly Check[]): VerificationVerdict {
  const invalid = checks.find(({ verdict }) => verdict.kind === 'invalid');
  if (invalid !== undefined) return invalid.verdict;
  const missing = checks.flatMap(({ verdict }) => (verdict.kind === 'unchecked' ? [verdict.missing] : []));
  return missing.length === 0 ? VALID : { kind: 'unchecked', missing: [...new Set(missing)].join('; ') };
}

/** The value of an object whose signature holds. */
export function valueOf<Value>(opened: Opened<Value> | null): Value | undefined {
  return opened?.kind === 'opened' ? opened.signed.value : undefined;
}

/** The ends of a peer id: its middle tells people nothing. */
export function shortPeer(peer: PeerKey): string {
  return `${peer.slice(0, 8)}…${peer.slice(-8)}`;
}

export function listNames(names: readonly string[]): string {
  if (names.length < 2) return names.join('');
  return `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}
