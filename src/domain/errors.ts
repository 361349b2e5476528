import { DaemonError, type ErrorTable } from '../lib/errors.ts';

export type DomainErrorInfo =
  | { readonly code: 'DOMAIN_BAD_ID'; readonly kind: string; readonly text: string }
  | { readonly code: 'DOMAIN_BAD_TIME'; readonly value: number }
  | { readonly code: 'DOMAIN_BAD_LAMPORTS'; readonly value: string }
  | { readonly code: 'DOMAIN_UNKNOWN_TYPE'; readonly expected: string; readonly found: string }
  | { readonly code: 'DOMAIN_IMAGE_DOCUMENT'; readonly what: string; readonly reason: string }
  | { readonly code: 'DOMAIN_BAD_OBJECT'; readonly type: string; readonly path: string; readonly reason: string };

const DOMAIN_ERRORS: ErrorTable<DomainErrorInfo> = {
  DOMAIN_BAD_ID: {
    retryable: false,
    message: (info) => `'${info.text}' is not a ${info.kind}`,
    hint: (info) => `Copy the ${info.kind} whole, as the command that listed it printed it.`,
  },
  DOMAIN_BAD_TIME: {
    retryable: false,
    message: (info) => `${info.value} is not a Unix time in whole ms`,
    hint: () => 'Give a non-negative integer number of ms since 1970.',
  },
  DOMAIN_BAD_LAMPORTS: {
    retryable: false,
    message: (info) => `${info.value} is not an amount of lamports`,
    hint: () => 'Give a whole number from 0 to 2^64 - 1; one SOL is 1,000,000,000 lamports.',
  },
  DOMAIN_UNKNOWN_TYPE: {
    retryable: false,
    message: (info) => `expected an object of type ${info.expected} and found ${info.found}`,
    hint: () => 'The other side may run another version; compare `fogproof --version`.',
  },
  DOMAIN_IMAGE_DOCUMENT: {
    retryable: false,
    message: (info) => `the ${info.what} of an image is refused: ${info.reason}`,
    hint: () =>
      'Make the image again with a current tool, such as `skopeo copy … oci:FOLDER`; docs/job-spec.md says what may be in one.',
  },
  DOMAIN_BAD_OBJECT: {
    retryable: false,
    message: (info) => `a ${info.type} is malformed at '${info.path}': ${info.reason}`,
    hint: () => 'The sender must follow the published schema of that type.',
  },
};

export class DomainError extends DaemonError<DomainErrorInfo> {
  constructor(info: DomainErrorInfo, options?: ErrorOptions) {
    super(DOMAIN_ERRORS, info, options);
  }
}
