import type { PeerKey } from '../../domain/ids.ts';
import type { DiversityCaps } from '../../vrf/selection.ts';
import {
  CROSS_CHECK_PEERS,
  FORGET_AFTER_EPOCHS,
  INBOUND_SLOTS,
  MAX_CANDIDATES,
  NEIGHBOUR_SLOTS,
  RANK_SLACK,
  SLOT_EPOCHS,
} from './constants.ts';

export interface CandidateTableOptions {
  readonly maxCandidates: number;
  /** Pairs of one address group; Infinity where addresses say nothing: on one machine. */
  readonly maxPerGroup: number;
  /** Pairs of one autonomous system. */
  readonly maxPerSystem: number;
  readonly forgetAfterEpochs: number;
}

export const CANDIDATE_TABLE_DEFAULTS: CandidateTableOptions = {
  maxCandidates: MAX_CANDIDATES,
  maxPerGroup: Number.POSITIVE_INFINITY,
  maxPerSystem: Number.POSITIVE_INFINITY,
  forgetAfterEpochs: FORGET_AFTER_EPOCHS,
};

/** When ages are written between the turns of epochs. */
export interface CandidateSaverOptions {
  /** After the first change that is not on disk, ms. */
  readonly saveAfterMs: number;
  /** When so many candidates have changed. */
  readonly saveAfterChanges: number;
}

export const CANDIDATE_SAVER_DEFAULTS: CandidateSaverOptions = { saveAfterMs: 300_000, saveAfterChanges: 64 };

export interface NeighbourOptions {
  readonly self: PeerKey;
  /** 32 bytes: the key that the own node record names. */
  readonly vrfPublicKey: Uint8Array;
  readonly networkId: string;
  readonly slots: number;
  readonly slotEpochs: number;
  readonly slack: number;
  readonly inboundSlots: number;
  readonly caps: DiversityCaps;
  readonly crossCheckPeers: number;
  /** Tolerated difference of clocks, ms; never more than a quarter of an epoch. */
  readonly skewMs: number;
  /** Longest wait after an epoch began, so that not all nodes move at once; at most a sixteenth of an epoch. */
  readonly jitterMs: number;
  /** How long a node that starts listens before it chooses, ms; at most an eighth of an epoch. */
  readonly gatherMs: number;
  /** How long a neighbour that was lost may take to come back, ms; at most an eighth of an epoch. */
  readonly graceMs: number;
  /** Until free slots are tried again, records are looked at and lost neighbours let go, ms; at most an eighth of an epoch. */
  readonly upkeepMs: number;
  /** How long the beacon is waited for at the turn of an epoch, and by a claim, ms. */
  readonly beaconWaitMs: number;
  readonly claimBeaconWaitMs: number;
}

export const NO_CAPS: DiversityCaps = {
  address: Number.POSITIVE_INFINITY,
  asn: Number.POSITIVE_INFINITY,
  operator: Number.POSITIVE_INFINITY,
};

export const NEIGHBOUR_DEFAULTS = {
  slots: NEIGHBOUR_SLOTS,
  slotEpochs: SLOT_EPOCHS,
  slack: RANK_SLACK,
  inboundSlots: INBOUND_SLOTS,
  caps: NO_CAPS,
  crossCheckPeers: CROSS_CHECK_PEERS,
  skewMs: 30_000,
  jitterMs: 10_000,
  gatherMs: 5_000,
  graceMs: 20_000,
  upkeepMs: 60_000,
  beaconWaitMs: 120_000,
  claimBeaconWaitMs: 5_000,
} as const satisfies Partial<NeighbourOptions>;
