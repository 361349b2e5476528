import { base58btc } from 'multiformats/bases/base58';
import type { PeerKey } from '../../../domain/ids.ts';
import { areBytesEqual } from '../../../lib/bytes.ts';
import type { Random } from '../../../lib/random.ts';
import { type Candidate, type DiversityGroup, isEligible } from '../../../vrf/selection.ts';
import { CLOCK_SKEW_MS } from '../../constants.ts';
import type { CandidateTableOptions } from '../options.ts';
import type {
  AutonomousSystems,
  CandidateChanges,
  CandidateSource,
  Eligibility,
  KnownCandidate,
  Sighting,
  StoredCandidate,
  StoredCandidates,
} from '../ports.ts';
import { collectAddressGroups, collectSystemGroups } from './address-groups.ts';

interface Entry extends KnownCandidate {
  candidate: Candidate;
  vrfPublicKey: Uint8Array;
  firstSeenEpoch: number;
  lastValidEpoch: number;
  expiresAtMs: number;
  isConfirmed: boolean;
  teller: string;
  /** A connection was open to it. */
  isMet: boolean;
  /** As its record says, and as the last connection showed: a record may name any address. */
  declared: readonly DiversityGroup[];
  observed: readonly DiversityGroup[];
}

/** Those of whom no public address is known are one group: it costs nothing to be without. */
const UNKNOWN_GROUP: DiversityGroup = { kind: 'address', key: 'unknown' };
/** Their share of the table. */
const UNKNOWN_SHARE = 1 / 4;
/** Groups of one peer: two for each of the 16 addresses of a record, and of a few connections. */
const MAX_GROUPS = 64;

export interface CandidateTableModules {
  readonly random: Random;
  /** Absent: nobody is in an autonomous system. */
  readonly autonomousSystems?: AutonomousSystems | undefined;
  /** Something changed that `takeChanges` would tell. */
  readonly onUnsaved?: () => void;
}

/**
 * Whom a node may choose: pairs of peer and VRF key with the epoch in which each was first seen. A pair that is two epochs
 * old, or that was once connected, is never pushed out by a newcomer: where there is no room, in the table or in an address
 * group, a newcomer takes the place of a random young one that nobody has met, or gets none. So a flood of made-up records
 * displaces its own kind, and keys can be made after a beacon is known but are too young for it. Who is known and moves into
 * a group is a newcomer there: a record that names a full one is not taken, and whoever is met in a full one is forgotten.
 */
export class CandidateTable implements CandidateSource {
  readonly #modules: CandidateTableModules;
  readonly #options: CandidateTableOptions & { readonly usesPrivate: boolean };
  readonly #entries = new Map<PeerKey, Entry>();
  readonly #young = new Set<PeerKey>();
  readonly #groups = new Map<string, Set<PeerKey>>();
  readonly #dirty = new Set<PeerKey>();
  readonly #removed = new Set<PeerKey>();
  #beganEpoch: number | null = null;
  #version = 0;

