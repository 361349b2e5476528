import { DaemonError, type ErrorTable } from '../../lib/errors.ts';

export type ProviderErrorInfo =
  | {
      readonly code: 'PROVIDER_INPUT_SIZE';
      readonly blob: string;
      readonly expectedBytes: number;
      readonly foundBytes: number;
    }
  | { readonly code: 'PROVIDER_INPUT_FORGED'; readonly blob: string };

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
};

export class ProviderError extends DaemonError<ProviderErrorInfo> {
  constructor(info: ProviderErrorInfo, options?: ErrorOptions) {
    super(PROVIDER_ERRORS, info, options);
  }
}
