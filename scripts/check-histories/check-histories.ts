import type { JobId, LeaseId } from '../../src/domain/ids.ts';
import { BlobShelf } from './blob-shelf.ts';
import { checkAnchors } from './checks/anchors.ts';
import { checkAttempts } from './checks/attempts.ts';
import { checkBatches } from './checks/batches.ts';
import { checkJobBlobs } from './checks/blobs.ts';
import { checkCheckpoints } from './checks/checkpoints.ts';
import { checkEntries } from './checks/entries.ts';
import { checkAcknowledged, checkJob } from './checks/jobs.ts';
import { checkCountedOn, checkProvided, readProvided } from './checks/providers.ts';
import { checkResults } from './checks/results.ts';
import { checkSnapshots } from './checks/snapshots.ts';
import type { HistoryOptions, HistoryReport } from './interface.ts';
import { type OpenedNode, OpenedNodes } from './open-node.ts';
import { listJobs, readJob } from './read-job.ts';
import type { ProvidedLease, RunContext } from './run-context.ts';
import { Tally } from './tally.ts';

/** How long results are kept (design section 12), ms: after that a provider rightly knows nothing of a lease. */
const RESULTS_KEPT_MS = 30 * 24 * 3_600_000;

/**
 * Reads the data folders of all nodes of a run, which must be stopped, and proves or refutes from them alone what must
 * hold after any run. Nothing in the folders is changed.
 * @throws UsageError for what is no data folder of a stopped node; StorageError for a database that cannot be opened
 */
export async function checkHistories(folders: readonly string[], options: HistoryOptions = {}): Promise<HistoryReport> {
  await using opened = await OpenedNodes.open(folders);
  const { nodes } = opened;
  const tally = new Tally();
  const context = await readNodes(nodes, tally, options);
  const jobs = await checkJobs(context);
  checkAcknowledged(context, options.acknowledged ?? [], jobs.found);
  for (const issued of context.issued.values()) checkCountedOn(context, issued, RESULTS_KEPT_MS);
  for (const provided of [...context.provided.values()].flat()) await checkProvided(context, provided);
  for (const node of nodes) {
    await checkBatches(context, node);
    await checkSnapshots(context, node);
    await checkAnchors(context, node);
  }
  const invariants = tally.results();
  return {
    ok: invariants.every(({ violations }) => violations.length === 0),
    nodes: nodes.map(({ name, folder, peer, wasKilled }) => ({ name, folder, nodeKey: peer, wasKilled })),
    jobs: { total: jobs.found.size, byState: jobs.byState },
    invariants,
    missing: tally.missing,
  };
}

async function readNodes(nodes: readonly OpenedNode[], tally: Tally, options: HistoryOptions): Promise<RunContext> {
  const shelves = new Map<OpenedNode, BlobShelf>();
  const provided = new Map<LeaseId, ProvidedLease[]>();
  for (const node of nodes) {
    await checkEntries(node, tally);
    const shelf = await BlobShelf.load(node, tally);
    shelves.set(node, shelf);
    for (const lease of await readProvided(node, shelf, tally)) {
      provided.set(lease.id, [...(provided.get(lease.id) ?? []), lease]);
    }
  }
  const { allowRunning = false, haveClocksJumped = false, nowMs = Date.now() } = options;
  return { nodes, tally, allowRunning, haveClocksJumped, nowMs, shelves, provided, issued: new Map() };
}

async function checkJobs(
  context: RunContext,
): Promise<{ readonly found: ReadonlySet<JobId>; readonly byState: Readonly<Record<string, number>> }> {
  const found = new Set<JobId>();
  const byState: Record<string, number> = {};
  for (const node of context.nodes) {
    for (const id of await listJobs(node)) {
      const history = await readJob(node, id);
      if (history.record !== undefined) found.add(id);
      const kind = history.replayed?.state.kind ?? 'unreadable';
      byState[kind] = (byState[kind] ?? 0) + 1;
      checkJob(context, history);
      await checkAttempts(context, history);
      await checkResults(context, history);
      await checkJobBlobs(context, history);
      await checkCheckpoints(context, history);
    }
  }
  return { found, byState };
}
