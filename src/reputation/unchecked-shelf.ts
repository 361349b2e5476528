import type { ObjectId } from '../domain/ids.ts';
import type { Observation } from '../domain/observation.ts';
import { MAX_UNCHECKED, MAX_UNCHECKED_OF_OBSERVER } from './constants.ts';

export interface UncheckedObservation {
  readonly id: ObjectId;
  readonly value: Observation;
}

/** Observations that came without their evidence: they weigh nothing, and their observers are asked for it. In memory only. */
export class UncheckedShelf {
  readonly #entries = new Map<ObjectId, UncheckedObservation>();

  /** Of too many the oldest go, those of the same observer first. */
  add(entry: UncheckedObservation): void {
    if (this.#entries.has(entry.id)) return;
    const { observer } = entry.value;
    const own = [...this.#entries.values()].filter(({ value }) => value.observer === observer);
    const [oldestOwn] = own;
    if (own.length >= MAX_UNCHECKED_OF_OBSERVER && oldestOwn !== undefined) this.#entries.delete(oldestOwn.id);
    for (const id of this.#entries.keys()) {
      if (this.#entries.size < MAX_UNCHECKED) break;
      this.#entries.delete(id);
    }
    this.#entries.set(entry.id, entry);
  }

  remove(id: ObjectId): void {
    this.#entries.delete(id);
  }

  list(): readonly UncheckedObservation[] {
    return [...this.#entries.values()];
  }
}
