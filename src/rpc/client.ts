import type { AbortOptions } from '../lib/abort.ts';
import type { RpcMethodName, RpcMethods, RpcSubscriptionName, RpcSubscriptions } from './interface.ts';
import type { JsonForm } from './json-form.ts';

/** A connection to a daemon's control socket. Results come as the JSON that they are: parsing is left to who needs more. */
export interface RpcClient extends AsyncDisposable {
  call<Name extends RpcMethodName>(
    method: Name,
    params: RpcMethods[Name]['params'],
    options?: AbortOptions,
  ): Promise<JsonForm<RpcMethods[Name]['result']>>;
  /** Ends when the daemon ends the subscription; leaving the loop unsubscribes. */
  subscribe<Name extends RpcSubscriptionName>(
    method: Name,
    params: RpcSubscriptions[Name]['params'],
    options?: AbortOptions,
  ): AsyncIterable<JsonForm<RpcSubscriptions[Name]['event']>>;
}
