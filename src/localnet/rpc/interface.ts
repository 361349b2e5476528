import type { z } from 'zod';
import type { Clock } from '../../lib/clock.ts';
import type { Ledger } from '../ledger/ledger.ts';

/** What methods work with. */
export interface RpcContext {
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly slotMs: number;
  /** Where this chain listens, for getClusterNodes. */
  readonly addresses: () => { readonly rpc: string; readonly webSocket: string };
}

export interface RpcMethod {
  readonly name: string;
  /** Reads the parameters, answers. @throws RpcFault */
  call(params: unknown, context: RpcContext): Promise<unknown>;
}

export type ParamsSchema = z.ZodType<readonly unknown[]>;
