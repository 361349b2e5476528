import { TeeError } from '../../errors.ts';
import type { EvidenceCheck } from '../../interface.ts';

/** @throws TeeError TEE_MALFORMED with the first check that did not pass */
export function assertPassed(what: string, checks: readonly EvidenceCheck[]): void {
  const wrong = checks.find(({ verdict }) => verdict !== 'passed');
  if (wrong === undefined) return;
  throw new TeeError({ code: 'TEE_MALFORMED', what, offset: 0, reason: `${wrong.name}: ${wrong.detail}` });
}
