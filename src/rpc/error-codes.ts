import { type CodedInfo, type DaemonError, isAbortError, isDaemonError, UsageError } from '../lib/errors.ts';
import type { RpcErrorInfo } from './errors.ts';
import { toJsonForm } from './json-form.ts';
import { RpcRemoteError } from './remote-error.ts';

/** Codes of the JSON-RPC 2.0 specification, section 5.1. */
export const JSON_RPC_CODES = {
  parseError: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internalError: -32603,
} as const;

/** Ours, from the range -32000 to -32099 that the specification leaves to servers. */
const SERVER_CODES = {
  other: -32000,
  aborted: -32001,
  limited: -32002,
  domain: -32010,
  config: -32011,
  storage: -32012,
  identity: -32013,
  proofs: -32014,
  blob: -32015,
  bundle: -32016,
  network: -32017,
  wasm: -32018,
  sandbox: -32019,
  market: -32020,
  scheduler: -32021,
  rpc: -32022,
  node: -32023,
  chain: -32024,
  beacon: -32025,
  localnet: -32026,
  tee: -32027,
} as const;

/** For `rpc.discover`: what each JSON-RPC code stands for. `data.code` says exactly what happened. */
export const ERROR_FAMILIES: readonly { readonly name: string; readonly code: number; readonly message: string }[] = [
  ...Object.entries(JSON_RPC_CODES).map(([name, code]) => ({ name, code, message: 'JSON-RPC 2.0, section 5.1' })),
  ...Object.entries(SERVER_CODES).map(([name, code]) => ({ name, code, message: `an error of the family '${name}'` })),
];

/** By the code itself, where the specification or a client's reaction asks for more than the family says. */
const BY_CODE: Partial<Record<RpcErrorInfo['code'], number>> = {
  RPC_PARSE_ERROR: JSON_RPC_CODES.parseError,
  RPC_INVALID_REQUEST: JSON_RPC_CODES.invalidRequest,
  RPC_LINE_TOO_LONG: JSON_RPC_CODES.invalidRequest,
  RPC_BATCH_TOO_LARGE: JSON_RPC_CODES.invalidRequest,
  RPC_METHOD_NOT_FOUND: JSON_RPC_CODES.methodNotFound,
  RPC_BAD_PARAMS: JSON_RPC_CODES.invalidParams,
  RPC_ABORTED: SERVER_CODES.aborted,
  RPC_RATE_LIMITED: SERVER_CODES.limited,
  RPC_TOO_MANY_CONNECTIONS: SERVER_CODES.limited,
  RPC_TOO_MANY_IN_FLIGHT: SERVER_CODES.limited,
  RPC_TOO_MANY_SUBSCRIPTIONS: SERVER_CODES.limited,
  RPC_BATCH_ANSWER_TOO_LARGE: SERVER_CODES.limited,
};

/** By the family: what stands before the first underscore of a code. */
const BY_FAMILY: Readonly<Record<string, number>> = {
  DOMAIN: SERVER_CODES.domain,
  CBOR: SERVER_CODES.domain,
  CONFIG: SERVER_CODES.config,
  STORAGE: SERVER_CODES.storage,
  IDENTITY: SERVER_CODES.identity,
  PROOFS: SERVER_CODES.proofs,
  BLOB: SERVER_CODES.blob,
  BUNDLE: SERVER_CODES.bundle,
  NETWORK: SERVER_CODES.network,
  WASM: SERVER_CODES.wasm,
  SANDBOX: SERVER_CODES.sandbox,
  MARKET: SERVER_CODES.market,
  SCHEDULER: SERVER_CODES.scheduler,
  RPC: SERVER_CODES.rpc,
  NODE: SERVER_CODES.node,
  CHAIN: SERVER_CODES.chain,
  BEACON: SERVER_CODES.beacon,
  LOCALNET: SERVER_CODES.localnet,
  TEE: SERVER_CODES.tee,
};

/** `data` of every error answer. */
export interface ErrorData {
  readonly code: string;
  readonly info: Readonly<Record<string, unknown>>;
  readonly hint: string;
  readonly retryable: boolean;
}

export interface JsonRpcErrorObject {
  readonly code: number;
  readonly message: string;
  readonly data: ErrorData;
}

export interface MappedError {
  readonly error: JsonRpcErrorObject;
  /** True for a defect of ours: its message stays in the log, under the reference that the answer names. */
  readonly isDefect: boolean;
}

/** The JSON-RPC error for anything that a method throws. `reference` names the log line of a defect. */
export function mapError(thrown: unknown, reference: string): MappedError {
  if (isDaemonError(thrown)) return { isDefect: false, error: mapDaemonError(thrown) };
  if (thrown instanceof UsageError) {
    const data = { code: 'USAGE', info: {}, hint: thrown.hint, retryable: false };
    return { isDefect: false, error: { code: JSON_RPC_CODES.invalidParams, message: thrown.message, data } };
  }
  if (isAbortError(thrown)) {
    const data = { code: 'RPC_ABORTED', info: {}, hint: 'Try again when the daemon runs.', retryable: true };
    return { isDefect: false, error: { code: SERVER_CODES.aborted, message: 'the call was cut off', data } };
  }
  const hint = `This is a defect. The daemon's log (fogproof node logs) has it under reference ${reference}.`;
  const data = { code: 'INTERNAL', info: { reference }, hint, retryable: false };
  return { isDefect: true, error: { code: JSON_RPC_CODES.internalError, message: 'internal error', data } };
}

/** The error that stood behind a JSON-RPC error; the inverse of `mapError` as far as the wire tells. */
export function restoreError(error: { code: number; message: string; data?: unknown }): RpcRemoteError {
  const data = (typeof error.data === 'object' && error.data !== null ? error.data : {}) as Partial<ErrorData>;
  const code = typeof data.code === 'string' ? data.code : 'RPC_REMOTE';
  return new RpcRemoteError({
    rpcCode: error.code,
    message: error.message,
    hint: typeof data.hint === 'string' ? data.hint : 'See `fogproof node logs`.',
    retryable: data.retryable === true,
    info: { ...data.info, code },
  });
}

function mapDaemonError(error: DaemonError): JsonRpcErrorObject {
  const family = error.code.slice(0, Math.max(0, error.code.indexOf('_')));
  const code = (BY_CODE as Record<string, number>)[error.code] ?? BY_FAMILY[family] ?? SERVER_CODES.other;
  const data = { code: error.code, info: describeInfo(error.info), hint: error.hint, retryable: error.retryable };
  return { code, message: error.message, data };
}

/** An error's data as JSON. */
function describeInfo(info: CodedInfo): Readonly<Record<string, unknown>> {
  const { code: _, ...rest } = info;
  return toJsonForm(rest);
}
