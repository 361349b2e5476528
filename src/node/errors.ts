import { DaemonError, type ErrorTable } from '../lib/errors.ts';

export type NodeErrorInfo =
  | { readonly code: 'NODE_DUPLICATE_IDENTITY'; readonly peer: string; readonly addresses: readonly string[] }
  | { readonly code: 'NODE_NO_CHAIN'; readonly network: string }
  | { readonly code: 'NODE_ANCHOR_WAITS'; readonly batch: number; readonly problem: string; readonly message: string }
  | { readonly code: 'NODE_AIRDROP_LOST'; readonly signature: string }
  | { readonly code: 'NODE_START_ABORTED' };

const NODE_ERRORS: ErrorTable<NodeErrorInfo> = {
  NODE_DUPLICATE_IDENTITY: {
    retryable: false,
    message: (info) =>
      `another daemon runs under this identity (${info.peer}), seen at ${info.addresses.join(', ') || 'unknown addresses'}`,
    hint: () =>
      'Stop one of the two. Each box needs an identity of its own: run `fogproof init` with another --home there.',
  },
  NODE_NO_CHAIN: {
    retryable: false,
    message: (info) => `the network '${info.network}' has no chain`,
    hint: () =>
      'Make a network with one: start `fogproof localnet`, or take a Solana RPC endpoint, and run `fogproof network create ID --rpc-url URL`.',
  },
  NODE_ANCHOR_WAITS: {
    retryable: true,
    message: (info) => `batch ${info.batch} cannot be anchored now: ${info.message} (${info.problem})`,
    hint: () =>
      'Its receipts are kept and it is tried again by itself; `fogproof anchor list` shows when it is through.',
  },
  NODE_AIRDROP_LOST: {
    retryable: true,
    message: (info) => `the airdrop was accepted but its transaction (${info.signature}) is not on the chain`,
    hint: () => 'Faucets of public clusters are often empty. Look at `fogproof wallet show`, then try again later.',
  },
  NODE_START_ABORTED: {
    retryable: true,
    message: () => 'the start was interrupted',
    hint: () => 'Run `fogproof node start` again.',
  },
};

export class NodeError extends DaemonError<NodeErrorInfo> {
  constructor(info: NodeErrorInfo, options?: ErrorOptions) {
    super(NODE_ERRORS, info, options);
  }
}
