import { type CodedInfo, DaemonError } from '../lib/errors.ts';

export interface RemoteErrorFields {
  /** The JSON-RPC error code. */
  readonly rpcCode: number;
  readonly message: string;
  readonly hint: string;
  readonly retryable: boolean;
  readonly info: CodedInfo;
}

/** An error that the daemon answered with, as it was there: code, data, sentence and hint. */
export class RpcRemoteError extends DaemonError {
  readonly rpcCode: number;

  constructor(fields: RemoteErrorFields) {
    const { info, message, hint, retryable } = fields;
    super({ [info.code]: { retryable, message: () => message, hint: () => hint } }, info);
    this.rpcCode = fields.rpcCode;
  }
}
