/** Checks of the snapshots in a file: each is the state that a checkpoint of this job commits to. */
import type { LeaseId } from '../../domain/ids.ts';
import type { Job } from '../../domain/job.ts';
import type { Signed } from '../../domain/signed.ts';
import { areBytesEqual } from '../../lib/bytes.ts';
import type { OpenedAttempt, OpenedEvidence } from '../open-evidence.ts';
import type { SnapshotInFile } from '../snapshot-register.ts';
import { type Check, checkRules, uncheckedCheck, valueOf } from './check.ts';
import { collectStateRoots } from './state-roots.ts';

export function checkSnapshots(
  evidence: OpenedEvidence,
  job: Signed<Job>,
  snapshots: readonly SnapshotInFile[],
): readonly Check[] {
  if (snapshots.length === 0) return [];
  const keys = snapshots.map(({ lease, step }) => `${lease} ${step}`);
  const distinct = checkRules('snapshots distinct', 'REPEATED', [
    [new Set(keys).size === keys.length, 'two snapshots are listed for one step of one attempt'],
  ]);
  return [
    distinct,
    ...snapshots.map((snapshot, index) => checkSnapshot(`snapshot ${index + 1}`, snapshot, { evidence, job })),
  ];
}

function checkSnapshot(
  name: string,
  snapshot: SnapshotInFile,
  { evidence, job }: { readonly evidence: OpenedEvidence; readonly job: Signed<Job> },
): Check {
  const { lease, step } = snapshot;
  const heir = evidence.attempts.find((attempt) => listLeases(attempt).includes(lease));
  const form = checkRules(name, 'WRONG_STATE', [
    [snapshot.job === (job.id as string), 'it is of another job'],
    [snapshot.statedStep === step, `it is of step ${snapshot.statedStep} and listed as of step ${step}`],
    [areBytesEqual(snapshot.statedRoot, snapshot.stateRoot), 'its state does not have the state root that it states'],
    [heir !== undefined, `no attempt of this file has the lease ${lease}`],
  ]);
  if (form.verdict.kind !== 'valid' || heir === undefined) return form;
  if (heir.chain.kind !== 'verified') return uncheckedCheck(name, `the checkpoint chain of ${heir.label}`);
  const recorded = collectStateRoots(heir).get(step);
  return checkRules(name, 'WRONG_STATE', [
    [recorded !== undefined, `${heir.label} has no checkpoint after step ${step}`],
    [
      recorded !== undefined && areBytesEqual(recorded, snapshot.stateRoot),
      `its state is not the one that ${heir.label} committed to after step ${step}`,
    ],
  ]);
}

/** Leases of the line that ends with this attempt. */
function listLeases({ lease, inherited }: OpenedAttempt): readonly LeaseId[] {
  return [lease, ...inherited.map((earlier) => earlier.lease)].flatMap((opened) =>
    valueOf(opened) === undefined || opened.kind !== 'opened' ? [] : [opened.signed.id as string as LeaseId],
  );
}
