/** What the process exits with; printed by `fogproof help exit-codes` and in the README. */
export const EXIT_CODES = {
  ok: 0,
  /** The thing asked about failed: a job failed, a bundle is invalid. */
  failed: 1,
  /** Wrong arguments, or a file that is malformed. */
  usage: 2,
  /** Nothing is invalid and something could not be checked. */
  unchecked: 3,
  /** No daemon answers on the control socket. */
  noDaemon: 4,
  /** A coded error: printed with its code and what to do. */
  error: 5,
  /** A defect of ours. */
  internal: 70,
  /** Interrupted by SIGINT. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT_CODES)[keyof typeof EXIT_CODES];
