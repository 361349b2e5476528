/**
 * JSON-RPC 2.0 (specification of 2013-01-04), the part that needs no connection. The package `json-rpc-2.0` is not used
 * for it: it answers a batch of one request with an object where section 6 demands an array, calls a method whose name
 * is not a string "not found" where section 5.1 demands Invalid Request, and throws on `[null]`.
 */
import { RpcError } from './errors.ts';

export type RequestId = string | number | null;

export interface JsonRpcRequest {
  /** Absent in a notification, which is never answered. */
  readonly id?: RequestId;
  readonly method: string;
  readonly params?: unknown;
}

export interface JsonRpcResponse {
  readonly jsonrpc: '2.0';
  readonly id: RequestId;
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown };
}

/** A call is a notification if it has no `id` (section 4.1); its method then gets no say in whether it is answered. */
export interface MethodContext {
  /** Aborts when the connection goes or the server stops. */
  readonly signal: AbortSignal;
  /**
   * Opens a subscription whose events start after this call was answered.
   * @throws RpcError RPC_TOO_MANY_SUBSCRIPTIONS
   */
  subscribe(open: (signal: AbortSignal) => AsyncIterable<unknown>): string;
  /** False if there is no such subscription. */
  unsubscribe(subscription: string): boolean;
}

export interface RpcMethod {
  /** Checks the params and runs. @throws RpcError RPC_BAD_PARAMS, and what the method throws */
  invoke(params: unknown, context: MethodContext): unknown;
}

export type MethodTable = ReadonlyMap<string, RpcMethod>;

/** @throws RpcError RPC_PARSE_ERROR */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new RpcError({ code: 'RPC_PARSE_ERROR' }, { cause: error });
  }
}

/** Section 4. @throws RpcError RPC_INVALID_REQUEST */
export function parseRequest(value: unknown): JsonRpcRequest {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalid('it is not an object');
  // A non-null object; every field is checked before it is used.
  const request = value as Record<string, unknown>;
  if (request['jsonrpc'] !== '2.0') throw invalid('"jsonrpc" must be "2.0"');
  const { method, params } = request;
  if (typeof method !== 'string') throw invalid('"method" must be a string');
  if (params !== undefined && (typeof params !== 'object' || params === null)) {
    throw invalid('"params" must be an object or an array');
  }
  if (!Object.hasOwn(request, 'id')) return { method, params };
  const id = request['id'];
  if (!isRequestId(id)) throw invalid('"id" must be a string, a number or null');
  return { id, method, params };
}

/** The id of something that is no valid request, if it has a usable one; null otherwise (section 5). */
export function findRequestId(value: unknown): RequestId {
  if (typeof value !== 'object' || value === null || !('id' in value)) return null;
  return isRequestId(value.id) ? value.id : null;
}

function isRequestId(value: unknown): value is RequestId {
  return typeof value === 'string' || typeof value === 'number' || value === null;
}

function invalid(reason: string): RpcError {
  return new RpcError({ code: 'RPC_INVALID_REQUEST', reason });
}
