import { DaemonError, type ErrorTable } from '../../lib/errors.ts';

export type ProviderErrorInfo = {
  readonly code: 'PROVIDER_INPUT_MISMATCH';
  readonly blob: string;
  readonly expectedBytes: number;
  readonly foundBytes: number;
};

const PROVIDER_ERRORS: ErrorTable<ProviderErrorInfo> = {
  PROVIDER_INPUT_MISMATCH: {
    retryable: false,
    message: (info) => `blob ${info.blob} has ${info.foundBytes} bytes and the job says ${info.expectedBytes}`,
    hint: () => 'The job names a wrong size; describe and submit it again.',
  },
};

export class ProviderError extends DaemonError<ProviderErrorInfo> {
  constructor(info: ProviderErrorInfo, options?: ErrorOptions) {
    super(PROVIDER_ERRORS, info, options);
  }
}
