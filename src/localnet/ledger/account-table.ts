import type { AccountState } from '../svm/interface.ts';

type Layer = Map<string, AccountState | undefined>;

/**
 * All accounts, as they are and as they were at the end of the last few slots: for every slot that is not final, what
 * each account that changed in it was before.
 */
export class AccountTable {
  readonly #current = new Map<string, AccountState>();
  readonly #byOwner = new Map<string, Set<string>>();
  readonly #before = new Map<number, Layer>();

  get size(): number {
    return this.#current.size;
  }

  set(address: string, state: AccountState | undefined, slot: number): void {
    const previous = this.#current.get(address);
    let layer = this.#before.get(slot);
    if (layer === undefined) {
      layer = new Map();
      this.#before.set(slot, layer);
    }
    if (!layer.has(address)) layer.set(address, previous);
    this.#replace(address, previous, state);
  }

  /** Part of the state from before the first slot that is remembered. */
  load(address: string, state: AccountState): void {
    this.#replace(address, this.#current.get(address), state);
  }

  /** As of the end of `slot`; the newest without one. */
  get(address: string, slot = Number.POSITIVE_INFINITY): AccountState | undefined {
    const earliest = this.#layersAfter(slot).find((layer) => layer.has(address));
    return earliest === undefined ? this.#current.get(address) : earliest.get(address);
  }

  /** Accounts of a program as of the end of `slot`. */
  *ownedBy(owner: string, slot: number): Iterable<readonly [address: string, state: AccountState]> {
    const addresses = new Set(this.#byOwner.get(owner));
    for (const layer of this.#layersAfter(slot)) {
      for (const [address, state] of layer) if (state?.owner === owner) addresses.add(address);
    }
    for (const address of addresses) {
      const state = this.get(address, slot);
      if (state?.owner === owner) yield [address, state];
    }
  }

  *entries(slot: number): Iterable<readonly [address: string, state: AccountState]> {
    const addresses = new Set(this.#current.keys());
    for (const layer of this.#layersAfter(slot)) for (const address of layer.keys()) addresses.add(address);
    for (const address of addresses) {
      const state = this.get(address, slot);
      if (state !== undefined) yield [address, state];
    }
  }

  changedIn(slot: number): readonly string[] {
    return [...(this.#before.get(slot)?.keys() ?? [])];
  }

  /** Nobody will ask for a state from before the end of `slot` any more. */
  forgetUntil(slot: number): void {
    for (const known of this.#before.keys()) if (known <= slot) this.#before.delete(known);
  }

  /** Oldest first: slots are entered in order. */
  #layersAfter(slot: number): Layer[] {
    return [...this.#before].filter(([known]) => known > slot).map(([, layer]) => layer);
  }

  #replace(address: string, previous: AccountState | undefined, state: AccountState | undefined): void {
    if (previous !== undefined && previous.owner !== state?.owner) {
      const owned = this.#byOwner.get(previous.owner);
      owned?.delete(address);
      if (owned?.size === 0) this.#byOwner.delete(previous.owner);
    }
    if (state === undefined) {
      this.#current.delete(address);
      return;
    }
    this.#current.set(address, state);
    const owned = this.#byOwner.get(state.owner);
    if (owned === undefined) this.#byOwner.set(state.owner, new Set([address]));
    else owned.add(address);
  }
}
