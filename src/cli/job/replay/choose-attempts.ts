import type { OpenedAttempt } from '../../../bundle/open-evidence.ts';
import { UsageError } from '../../../lib/errors.ts';

export interface AttemptChoice {
  readonly replica: number | undefined;
  /** Lease, or its first characters. */
  readonly attempt: string | undefined;
  readonly all: boolean;
}

/** @throws UsageError where nothing, or more than one attempt, is meant */
export function chooseAttempts(attempts: readonly OpenedAttempt[], choice: AttemptChoice): readonly OpenedAttempt[] {
  const { replica, attempt, all } = choice;
  if ([replica !== undefined, attempt !== undefined, all].filter(Boolean).length > 1) {
    throw new UsageError(
      '--replica, --attempt and --all exclude each other',
      'Give one of them, or none for replica 0.',
    );
  }
  if (all) return attempts;
  if (attempt !== undefined) return [findAttempt(attempts, attempt)];
  const number = replica ?? 0;
  const found = attempts.filter(({ lease }) => lease.kind === 'opened' && lease.signed.value.replica === number);
  // Of several attempts of one replica the last is the one with the result.
  const last = found.at(-1) ?? (replica === undefined ? attempts[0] : undefined);
  if (last !== undefined) return [last];
  throw new UsageError(`the file holds no attempt of replica ${number}`, describeChoice(attempts));
}

function findAttempt(attempts: readonly OpenedAttempt[], text: string): OpenedAttempt {
  const found = attempts.filter(({ lease }) => lease.kind === 'opened' && lease.signed.id.startsWith(text));
  const [only, other] = found;
  if (only !== undefined && other === undefined) return only;
  const problem = only === undefined ? 'is no attempt of this file' : 'is the beginning of several leases';
  throw new UsageError(`'${text}' ${problem}`, describeChoice(attempts));
}

function describeChoice(attempts: readonly OpenedAttempt[]): string {
  const names = attempts.flatMap(({ lease }) =>
    lease.kind === 'opened' ? [`--replica ${lease.signed.value.replica} (lease ${lease.signed.id})`] : [],
  );
  return `There are: ${names.join(', ')}.`;
}
