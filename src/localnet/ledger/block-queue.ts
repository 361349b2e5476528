import { base58btc } from 'multiformats/bases/base58';
import { MAX_BLOCKHASH_AGE, SLOT_HASHES_ENTRIES } from '../constants.ts';
import type { SlotView } from '../svm/interface.ts';
import type { BlockHeader } from './interface.ts';

interface QueuedBlock {
  readonly header: BlockHeader;
  readonly bytes: Uint8Array;
}

/** The newest closed blocks: what SlotHashes holds, and whose hashes a transaction may name. */
export class BlockQueue {
  readonly #blocks: QueuedBlock[] = [];
  readonly #slotOf = new Map<string, number>();

  get newest(): BlockHeader | undefined {
    return this.#blocks.at(-1)?.header;
  }

  push(header: BlockHeader): void {
    this.#blocks.push({ header, bytes: base58btc.baseDecode(header.blockhash) });
    this.#slotOf.set(header.blockhash, header.slot);
    if (this.#blocks.length <= SLOT_HASHES_ENTRIES) return;
    const oldest = this.#blocks.shift();
    if (oldest !== undefined) this.#slotOf.delete(oldest.header.blockhash);
  }

  at(slot: number): BlockHeader | undefined {
    const first = this.#blocks[0]?.header.slot ?? 0;
    return this.#blocks[slot - first]?.header;
  }

  slotOf(blockhash: string): number | undefined {
    return this.#slotOf.get(blockhash);
  }

  /** Whether a transaction that names this block may run in `slot`: what `lastValidBlockHeight` promises, exactly. */
  isValidIn(blockhash: string, slot: number): boolean {
    const named = this.#slotOf.get(blockhash);
    return named !== undefined && named < slot && slot - named <= MAX_BLOCKHASH_AGE;
  }

  newestFirst(): SlotView['blocks'] {
    return this.#blocks.map(({ header, bytes }) => ({ slot: header.slot, blockhash: bytes })).reverse();
  }
}