  /** `usesPrivate`: private addresses are those of one network, and group like others. */
  constructor(modules: CandidateTableModules, options: CandidateTableOptions & { readonly usesPrivate: boolean }) {
    this.#modules = modules;
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  get version(): number {
    return this.#version;
  }

  get beganEpoch(): number | null {
    return this.#beganEpoch;
  }

  get(peer: PeerKey): KnownCandidate | undefined {
    return this.#entries.get(peer);
  }

  *eligible({ epoch, nowMs, isGenesis }: Eligibility): Iterable<KnownCandidate> {
    for (const entry of this.#entries.values()) {
      if (entry.expiresAtMs + CLOCK_SKEW_MS <= nowMs) continue;
      if (isGenesis || isEligible({ firstSeenEpoch: entry.firstSeenEpoch, epoch })) yield entry;
    }
  }

  note({ node, teller, epoch }: Sighting): boolean {
    this.#beganEpoch ??= epoch;
    const known = this.#entries.get(node.peer);
    if (known === undefined) return this.#enter({ node, teller, epoch });
    if (!areBytesEqual(known.vrfPublicKey, node.vrfPublicKey)) {
      // A new key restarts the age: it may have been made for a beacon that is known.
      known.vrfPublicKey = node.vrfPublicKey;
      known.firstSeenEpoch = epoch;
      known.isConfirmed = false;
      known.teller = teller;
      this.#young.add(node.peer);
      this.#version++;
      this.#markChanged(node.peer);
    } else if (known.teller === '') {
      // Who told before a restart is not known any more.
      known.teller = teller;
    } else if (teller !== known.teller && !known.isConfirmed) {
      known.isConfirmed = true;
      this.#markChanged(node.peer);
    }
    if (node.expiresAtMs <= known.expiresAtMs) return true;
    const declared = this.#collectGroups(node.addresses);
    // Where its new addresses are, there is no room: what it said before stands, until that expires.
    if (!this.#move(known, this.#groupsOf({ declared, observed: known.observed }))) return true;
    known.declared = declared;
    // Back after a while: who was not eligible may be now.
    if (epoch > known.lastValidEpoch || known.expiresAtMs === 0) this.#version++;
    this.#setValid(known, epoch, node.expiresAtMs);
    return true;
  }

  noteObserved(peer: PeerKey, addresses: readonly string[]): boolean {
    const entry = this.#entries.get(peer);
    if (entry === undefined) return true;
    const observed = this.#collectGroups(addresses);
    if (!this.#move(entry, this.#groupsOf({ declared: entry.declared, observed }))) {
      // It is where it is: to count it elsewhere would be wrong.
      this.#remove(entry);
      return false;
    }
    entry.isMet = true;
    entry.observed = observed;
    return true;
  }

  groupsAt(addresses: readonly string[]): readonly DiversityGroup[] {
    return this.#groupsOf({ declared: [], observed: this.#collectGroups(addresses) });
  }

  sweep(epoch: number): void {
    for (const peer of this.#young) {
      const entry = this.#entries.get(peer);
      if (entry === undefined || isEligible({ firstSeenEpoch: entry.firstSeenEpoch, epoch })) this.#young.delete(peer);
    }
    for (const entry of this.#entries.values()) {
      if (entry.lastValidEpoch + this.#options.forgetAfterEpochs < epoch) this.#remove(entry);
    }
    // Whom it could choose is new every epoch: those that have come of age.
    this.#version++;
  }

  /** What was known before a restart. Nobody is eligible before a valid record is seen again. */
  restore({ beganEpoch, candidates }: StoredCandidates, epoch: number): void {
    this.#beganEpoch = candidates.length === 0 ? null : beganEpoch;
    for (const { peer, ...stored } of candidates.slice(0, this.#options.maxCandidates)) {
      const candidate: Candidate = { peer, peerBytes: decodePeer(peer), groups: [] };
      const unseen = { expiresAtMs: 0, teller: '', isMet: false, declared: [], observed: [] };
      this.#entries.set(peer, { ...stored, candidate, ...unseen });
      if (!isEligible({ firstSeenEpoch: stored.firstSeenEpoch, epoch })) this.#young.add(peer);
    }
    this.#version++;
  }

  /** How many changed since. */
  get unsaved(): number {
    return this.#dirty.size + this.#removed.size;
  }

  /** What changed since the last call. */
  takeChanges(): CandidateChanges {
    const put = [...this.#dirty].flatMap((peer) => this.#describe(peer) ?? []);
    const removed = [...this.#removed];
    this.#dirty.clear();
    this.#removed.clear();
    return { put, removed };
  }

  /** Of a write that failed: they are told again, as they are then. */
  putBackChanges({ put, removed }: CandidateChanges): void {
    for (const { peer } of put) if (this.#entries.has(peer)) this.#dirty.add(peer);
    for (const peer of removed) if (!this.#entries.has(peer)) this.#removed.add(peer);
  }

  #describe(peer: PeerKey): StoredCandidate | null {
    const entry = this.#entries.get(peer);
    if (entry === undefined) return null;
    const { vrfPublicKey, firstSeenEpoch, lastValidEpoch, isConfirmed } = entry;
    return { peer, vrfPublicKey, firstSeenEpoch, lastValidEpoch, isConfirmed };
  }

  #enter({ node, teller, epoch }: Sighting): boolean {
    const declared = this.#collectGroups(node.addresses);
    const groups = this.#groupsOf({ declared, observed: [] });
    if (!this.#makeRoom(groups)) return false;
    const { peer, vrfPublicKey } = node;
    const entry: Entry = {
      candidate: { peer, peerBytes: decodePeer(peer), groups: [] },
      vrfPublicKey,
      firstSeenEpoch: epoch,
      lastValidEpoch: epoch,
      expiresAtMs: node.expiresAtMs,
      isConfirmed: false,
      teller,
      isMet: false,
      declared,
      observed: [],
    };
    this.#entries.set(peer, entry);
    this.#young.add(peer);
    this.#removed.delete(peer);
    this.#markChanged(peer);
    this.#enterGroups(entry, groups);
    this.#version++;
    return true;
  }

  #makeRoom(groups: readonly DiversityGroup[]): boolean {
    if (!this.#makeRoomIn(groups)) return false;
    return this.#entries.size < this.#options.maxCandidates || this.#evict(this.#young);
  }

  #makeRoomIn(groups: readonly DiversityGroup[]): boolean {
    return groups.every((group) => {
      const members = this.#groups.get(group.key);
      return members === undefined || members.size < this.#capOf(group) || this.#evict(members);
    });
  }

  /** Whoever moves is a newcomer in the groups that it was not in. False: there is no room, and it stays where it was. */
  #move(entry: Entry, groups: readonly DiversityGroup[]): boolean {
    const present = new Set(entry.candidate.groups.map(({ key }) => key));
    if (!this.#makeRoomIn(groups.filter(({ key }) => !present.has(key)))) return false;
    this.#enterGroups(entry, groups);
    return true;
  }

  /** Drops a random one of these that is young and was never met; false if there is none. */
  #evict(peers: ReadonlySet<PeerKey>): boolean {
    const pool: Entry[] = [];
    for (const peer of peers) {
      const entry = this.#entries.get(peer);
      if (entry !== undefined && !entry.isMet && this.#young.has(peer)) pool.push(entry);
    }
    const [high = 0, low = 0] = this.#modules.random.bytes(2);
    const victim = pool[Math.floor(((high * 256 + low) / 65_536) * pool.length)];
    if (victim === undefined) return false;
    this.#remove(victim);
    return true;
  }

  #remove(entry: Entry): void {
    const { peer } = entry.candidate;
    this.#enterGroups(entry, []);
    this.#entries.delete(peer);
    this.#young.delete(peer);
    this.#dirty.delete(peer);
    this.#removed.add(peer);
    this.#modules.onUnsaved?.();
  }

  #markChanged(peer: PeerKey): void {
    this.#dirty.add(peer);
    this.#modules.onUnsaved?.();
  }

  #setValid(entry: Entry, epoch: number, expiresAtMs: number): void {
    entry.expiresAtMs = expiresAtMs;
    if (epoch <= entry.lastValidEpoch) return;
    entry.lastValidEpoch = epoch;
    this.#markChanged(entry.candidate.peer);
  }

  #capOf({ kind, key }: DiversityGroup): number {
    const { maxPerGroup, maxPerSystem, maxCandidates } = this.#options;
    if (kind === 'asn') return maxPerSystem;
    return key === UNKNOWN_GROUP.key ? Math.max(maxPerGroup, maxCandidates * UNKNOWN_SHARE) : maxPerGroup;
  }

  /** An address through a relay says where the relay is. */
  #collectGroups(addresses: readonly string[]): readonly DiversityGroup[] {
    const direct = addresses.filter((address) => !address.includes('/p2p-circuit'));
    const groups = collectAddressGroups(direct, this.#options);
    const { autonomousSystems } = this.#modules;
    return autonomousSystems === undefined ? groups : [...groups, ...collectSystemGroups(direct, autonomousSystems)];
  }

  #groupsOf({ declared, observed }: Pick<Entry, 'declared' | 'observed'>): readonly DiversityGroup[] {
    const unique = new Map([...observed, ...declared].map((group) => [group.key, group]));
    if (unique.size === 0 && !this.#options.usesPrivate) return [UNKNOWN_GROUP];
    return [...unique.values()].slice(0, MAX_GROUPS);
  }

  #enterGroups(entry: Entry, groups: readonly DiversityGroup[]): void {
    const { peer } = entry.candidate;
    for (const { key } of entry.candidate.groups) {
      const members = this.#groups.get(key);
      members?.delete(peer);
      if (members?.size === 0) this.#groups.delete(key);
    }
    for (const group of groups) {
      if (this.#capOf(group) === Number.POSITIVE_INFINITY) continue;
      const members = this.#groups.get(group.key);
      if (members === undefined) this.#groups.set(group.key, new Set([peer]));
      else members.add(peer);
    }
    entry.candidate = { ...entry.candidate, groups };
  }
}

/** The multihash bytes of a PeerId of an Ed25519 key. */
export function decodePeer(peer: PeerKey): Uint8Array {
  return base58btc.decode(`z${peer}`);
}
