import type { PeerKey } from '../../../domain/ids.ts';
import type { ClaimRefusal } from '../../../domain/messages.ts';
import { areBytesEqual } from '../../../lib/bytes.ts';
import { compareRanks, type DiversityGroup } from '../../../vrf/selection.ts';
import { INBOUND_GROUP_SHARES, YOUNG_SHARE } from '../constants.ts';
import type { NeighbourOptions } from '../options.ts';
import type { InboundSlot } from '../slots.ts';

export type Placement =
  | { readonly kind: 'placed'; readonly evicted: InboundSlot | null }
  | {
      readonly kind: 'refused';
      readonly code: ClaimRefusal;
      readonly detail: string;
      /** The slot that it had until now by an earlier claim. */
      readonly ended: InboundSlot | null;
    };

type Refusal = Pick<Placement & { kind: 'refused' }, 'code' | 'detail'>;

/**
 * Those that chose this node. When all slots are taken the highest rank goes, young ones first. Young ones have a quarter
 * of the slots and are not compared by rank among themselves: a key that was ground for a low rank gains nothing. The
 * shares of young ones and of groups hold for whoever has a slot as well: it has it for what it was when it claimed it.
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
    const held = this.#slots.get(slot.peer) ?? null;
    if (held !== null && saysNothingNew(held, slot)) return { kind: 'placed', evicted: null };
    // Another key, other addresses, another epoch: a claim like any other, but that its own slot is free for it.
    const others = this.#listOthers(slot.peer);
    const evicted = others.length < this.#options.inboundSlots ? null : findWorst(others);
    const refusal = this.#findYoung(slot, others, takesYoung) ?? this.#findCrowd(slot.groups, others);
    const isFull = evicted !== null && !isBetter(slot, evicted);
    if (refusal !== null || isFull) {
      this.#slots.delete(slot.peer);
      const full = { code: 'full', detail: `${others.length} lower ranks hold all slots` } as const;
      return { kind: 'refused', ...(refusal ?? full), ended: held };
    }
    if (evicted !== null) this.#slots.delete(evicted.peer);
    const isSamePair = held !== null && areBytesEqual(held.vrfPublicKey, slot.vrfPublicKey);
    this.#slots.set(slot.peer, isSamePair ? { ...slot, sinceMs: held.sinceMs } : slot);
    return { kind: 'placed', evicted };
  }

  /** It is connected from elsewhere. Gives the slot that ends because there are as many there as may be. */
  regroup(peer: PeerKey, groups: readonly DiversityGroup[]): InboundSlot | null {
    const slot = this.#slots.get(peer);
    if (slot === undefined || areGroupsEqual(slot.groups, groups)) return null;
    if (this.#findCrowd(groups, this.#listOthers(peer)) !== null) return this.remove(peer);
    this.#slots.set(peer, { ...slot, groups });
    return null;
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

  #listOthers(peer: PeerKey): readonly InboundSlot[] {
    return this.list().filter((slot) => slot.peer !== peer);
  }

  #findYoung(slot: InboundSlot, others: readonly InboundSlot[], takesYoung: boolean): Refusal | null {
    const young = others.filter(({ why }) => why === 'genesis').length;
    const most = Math.floor(this.#options.inboundSlots * YOUNG_SHARE);
    if (slot.why !== 'genesis' || takesYoung || young < most) return null;
    return { code: 'too-young', detail: `${young} slots for young peers are taken` };
  }

  #findCrowd(groups: readonly DiversityGroup[], others: readonly InboundSlot[]): Refusal | null {
    const { inboundSlots, caps } = this.#options;
    const crowded = groups.find(
      ({ kind, key }) =>
        caps[kind] !== Number.POSITIVE_INFINITY &&
        countGroup(others, key) >= Math.floor(inboundSlots * INBOUND_GROUP_SHARES[kind]),
    );
    return crowded === undefined
      ? null
      : { code: 'full', detail: `the slots for ${crowded.kind} ${crowded.key} are taken` };
  }
}

function countGroup(slots: readonly InboundSlot[], key: string): number {
  return slots.filter(({ groups }) => groups.some((group) => group.key === key)).length;
}

function findWorst(slots: readonly InboundSlot[]): InboundSlot | null {
  return slots.reduce<InboundSlot | null>(
    (worst, slot) => (worst === null || isBetter(worst, slot) ? slot : worst),
    null,
  );
}

/** Aged before young, then the lower rank; of two young ones the one that was there. */
function isBetter(a: InboundSlot, b: InboundSlot): boolean {
  if (a.why !== b.why) return b.why === 'genesis';
  return a.why !== 'genesis' && compareRanks(a.rank, b.rank) < 0;
}

/** The same claim again, as after a lost connection, or an older one of the same pair at the same place. */
function saysNothingNew(held: InboundSlot, slot: InboundSlot): boolean {
  if (!areBytesEqual(held.vrfPublicKey, slot.vrfPublicKey) || !areGroupsEqual(held.groups, slot.groups)) return false;
  return slot.epoch < held.epoch || (slot.epoch === held.epoch && slot.why === held.why);
}

function areGroupsEqual(a: readonly DiversityGroup[], b: readonly DiversityGroup[]): boolean {
  const keys = new Set(a.map(({ key }) => key));
  return keys.size === new Set(b.map(({ key }) => key)).size && b.every(({ key }) => keys.has(key));
}
