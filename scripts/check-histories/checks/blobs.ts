import type { BlobId } from '../../../src/domain/ids.ts';
import type { Job } from '../../../src/domain/job.ts';
import { RECEIPT, type Receipt } from '../../../src/domain/receipt.ts';
import { findProgramBlob } from '../../../src/domain/workload.ts';
import { openSigned } from '../../../src/proofs/signed-object.ts';
import { isEnded } from '../../../src/scheduler/job-machine-state.ts';
import type { JobHistory } from '../read-job.ts';
import type { RunContext } from '../run-context.ts';

/** What a job that goes on needs, and what the receipts of one that ended name. */
export async function checkJobBlobs(context: RunContext, history: JobHistory): Promise<void> {
  const { job, replayed, node } = history;
  if (job === undefined || replayed === undefined) return;
  const own = context.shelves.get(node);
  if (!isEnded(replayed.state)) {
    for (const blob of listInputs(job.value)) {
      context.tally.check('blobs-kept', { node: node.name, key: `blobs/${blob}` }, [
        [own?.has(blob) === true, `the job ${history.id}, which goes on, needs it`],
      ]);
    }
    return;
  }
  for (const receipt of await openReceipts(history)) checkNamed(context, history, receipt);
}

function listInputs({ workload, inputs }: Job): ReadonlySet<BlobId> {
  const program = findProgramBlob(workload);
  return new Set([...(program === null ? [] : [program.blob]), ...inputs.map(({ blob }) => blob)]);
}

/** Of the attempts that gave a result. */
async function openReceipts({ replayed, objects }: JobHistory): Promise<readonly Receipt[]> {
  const receipts: Receipt[] = [];
  for (const { lease, state } of replayed?.state.attempts ?? []) {
    const wire = state === 'revealed' ? objects.get(lease)?.get('receipt') : undefined;
    const opened = wire && (await openSigned(RECEIPT, wire).catch(() => undefined));
    if (opened !== undefined) receipts.push(opened.value);
  }
  return receipts;
}

function checkNamed(context: RunContext, history: JobHistory, receipt: Receipt): void {
  const { node, id } = history;
  const { instrumentedModule, outputs } = receipt.result;
  const isAccepted = history.end?.view.result?.outputRoot === receipt.outputRoot;
  const files = [...outputs, ...(receipt.checkpointChain === undefined ? [] : [receipt.checkpointChain])];
  for (const { blob } of files) {
    if (!isAccepted) expectBlob(context, history, blob, 'only the files of the accepted result are fetched');
    else expectBlob(context, history, blob, excuseLoss(context, history, blob));
  }
  if (instrumentedModule !== null) {
    expectBlob(context, history, instrumentedModule, 'instrumented modules are made anew where they are needed');
  }
  if (history.job === undefined) return;
  for (const blob of listInputs(history.job.value)) {
    expectBlob(context, { node, id }, blob, 'inputs are kept until their job ends');
  }
}

/** What its requester's store noted: that it made room for others, after its job had ended. */
function excuseLoss(context: RunContext, { node, end }: JobHistory, blob: BlobId): string | null {
  const shelf = context.shelves.get(node);
  if (shelf?.isLeaving(blob) === true) return 'its removal was cut off';
  const evictedAtMs = shelf?.evictedAtMs(blob);
  if (evictedAtMs === undefined) return shelf?.hasAllNotes === false ? 'may have made room for others, long ago' : null;
  const wasHeld = context.haveClocksJumped || evictedAtMs >= (end?.view.endedAtMs ?? 0);
  return wasHeld ? 'made room for others' : null;
}

/** `excuse`: why it may rightly be nowhere; null if it may not. */
function expectBlob(
  { tally, shelves }: RunContext,
  { node, id }: Pick<JobHistory, 'node' | 'id'>,
  blob: BlobId,
  excuse: string | null,
): void {
  const key = `jobs/${id}`;
  const isThere = [...shelves.values()].some((shelf) => shelf.has(blob));
  const isDamaged = !isThere && [...shelves.values()].some((shelf) => shelf.names(blob) && !shelf.isLeaving(blob));
  if (!isThere && !isDamaged && excuse !== null) tally.state({ node: node.name, key, blob, reason: excuse });
  tally.check('receipts-backed', { node: node.name, key }, [
    [!isDamaged, `its receipt names ${blob}, of which only damaged bytes are left`],
    [isThere || isDamaged || excuse !== null, `its receipt names ${blob}, which no node has and no store let go of`],
  ]);
}
