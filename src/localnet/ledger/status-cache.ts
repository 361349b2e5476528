import { STATUS_CACHE_SLOTS } from '../constants.ts';
import type { SignatureStatus } from './interface.ts';

/** Signatures of the last slots: keeps a transaction from running twice while its block hash is valid. */
export class StatusCache {
  readonly #statuses = new Map<string, SignatureStatus>();
  readonly #bySlot = new Map<number, string[]>();

  get(signature: string): SignatureStatus | undefined {
    return this.#statuses.get(signature);
  }

  add(signature: string, status: SignatureStatus): void {
    this.#statuses.set(signature, status);
    const known = this.#bySlot.get(status.slot);
    if (known === undefined) this.#bySlot.set(status.slot, [signature]);
    else known.push(signature);
  }

  /** Slots are added in order, so the oldest stand first. */
  forgetBefore(slot: number): void {
    for (const [known, signatures] of this.#bySlot) {
      if (known >= slot - STATUS_CACHE_SLOTS) return;
      for (const signature of signatures) this.#statuses.delete(signature);
      this.#bySlot.delete(known);
    }
  }
}
