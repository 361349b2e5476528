import { DaemonError, type ErrorTable } from '../../lib/errors.ts';

export type NetworkCommandErrorInfo =
  | { readonly code: 'CLI_RPC_FAILED'; readonly url: string; readonly method: string; readonly reason: string }
  | {
      readonly code: 'CLI_RPC_DISAGREE';
      readonly answers: readonly { readonly url: string; readonly genesis: string }[];
    }
  | { readonly code: 'CLI_NO_PROGRAM'; readonly url: string; readonly address: string; readonly isLocal: boolean }
  | { readonly code: 'CLI_OTHER_PROGRAM'; readonly url: string; readonly address: string; readonly answer: string };

const NETWORK_COMMAND_ERRORS: ErrorTable<NetworkCommandErrorInfo> = {
  CLI_RPC_FAILED: {
    retryable: true,
    message: (info) => `the RPC endpoint ${info.url} gives no usable answer to ${info.method}: ${info.reason}`,
    hint: () =>
      'Check the address. A local chain is started with `fogproof localnet`, which prints its own; nothing was made.',
  },
  CLI_RPC_DISAGREE: {
    retryable: false,
    message: (info) =>
      `the RPC endpoints are on different chains: ${info.answers.map(({ url, genesis }) => `${url} has genesis ${genesis}`).join(', ')}`,
    hint: () => 'Name endpoints of one chain only; nothing was made.',
  },
  CLI_NO_PROGRAM: {
    retryable: false,
    message: (info) => `there is no program at ${info.address} on the chain of ${info.url}`,
    hint: (info) =>
      info.isLocal
        ? '`fogproof localnet` has it from its first slot; on another local chain deploy proof-anchor and name its address with --proof-anchor.'
        : 'Name with --proof-anchor where proof-anchor was deployed on that cluster.',
  },
  CLI_OTHER_PROGRAM: {
    retryable: false,
    message: (info) =>
      `the program at ${info.address} is not proof-anchor: asked something that only proof-anchor understands, it answers otherwise (${info.answer}, says ${info.url})`,
    hint: () => 'Name with --proof-anchor where proof-anchor was deployed; nothing was made.',
  },
};

export class NetworkCommandError extends DaemonError<NetworkCommandErrorInfo> {
  constructor(info: NetworkCommandErrorInfo, options?: ErrorOptions) {
    super(NETWORK_COMMAND_ERRORS, info, options);
  }
}
