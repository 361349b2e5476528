import { DaemonError, type ErrorTable } from '../lib/errors.ts';

export type NetworkErrorInfo =
  | { readonly code: 'NETWORK_NOT_RUNNING' }
  | { readonly code: 'NETWORK_LISTEN_FAILED'; readonly addresses: readonly string[]; readonly reason: string }
  | { readonly code: 'NETWORK_BAD_ADDRESS'; readonly address: string; readonly reason: string }
  | { readonly code: 'NETWORK_BAD_PRE_SHARED_KEY'; readonly sizeBytes: number }
  | { readonly code: 'NETWORK_BAD_ASN_DATABASE'; readonly path: string; readonly reason: string }
  | { readonly code: 'NETWORK_UNREACHABLE'; readonly target: string; readonly reason: string }
  | {
      readonly code: 'NETWORK_TIMEOUT';
      readonly peer: string;
      readonly protocol: string;
      readonly timeoutMs: number;
    }
  | {
      readonly code: 'NETWORK_REMOTE_ERROR';
      readonly peer: string;
      readonly protocol: string;
      readonly remoteCode: string;
    }
  | { readonly code: 'NETWORK_REMOTE_BUSY'; readonly peer: string; readonly protocol: string }
  | {
      readonly code: 'NETWORK_CONNECTION_LOST';
      readonly peer: string;
      readonly protocol: string;
      readonly reason: string;
    }
  | {
      readonly code: 'NETWORK_PROTOCOL_VIOLATION';
      readonly peer: string;
      readonly protocol: string;
      readonly violation: string;
      readonly reason: string;
    }
  | { readonly code: 'NETWORK_RELAYED_ONLY'; readonly peer: string; readonly reason: string }
  | { readonly code: 'NETWORK_BAD_FRAME'; readonly reason: string }
  | { readonly code: 'NETWORK_BAD_MESSAGE'; readonly protocol: string; readonly path: string; readonly reason: string }
  | {
      readonly code: 'NETWORK_TOO_LARGE';
      readonly protocol: string;
      readonly sizeBytes: number;
      readonly maxBytes: number;
    }
  | { readonly code: 'NETWORK_BUSY'; readonly peer: string; readonly protocol: string; readonly waiting: number }
  | { readonly code: 'NETWORK_NO_RESPONSE'; readonly protocol: string }
  | { readonly code: 'NETWORK_NOT_TAKEN'; readonly protocol: string }
  | { readonly code: 'NETWORK_HANDLER_TAKEN'; readonly protocol: string };

const NETWORK_ERRORS: ErrorTable<NetworkErrorInfo> = {
  NETWORK_NOT_RUNNING: {
    retryable: false,
    message: () => 'the network is not running',
    hint: () => 'Start the node first: fogproof node start.',
  },
  NETWORK_LISTEN_FAILED: {
    retryable: false,
    message: (info) => `cannot listen on ${info.addresses.join(', ')}: ${info.reason}`,
    hint: () => 'Choose another address or port with --listen, or stop what holds it.',
  },
  NETWORK_BAD_ADDRESS: {
    retryable: false,
    message: (info) => `'${info.address}' is not a multiaddr: ${info.reason}`,
    hint: () => 'Write it like /ip4/192.0.2.1/tcp/4717/p2p/12D3Koo…',
  },
  NETWORK_BAD_PRE_SHARED_KEY: {
    retryable: false,
    message: (info) => `the pre-shared key has ${info.sizeBytes} bytes instead of 32`,
    hint: () => 'Take the network file again from whoever created the network.',
  },
  NETWORK_BAD_ASN_DATABASE: {
    retryable: false,
    message: (info) => `${info.path} cannot be used as a table of autonomous systems: ${info.reason}`,
    hint: () =>
      "Set neighbours.asnDatabase to a MaxMind DB file such as GeoLite2-ASN.mmdb or DB-IP's ASN Lite, or to 'none'.",
  },
  NETWORK_UNREACHABLE: {
    retryable: true,
    message: (info) => `${info.target} cannot be reached: ${info.reason}`,
    hint: () => 'Check that the peer runs, that its address is right and that no firewall stands between.',
  },
  NETWORK_TIMEOUT: {
    retryable: true,
    message: (info) => `${info.peer} did not answer on ${info.protocol} within ${info.timeoutMs} ms`,
    hint: () => 'The peer may be overloaded or gone; try again or ask another one.',
  },
  NETWORK_REMOTE_ERROR: {
    retryable: false,
    message: (info) => `${info.peer} answered ${info.remoteCode} on ${info.protocol}`,
    hint: () => 'The reason stands in the log of that peer; ask another one.',
  },
  NETWORK_REMOTE_BUSY: {
    retryable: true,
    message: (info) => `${info.peer} takes no more requests on ${info.protocol} for now`,
    hint: () => 'Send fewer requests at once, or ask another peer.',
  },
  NETWORK_CONNECTION_LOST: {
    retryable: true,
    message: (info) => `the connection to ${info.peer} ended during a request on ${info.protocol}: ${info.reason}`,
    hint: () => 'Try again: the next request connects anew.',
  },
  NETWORK_PROTOCOL_VIOLATION: {
    retryable: false,
    message: (info) => `${info.peer} broke the rules of ${info.protocol} (${info.violation}): ${info.reason}`,
    hint: () => 'The peer runs a faulty or hostile version; ask another one.',
  },
  NETWORK_RELAYED_ONLY: {
    retryable: true,
    message: (info) => `${info.peer} is reached through a relay only, over which no bulk data goes: ${info.reason}`,
    hint: () => 'One of the two nodes must be reachable from outside: see docs/nat.md, or ask another peer.',
  },
  NETWORK_BAD_FRAME: {
    retryable: false,
    message: (info) => `a frame is malformed: ${info.reason}`,
    hint: () => 'The sender must follow docs/protocols.md.',
  },
  NETWORK_BAD_MESSAGE: {
    retryable: false,
    message: (info) => `a message of ${info.protocol} is malformed at '${info.path}': ${info.reason}`,
    hint: () => 'The sender must follow the schema of that protocol.',
  },
  NETWORK_TOO_LARGE: {
    retryable: false,
    message: (info) =>
      `a message of ${info.protocol} has ${info.sizeBytes} bytes; at most ${info.maxBytes} may be sent`,
    hint: () => 'Split it, or send bulk data as blobs.',
  },
  NETWORK_BUSY: {
    retryable: true,
    message: (info) => `${info.waiting} requests already wait for ${info.peer} on ${info.protocol}`,
    hint: () => 'Send fewer requests at once.',
  },
  NETWORK_NO_RESPONSE: {
    retryable: false,
    message: (info) => `the handler of ${info.protocol} ended without a response`,
    hint: () => 'Ask another peer.',
  },
  NETWORK_NOT_TAKEN: {
    retryable: true,
    message: (info) => `a response on ${info.protocol} was asked for and not taken`,
    hint: () => 'Ask again, and take the responses as they come.',
  },
  NETWORK_HANDLER_TAKEN: {
    retryable: false,
    message: (info) => `${info.protocol} already has a handler`,
    hint: () => 'Dispose the first handler before registering another.',
  },
};

export class NetworkError extends DaemonError<NetworkErrorInfo> {
  constructor(info: NetworkErrorInfo, options?: ErrorOptions) {
    super(NETWORK_ERRORS, info, options);
  }
}
