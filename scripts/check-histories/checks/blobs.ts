import type { BlobId } from '../../../src/domain/ids.ts';
import type { Job } from '../../../src/domain/job.ts';
import { RECEIPT, type Receipt } from '../../../src/domain/receipt.ts';
import { openSigned } from '../../../src/proofs/signed-object.ts';
import { isEnded } from '../../../src/scheduler/job-machine-state.ts';
import type { JobHistory } from '../read-job.ts';
import type { RunContext } from '../run-context.ts';

/** Below this share of its cap a blob store has made room for nothing. */
const EVICTION_SHARE = 0.75;

/** What a job that goes on needs, and what the receipts of one that ended name. */
export async function checkJobBlobs(context: RunContext, history: JobHistory, capBytes: number): Promise<void> {
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
  for (const receipt of await openReceipts(history)) checkNamed(context, history, receipt, capBytes);
}

function listInputs({ workload, inputs }: Job): ReadonlySet<BlobId> {
  return new Set([workload.module, ...inputs.map(({ blob }) => blob)]);
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

function checkNamed(context: RunContext, history: JobHistory, receipt: Receipt, capBytes: number): void {
  const { node, id, end } = history;
  const { instrumentedModule, outputs } = receipt.result;
  const isAccepted = end?.view.result?.outputRoot === receipt.outputRoot;
  const files = [...outputs, ...(receipt.checkpointChain === undefined ? [] : [receipt.checkpointChain])];
  const storedBytes = context.shelves.get(node)?.storedBytes ?? 0;
  for (const { blob, sizeBytes } of files) {
    if (!isAccepted) expectBlob(context, history, blob, 'only the files of the accepted result are fetched');
    else if (storedBytes + sizeBytes > capBytes * EVICTION_SHARE)
      expectBlob(context, history, blob, 'made room for others');
    else expectBlob(context, history, blob, null);
  }
  if (instrumentedModule !== null) {
    expectBlob(context, history, instrumentedModule, 'instrumented modules are made anew where they are needed');
  }
  if (history.job === undefined) return;
  for (const blob of listInputs(history.job.value)) {
    expectBlob(context, { node, id }, blob, 'inputs are kept until their job ends');
  }
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
  const isDamaged = !isThere && [...shelves.values()].some((shelf) => shelf.names(blob));
  if (!isThere && !isDamaged && excuse !== null) tally.state({ node: node.name, key, blob, reason: excuse });
  tally.check('receipts-backed', { node: node.name, key }, [
    [!isDamaged, `its receipt names ${blob}, of which only damaged bytes are left`],
    [isThere || isDamaged || excuse !== null, `its receipt names ${blob}, which no node has and nothing made room for`],
  ]);
}
