import { BLOCK_SEARCH_SPAN, MAX_BLOCK_SEARCH_STEPS, SLOT_MS } from '../constants.ts';

/** What the search asks of one endpoint; final blocks only. */
export interface BlockLedger {
  /** Slot of the newest block. */
  head(): Promise<number>;
  /** Lowest slot that is kept. */
  first(): Promise<number>;
  /** Slots with a block from `first` to `last`, ascending. */
  slots(first: number, last: number): Promise<readonly number[]>;
  block(slot: number): Promise<TimedBlock>;
  /** Makes the error of an endpoint that contradicts itself. */
  refuse(reason: string): Error;
  /** Makes the error of an endpoint whose history begins too late. */
  tooLate(firstSlot: number): Error;
}

export interface TimedBlock {
  readonly slot: number;
  readonly blockHash: string;
  readonly timeMs: number;
}

/** Genesis is slot 0, and a chain that starts anew may have its first block at 1. */
const FIRST_SLOT = 1;

/**
 * The block of the lowest slot whose time is at or after `timeMs`; undefined if the newest block is before it. Block
 * times never go back (the runtime takes the parent's where the voters' median would), so that bisecting finds it. It
 * begins near the end, where a beacon looks: slots have an average length.
 */
export async function searchBlock(ledger: BlockLedger, timeMs: number): Promise<TimedBlock | undefined> {
  return new BlockSearch(ledger, timeMs).run();
}

class BlockSearch {
  readonly #ledger: BlockLedger;
  readonly #timeMs: number;
  #steps = 0;

  constructor(ledger: BlockLedger, timeMs: number) {
    this.#ledger = ledger;
    this.#timeMs = timeMs;
  }

  async run(): Promise<TimedBlock | undefined> {
    const head = await this.#load(await this.#ledger.head());
    if (head.timeMs < this.#timeMs) return undefined;
    const { early, late } = await this.#bracket(head);
    return early === undefined ? late : this.#bisect(early, late);
  }

  /** A block before the time and one at or after it; no `early` if the whole chain is after it. */
  async #bracket(head: TimedBlock): Promise<{ early: TimedBlock | undefined; late: TimedBlock }> {
    let late = head;
    let distance = Math.ceil((head.timeMs - this.#timeMs) / SLOT_MS) + BLOCK_SEARCH_SPAN / 8;
    const first = await this.#ledger.first();
    for (;;) {
      const from = Math.max(first, late.slot - distance);
      const slot = await this.#nextSlot(from, late.slot);
      const block = slot === late.slot ? late : await this.#load(slot);
      this.#assertOrder(block, late);
      if (block.timeMs < this.#timeMs) return { early: block, late };
      late = block;
      if (from === first) {
        if (first > FIRST_SLOT) throw this.#ledger.tooLate(first);
        return { early: undefined, late };
      }
      distance *= 2;
    }
  }

  async #bisect(early: TimedBlock, late: TimedBlock): Promise<TimedBlock> {
    let low = early;
    let high = late;
    // No block from `end` to the slot before `high`.
    let end = high.slot;
    while (end - low.slot > 1) {
      const middle = low.slot + Math.ceil((end - low.slot) / 2);
      const slot = await this.#nextSlot(middle, high.slot);
      if (slot >= high.slot || slot >= end) {
        end = middle;
        continue;
      }
      const block = await this.#load(slot);
      this.#assertOrder(low, block);
      this.#assertOrder(block, high);
      if (block.timeMs >= this.#timeMs) {
        high = block;
        end = middle;
      } else {
        low = block;
      }
    }
    return high;
  }

  /** Lowest slot with a block from `from` to `to`, where `to` has one. */
  async #nextSlot(from: number, to: number): Promise<number> {
    for (let start = from; start < to; start += BLOCK_SEARCH_SPAN) {
      this.#step();
      const last = Math.min(to, start + BLOCK_SEARCH_SPAN - 1);
      const [slot] = await this.#ledger.slots(start, last);
      if (slot === undefined) continue;
      if (slot < start || slot > last) throw this.#ledger.refuse(`a block at ${slot}, not from ${start} to ${last}`);
      return slot;
    }
    return to;
  }

  #load(slot: number): Promise<TimedBlock> {
    this.#step();
    return this.#ledger.block(slot);
  }

  #assertOrder(before: TimedBlock, after: TimedBlock): void {
    if (before.slot <= after.slot && before.timeMs <= after.timeMs) return;
    throw this.#ledger.refuse(`block times that go back between slots ${before.slot} and ${after.slot}`);
  }

  #step(): void {
    this.#steps += 1;
    if (this.#steps > MAX_BLOCK_SEARCH_STEPS) throw this.#ledger.refuse(`no end of the search for a block`);
  }
}
