import type { RpcContext, RpcMethod } from '../interface.ts';
import type { JsonRpcRequest } from '../json-rpc.ts';
import { methodNotFound } from '../json-rpc.ts';
import { ACCOUNT_METHODS } from './accounts.ts';
import { CLUSTER_METHODS } from './cluster.ts';
import { DEPRECATED_METHODS } from './deprecated.ts';
import { HISTORY_METHODS } from './history.ts';
import { TOKEN_METHODS } from './tokens.ts';
import { TRANSACTION_METHODS } from './transactions.ts';

export const METHODS: ReadonlyMap<string, RpcMethod> = new Map(
  [
    ...ACCOUNT_METHODS,
    ...TOKEN_METHODS,
    ...TRANSACTION_METHODS,
    ...HISTORY_METHODS,
    ...CLUSTER_METHODS,
    ...DEPRECATED_METHODS,
  ].map((method) => [method.name, method] as const),
);

/** @throws RpcFault */
export async function callMethod({ method, params }: JsonRpcRequest, context: RpcContext): Promise<unknown> {
  const found = METHODS.get(method);
  if (found === undefined) throw methodNotFound();
  return await found.call(params, context);
}
