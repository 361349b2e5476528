import { createHash } from 'node:crypto';
import type { PeerKey } from '../../../domain/ids.ts';
import { concatBytes, encodeUtf8 } from '../../../lib/bytes.ts';
import { combineEstimates, estimateFromDistances } from '../../../vrf/network-size.ts';
import { compareRanks } from '../../../vrf/selection.ts';
import { DENSITY_KEYS, DENSITY_TARGETS } from '../constants.ts';
import type { SizeReport } from '../ports.ts';

const TARGET_TAG = encodeUtf8('fogproof/network-size@1');

/** What is looked up in the DHT: nobody can crowd around these before the epoch's VRF output is known. */
export function deriveDensityKeys(output: Uint8Array): readonly Uint8Array[] {
  return Array.from({ length: DENSITY_TARGETS }, (_, index) => concatBytes(TARGET_TAG, output, Uint8Array.of(index)));
}

/** N as the density of peers around SHA-256(key) tells it; null if too few were found. */
export function estimateAround(key: Uint8Array, found: readonly Uint8Array[]): number | null {
  if (found.length < DENSITY_KEYS) return null;
  const target = hash(key);
  const distances = found.map((peer) => hash(peer).map((byte, index) => byte ^ (target[index] ?? 0)));
  const closest = distances.sort(compareRanks).slice(0, DENSITY_KEYS);
  return estimateFromDistances({ distances: closest });
}

function hash(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(bytes).digest());
}

/**
 * How many nodes there are (design section 5): the median of what this node finds and of what its chosen neighbours
 * say, moving at most by a factor of two an epoch. Those that chose this node are not asked: they chose themselves.
 */
export class SizeEstimator {
  readonly #reports = new Map<PeerKey, number>();
  #last: SizeReport | null = null;
  /** That of the epoch before; null in the first. */
  #previous: number | null = null;
  #known = 1;
  #density: number | null = null;

  /** Nodes of the network, this one included. */
  get size(): number {
    return this.#last?.size ?? this.#known;
  }

  get last(): SizeReport | null {
    return this.#last;
  }

  restore(last: SizeReport | null): void {
    this.#last = last;
  }

  /** What a neighbour that this node chose says. */
  noteReport(peer: PeerKey, size: number): void {
    this.#reports.set(peer, size);
  }

  /** Once an epoch, with the neighbours of now: reports of others are forgotten. */
  begin(
    epoch: number,
    { known, neighbours }: { readonly known: number; readonly neighbours: ReadonlySet<PeerKey> },
  ): void {
    for (const peer of this.#reports.keys()) if (!neighbours.has(peer)) this.#reports.delete(peer);
    if (this.#last !== null && this.#last.epoch < epoch) this.#previous = this.#last.size;
    this.#known = known + 1;
    this.#density = null;
    this.#combine(epoch);
  }

  /** What the DHT said around each key: too few answers leave it at what is known. */
  noteDensity(epoch: number, estimates: readonly (number | null)[]): void {
    const usable = estimates.filter((estimate) => estimate !== null).sort((a, b) => a - b);
    const median = usable[Math.floor(usable.length / 2)];
    if (median === undefined || usable.length * 2 <= DENSITY_TARGETS || this.#last?.epoch !== epoch) return;
    this.#density = median + 1;
    this.#combine(epoch);
  }

  /** In the first epoch of a node, what is known grows as nodes are met: there is nothing to move from. */
  noteKnown(known: number): void {
    if (this.#previous !== null || known + 1 <= this.#known) return;
    this.#known = known + 1;
    if (this.#last !== null) this.#combine(this.#last.epoch);
  }

  #combine(epoch: number): void {
    const own = Math.max(this.#known, this.#density ?? 0);
    const size = combineEstimates({ own, reported: [...this.#reports.values()], previous: this.#previous });
    // Whoever says less cannot loosen the bound of ranks by more than two: this node has seen the others itself.
    const floor = Math.min(this.#known / 2, 2 * (this.#previous ?? this.#known));
    this.#last = { epoch, size: Math.max(1, Math.round(Math.max(size, floor))) };
  }
}
