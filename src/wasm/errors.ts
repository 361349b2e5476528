import { DaemonError, type ErrorTable } from '../lib/errors.ts';

export type WasmErrorInfo =
  | { readonly code: 'WASM_MALFORMED'; readonly offset: number; readonly reason: string }
  | { readonly code: 'WASM_INVALID' }
  | { readonly code: 'WASM_UNSUPPORTED'; readonly feature: string }
  | { readonly code: 'WASM_TOO_LARGE'; readonly what: string; readonly value: number; readonly limit: number }
  | { readonly code: 'WASM_MEMORY_LIMIT'; readonly pages: number; readonly limitPages: number }
  | { readonly code: 'WASM_RESERVED_NAME'; readonly name: string }
  | {
      readonly code: 'WASM_IMPORT_REFUSED';
      readonly module: string;
      readonly name: string;
      readonly reason: 'unknown-module' | 'unknown-function' | 'not-a-function' | 'wrong-signature';
    }
  | { readonly code: 'WASM_EXPORT_MISSING'; readonly name: string; readonly expected: string }
  | { readonly code: 'WASM_RESUME_REFUSED'; readonly reason: string };

const WASM_ERRORS: ErrorTable<WasmErrorInfo> = {
  WASM_MALFORMED: {
    retryable: false,
    message: (info) => `the module is malformed at byte ${info.offset}: ${info.reason}`,
    hint: () => 'Build the module again; `wasm-validate` shows where it breaks.',
  },
  WASM_INVALID: {
    retryable: false,
    message: () => 'the module does not validate',
    hint: () => 'Build the module again; `wasm-validate` shows where it breaks.',
  },
  WASM_UNSUPPORTED: {
    retryable: false,
    message: (info) => `the module uses ${info.feature}, which jobs may not use`,
    hint: (info) => `Build for a target without ${info.feature} (docs/sandbox.md lists what is accepted).`,
  },
  WASM_TOO_LARGE: {
    retryable: false,
    message: (info) => `${info.what} is ${info.value}; at most ${info.limit} is accepted`,
    hint: () => 'Build a smaller module, or split large functions.',
  },
  WASM_MEMORY_LIMIT: {
    retryable: false,
    message: (info) => `the module starts with ${info.pages} pages of memory and the job allows ${info.limitPages}`,
    hint: (info) => `Raise the job's memory to at least ${info.pages * 65_536} bytes.`,
  },
  WASM_RESERVED_NAME: {
    retryable: false,
    message: (info) => `the module exports the reserved name '${info.name}'`,
    hint: () => "Rename the export: names that begin with 'fogproof:' belong to the host.",
  },
  WASM_IMPORT_REFUSED: {
    retryable: false,
    message: (info) => `the import '${info.module}' '${info.name}' is refused: ${info.reason}`,
    hint: () => 'Import only the functions of the ABI that the job names (docs/job-spec.md).',
  },
  WASM_EXPORT_MISSING: {
    retryable: false,
    message: (info) => `the module does not export '${info.name}' as ${info.expected}`,
    hint: () => 'Export what the ABI of the job asks for (docs/job-spec.md).',
  },
  WASM_RESUME_REFUSED: {
    retryable: false,
    message: (info) => `the state does not fit the module or the job: ${info.reason}`,
    hint: () => 'Resume from another snapshot of the same job, or begin at the beginning.',
  },
};

/** Why a module, or a state to go on from, is refused. What a module does when it runs is an Outcome, not an error. */
export class WasmError extends DaemonError<WasmErrorInfo> {
  constructor(info: WasmErrorInfo, options?: ErrorOptions) {
    super(WASM_ERRORS, info, options);
  }
}
