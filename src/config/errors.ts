import { DaemonError, type ErrorTable } from '../lib/errors.ts';

export type ConfigErrorInfo =
  | {
      readonly code: 'CONFIG_UNKNOWN_KEY';
      readonly key: string;
      readonly origin: string;
      readonly nearest: string | null;
    }
  | { readonly code: 'CONFIG_INVALID'; readonly key: string; readonly origin: string; readonly reason: string }
  | { readonly code: 'CONFIG_NOT_IN_FILE'; readonly key: string; readonly origin: string; readonly instead: string }
  | {
      readonly code: 'CONFIG_FIXED_BY_PRESET';
      readonly key: string;
      readonly origin: string;
      readonly preset: string;
      readonly value: string;
    }
  | { readonly code: 'CONFIG_UNREADABLE'; readonly path: string; readonly reason: string }
  | { readonly code: 'CONFIG_UNWRITABLE'; readonly path: string; readonly reason: string }
  | { readonly code: 'CONFIG_NO_HOME' }
  | {
      readonly code: 'CONFIG_SOCKET_PATH_TOO_LONG';
      readonly path: string;
      readonly sizeBytes: number;
      readonly maxBytes: number;
    }
  | { readonly code: 'CONFIG_NETWORK_UNKNOWN'; readonly name: string; readonly known: readonly string[] }
  | { readonly code: 'CONFIG_NETWORK_MALFORMED'; readonly source: string; readonly reason: string }
  | { readonly code: 'CONFIG_NETWORK_EXISTS'; readonly id: string; readonly path: string }
  | { readonly code: 'CONFIG_NO_RPC_URL'; readonly network: string }
  | { readonly code: 'CONFIG_BAD_INVITE'; readonly reason: string };

const CONFIG_ERRORS: ErrorTable<ConfigErrorInfo> = {
  CONFIG_UNKNOWN_KEY: {
    retryable: false,
    message: (info) => `there is no setting '${info.key}' (${info.origin})`,
    hint: (info) =>
      info.nearest === null
        ? 'Run `fogproof config print` to see every setting.'
        : `Did you mean '${info.nearest}'? Run \`fogproof config print\` to see every setting.`,
  },
  CONFIG_INVALID: {
    retryable: false,
    message: (info) => `the setting '${info.key}' (${info.origin}) is wrong: ${info.reason}`,
    hint: () => 'Correct it there; `fogproof config print` shows each value and where it comes from.',
  },
  CONFIG_NOT_IN_FILE: {
    retryable: false,
    message: (info) => `the setting '${info.key}' cannot be made in a file (${info.origin})`,
    hint: (info) => `It must be known before the file is read, also by the commands: use ${info.instead}.`,
  },
  CONFIG_FIXED_BY_PRESET: {
    retryable: false,
    message: (info) =>
      `the setting '${info.key}' (${info.origin}) would weaken what the preset ${info.preset} fixes as ${info.value}`,
    hint: () => 'Remove it there, or join a network of another preset.',
  },
  CONFIG_UNREADABLE: {
    retryable: false,
    message: (info) => `the file ${info.path} cannot be read: ${info.reason}`,
    hint: () => 'Correct the file, or move it away to go back to the defaults.',
  },
  CONFIG_UNWRITABLE: {
    retryable: false,
    message: (info) => `${info.path} cannot be written: ${info.reason}`,
    hint: () => 'Check that its folder may be written by this user and that the disk is not full.',
  },
  CONFIG_NO_HOME: {
    retryable: false,
    message: () => 'there is no place for the data folder: neither FOGPROOF_HOME, XDG_DATA_HOME nor HOME is set',
    hint: () => 'Name a folder with --home DIR or FOGPROOF_HOME.',
  },
  CONFIG_SOCKET_PATH_TOO_LONG: {
    retryable: false,
    message: (info) =>
      `the control socket's path has ${info.sizeBytes} bytes and a Unix socket takes ${info.maxBytes}: ${info.path}`,
    hint: () =>
      'Name a shorter one with --socket or FOGPROOF_SOCKET (such as /tmp/fogproof.sock), or a shorter --home.',
  },
  CONFIG_NETWORK_UNKNOWN: {
    retryable: false,
    message: (info) => `there is no network '${info.name}' here; known: ${info.known.join(', ')}`,
    hint: () => 'Join it with `fogproof network join FILE|INVITE`, or make one with `fogproof network create ID`.',
  },
  CONFIG_NETWORK_MALFORMED: {
    retryable: false,
    message: (info) => `${info.source} is not a network definition: ${info.reason}`,
    hint: () => 'Ask whoever made the network for its file or invite again.',
  },
  CONFIG_NETWORK_EXISTS: {
    retryable: false,
    message: (info) => `another network '${info.id}' was joined already: ${info.path}`,
    hint: () =>
      'Nothing was changed. If you mean to replace it, add --replace to `fogproof network create` or `fogproof network join`.',
  },
  CONFIG_NO_RPC_URL: {
    retryable: false,
    message: (info) => `the network '${info.network}' has a chain, but neither it nor this node names an RPC endpoint`,
    hint: () => 'Name one with --rpc-url URL, FOGPROOF_CHAIN_RPC_URLS or chain.rpcUrls in config.yaml.',
  },
  CONFIG_BAD_INVITE: {
    retryable: false,
    message: (info) => `the invite is not valid: ${info.reason}`,
    hint: () => 'Copy it whole, from `fogproof1` to its last character, as `network create` printed it.',
  },
};

export class ConfigError extends DaemonError<ConfigErrorInfo> {
  constructor(info: ConfigErrorInfo, options?: ErrorOptions) {
    super(CONFIG_ERRORS, info, options);
  }
}
