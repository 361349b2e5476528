import type { z } from 'zod';
import { RpcError } from './errors.ts';
import type { RpcMethodName, RpcSubscriptionName } from './interface.ts';
import { toJsonForm } from './json-form.ts';
import type { MethodContext, MethodTable, RpcMethod } from './json-rpc.ts';
import { createAnchorHandlers } from './methods/anchor.ts';
import { createBatchHandlers, createBatchSubscriptions } from './methods/batch.ts';
import { createBlobHandlers } from './methods/blob.ts';
import { createBundleHandlers } from './methods/bundle.ts';
import type { HandlerModules, MethodHandlers, SubscriptionHandlers } from './methods/handlers.ts';
import { createJobHandlers, createJobSubscriptions } from './methods/job.ts';
import { createNeighboursHandlers } from './methods/neighbours.ts';
import { createNodeHandlers, createNodeSubscriptions } from './methods/node.ts';
import { createPeersHandlers, createPeersSubscriptions } from './methods/peers.ts';
import { createReputationHandlers } from './methods/reputation.ts';
import { createWalletHandlers } from './methods/wallet.ts';
import { createOpenRpcDocument, type OpenRpcDocument } from './open-rpc.ts';
import { METHOD_SCHEMAS, SUBSCRIPTION_SCHEMAS } from './schema/table.ts';

/** Every method of the control socket, each behind its schema. */
export function createMethodTable(modules: HandlerModules, options: { readonly version: string }): MethodTable {
  const handlers: MethodHandlers = {
    ...createNodeHandlers(modules),
    ...createPeersHandlers(modules),
    ...createNeighboursHandlers(modules),
    ...createBlobHandlers(modules),
    ...createJobHandlers(modules),
    ...createBatchHandlers(modules),
    ...createBundleHandlers(modules),
    ...createWalletHandlers(modules),
    ...createAnchorHandlers(modules),
    ...createReputationHandlers(modules),
    ...createRpcHandlers(options.version),
  };
  const subscriptions: SubscriptionHandlers = {
    ...createNodeSubscriptions(modules),
    ...createJobSubscriptions(modules),
    ...createBatchSubscriptions(modules),
    ...createPeersSubscriptions(modules),
  };
  return new Map<string, RpcMethod>([
    // Object.keys of tables that are exhaustive by their type.
    ...(Object.keys(handlers) as RpcMethodName[]).map((name) => [name, createMethod(name, handlers)] as const),
    ...(Object.keys(subscriptions) as RpcSubscriptionName[]).map(
      (name) => [name, createSubscription(name, subscriptions)] as const,
    ),
  ]);
}

function createRpcHandlers(version: string): MethodHandlers<'rpc.discover' | 'rpc.unsubscribe'> {
  let document: OpenRpcDocument | undefined;
  return {
    'rpc.discover': () => {
      document ??= createOpenRpcDocument(version);
      return document;
    },
    'rpc.unsubscribe': ({ subscription }, context) => ({ isEnded: context.unsubscribe(subscription) }),
  };
}

function createMethod<Name extends RpcMethodName>(name: Name, handlers: MethodHandlers): RpcMethod {
  const { params: schema, isConverted } = METHOD_SCHEMAS[name];
  // The table gives each name the schema of its own params; TypeScript cannot relate the two lookups.
  const handler = handlers[name] as (params: unknown, context: MethodContext) => unknown;
  if (isConverted !== true) return { invoke: (params, context) => handler(parseParams(schema, params), context) };
  return { invoke: async (params, context) => toJsonForm(await handler(parseParams(schema, params), context)) };
}

function createSubscription<Name extends RpcSubscriptionName>(name: Name, handlers: SubscriptionHandlers): RpcMethod {
  const schema = SUBSCRIPTION_SCHEMAS[name].params;
  // As above.
  const open = handlers[name] as (params: unknown, signal: AbortSignal) => AsyncIterable<unknown>;
  return {
    invoke: (params, context) => {
      const parsed = parseParams(schema, params);
      return { subscription: context.subscribe((signal) => open(parsed, signal)) };
    },
  };
}

function parseParams(schema: z.ZodType, params: unknown): unknown {
  const result = schema.safeParse(params ?? {});
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const path = issue?.path.map(String).join('.') ?? '';
  throw new RpcError({ code: 'RPC_BAD_PARAMS', path, reason: issue?.message ?? 'invalid' }, { cause: result.error });
}
