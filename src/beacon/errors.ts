import { DaemonError, type ErrorTable } from '../lib/errors.ts';

export type BeaconErrorInfo =
  | { readonly code: 'BEACON_BAD_ROUND'; readonly round: number }
  | { readonly code: 'BEACON_NOT_YET'; readonly round: number; readonly startsInMs: number }
  | { readonly code: 'BEACON_UNAVAILABLE'; readonly round: number; readonly reason: string }
  | { readonly code: 'BEACON_BUSY'; readonly maxRounds: number };

const BEACON_ERRORS: ErrorTable<BeaconErrorInfo> = {
  BEACON_BAD_ROUND: {
    retryable: false,
    message: (info) => `${info.round} is no beacon round`,
    hint: () => 'Rounds are whole numbers from 0, counted from Unix time 0.',
  },
  BEACON_NOT_YET: {
    retryable: true,
    message: (info) => `beacon round ${info.round} begins in ${info.startsInMs} ms by the clock of this machine`,
    hint: () => 'Ask again then; if it should have begun, check the clock of this machine.',
  },
  BEACON_UNAVAILABLE: {
    retryable: true,
    message: (info) => `the chain gives no value for beacon round ${info.round}: ${info.reason}`,
    hint: () => 'See the endpoints in `fogproof node status`; name another with chain.rpcUrls or --rpc-url.',
  },
  BEACON_BUSY: {
    retryable: true,
    message: (info) => `${info.maxRounds} beacon rounds are asked for already`,
    hint: () => 'Ask again when some of them are answered.',
  },
};

export class BeaconError extends DaemonError<BeaconErrorInfo> {
  constructor(info: BeaconErrorInfo, options?: ErrorOptions) {
    super(BEACON_ERRORS, info, options);
  }
}
