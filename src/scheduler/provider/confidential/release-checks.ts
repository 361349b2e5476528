import type { Release } from '../../../domain/confidential.ts';
import type { PeerKey } from '../../../domain/ids.ts';
import type { Attempt } from '../attempts/attempt.ts';
import type { ShownEvidence } from './shown-evidence.ts';

export interface ReleaseContext {
  readonly attempt: Attempt;
  readonly shown: ShownEvidence;
  readonly self: PeerKey;
  readonly nowMs: number;
}

/** Each rule that a release must keep besides its signature, with what is wrong where it does not. In the order checked. */
const RULES: readonly (readonly [name: string, isKept: (release: Release, context: ReleaseContext) => boolean])[] = [
  ['it is for another network', ({ network }, { attempt }) => network === attempt.lease.value.network],
  ['it names another requester', ({ requester }, { attempt }) => requester === attempt.requester],
  ['it names another provider', ({ provider }, { self }) => provider === self],
  ['it is of another job', ({ job }, { attempt }) => job === attempt.jobId],
  ['it is for other evidence than was shown', ({ evidence }, { shown }) => evidence === shown.evidenceId],
  ['the keys that were shown have expired', (_, { shown, nowMs }) => nowMs < shown.expiresAtMs],
];

/** The first broken rule in words; undefined if all are kept. */
export function findReleaseMismatch(release: Release, context: ReleaseContext): string | undefined {
  return RULES.find(([, isKept]) => !isKept(release, context))?.[0];
}
