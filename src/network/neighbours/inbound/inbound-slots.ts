import type { PeerKey } from '../../../domain/ids.ts';
import type { ClaimRefusal } from '../../../domain/messages.ts';
import { compareRanks } from '../../../vrf/selection.ts';
import { INBOUND_GROUP_SHARES, YOUNG_SHARE } from '../constants.ts';
import type { NeighbourOptions } from '../options.ts';
import type { InboundSlot } from '../slots.ts';

export type Placement =
  | { readonly kind: 'placed'; readonly evicted: InboundSlot | null }
  | { readonly kind: 'refused'; readonly code: ClaimRefusal; readonly detail: string };

/**
 * Those that chose this node. When all slots are taken the highest rank goes, young ones first. Young ones have a quarter
 * of the slots and are not compared by rank among themselves: a key that was ground for a low rank gains nothing.
 */
export class InboundSlots {
  readonly #options: Pick<NeighbourOptions, 'inboundSlots' | 'slotEpochs' | 'caps'>;
  readonly #slots = new Map<PeerKey, InboundSlot>();

  constructor(options: Pick<NeighbourOptions, 'inboundSlots' | 'slotEpochs' | 'caps'>) {
    this.#options = options;
  }

  get size(): number {
    return this.#slots.size;
  }

  get(peer: PeerKey): InboundSlot | undefined {
    return this.#slots.get(peer);
  }

  list(): readonly InboundSlot[] {
    return [...this.#slots.values()];
  }

  /** `takesYoung`: this node has not watched for two epochs itself, so everybody is young to it. */
  place(slot: InboundSlot, { takesYoung }: { readonly takesYoung: boolean }): Placement {
    const held = this.#slots.get(slot.peer);
    if (held !== undefined) {
      // The same claim again, as after a lost connection, or that of the next epoch: it keeps its place.
      if (slot.epoch >= held.epoch) this.#slots.set(slot.peer, { ...slot, sinceMs: held.sinceMs });
      return { kind: 'placed', evicted: null };
    }
    const refused = this.#findRefusal(slot, takesYoung);
    if (refused !== null) return refused;
    const evicted = this.#slots.size < this.#options.inboundSlots ? null : this.#findWorst();
    if (evicted !== null && !isBetter(slot, evicted)) {
      return { kind: 'refused', code: 'full', detail: `${this.#slots.size} lower ranks hold all slots` };
    }
    if (evicted !== null) this.#slots.delete(evicted.peer);
    this.#slots.set(slot.peer, slot);
    return { kind: 'placed', evicted };
  }

  restore(slots: readonly InboundSlot[]): void {
    for (const slot of slots.slice(0, this.#options.inboundSlots)) this.#slots.set(slot.peer, slot);
  }

  remove(peer: PeerKey): InboundSlot | null {
    const slot = this.#slots.get(peer) ?? null;
    this.#slots.delete(peer);
    return slot;
  }

  /** Ends those whose time is over. */
  endBefore(epoch: number): readonly InboundSlot[] {
    const ended = this.list().filter((slot) => slot.epoch + this.#options.slotEpochs <= epoch);
    for (const slot of ended) this.#slots.delete(slot.peer);
    return ended;
  }

  #findRefusal(slot: InboundSlot, takesYoung: boolean): Placement | null {
    const { inboundSlots, caps } = this.#options;
    const young = this.list().filter(({ why }) => why === 'genesis').length;
    if (slot.why === 'genesis' && !takesYoung && young >= Math.floor(inboundSlots * YOUNG_SHARE)) {
      return { kind: 'refused', code: 'too-young', detail: `${young} slots for young peers are taken` };
    }
    const crowded = slot.groups.find(
      ({ kind, key }) =>
        caps[kind] !== Number.POSITIVE_INFINITY &&
        this.#countGroup(key) >= Math.floor(inboundSlots * INBOUND_GROUP_SHARES[kind]),
    );
    return crowded === undefined
      ? null
      : { kind: 'refused', code: 'full', detail: `the slots for ${crowded.kind} ${crowded.key} are taken` };
  }

  #countGroup(key: string): number {
    return this.list().filter(({ groups }) => groups.some((group) => group.key === key)).length;
  }

  #findWorst(): InboundSlot | null {
    return this.list().reduce<InboundSlot | null>(
      (worst, slot) => (worst === null || isBetter(worst, slot) ? slot : worst),
      null,
    );
  }
}

/** Aged before young, then the lower rank; of two young ones the one that was there. */
function isBetter(a: InboundSlot, b: InboundSlot): boolean {
  if (a.why !== b.why) return b.why === 'genesis';
  return a.why !== 'genesis' && compareRanks(a.rank, b.rank) < 0;
}
