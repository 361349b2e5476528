import { DaemonError, type ErrorTable } from '../lib/errors.ts';

export type NodeErrorInfo =
  | { readonly code: 'NODE_DUPLICATE_IDENTITY'; readonly peer: string; readonly addresses: readonly string[] }
  | { readonly code: 'NODE_START_ABORTED' };

const NODE_ERRORS: ErrorTable<NodeErrorInfo> = {
  NODE_DUPLICATE_IDENTITY: {
    retryable: false,
    message: (info) =>
      `another daemon runs under this identity (${info.peer}), seen at ${info.addresses.join(', ') || 'unknown addresses'}`,
    hint: () =>
      'Stop one of the two. Each box needs an identity of its own: run `fogproof init` with another --home there.',
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
