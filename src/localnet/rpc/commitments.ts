import type { Commitment } from '../ledger/interface.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { RpcFault } from './faults.ts';
import type { ContextConfig } from './schemas.ts';

/** What Solana's nodes take for granted. */
export const DEFAULT_COMMITMENT: Commitment = 'finalized';

export function commitmentOf(config: ContextConfig | undefined): Commitment {
  return config?.commitment ?? DEFAULT_COMMITMENT;
}

/** The slot that an answer is about. @throws RpcFault if the client knows a newer one */
export function slotFor(ledger: Ledger, config: ContextConfig | undefined): number {
  const slot = ledger.slotAt(commitmentOf(config));
  if (config?.minContextSlot !== undefined && slot < config.minContextSlot) {
    throw new RpcFault('minContextSlot', 'Minimum context slot has not been reached', { contextSlot: slot });
  }
  return slot;
}

/** History has closed blocks only. @throws RpcFault */
export function historySlotFor(ledger: Ledger, config: ContextConfig | undefined): number {
  if (commitmentOf(config) === 'processed') {
    throw new RpcFault('invalidParams', 'Method does not support commitment below `confirmed`');
  }
  return slotFor(ledger, config);
}

export function withContext<Value>(slot: number, value: Value) {
  return { context: { slot, apiVersion: API_VERSION }, value };
}

/** Version of Solana's RPC that is spoken. */
export const API_VERSION = '2.3.0';
