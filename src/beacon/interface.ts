/**
 * beacon owns rounds and epochs, and the public random value of each round (design section 5). Sources: a chain, the
 * time alone, or a fixed seed for tests and simulations.
 * It does not own the chain (`chain` satisfies BlockSource) nor what the values choose.
 * A round's value never changes once it was given. Where the chain cannot be asked there is no value: nothing is made up.
 */

/** The lowest finalised block at or after a time. */
export interface BeaconBlock {
  readonly slot: number;
  /** 32 bytes. */
  readonly blockHash: Uint8Array;
  readonly timeMs: number;
}

/** What the chain source needs of a chain; `chain` provides it. */
export interface BlockSource {
  /** True for a chain whose block hashes its operator knows beforehand: a local one. */
  readonly isPredictable: boolean;
  /**
   * The block of the lowest finalised slot whose time is at or after `timeMs`; undefined while there is none yet.
   * Where two or more endpoints are configured, two agree. @throws the chain's coded error if it cannot be asked
   */
  findBlockAtOrAfter(timeMs: number, options: { readonly signal: AbortSignal }): Promise<BeaconBlock | undefined>;
}

export interface BeaconValue {
  readonly round: number;
  /** When the round began, Unix ms. */
  readonly startsAtMs: number;
  /** 32 bytes. */
  readonly value: Uint8Array;
  readonly source: 'chain' | 'time' | 'fixed';
  /** Whoever wants to can compute it before the round: every artefact that depends on it says so. */
  readonly isPredictable: boolean;
  /** What it was made from, for others to repeat; null unless the source is a chain. */
  readonly block: BeaconBlock | null;
}

export interface BeaconStatus {
  readonly source: BeaconValue['source'];
  readonly isPredictable: boolean;
  readonly roundMs: number;
  readonly epochRounds: number;
  /** By the clock of this machine. */
  readonly currentRound: number;
  readonly currentEpoch: number;
  /** The newest round whose value is known, and why newer ones are not; null if all is well. */
  readonly latestKnown: BeaconValue | null;
  readonly problem: { readonly code: string; readonly message: string } | null;
}

export interface Beacon {
  /** Rounds are counted from Unix time 0. */
  roundAt(timeMs: number): number;
  startOfRound(round: number): number;
  epochOfRound(round: number): number;
  firstRoundOfEpoch(epoch: number): number;
  /**
   * The value of a round; waits for it if the round has begun and its block is not final yet.
   * @throws BeaconError BEACON_NOT_YET for a round that has not begun, BEACON_UNAVAILABLE if the chain cannot be asked
   */
  value(round: number, options: { readonly signal: AbortSignal }): Promise<BeaconValue>;
  status(): BeaconStatus;
}
