import { DaemonError, type ErrorTable } from '../lib/errors.ts';

/** Why an endpoint gave nothing that could be used. */
export type EndpointFault = 'network' | 'timeout' | 'http' | 'rate-limited' | 'unhealthy' | 'behind';

type EndpointErrorInfo =
  | { readonly code: 'CHAIN_NO_ENDPOINTS' }
  | {
      readonly code: 'CHAIN_ENDPOINT_FAILED';
      readonly url: string;
      readonly fault: EndpointFault;
      readonly reason: string;
      readonly retryAfterMs: number | null;
    }
  | { readonly code: 'CHAIN_BAD_RESPONSE'; readonly url: string; readonly method: string; readonly reason: string }
  | {
      readonly code: 'CHAIN_RPC_ERROR';
      readonly url: string;
      readonly method: string;
      readonly rpcCode: number;
      readonly reason: string;
    }
  | { readonly code: 'CHAIN_UNREACHABLE'; readonly problems: readonly string[] }
  | { readonly code: 'CHAIN_WRONG_CLUSTER'; readonly url: string; readonly expected: string; readonly found: string }
  | {
      readonly code: 'CHAIN_ENDPOINTS_DISAGREE';
      readonly subject: string;
      readonly first: { readonly url: string; readonly answer: string };
      readonly second: { readonly url: string; readonly answer: string };
    }
  | {
      readonly code: 'CHAIN_NOT_CORROBORATED';
      readonly subject: string;
      readonly needed: number;
      readonly problems: readonly string[];
    }
  | { readonly code: 'CHAIN_HISTORY_GONE'; readonly url: string; readonly slot: number; readonly firstSlot: number }
  | { readonly code: 'CHAIN_TRANSACTION_MISSING'; readonly signature: string; readonly slot: number }
  | { readonly code: 'CHAIN_NO_FAUCET'; readonly reason: string }
  | { readonly code: 'CHAIN_FAUCET_REFUSED'; readonly reason: string };

type JournalErrorInfo =
  | { readonly code: 'CHAIN_BAD_INTENT'; readonly key: string; readonly reason: string }
  | { readonly code: 'CHAIN_TRANSACTION_TOO_LARGE'; readonly key: string; readonly maxBytes: number }
  | { readonly code: 'CHAIN_TOO_MANY_OPEN'; readonly maxOpen: number }
  | { readonly code: 'CHAIN_NO_INTENT'; readonly key: string }
  | { readonly code: 'CHAIN_NOT_FORGETTABLE'; readonly key: string; readonly state: string }
  | { readonly code: 'CHAIN_OTHER_SIGNER'; readonly key: string; readonly expected: string; readonly found: string }
  | {
      readonly code: 'CHAIN_INSUFFICIENT_FUNDS';
      readonly address: string;
      readonly has: string;
      readonly needs: string;
      /** What the sum is made of, where that is not one transaction. */
      readonly parts?: string;
      /** Whether the chain may have a faucet: it is none of the public ones. */
      readonly isLocal: boolean;
    }
  | { readonly code: 'CHAIN_REFUSED'; readonly reason: string; readonly customCode: number | null }
  | { readonly code: 'CHAIN_EXPIRY_UNPROVEN'; readonly signature: string; readonly problems: readonly string[] }
  | { readonly code: 'CHAIN_ROLLED_BACK'; readonly signature: string; readonly slot: number };

type SignerErrorInfo =
  | { readonly code: 'CHAIN_SIGNER_FAILED'; readonly signer: string; readonly reason: string }
  | { readonly code: 'CHAIN_BAD_KEYPAIR_FILE'; readonly path: string; readonly reason: string };

type AnchoringErrorInfo =
  | { readonly code: 'CHAIN_NO_BATCH'; readonly batch: number }
  | { readonly code: 'CHAIN_BAD_PROGRAM_DATA'; readonly what: string; readonly reason: string };

export type ChainErrorInfo = EndpointErrorInfo | JournalErrorInfo | SignerErrorInfo | AnchoringErrorInfo;

