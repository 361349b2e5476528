import type { Clock } from '../../lib/clock.ts';
import type { RpcMethodName, RpcMethods, RpcModules, RpcSubscriptionName, RpcSubscriptions } from '../interface.ts';
import type { MethodContext } from '../json-rpc.ts';

export type MethodHandlers<Names extends RpcMethodName = RpcMethodName> = {
  readonly [Name in Names]: (
    params: RpcMethods[Name]['params'],
    context: MethodContext,
  ) => RpcMethods[Name]['result'] | Promise<RpcMethods[Name]['result']>;
};

export type SubscriptionHandlers<Names extends RpcSubscriptionName = RpcSubscriptionName> = {
  readonly [Name in Names]: (
    params: RpcSubscriptions[Name]['params'],
    signal: AbortSignal,
  ) => AsyncIterable<RpcSubscriptions[Name]['event']>;
};

export type HandlerModules = RpcModules & { readonly clock: Clock };
