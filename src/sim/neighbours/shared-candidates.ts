import type { PeerKey } from '../../domain/ids.ts';
import { areBytesEqual } from '../../lib/bytes.ts';
import type { CandidateTable } from '../../network/neighbours/candidates/candidate-table.ts';
import type {
  CandidateSource,
  Eligibility,
  KnownCandidate,
  NodeFacts,
  Sighting,
} from '../../network/neighbours/ports.ts';
import type { DiversityGroup } from '../../vrf/selection.ts';

/**
 * One table for all honest nodes: 10,000 tables of 10,000 pairs do not fit. Everybody knows everybody, since the same
 * epoch; only newcomers and new keys enter it. A model of complete and equal knowledge around the daemon's own table.
 */
export class SharedCandidates implements CandidateSource {
  readonly #table: CandidateTable;
  #sweptEpoch = 0;
  #version = 0;

  constructor(table: CandidateTable) {
    this.#table = table;
  }

  get size(): number {
    return this.#table.size;
  }

  /** Moves once an epoch: each node's own sweep would make all others rank anew. */
  get version(): number {
    return this.#version;
  }

  get beganEpoch(): number | null {
    return this.#table.beganEpoch;
  }

  get(peer: PeerKey): KnownCandidate | undefined {
    return this.#table.get(peer);
  }

  eligible(at: Eligibility): Iterable<KnownCandidate> {
    return this.#table.eligible(at);
  }

  note(sighting: Sighting): boolean {
    const known = this.#table.get(sighting.node.peer);
    if (known !== undefined && areBytesEqual(known.vrfPublicKey, sighting.node.vrfPublicKey)) return true;
    this.#version += 1;
    return this.#table.note(sighting);
  }

  /** A newcomer, that two sources tell of. Nobody can choose it before it is of age, so nobody ranks anew for it. */
  join(node: NodeFacts, epoch: number): void {
    this.#table.note({ node, teller: 'itself', epoch });
    this.confirm(node, epoch);
  }

  /** A second source tells of it: nobody's word stands alone. */
  confirm(node: NodeFacts, epoch: number): void {
    this.#table.note({ node, teller: 'another', epoch });
  }

  /** Addresses are what records say: nobody hides behind another one here. */
  noteObserved(): boolean {
    return true;
  }

  groupsAt(addresses: readonly string[]): readonly DiversityGroup[] {
    return this.#table.groupsAt(addresses);
  }

  sweep(epoch: number): void {
    if (epoch <= this.#sweptEpoch) return;
    this.#sweptEpoch = epoch;
    this.#version += 1;
    this.#table.sweep(epoch);
  }
}
