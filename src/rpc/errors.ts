import { DaemonError, type ErrorTable } from '../lib/errors.ts';

export type RpcErrorInfo =
  | { readonly code: 'RPC_NO_DAEMON'; readonly path: string; readonly reason: string }
  | { readonly code: 'RPC_CONNECTION_LOST'; readonly path: string }
  | { readonly code: 'RPC_BAD_RESPONSE'; readonly reason: string }
  | { readonly code: 'RPC_SLOW_CONSUMER'; readonly buffered: number }
  | { readonly code: 'RPC_SOCKET_IN_USE'; readonly path: string }
  | { readonly code: 'RPC_SOCKET_PATH_TAKEN'; readonly path: string }
  | { readonly code: 'RPC_SOCKET_PATH_TOO_LONG'; readonly path: string; readonly maxBytes: number }
  | { readonly code: 'RPC_SOCKET_UNSAFE_FOLDER'; readonly folder: string; readonly reason: string }
  | { readonly code: 'RPC_PARSE_ERROR' }
  | { readonly code: 'RPC_INVALID_REQUEST'; readonly reason: string }
  | { readonly code: 'RPC_METHOD_NOT_FOUND'; readonly method: string }
  | { readonly code: 'RPC_BAD_PARAMS'; readonly path: string; readonly reason: string }
  | { readonly code: 'RPC_LINE_TOO_LONG'; readonly maxBytes: number }
  | { readonly code: 'RPC_BATCH_TOO_LARGE'; readonly maxRequests: number }
  | { readonly code: 'RPC_BATCH_ANSWER_TOO_LARGE'; readonly maxBytes: number; readonly wasBegun: boolean }
  | { readonly code: 'RPC_TOO_MANY_CONNECTIONS'; readonly max: number }
  | { readonly code: 'RPC_TOO_MANY_IN_FLIGHT'; readonly max: number }
  | { readonly code: 'RPC_TOO_MANY_SUBSCRIPTIONS'; readonly max: number }
  | { readonly code: 'RPC_RATE_LIMITED'; readonly perSecond: number }
  | { readonly code: 'RPC_ABORTED'; readonly reason: string }
  | { readonly code: 'RPC_NOT_ABSOLUTE'; readonly path: string }
  | { readonly code: 'RPC_NOT_A_FILE'; readonly path: string; readonly reason: string }
  | { readonly code: 'RPC_UNSAFE_OUTPUT_PATH'; readonly path: string; readonly reason: string }
  | { readonly code: 'RPC_FILE_EXISTS'; readonly path: string }
  | { readonly code: 'RPC_WRITE_FAILED'; readonly path: string; readonly reason: string }
  | { readonly code: 'RPC_PRIVATE_BLOB'; readonly blob: string }
  | { readonly code: 'RPC_OUTPUT_MISSING'; readonly path: string; readonly blob: string };

