import type { SnapshotReference } from '../src/domain/checkpoint.ts';
import type { PeerKey } from '../src/domain/ids.ts';
import { memoryStateOf, type ProgramState } from '../test/support/snapshot-states.ts';
import { itemOf } from '../test/support/snapshots.ts';

const PAGE_BYTES = 65_536;

export interface ProviderOrder {
  readonly step: number;
  readonly pages: number;
  /** Pages that are others than at step 1. */
  readonly changed: number;
  readonly key: readonly number[] | null;
  readonly reader: PeerKey;
}

export type ProviderAnswer =
  | { readonly kind: 'ready'; readonly address: string; readonly peer: PeerKey }
  | {
      readonly kind: 'made';
      readonly reference: SnapshotReference;
      readonly stateRoot: readonly number[];
      readonly madeMs: number;
    };

/** A memory of which every page is another; some, spread over it, are others again at each step. */
export function createBenchState(step: number, pages: number, changed: number): ProgramState {
  const every = changed === 0 ? Number.POSITIVE_INFINITY : Math.floor(pages / changed);
  const memory = Array.from({ length: pages }, (_, index) =>
    itemOf(index % every === 0 && index / every < changed ? step * 1_000_000 + index : index, PAGE_BYTES),
  );
  return memoryStateOf(step, memory);
}
