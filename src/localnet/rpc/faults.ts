/** Errors of Solana's JSON-RPC (`rpc-client-api/src/custom_error.rs`): clients tell them apart by these numbers. */
export const FAULT_CODES = {
  parse: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internal: -32603,
  blockCleanedUp: -32001,
  preflightFailure: -32002,
  signatureVerification: -32003,
  blockNotAvailable: -32004,
  unhealthy: -32005,
  noSnapshot: -32008,
  slotSkipped: -32009,
  unsupportedVersion: -32015,
  minContextSlot: -32016,
} as const;

/** What a client gets instead of a result; the only thing that methods throw on purpose. */
export class RpcFault extends Error {
  override readonly name = 'RpcFault';
  readonly code: number;
  readonly data: unknown;

  constructor(kind: keyof typeof FAULT_CODES, message: string, data?: unknown) {
    super(message);
    this.code = FAULT_CODES[kind];
    this.data = data;
  }
}
