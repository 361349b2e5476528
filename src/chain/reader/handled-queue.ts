import type { ListedSignature } from '../endpoints/solana-rpc.ts';
import type { Cursor } from './cursor-store.ts';

interface Given {
  readonly entry: ListedSignature;
  isHandled: boolean;
}

/**
 * What was given to a follower and in which order. The cursor passes a transaction only when it and all before it were
 * handled, so that none is left out after a restart, whatever order they are handled in.
 */
export class HandledQueue {
  #cursor: Cursor;
  #given: Given[] = [];

  constructor(cursor: Cursor) {
    this.#cursor = cursor;
  }

  get cursor(): Cursor {
    return this.#cursor;
  }

  /** Given and not passed by the cursor yet. */
  get waiting(): number {
    return this.#given.length;
  }

  /** Whether it was given already, in this run or before. */
  has({ signature, slot }: ListedSignature): boolean {
    if (slot < this.#cursor.slot) return true;
    if (slot === this.#cursor.slot && this.#cursor.signatures.includes(signature)) return true;
    return this.#given.some(({ entry }) => entry.signature === signature);
  }

  /** Newest transaction that everything up to it was given; undefined at the very beginning. */
  get newest(): ListedSignature | undefined {
    const last = this.#given.at(-1)?.entry;
    if (last !== undefined) return last;
    const signature = this.#cursor.signatures.at(-1);
    return signature === undefined ? undefined : { signature, slot: this.#cursor.slot };
  }

  give(entry: ListedSignature): { handled(): Cursor | undefined } {
    const given: Given = { entry, isHandled: false };
    this.#given.push(given);
    return {
      /** The cursor, if that moves it. */
      handled: () => {
        given.isHandled = true;
        return this.#advance();
      },
    };
  }

  #advance(): Cursor | undefined {
    const end = this.#given.findIndex(({ isHandled }) => !isHandled);
    const passed = this.#given.splice(0, end === -1 ? this.#given.length : end);
    if (passed.length === 0) return undefined;
    for (const { entry } of passed) {
      const { slot, signatures } = this.#cursor;
      const same = entry.slot === slot ? signatures : [];
      this.#cursor = { slot: entry.slot, signatures: [...same, entry.signature] };
    }
    return this.#cursor;
  }
}
