/**
 * What the choice of neighbours needs of the rest: no type of libp2p, no disk, no timer of the process. libp2p-network.ts
 * joins them to the host, the simulator to a virtual network.
 */
import type { Beacon } from '../../beacon/interface.ts';
import type { PeerKey } from '../../domain/ids.ts';
import type { NeighbourRequest, NeighbourResponse } from '../../domain/messages.ts';
import type { SignedWire } from '../../domain/signed.ts';
import type { VrfVerdict } from '../../vrf/ecvrf.ts';
import type { Candidate } from '../../vrf/selection.ts';
import type { NeighbourDirection } from '../interface.ts';
import type { InboundSlot, OutboundSlot } from './slots.ts';

export type EpochBeacon = Pick<Beacon, 'roundAt' | 'startOfRound' | 'epochOfRound' | 'firstRoundOfEpoch' | 'value'>;

export interface VrfSuite {
  /** Proof of the own key over the input, 80 bytes. */
  prove(input: Uint8Array): Promise<Uint8Array>;
  verify(publicKey: Uint8Array, input: Uint8Array, proof: Uint8Array): VrfVerdict;
}

/** What a valid node record says that matters here. */
export interface NodeFacts {
  readonly peer: PeerKey;
  readonly vrfPublicKey: Uint8Array;
  readonly addresses: readonly string[];
  readonly expiresAtMs: number;
}

export type OpenedNode =
  | { readonly kind: 'opened'; readonly node: NodeFacts }
  | { readonly kind: 'refused'; readonly detail: string; readonly penalty: number };

/** Verifies a node record that `peer` showed as its own. Never throws for what a peer can send. */
export type NodeOpener = (record: SignedWire, peer: PeerKey) => Promise<OpenedNode>;

export interface NeighbourLinks {
  isConnected(peer: PeerKey): boolean;
  /** Connects first if need be. Has a deadline of its own. @throws a coded error if there is no answer */
  request(
    peer: PeerKey,
    request: NeighbourRequest,
    options: { readonly signal: AbortSignal },
  ): Promise<NeighbourResponse>;
  /** The newest own node record; null before there is one. */
  ownRecord(): SignedWire | null;
  /** Where a connected peer really is: its end of the connections. */
  observedAddresses(peer: PeerKey): readonly string[];
  /** Keeps the connection from being closed for others, and an outbound one up; null: no longer. */
  keep(peer: PeerKey, direction: NeighbourDirection | null): void;
  /** There are too few candidates: asks a few peers for records that they know. May come to nothing. */
  seekCandidates(peers: readonly PeerKey[]): void;
  penalise(peer: PeerKey, penalty: number): void;
  /**
   * The peers closest to SHA-256 of each key that the DHT finds, as multihash bytes; an empty list where it finds none.
   * Absent where there is no DHT: then the candidates are counted.
   */
  findClosest?(
    keys: readonly Uint8Array[],
    options: { readonly signal: AbortSignal },
  ): Promise<readonly (readonly Uint8Array[])[]>;
}

/** Which autonomous system announces an address: a table that the operator has. */
export interface AutonomousSystems {
  /** Its number; null for what is in none, or is no IP address. Never throws. */
  find(ip: string): number | null;
}

/** A pair of peer and VRF key, and since when it is known. */
export interface KnownCandidate {
  readonly candidate: Candidate;
  readonly vrfPublicKey: Uint8Array;
  readonly firstSeenEpoch: number;
  /** Of its newest record. */
  readonly expiresAtMs: number;
  /** More than one source told of it. */
  readonly isConfirmed: boolean;
}

export interface Sighting {
  readonly node: NodeFacts;
  /** Who told: a peer's id. */
  readonly teller: string;
  readonly epoch: number;
}

export interface Eligibility {
  readonly epoch: number;
  readonly nowMs: number;
  /** Ages are not asked for. */
  readonly isGenesis: boolean;
}

/** Whom a node may choose among. */
export interface CandidateSource {
  readonly size: number;
  /** Rises when somebody could be chosen who could not before. */
  readonly version: number;
  /** The epoch since which this table has watched; null before it began. */
  readonly beganEpoch: number | null;
  get(peer: PeerKey): KnownCandidate | undefined;
  /** All with a valid record that are old enough. */
  eligible(at: Eligibility): Iterable<KnownCandidate>;
  /** Says whether it is in the table now. */
  note(sighting: Sighting): boolean;
  noteObserved(peer: PeerKey, addresses: readonly string[]): void;
  /** A new epoch: what is long gone is forgotten. */
  sweep(epoch: number): void;
}

export interface StoredCandidate {
  readonly peer: PeerKey;
  readonly vrfPublicKey: Uint8Array;
  readonly firstSeenEpoch: number;
  readonly lastValidEpoch: number;
  readonly isConfirmed: boolean;
}

export interface CandidateChanges {
  readonly put: readonly StoredCandidate[];
  readonly removed: readonly PeerKey[];
}

export interface StoredCandidates {
  readonly beganEpoch: number | null;
  readonly candidates: readonly StoredCandidate[];
}

/** Nodes of the network, as estimated in an epoch. */
export interface SizeReport {
  readonly epoch: number;
  readonly size: number;
}

export interface StoredSlots {
  readonly outbound: readonly OutboundSlot[];
  readonly inbound: readonly InboundSlot[];
  readonly networkSize: SizeReport | null;
}

/** What survives a restart. */
export interface SlotStore {
  load(): Promise<StoredSlots>;
  save(slots: StoredSlots): Promise<void>;
}
