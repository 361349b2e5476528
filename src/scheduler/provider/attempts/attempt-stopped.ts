import type { StopReason } from './attempt.ts';

/** Carries the reason from where an attempt failed to where it is concluded. */
export class AttemptStopped extends Error {
  override readonly name = 'AttemptStopped';
  readonly reason: StopReason;

  constructor(reason: StopReason, options?: ErrorOptions) {
    super(reason.detail, options);
    this.reason = reason;
  }
}
