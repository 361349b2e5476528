import type { SlotStore, StoredSlots } from '../../network/neighbours/ports.ts';

/** What a node has on its disk, for one that comes back. */
export class MemorySlotStore implements SlotStore {
  #slots: StoredSlots = { outbound: [], inbound: [], networkSize: null };

  async load(): Promise<StoredSlots> {
    return this.#slots;
  }

  async save(slots: StoredSlots): Promise<void> {
    this.#slots = slots;
  }
}
