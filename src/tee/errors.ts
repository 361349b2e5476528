import { DaemonError, type ErrorTable } from '../lib/errors.ts';

export type TeeErrorInfo =
  | { readonly code: 'TEE_MALFORMED'; readonly what: string; readonly offset: number; readonly reason: string }
  | { readonly code: 'TEE_TOO_LARGE'; readonly what: string; readonly sizeBytes: number; readonly limitBytes: number }
  | { readonly code: 'TEE_POLICY_INVALID'; readonly issues: readonly string[] };

const TEE_ERRORS: ErrorTable<TeeErrorInfo> = {
  TEE_MALFORMED: {
    retryable: false,
    message: (info) => `${info.what} is malformed at byte ${info.offset}: ${info.reason}`,
    hint: () => 'Get the file again from where it was made, as it is: binary, not printed or re-encoded.',
  },
  TEE_TOO_LARGE: {
    retryable: false,
    message: (info) => `${info.what} has ${info.sizeBytes} bytes; at most ${info.limitBytes} are accepted`,
    hint: () => 'Check that it is the file that you mean; evidence and certificates are small.',
  },
  TEE_POLICY_INVALID: {
    retryable: false,
    message: (info) => `the policy is not valid: ${info.issues.join('; ')}`,
    hint: () => 'Correct these settings; docs/attestation.md lists what a policy may say.',
  },
};

/** Why bytes or a policy cannot be judged at all. What a judgement found wrong is an EvidenceCheck, not an error. */
export class TeeError extends DaemonError<TeeErrorInfo> {
  constructor(info: TeeErrorInfo, options?: ErrorOptions) {
    super(TEE_ERRORS, info, options);
  }
}
