import type { SnapshotState } from '../../../domain/snapshot.ts';
import type { CheckpointOrder, ExecutionSink, StateCheckpoint } from '../../../sandbox/interface.ts';
import { type RecordedFiles, type RoundComparison, RoundFiles } from './compare-round-files.ts';
import { compareStates } from './compare-states.ts';
import type { ReplayRow } from './interface.ts';
import type { ReplayRecord } from './replay-record.ts';
import { compareCheckpoint } from './replay-rows.ts';

export interface ReplaySinkModules {
  readonly record: ReplayRecord;
  /** The state of a false snapshot at this step, if there is one in the file. */
  readonly openFalse: (step: number) => Promise<readonly SnapshotState[]>;
  /** The files that were recorded at this step, if they are in the bundle. */
  readonly openRecorded: (step: number) => Promise<RecordedFiles | null>;
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

  progress({ step, fuel }: { readonly step: number; readonly fuel: number | null }): void {
    if (fuel !== null) this.#modules.onProgress({ step, fuel });
  }

  async checkpoint({ step, fuel, place, stateRoot, state }: StateCheckpoint): Promise<CheckpointOrder> {
    const { record, openFalse, onProgress } = this.#modules;
    // A training job that ends without another round has no further link.
    if (place === 'end' && this.rows.at(-1)?.step === step) return GO_ON;
    const row = compareCheckpoint(record, step, stateRoot);
    this.#lastStep = step;
    if (fuel !== null) onProgress({ step, fuel });
    if (row.verdict === 'same') {
      for (const found of await openFalse(step)) this.falseParts.set(step, compareStates(found, state));
    }
    const then = step >= this.#to && place !== 'end' ? 'halt' : 'continue';
    const files = row.verdict === 'uncompared' ? await this.#openFiles(step, state) : null;
    if (files instanceof RoundFiles) {
      const complete = async (): Promise<void> => this.#add({ ...row, ...(await files.compare()) });
      // oxlint-disable-next-line unicorn/no-thenable -- the name is the sandbox's
      return { wanted: files.wanted, receive: files.receive, complete, then };
    }
    this.#add({ ...row, ...files });
    // oxlint-disable-next-line unicorn/no-thenable -- the name is the sandbox's
    return { ...GO_ON, then };
  }

  #add(row: ReplayRow): void {
    const isFirst = row.verdict === 'different' && !this.rows.some(({ verdict }) => verdict === 'different');
    if (isFirst) this.#modules.onDifference(row);
    this.rows.push(row);
  }

  async #openFiles(step: number, state: SnapshotState): Promise<RoundFiles | RoundComparison | null> {
    const recorded = await this.#modules.openRecorded(step);
    return recorded && RoundFiles.open(state, recorded, this.#modules.record.comparisons);
  }
}

const nothing = (): Promise<void> => Promise.resolve();
// oxlint-disable-next-line unicorn/no-thenable -- the name is the sandbox's
const GO_ON: CheckpointOrder = { wanted: [], receive: nothing, complete: nothing, then: 'continue' };
