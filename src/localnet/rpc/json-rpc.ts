import { describeError, isDaemonError } from '../../lib/errors.ts';
import type { Logger } from '../../telemetry/interface.ts';
import { MAX_BATCH, MAX_BATCH_ANSWER } from '../constants.ts';
import { RpcFault } from './faults.ts';
import { stringifyJson } from './json.ts';

export type RequestId = string | number | null;

export interface JsonRpcRequest {
  readonly id: RequestId;
  readonly method: string;
  readonly params: unknown;
}

/** Answers one call. @throws RpcFault */
export type CallHandler = (request: JsonRpcRequest) => Promise<unknown>;

/**
 * One request or a batch, from text to text (JSON-RPC 2.0); undefined if nothing is to be answered. Never throws: what
 * a method did not expect becomes an internal error, and goes to the log.
 */
export async function answer(text: string, handle: CallHandler, logger: Logger): Promise<string | undefined> {
  const parsed = parse(text);
  if (parsed === undefined) return failure(null, new RpcFault('parse', 'Parse error'));
  if (!Array.isArray(parsed)) return await answerOne(parsed, handle, logger);
  if (parsed.length === 0 || parsed.length > MAX_BATCH) {
    return failure(null, new RpcFault('invalidRequest', `Invalid request: a batch holds 1 to ${MAX_BATCH} calls`));
  }
  const answers: string[] = [];
  let room = MAX_BATCH_ANSWER;
  for (const call of parsed as unknown[]) {
    const one = await answerOne(call, room > 0 ? handle : refuseForSize, logger);
    if (one === undefined) continue;
    answers.push(one);
    room -= one.length;
  }
  return answers.length === 0 ? undefined : `[${answers.join(',')}]`;
}

async function refuseForSize(): Promise<never> {
  const reason = `Internal error: the answers to this batch have more than ${MAX_BATCH_ANSWER} characters`;
  throw new RpcFault('internal', `${reason}: send this call by itself`);
}

async function answerOne(value: unknown, handle: CallHandler, logger: Logger): Promise<string | undefined> {
  const request = readRequest(value);
  if (request === undefined) return failure(null, new RpcFault('invalidRequest', 'Invalid request'));
  const isNotification = typeof value === 'object' && value !== null && !('id' in value);
  try {
    const result = await handle(request);
    return isNotification ? undefined : stringifyJson({ jsonrpc: '2.0', result: result ?? null, id: request.id });
  } catch (error) {
    return isNotification ? undefined : failure(request.id, toFault(error, request, logger));
  }
}

function toFault(error: unknown, { method }: JsonRpcRequest, logger: Logger): RpcFault {
  if (error instanceof RpcFault) return error;
  if (isDaemonError(error)) return new RpcFault('internal', `Internal error: ${error.message}`, { code: error.code });
  logger.error({ method: method.slice(0, 100), error }, 'a method failed');
  return new RpcFault('internal', `Internal error: ${describeError(error)}`);
}

function failure(id: RequestId, { code, message, data }: RpcFault): string {
  return stringifyJson({ jsonrpc: '2.0', error: { code, message, ...(data === undefined ? {} : { data }) }, id });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function readRequest(value: unknown): JsonRpcRequest | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const { id = null, method, params, jsonrpc } = value as Readonly<Record<string, unknown>>;
  if (jsonrpc !== '2.0' || typeof method !== 'string') return undefined;
  if (id !== null && typeof id !== 'string' && typeof id !== 'number') return undefined;
  return { id, method, params };
}

export function methodNotFound(): RpcFault {
  return new RpcFault('methodNotFound', 'Method not found');
}