export const RPC_ERRORS: ErrorTable<RpcErrorInfo> = {
  RPC_NO_DAEMON: {
    retryable: true,
    message: (info) => `no daemon on ${info.path} (${info.reason})`,
    hint: () =>
      'Start it with `fogproof node start`, or name its data folder with --home or its socket with --socket. If it ran before, `fogproof node logs` says why it ended.',
  },
  RPC_CONNECTION_LOST: {
    retryable: true,
    message: (info) => `the daemon closed the connection on ${info.path} before it answered`,
    hint: () => 'It may have stopped: see `fogproof node status` and `fogproof node logs`.',
  },
  RPC_BAD_RESPONSE: {
    retryable: false,
    message: (info) => `what answers on the socket does not speak the protocol: ${info.reason}`,
    hint: () => 'Compare `fogproof --version` with the version that `fogproof node status` shows.',
  },
  RPC_SLOW_CONSUMER: {
    retryable: true,
    message: (info) => `the subscription was ended because ${info.buffered} events waited to be read`,
    hint: () => 'Read events faster, or subscribe again to start over.',
  },
  RPC_SOCKET_IN_USE: {
    retryable: false,
    message: (info) => `another daemon answers on ${info.path}`,
    hint: () => 'Stop it with `fogproof node stop`, or give this one its own --home and --socket.',
  },
  RPC_SOCKET_PATH_TAKEN: {
    retryable: false,
    message: (info) => `${info.path} exists and is not a socket`,
    hint: () => 'Move that file away, or choose another path with --socket.',
  },
  RPC_SOCKET_PATH_TOO_LONG: {
    retryable: false,
    message: (info) => `the socket path ${info.path} is longer than the ${info.maxBytes} bytes that the system allows`,
    hint: () => 'Choose a shorter path with --socket or FOGPROOF_SOCKET.',
  },
  RPC_SOCKET_UNSAFE_FOLDER: {
    retryable: false,
    message: (info) => `the control socket cannot lie in ${info.folder}: ${info.reason}`,
    hint: () => 'Use a folder of your own that others cannot write to (chmod 700).',
  },
  RPC_PARSE_ERROR: {
    retryable: false,
    message: () => 'Parse error',
    hint: () => 'Send one JSON-RPC 2.0 request (or batch) as UTF-8 JSON on each line.',
  },
  RPC_INVALID_REQUEST: {
    retryable: false,
    message: () => 'Invalid Request',
    hint: (info) => `The request must follow JSON-RPC 2.0: ${info.reason}.`,
  },
  RPC_METHOD_NOT_FOUND: {
    retryable: false,
    message: () => 'Method not found',
    hint: () => 'Call rpc.discover for the methods that there are.',
  },
  RPC_BAD_PARAMS: {
    retryable: false,
    message: (info) => `invalid params${info.path === '' ? '' : ` at '${info.path}'`}: ${info.reason}`,
    hint: () => 'Parameters go by name; rpc.discover gives the schema of each method.',
  },
  RPC_LINE_TOO_LONG: {
    retryable: false,
    message: (info) => `a line is longer than ${info.maxBytes} bytes`,
    hint: () => 'Add large files with blob.add, which takes a path.',
  },
  RPC_BATCH_TOO_LARGE: {
    retryable: false,
    message: (info) => `a batch holds more than ${info.maxRequests} requests`,
    hint: () => 'Split the batch.',
  },
  RPC_BATCH_ANSWER_TOO_LARGE: {
    retryable: true,
    message: ({ maxBytes, wasBegun }) =>
      `the answers to this batch have more than ${maxBytes} bytes; this call was ${wasBegun ? 'made, its answer is left out' : 'not made'}`,
    hint: () => 'Send this call by itself, or in a smaller batch.',
  },
  RPC_TOO_MANY_CONNECTIONS: {
    retryable: true,
    message: (info) => `the control socket has ${info.max} connections already`,
    hint: () => 'Close some; one connection carries any number of calls.',
  },
  RPC_TOO_MANY_IN_FLIGHT: {
    retryable: true,
    message: (info) => `this connection has ${info.max} calls unanswered`,
    hint: () => 'Wait for answers before you send more.',
  },
  RPC_TOO_MANY_SUBSCRIPTIONS: {
    retryable: true,
    message: (info) => `this connection has ${info.max} subscriptions open`,
    hint: () => 'End some with rpc.unsubscribe.',
  },
  RPC_RATE_LIMITED: {
    retryable: true,
    message: (info) => `this connection sends more than ${info.perSecond} requests a second`,
    hint: () => 'Send fewer, or use job.submitMany.',
  },
  RPC_ABORTED: {
    retryable: true,
    message: (info) => `the call was cut off: ${info.reason}`,
    hint: () => 'The daemon may be stopping; try again when it runs.',
  },
  RPC_NOT_ABSOLUTE: {
    retryable: false,
    message: (info) => `'${info.path}' is not an absolute path`,
    hint: () => 'The daemon has another working directory than you: give the whole path.',
  },
  RPC_NOT_A_FILE: {
    retryable: false,
    message: (info) => `${info.path} cannot be read as a file: ${info.reason}`,
    hint: () => 'Check the path, and that the account of the daemon may read it.',
  },
  RPC_UNSAFE_OUTPUT_PATH: {
    retryable: false,
    message: (info) => `output ${info.path} is not written: ${info.reason}`,
    hint: () => 'Choose an empty folder for the outputs.',
  },
  RPC_FILE_EXISTS: {
    retryable: false,
    message: (info) => `${info.path} exists with other content`,
    hint: () => 'Outputs never overwrite files: choose an empty folder.',
  },
  RPC_WRITE_FAILED: {
    retryable: true,
    message: (info) => `cannot write ${info.path}: ${info.reason}`,
    hint: () => 'Check free space, and that the account of the daemon may write there.',
  },
  RPC_PRIVATE_BLOB: {
    retryable: false,
    message: (info) => `the blob ${info.blob} is private`,
    hint: () =>
      'Remove it with `fogproof blob remove` and add its file again without --private, if anybody may have it.',
  },
  RPC_OUTPUT_MISSING: {
    retryable: true,
    message: (info) => `output ${info.path} (${info.blob}) is no longer held by this node`,
    hint: () => 'Raise the blob cache limit, or run the job again.',
  },
};

export class RpcError extends DaemonError<RpcErrorInfo> {
  constructor(info: RpcErrorInfo, options?: ErrorOptions) {
    super(RPC_ERRORS, info, options);
  }
}
