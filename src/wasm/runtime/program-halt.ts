import type { Outcome } from '../../domain/receipt.ts';

type ProgramFailure = Extract<Outcome, { kind: 'program-failed' }>;
/** `paused`: the host answered a checkpoint with `halt`. */
export type ProgramOutcome = Extract<Outcome, { kind: 'completed' }> | ProgramFailure | { readonly kind: 'paused' };

/** Unwinds a program from inside a host function; it carries how the program ended. */
export class ProgramHalt extends Error {
  override readonly name = 'ProgramHalt';
  readonly outcome: ProgramOutcome;

  constructor(outcome: ProgramOutcome) {
    super(outcome.kind);
    this.outcome = outcome;
  }
}

export function createFailure(code: ProgramFailure['code'], detail: string): ProgramFailure {
  return { kind: 'program-failed', code, detail: detail.slice(0, 300) };
}

export function halt(code: ProgramFailure['code'], detail: string): never {
  throw new ProgramHalt(createFailure(code, detail));
}
