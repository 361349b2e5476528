import type { TensorSlot } from './plan-items.ts';

/** A model that a child holds ready. */
export interface WarmModel {
  /** By which the child knows it. */
  readonly session: number;
  readonly inputs: readonly TensorSlot[];
  readonly outputs: readonly TensorSlot[];
  /** What the child grew by when it was loaded, and no less than the model itself has. */
  readonly sizeBytes: number;
  /** False: it takes one item a call. */
  isBatchable: boolean;
}

/** The models of one child. The one that was asked for longest ago goes first when another one needs room. */
export class WarmModels {
  readonly #models = new Map<string, WarmModel>();
  readonly #maxBytes: number;
  #count = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get(key: string): WarmModel | undefined {
    const found = this.#models.get(key);
    if (found === undefined) return undefined;
    this.#models.delete(key);
    this.#models.set(key, found);
    return found;
  }

  /** A number that no model of this child has had. */
  nextSession(): number {
    this.#count += 1;
    return this.#count;
  }

  add(key: string, model: WarmModel): void {
    this.#models.set(key, model);
  }

  /** Takes out what has to go before a model of this size is loaded, which may take more than all room there is. */
  makeRoom(sizeBytes: number): readonly WarmModel[] {
    const gone: WarmModel[] = [];
    let held = [...this.#models.values()].reduce((sum, model) => sum + model.sizeBytes, 0);
    for (const [key, model] of this.#models) {
      if (held + sizeBytes <= this.#maxBytes) break;
      this.#models.delete(key);
      held -= model.sizeBytes;
      gone.push(model);
    }
    return gone;
  }
}
