import { formatDuration } from '../../lib/quantity.ts';
import type { AttemptCase } from './attempt-case.ts';

/** Its provider kept the result as long as it had said, and it was not collected in that time. */
export const RESULT_NOT_KEPT = 'RESULT_NOT_KEPT';

/** Why a provider does not know a lease that it had accepted, as far as its own signed words tell. */
export function explainForgotten(
  { acceptance, progress }: Pick<AttemptCase, 'acceptance' | 'progress'>,
  nowMs: number,
): { readonly code: string; readonly reason: string } {
  const keptForMs = acceptance?.resultsKeptForMs;
  if (acceptance === null || keptForMs === undefined) {
    return { code: 'LEASE_FORGOTTEN', reason: 'it does not know the lease any more' };
  }
  // It cannot have ended before the last sign of life that it signed.
  const earliestMs = (progress?.value.atMs ?? acceptance.acceptedAtMs) + keptForMs;
  const kept = formatDuration(keptForMs);
  if (nowMs < earliestMs) {
    const reason = `it does not know the lease any more, though it had signed to keep the result for ${kept}`;
    return { code: 'LEASE_FORGOTTEN', reason };
  }
  const reason = `the result is not kept any more: it had signed to keep it for ${kept} after its end, and nobody came for it`;
  return { code: RESULT_NOT_KEPT, reason };
}
