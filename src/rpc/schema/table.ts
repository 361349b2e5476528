import type { RpcMethodName, RpcMethods, RpcSubscriptionName, RpcSubscriptions } from '../interface.ts';
import { ANCHOR_METHODS } from './anchor.ts';
import { BATCH_METHODS, BATCH_SUBSCRIPTIONS } from './batch.ts';
import { BLOB_METHODS } from './blob.ts';
import { BUNDLE_METHODS } from './bundle.ts';
import { JOB_METHODS, JOB_SUBSCRIPTIONS } from './job.ts';
import type { MethodSchema, SubscriptionSchema } from './method-schema.ts';
import { NEIGHBOURS_METHODS } from './neighbours.ts';
import { NODE_METHODS, NODE_SUBSCRIPTIONS } from './node.ts';
import { PEERS_METHODS, PEERS_SUBSCRIPTIONS } from './peers.ts';
import { REPUTATION_METHODS } from './reputation.ts';
import { RPC_METHODS } from './rpc.ts';
import { WALLET_METHODS } from './wallet.ts';

type MethodSchemas = {
  readonly [Name in RpcMethodName]: MethodSchema<RpcMethods[Name]['params'], RpcMethods[Name]['result']>;
};
type SubscriptionSchemas = {
  readonly [Name in RpcSubscriptionName]: SubscriptionSchema<
    RpcSubscriptions[Name]['params'],
    RpcSubscriptions[Name]['event']
  >;
};

/** Every method there is, by name. */
export const METHOD_SCHEMAS: MethodSchemas = {
  ...NODE_METHODS,
  ...PEERS_METHODS,
  ...NEIGHBOURS_METHODS,
  ...BLOB_METHODS,
  ...JOB_METHODS,
  ...BATCH_METHODS,
  ...BUNDLE_METHODS,
  ...WALLET_METHODS,
  ...ANCHOR_METHODS,
  ...REPUTATION_METHODS,
  ...RPC_METHODS,
};

export const SUBSCRIPTION_SCHEMAS: SubscriptionSchemas = {
  ...NODE_SUBSCRIPTIONS,
  ...JOB_SUBSCRIPTIONS,
  ...BATCH_SUBSCRIPTIONS,
  ...PEERS_SUBSCRIPTIONS,
};
