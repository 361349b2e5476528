import { DaemonError, type ErrorTable } from '../../lib/errors.ts';

export type WasmCommandErrorInfo =
  | {
      readonly code: 'CLI_MODULE_TOO_LARGE';
      readonly path: string;
      readonly sizeBytes: number;
      readonly maxBytes: number;
    }
  | { readonly code: 'CLI_MODULE_UNWRITABLE'; readonly path: string; readonly reason: string };

const WASM_COMMAND_ERRORS: ErrorTable<WasmCommandErrorInfo> = {
  CLI_MODULE_TOO_LARGE: {
    retryable: false,
    message: (info) => `${info.path} has ${info.sizeBytes} bytes; a module has at most ${info.maxBytes}`,
    hint: () => 'Build a smaller module, and put data into input files.',
  },
  CLI_MODULE_UNWRITABLE: {
    retryable: false,
    message: (info) => `${info.path} cannot be written: ${info.reason}`,
    hint: () => 'Name a file in a folder that is there and that this user may write to.',
  },
};

export class WasmCommandError extends DaemonError<WasmCommandErrorInfo> {
  constructor(info: WasmCommandErrorInfo, options?: ErrorOptions) {
    super(WASM_COMMAND_ERRORS, info, options);
  }
}
