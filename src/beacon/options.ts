import type { BlockHash } from '../domain/chain.ts';
import {
  ASK_DEADLINE_MS,
  BLOCK_WAIT_MS,
  FAILURE_PAUSE_MS,
  KEPT_ROUNDS,
  MAX_FAILURES,
  MAX_POLL_INTERVAL_MS,
  MAX_ROUNDS_IN_FLIGHT,
  POLL_INTERVAL_MS,
} from './constants.ts';

/** Of the network's definition. */
export interface RoundOptions {
  readonly roundMs: number;
  readonly epochRounds: number;
}

export interface BeaconOptions extends RoundOptions {
  readonly networkId: string;
}

export interface FixedBeaconOptions extends BeaconOptions {
  /** 32 bytes. */
  readonly seed: Uint8Array;
}

export interface ChainBeaconOptions extends BeaconOptions {
  /** Genesis hash of the chain: values of another chain under the same network id are not taken for ours. */
  readonly genesis: BlockHash;
  /** Between the first two questions for a block that is not final yet, ms; then longer each time. */
  readonly pollIntervalMs?: number;
  readonly maxPollIntervalMs?: number;
  /** How long a round's block is waited for, ms. */
  readonly blockWaitMs?: number;
  /** Failed questions in a row until the chain counts as unreachable. */
  readonly maxFailures?: number;
  /** Until the chain is asked again for the current round after it was unreachable, ms; at most a round. */
  readonly failurePauseMs?: number;
  /** How long one question may take, ms. */
  readonly askDeadlineMs?: number;
  /** Newest rounds whose values are kept. */
  readonly keptRounds?: number;
  readonly maxRoundsInFlight?: number;
}

export const CHAIN_BEACON_DEFAULTS = {
  pollIntervalMs: POLL_INTERVAL_MS,
  maxPollIntervalMs: MAX_POLL_INTERVAL_MS,
  blockWaitMs: BLOCK_WAIT_MS,
  maxFailures: MAX_FAILURES,
  failurePauseMs: FAILURE_PAUSE_MS,
  askDeadlineMs: ASK_DEADLINE_MS,
  keptRounds: KEPT_ROUNDS,
  maxRoundsInFlight: MAX_ROUNDS_IN_FLIGHT,
} as const satisfies Partial<ChainBeaconOptions>;
