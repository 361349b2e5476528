import type { PeerKey } from '../../../domain/ids.ts';
import type { NeighbourOptions } from '../options.ts';
import type { OutboundSlot } from '../slots.ts';

/** Those that this node chose. */
export class OutboundSlots {
  readonly #options: Pick<NeighbourOptions, 'slots' | 'slotEpochs'>;
  readonly #slots = new Map<PeerKey, OutboundSlot>();

  constructor(options: Pick<NeighbourOptions, 'slots' | 'slotEpochs'>) {
    this.#options = options;
  }

  get size(): number {
    return this.#slots.size;
  }

  get free(): number {
    return this.#options.slots - this.#slots.size;
  }

  get(peer: PeerKey): OutboundSlot | undefined {
    return this.#slots.get(peer);
  }

  list(): readonly OutboundSlot[] {
    return [...this.#slots.values()];
  }

  peers(): ReadonlySet<PeerKey> {
    return new Set(this.#slots.keys());
  }

  /**
   * The first epoch in which a slot that is filled in `epoch` is over: as late as possible, with no more than an equal
   * share ending at once. In the first epoch half of them get one epoch, so that half turn over each epoch from then on.
   */
  findEnd(epoch: number): number {
    const { slots, slotEpochs } = this.#options;
    const share = Math.ceil(slots / slotEpochs);
    for (let end = epoch + slotEpochs; end > epoch + 1; end -= 1) {
      if (this.list().filter(({ endsAtEpoch }) => endsAtEpoch === end).length < share) return end;
    }
    return epoch + 1;
  }

  add(slot: OutboundSlot): void {
    this.#slots.set(slot.peer, slot);
  }

  remove(peer: PeerKey): OutboundSlot | null {
    const slot = this.#slots.get(peer) ?? null;
    this.#slots.delete(peer);
    return slot;
  }

  /** Ends those whose time is over. */
  endBefore(epoch: number): readonly OutboundSlot[] {
    const ended = this.list().filter(({ endsAtEpoch }) => endsAtEpoch <= epoch);
    for (const slot of ended) this.#slots.delete(slot.peer);
    return ended;
  }

  restore(slots: readonly OutboundSlot[]): void {
    for (const slot of slots.slice(0, this.#options.slots)) this.#slots.set(slot.peer, slot);
  }
}
