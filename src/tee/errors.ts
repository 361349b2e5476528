import { DaemonError, type ErrorTable } from '../lib/errors.ts';

export type TeeErrorInfo =
  | { readonly code: 'TEE_MALFORMED'; readonly what: string; readonly offset: number; readonly reason: string }
  | { readonly code: 'TEE_TOO_LARGE'; readonly what: string; readonly sizeBytes: number; readonly limitBytes: number }
  | { readonly code: 'TEE_POLICY_INVALID'; readonly issues: readonly string[] }
  | { readonly code: 'TEE_PRODUCE_FAILED'; readonly what: string; readonly reason: string }
  | { readonly code: 'TEE_BUSY'; readonly what: string; readonly reason: string }
  | {
      readonly code: 'TEE_COLLATERAL_UNAVAILABLE';
      readonly what: string;
      readonly url: string | null;
      readonly reason: string;
    }
  | { readonly code: 'TEE_KEY_FILE_INVALID'; readonly path: string; readonly reason: string }
  | { readonly code: 'TEE_NOT_OPENED'; readonly what: string; readonly reason: string }
  | { readonly code: 'TEE_NOT_SEALED'; readonly what: string; readonly reason: string }
  | { readonly code: 'TEE_COMMITMENT_MISMATCH'; readonly input: number };

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
  TEE_PRODUCE_FAILED: {
    retryable: false,
    message: (info) => `${info.what} gives no evidence: ${info.reason}`,
    hint: () => 'Run `fogproof attest --self-test` on this machine: it goes through the steps one by one.',
  },
  TEE_BUSY: {
    retryable: true,
    message: (info) => `${info.what} gives no evidence at the moment: ${info.reason}`,
    hint: () => 'Try again; if it goes on, see whether another program asks it all the time.',
  },
  TEE_COLLATERAL_UNAVAILABLE: {
    retryable: true,
    message: (info) => `${info.what} is missing${info.url === null ? '' : ` (${info.url})`}: ${info.reason}`,
    hint: () =>
      'See that this machine reaches the address, or set attest.collateralUrl to a caching service that it reaches.',
  },
  TEE_KEY_FILE_INVALID: {
    retryable: false,
    message: (info) => `the key file of the simulated TEE ${info.path} cannot be used: ${info.reason}`,
    hint: () => '`fogproof network create --simulated-tee` makes one; give it mode 0600.',
  },
  TEE_NOT_OPENED: {
    retryable: false,
    message: (info) => `${info.what} does not open: ${info.reason}`,
    hint: () => 'Use nothing of it: get it again, and if that is the same, run the job with another provider.',
  },
  TEE_NOT_SEALED: {
    retryable: false,
    message: (info) => `${info.what} was not sealed: ${info.reason}`,
    hint: () => 'Nothing was released. Run the job with another provider.',
  },
  TEE_COMMITMENT_MISMATCH: {
    retryable: false,
    message: (info) => `input ${info.input} is not the one that the job commits to`,
    hint: () => 'Submit the job again: what was sealed, or the salts that were released, are of another input.',
  },
};

/**
 * Why bytes or a policy cannot be judged at all, or no evidence could be made. What a judgement found wrong is an
 * EvidenceCheck, not an error.
 */
export class TeeError extends DaemonError<TeeErrorInfo> {
  constructor(info: TeeErrorInfo, options?: ErrorOptions) {
    super(TEE_ERRORS, info, options);
  }
}
