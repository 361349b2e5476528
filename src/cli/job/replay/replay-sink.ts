import type { SnapshotState } from '../../../domain/snapshot.ts';
import type { CheckpointOrder, ExecutionSink, StateCheckpoint } from '../../../sandbox/interface.ts';
import { compareStates } from './compare-states.ts';
import type { ReplayRow } from './interface.ts';
import type { ReplayRecord } from './replay-record.ts';
import { compareCheckpoint } from './replay-rows.ts';

export interface ReplaySinkModules {
  readonly record: ReplayRecord;
  /** The state of a false snapshot at this step, if there is one in the file. */
  readonly openFalse: (step: number) => Promise<readonly SnapshotState[]>;
  readonly onProgress: (progress: { readonly step: number; readonly fuel: number }) => void;
  readonly onDifference: (row: ReplayRow) => void;
}

/** Compares the state at every checkpoint and halts at the first one at or after a step. */
export class ReplaySink implements ExecutionSink {
  readonly rows: ReplayRow[] = [];
  /** Parts of false snapshots that differ, by step. */
  readonly falseParts = new Map<number, readonly string[]>();
  #lastStep = 0;
  readonly #modules: ReplaySinkModules;
  readonly #to: number;

  constructor(modules: ReplaySinkModules, { to }: { readonly to: number }) {
    this.#modules = modules;
    this.#to = to;
  }

  /** The step of the newest checkpoint. */
  get lastStep(): number {
    return this.#lastStep;
  }

  log(): void {}

  metric(): void {}

  progress({ step, fuel }: { readonly step: number; readonly fuel: number }): void {
    this.#modules.onProgress({ step, fuel });
  }

  async checkpoint({ step, fuel, place, stateRoot, state }: StateCheckpoint): Promise<CheckpointOrder> {
    const { record, openFalse, onProgress, onDifference } = this.#modules;
    const row = compareCheckpoint(record, step, stateRoot);
    if (row.verdict === 'different' && !this.rows.some(({ verdict }) => verdict === 'different')) onDifference(row);
    this.rows.push(row);
    this.#lastStep = step;
    onProgress({ step, fuel });
    if (row.verdict === 'same') {
      for (const found of await openFalse(step)) this.falseParts.set(step, compareStates(found, state));
    }
    // oxlint-disable-next-line unicorn/no-thenable -- the name is the sandbox's
    return { ...GO_ON, then: step >= this.#to && place !== 'end' ? 'halt' : 'continue' };
  }
}

const nothing = (): Promise<void> => Promise.resolve();
const GO_ON = { wanted: [], receive: nothing, complete: nothing };