const ENDPOINT_ERRORS: ErrorTable<EndpointErrorInfo> = {
  CHAIN_NO_ENDPOINTS: {
    retryable: false,
    message: () => 'no RPC endpoint of the chain is configured',
    hint: () => 'Name one with --rpc-url or chain.rpcUrls, such as http://127.0.0.1:8899 of `fogproof localnet`.',
  },
  CHAIN_ENDPOINT_FAILED: {
    retryable: true,
    message: (info) => `the RPC endpoint ${info.url} failed (${info.fault}): ${info.reason}`,
    hint: () => 'It is tried again by itself; add a second endpoint to chain.rpcUrls to be independent of this one.',
  },
  CHAIN_BAD_RESPONSE: {
    retryable: true,
    message: (info) => `the RPC endpoint ${info.url} answered ${info.method} with something else: ${info.reason}`,
    hint: () => 'What it said was not used. If it goes on, remove it from chain.rpcUrls.',
  },
  CHAIN_RPC_ERROR: {
    retryable: false,
    message: (info) => `the RPC endpoint ${info.url} refused ${info.method}: ${info.reason} (${info.rpcCode})`,
    hint: () => 'Another endpoint may support it: see chain.rpcUrls.',
  },
  CHAIN_UNREACHABLE: {
    retryable: true,
    message: (info) => `no RPC endpoint of the chain answers: ${info.problems.join('; ')}`,
    hint: () => 'Check the network, and that the endpoints run: a local chain is started with `fogproof localnet`.',
  },
  CHAIN_WRONG_CLUSTER: {
    retryable: false,
    message: (info) => `the RPC endpoint ${info.url} is on another chain: genesis ${info.found}, not ${info.expected}`,
    hint: () =>
      'Name an endpoint of the chain that the network definition names, or join the network of this chain; a local chain that was begun anew has another genesis: make the network again with `fogproof network create ID --rpc-url URL --replace`.',
  },
  CHAIN_ENDPOINTS_DISAGREE: {
    retryable: true,
    message: (info) =>
      `two RPC endpoints contradict each other about ${info.subject}: ${info.first.url} says ${info.first.answer}, ${info.second.url} says ${info.second.answer}`,
    hint: () =>
      'Neither is believed and it is asked again later. Find out which one is wrong and remove it from chain.rpcUrls.',
  },
  CHAIN_NOT_CORROBORATED: {
    retryable: true,
    message: (info) =>
      `${info.needed} RPC endpoints must agree on ${info.subject} and fewer have answered: ${info.problems.join('; ')}`,
    hint: () => 'It is asked again by itself. A third endpoint in chain.rpcUrls lets one of them fail.',
  },
  CHAIN_HISTORY_GONE: {
    retryable: true,
    message: (info) =>
      `the RPC endpoint ${info.url} keeps history from slot ${info.firstSlot} on, and slot ${info.slot} is needed`,
    hint: () => 'Add an endpoint that keeps the whole history to chain.rpcUrls.',
  },
  CHAIN_TRANSACTION_MISSING: {
    retryable: true,
    message: (info) =>
      `an RPC endpoint lists the transaction ${info.signature} of slot ${info.slot}, and none of them gives it`,
    hint: () => 'It is asked for again by itself; if it goes on, an endpoint in chain.rpcUrls lacks history or lies.',
  },
  CHAIN_NO_FAUCET: {
    retryable: false,
    message: (info) => `this chain gives nothing away: ${info.reason}`,
    hint: () => 'Send SOL to the address that `fogproof wallet show` prints.',
  },
  CHAIN_FAUCET_REFUSED: {
    retryable: false,
    message: (info) => `the faucet gave nothing: ${info.reason}`,
    hint: () =>
      'Ask for another amount, such as `fogproof wallet airdrop 1`: an empty wallet takes no less than its rent, and public faucets give little at once.',
  },
};

