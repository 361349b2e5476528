import type { AbortOptions } from '../lib/abort.ts';
import type { RpcMethodName, RpcMethods, RpcSubscriptionName, RpcSubscriptions } from './interface.ts';

/** A connection to a daemon's control socket. */
export interface RpcClient extends AsyncDisposable {
  call<Name extends RpcMethodName>(
    method: Name,
    params: RpcMethods[Name]['params'],
    options?: AbortOptions,
  ): Promise<RpcMethods[Name]['result']>;
  /** Ends when the daemon ends the subscription; leaving the loop unsubscribes. */
  subscribe<Name extends RpcSubscriptionName>(
    method: Name,
    params: RpcSubscriptions[Name]['params'],
    options?: AbortOptions,
  ): AsyncIterable<RpcSubscriptions[Name]['event']>;
}
