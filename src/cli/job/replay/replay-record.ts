import { collectStateRoots, type StateRoots } from '../../../bundle/checks/state-roots.ts';
import type { OpenedAttempt } from '../../../bundle/open-evidence.ts';
import type { SnapshotInFile } from '../../../bundle/snapshot-register.ts';
import { MAX_CHECKPOINTS } from '../../../domain/checkpoint.ts';
import type { Comparison, Job } from '../../../domain/job.ts';
import type { Receipt } from '../../../domain/receipt.ts';
import { areBytesEqual } from '../../../lib/bytes.ts';
import type { OpenedChain } from '../../../proofs/verify-chain.ts';

/** What an attempt and those that it inherited from committed to. */
export interface ReplayRecord {
  readonly roots: StateRoots;
  /** Between these steps every checkpoint is recorded: one that is not there was not made. */
  readonly whole: { readonly from: number; readonly to: number };
  readonly lastStep: number;
  /** The result says that the program ended, so that nothing follows on the last checkpoint. */
  readonly isEnded: boolean;
  /** Files that are compared within tolerances: of these equal states are not demanded. */
  readonly comparisons: readonly Comparison[];
}

export function createRecord(
  attempt: OpenedAttempt,
  chain: OpenedChain,
  { job, receipt }: { readonly job: Job; readonly receipt: Receipt },
): ReplayRecord {
  const { start, links } = chain;
  const lastStep = links.at(-1)?.step ?? start.step;
  const lastWhole = links.length === MAX_CHECKPOINTS ? (links.at(-2)?.step ?? lastStep) : lastStep;
  return {
    roots: collectStateRoots(attempt),
    whole: { from: start.step, to: lastWhole },
    lastStep,
    isEnded: receipt.result.outcome.kind !== 'attempt-failed',
    comparisons: job.comparisons ?? [],
  };
}

/** Snapshots that are the states that were committed to, and those that are not, of this line of attempts. */
export function sortSnapshots(
  snapshots: readonly SnapshotInFile[],
  record: ReplayRecord,
  leases: ReadonlySet<string>,
): { readonly sound: readonly SnapshotInFile[]; readonly unsound: readonly SnapshotInFile[] } {
  const isSound = ({ statedStep, step, stateRoot }: SnapshotInFile): boolean => {
    const recorded = record.roots.get(step);
    return statedStep === step && recorded !== undefined && areBytesEqual(recorded, stateRoot);
  };
  return {
    // A state is what its root says, whoever made the snapshot.
    sound: snapshots.filter(isSound),
    unsound: snapshots.filter((snapshot) => leases.has(snapshot.lease) && !isSound(snapshot)),
  };
}

/** The newest at or before a step; undefined begins at the beginning. */
export function chooseStart(sound: readonly SnapshotInFile[], from: number): SnapshotInFile | undefined {
  return sound
    .filter(({ step }) => step <= from)
    .toSorted((a, b) => a.step - b.step)
    .at(-1);
}