const JOURNAL_ERRORS: ErrorTable<JournalErrorInfo> = {
  CHAIN_BAD_INTENT: {
    retryable: false,
    message: (info) => `the transaction ${info.key} cannot be made: ${info.reason}`,
    hint: () => 'Nothing was kept or sent. Correct the instructions and submit it again.',
  },
  CHAIN_TRANSACTION_TOO_LARGE: {
    retryable: false,
    message: (info) => `the transaction ${info.key} is larger than the ${info.maxBytes} bytes of one packet`,
    hint: () => 'Split it into several transactions.',
  },
  CHAIN_TOO_MANY_OPEN: {
    retryable: true,
    message: (info) => `${info.maxOpen} transactions are open already`,
    hint: () =>
      'Wait until some are final; see what keeps them with `fogproof anchor list` and `fogproof node status`.',
  },
  CHAIN_NO_INTENT: {
    retryable: false,
    message: (info) => `there is no transaction ${info.key} here`,
    hint: () => 'Submit it first; final ones are forgotten after a while.',
  },
  CHAIN_NOT_FORGETTABLE: {
    retryable: false,
    message: (info) => `the transaction ${info.key} is ${info.state} and cannot be forgotten`,
    hint: () => 'Only one that was refused or failed can be; it would happen twice otherwise.',
  },
  CHAIN_OTHER_SIGNER: {
    retryable: false,
    message: (info) => `the transaction ${info.key} was signed by ${info.expected}, and this wallet is ${info.found}`,
    hint: () =>
      'Start with the wallet that signed it until it is final, then change chain.keypairFile or signerCommand.',
  },
  CHAIN_INSUFFICIENT_FUNDS: {
    retryable: false,
    message: ({ address, has, needs, parts }) =>
      `the wallet ${address} has ${has} lamports and needs ${needs}${parts === undefined ? '' : `: ${parts}`}`,
    hint: (info) =>
      info.isLocal ? 'Run `fogproof wallet airdrop`.' : `Send SOL to ${info.address}, then it can be tried again.`,
  },
  CHAIN_REFUSED: {
    retryable: false,
    message: (info) => `the transaction would fail: ${info.reason}`,
    hint: () => 'Nothing was sent and nothing was paid. Read the state of the chain again before making another.',
  },
  CHAIN_EXPIRY_UNPROVEN: {
    retryable: true,
    message: (info) =>
      `whether the transaction ${info.signature} landed cannot be told, so it is not signed anew: ${info.problems.join('; ')}`,
    hint: () => 'Add an endpoint that keeps the whole history to chain.rpcUrls.',
  },
  CHAIN_ROLLED_BACK: {
    retryable: true,
    message: (info) => `the transaction ${info.signature} was confirmed in slot ${info.slot} and is gone: a fork`,
    hint: () => 'It is sent again by itself until it is final.',
  },
};

const SIGNER_ERRORS: ErrorTable<SignerErrorInfo> = {
  CHAIN_SIGNER_FAILED: {
    retryable: true,
    message: (info) => `${info.signer} did not sign: ${info.reason}`,
    hint: () =>
      'Run it by hand with the argument `address` (prints base58), and with `sign` and a base64 message on stdin; see chain.signerCommand.',
  },
  CHAIN_BAD_KEYPAIR_FILE: {
    retryable: false,
    message: (info) => `${info.path} is not a keypair file of the Solana CLI: ${info.reason}`,
    hint: () =>
      'It is a JSON array of 64 numbers, as `solana-keygen new` and `fogproof wallet export` write it; see chain.keypairFile.',
  },
};

const ANCHORING_ERRORS: ErrorTable<AnchoringErrorInfo> = {
  CHAIN_BAD_PROGRAM_DATA: {
    retryable: false,
    message: (info) => `${info.what} is not what the program reads or writes: ${info.reason}`,
    hint: () => 'Check that the address of the program is the one that the network definition names.',
  },
  CHAIN_NO_BATCH: {
    retryable: false,
    message: (info) => `there is no batch ${info.batch} at this node`,
    hint: () => 'See which there are with `fogproof anchor list`.',
  },
};

const CHAIN_ERRORS: ErrorTable<ChainErrorInfo> = {
  ...ENDPOINT_ERRORS,
  ...JOURNAL_ERRORS,
  ...SIGNER_ERRORS,
  ...ANCHORING_ERRORS,
};

export class ChainError extends DaemonError<ChainErrorInfo> {
  constructor(info: ChainErrorInfo, options?: ErrorOptions) {
    super(CHAIN_ERRORS, info, options);
  }
}
