import { describeError, isAbortError, isDaemonError } from '../../lib/errors.ts';
import { READ_TIMEOUT_MS } from './constants.ts';
import { AnchoringError } from './errors.ts';

/** Why something waits: a code, and a sentence with the next step. */
export interface Problem {
  readonly code: string;
  readonly message: string;
}

/** Carries what the journal says of a transaction, code and all. */
export class ProblemError extends Error {
  override readonly name = 'ProblemError';
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.message);
    this.problem = problem;
  }
}

export function describeProblem(error: unknown): Problem {
  if (error instanceof ProblemError) return error.problem;
  if (isDaemonError(error)) return { code: error.code, message: `${error.message}. ${error.hint}` };
  if (isAbortError(error)) {
    return describeProblem(new AnchoringError({ code: 'ANCHORING_NO_ANSWER', timeoutMs: READ_TIMEOUT_MS }));
  }
  return { code: 'INTERNAL', message: describeError(error) };
}
