import type { Database, WriteOperation } from '../interface.ts';

export interface MigrationStep {
  /** A bounded share of the changes. They are written together with `cursor`, or not at all. */
  readonly operations: readonly WriteOperation[];
  /** Where the next step goes on; null after the last. */
  readonly cursor: string | null;
}

export interface MigrationLimits {
  readonly maxEntries: number;
  readonly maxBytes: number;
}

export interface Migration {
  /** The schema version that it leads to. */
  readonly version: number;
  /** What changes, for the log. */
  readonly summary: string;
  /** From the cursor of the step before, null at first. Between two steps the program may have been killed. */
  next(database: Database, cursor: string | null, limits: MigrationLimits): Promise<MigrationStep>;
}
