import { DaemonError, type ErrorTable } from '../../lib/errors.ts';

export type ProviderErrorInfo =
  | {
      readonly code: 'PROVIDER_INPUT_SIZE';
      readonly blob: string;
      readonly expectedBytes: number;
      readonly foundBytes: number;
    }
  | { readonly code: 'PROVIDER_INPUT_FORGED'; readonly blob: string }
  | { readonly code: 'PROVIDER_CLAIM_REFUSED'; readonly holder: string; readonly reason: string }
  | { readonly code: 'PROVIDER_NO_SNAPSHOTS' };

const PROVIDER_ERRORS: ErrorTable<ProviderErrorInfo> = {
  PROVIDER_INPUT_SIZE: {
    retryable: false,
    message: (info) => `blob ${info.blob} has ${info.foundBytes} bytes and the job says ${info.expectedBytes}`,
    hint: () => 'The job names a wrong size; describe and submit it again.',
  },
  PROVIDER_INPUT_FORGED: {
    retryable: false,
    message: (info) => `the requester sent other bytes than those of blob ${info.blob}`,
    hint: () => 'A requester must hand out the inputs of its own jobs.',
  },
  PROVIDER_CLAIM_REFUSED: {
    retryable: true,
    message: (info) => `${info.holder} does not hand out the snapshot: ${info.reason}`,
    hint: () => 'Go on from a snapshot that another peer holds.',
  },
  PROVIDER_NO_SNAPSHOTS: {
    retryable: false,
    message: () => 'this provider keeps no snapshots',
    hint: () => 'Give it a store for snapshots, or run the job on another provider.',
  },
};

export class ProviderError extends DaemonError<ProviderErrorInfo> {
  constructor(info: ProviderErrorInfo, options?: ErrorOptions) {
    super(PROVIDER_ERRORS, info, options);
  }
}
