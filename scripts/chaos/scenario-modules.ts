import type { BlobId } from '../../src/domain/ids.ts';
import type { Outcome } from '../crash-stepping/outcome.ts';
import type { Template } from './fleet.ts';
import type { FileName } from './jobs.ts';
import type { Tally } from './tally.ts';

/** What a scenario is given by the series that it is of. */
export interface ScenarioModules {
  readonly template: Template;
  readonly files: Readonly<Record<FileName, string>>;
  /** What is to be made of the large input in `files`. */
  readonly commonOutput: BlobId;
  readonly from: 'dist' | 'src';
  readonly tally: Tally;
  /** By name of the job's kind. */
  readonly expected: ReadonlyMap<string, Outcome>;
  readonly checkHistories: (
    folders: readonly string[],
    options: { readonly acknowledged: readonly string[]; readonly haveClocksJumped: boolean; readonly nowMs: number },
  ) => Promise<readonly string[]>;
  readonly say: (line: string) => void;
  readonly signal: AbortSignal;
}
