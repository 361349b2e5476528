import type { BlockHash } from '../domain/chain.ts';
import {
  ENDPOINT_BACKOFF_MAX_MS,
  ENDPOINT_BACKOFF_MS,
  ENDPOINT_ROUNDS,
  ENDPOINT_TIMEOUT_MS,
  GENESIS_RECHECK_MS,
  MAX_SLOT_LAG,
  PROBE_AFTER_MS,
  ROUND_BACKOFF_MS,
} from './constants.ts';

/** All in ms but `rounds` and `maxSlotLag`. */
export interface EndpointOptions {
  readonly timeoutMs: number;
  readonly rounds: number;
  readonly roundBackoffMs: number;
  readonly backoffMs: number;
  readonly backoffMaxMs: number;
  readonly maxSlotLag: number;
  readonly probeAfterMs: number;
  readonly genesisRecheckMs: number;
}

export const ENDPOINT_DEFAULTS: EndpointOptions = {
  timeoutMs: ENDPOINT_TIMEOUT_MS,
  rounds: ENDPOINT_ROUNDS,
  roundBackoffMs: ROUND_BACKOFF_MS,
  backoffMs: ENDPOINT_BACKOFF_MS,
  backoffMaxMs: ENDPOINT_BACKOFF_MAX_MS,
  maxSlotLag: MAX_SLOT_LAG,
  probeAfterMs: PROBE_AFTER_MS,
  genesisRecheckMs: GENESIS_RECHECK_MS,
};

export interface EndpointPoolOptions extends Partial<EndpointOptions> {
  /** In order of preference; at least one, at most 8. May hold credentials: never logged. */
  readonly rpcUrls: readonly string[];
  /** Of the network definition. An endpoint with another genesis is not used. */
  readonly genesis: BlockHash;
}

/** All in ms. */
export interface FollowOptions {
  /** How often history is read while the subscription works, and while it does not. */
  readonly sweepMs?: number;
  readonly pollMs?: number;
  /** Pause before a lost WebSocket is opened again. */
  readonly reconnectMs?: number;
}

export const FOLLOW_DEFAULTS = { sweepMs: 30_000, pollMs: 2_000, reconnectMs: 5_000 } as const;

export interface JournalOptions {
  /** Most micro-lamports a compute unit (config `chain.maxPriorityFee`). */
  readonly maxPriorityFee: number;
  /** How often open transactions are looked at, in ms. */
  readonly pollMs?: number;
  /** How often the same bytes are sent again until they land, in ms. */
  readonly rebroadcastMs?: number;
  /** How often history is searched for what recent statuses do not know, in ms: only that proves an expiry. */
  readonly surveyMs?: number;
  /** Pause after a failure that may pass (no endpoint, no signer), in ms; doubled up to the longest. */
  readonly retryMs?: number;
  readonly retryMaxMs?: number;
  /** Most transactions that are not terminal. */
  readonly maxOpen?: number;
  /** How long terminal records are kept, in ms, and how many. */
  readonly retentionMs?: number;
  readonly maxTerminal?: number;
}

export const JOURNAL_DEFAULTS = {
  pollMs: 800,
  rebroadcastMs: 2_000,
  surveyMs: 5_000,
  retryMs: 500,
  retryMaxMs: 30_000,
  maxOpen: 256,
  retentionMs: 90 * 86_400_000,
  maxTerminal: 10_000,
} as const;
