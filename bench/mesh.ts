/**
 * 10,000 trivial jobs through a network of four daemons, each a process on loopback: one by one, then as batches with
 * signatures over Merkle roots; and what the histories of all four nodes say of it. `--jobs N` for another number.
 */
import { parseArgs } from 'node:util';
import { checkHistories } from '../scripts/check-histories/check-histories.ts';
import { renderReport } from '../scripts/check-histories/render-report.ts';
import type { AddedBlob } from '../src/cli/job-file/interface.ts';
import { loadJobFile } from '../src/cli/job-file/load-job-file.ts';
import { completeDraft } from '../src/cli/job-file/resolve-job-file.ts';
import { BlobId, type JobId } from '../src/domain/ids.ts';
import { SystemRandom } from '../src/lib/random.ts';
import type { RpcClient } from '../src/rpc/client.ts';
import type { JobDraft } from '../src/scheduler/interface.ts';
import { Mesh, type MeshNode } from '../test/support/mesh.ts';
import { atLeast, atMost, type BenchRow, percentile } from './rows.ts';

const JOBS = 10_000;
const PROVIDERS = ['ada', 'berta', 'clara'] as const;
/** Jobs that are submitted one by one and not yet verified: as many as three providers on two cores have slots. */
const IN_FLIGHT = 6;
const BATCH_JOBS = 1_000;
/** One runs at each provider. */
const BATCHES_IN_FLIGHT = 3;
const WARM_UP = 100;
/** A Go peer's published mean for 10,000 no-op jobs, ms. */
const GO_PEER_MEAN_MS = 630;
const TIMEOUT_MS = 30 * 60_000;

interface Served {
  readonly ids: readonly JobId[];
  readonly failed: number;
  readonly seconds: number;
}

export async function benchMesh(): Promise<readonly BenchRow[]> {
  const { values } = parseArgs({ options: { jobs: { type: 'string' } }, strict: false });
  const jobs = Number(values.jobs ?? JOBS);
  await using mesh = await Mesh.open({}, AbortSignal.timeout(TIMEOUT_MS));
  const requester = await mesh.addNode('requester', ['--no-provide']);
  const nodes: MeshNode[] = [requester];
  for (const name of PROVIDERS) nodes.push(await mesh.addNode(name));
  await mesh.untilProviders(requester, PROVIDERS.length);
  const draft = await prepareDraft(mesh, requester);
  await serveSingly(requester.client, draft, Math.min(WARM_UP, jobs));
  const { latencies, ...single } = await serveSingly(requester.client, draft, jobs);
  const batched = await serveBatches(requester.client, draft, jobs);
  for (const node of nodes) await mesh.stop(node);
  const violations = await countViolations(nodes, [...single.ids, ...batched.ids]);
  return [
    ...describeSingle(single, latencies),
    ...describeBatches(batched, single),
    {
      name: 'violations in the histories of all 4 nodes',
      value: violations,
      unit: '',
      floor: atMost(0),
    },
  ];
}

async function prepareDraft(mesh: Mesh, requester: MeshNode): Promise<JobDraft> {
  const file = await mesh.writeJob('hello', 'bench', (text) => `${text}\ndeadline: 1h\n`);
  const plan = await loadJobFile(file, { nowMs: Date.now(), random: new SystemRandom() });
  const added = new Map<string, AddedBlob>();
  for (const { path } of plan.files) {
    const { blob, sizeBytes } = await requester.client.call('blob.add', { path });
    added.set(path, { blob: BlobId(blob), sizeBytes });
  }
  return completeDraft(plan, added);
}

/** Each from its submission until its result is verified, a bounded number of them at a time. */
async function serveSingly(
  client: RpcClient,
  draft: JobDraft,
  count: number,
): Promise<Served & { readonly latencies: readonly number[] }> {
  const ids: JobId[] = [];
  const latencies: number[] = [];
  let left = count;
  let failed = 0;
  const beganAt = performance.now();
  const work = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const startedAt = performance.now();
      const { job } = await client.call('job.submit', { draft });
      ids.push(job);
      const { state } = await client.call('job.wait', { job });
      latencies.push(performance.now() - startedAt);
      if (state !== 'completed') failed += 1;
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, work));
  return { ids, failed, latencies, seconds: (performance.now() - beganAt) / 1000 };
}

async function serveBatches(client: RpcClient, draft: JobDraft, count: number): Promise<Served> {
  const ids: JobId[] = [];
  let left = count;
  let failed = 0;
  const beganAt = performance.now();
  const work = async (): Promise<void> => {
    while (left > 0) {
      const length = Math.min(BATCH_JOBS, left);
      left -= length;
      const { jobs } = await client.call('job.submitMany', { drafts: Array.from({ length }, () => draft) });
      ids.push(...jobs);
      const views = await Promise.all(jobs.map((job) => client.call('job.wait', { job })));
      failed += views.filter(({ state }) => state !== 'completed').length;
    }
  };
  await Promise.all(Array.from({ length: BATCHES_IN_FLIGHT }, work));
  return { ids, failed, seconds: (performance.now() - beganAt) / 1000 };
}

async function countViolations(nodes: readonly MeshNode[], acknowledged: readonly JobId[]): Promise<number> {
  const report = await checkHistories(
    nodes.map(({ home }) => home),
    { acknowledged },
  );
  if (!report.ok) console.error(renderReport(report));
  return report.invariants.reduce((sum, { violations }) => sum + violations.length, 0);
}

function describeSingle(served: Served, latencies: readonly number[]): readonly BenchRow[] {
  const { ids, failed } = served;
  const mean = latencies.reduce((sum, each) => sum + each, 0) / latencies.length;
  return [
    describeSuccess(`${ids.length} trivial jobs one by one, ${IN_FLIGHT} at a time`, served),
    {
      name: 'submit to verified result, mean',
      value: mean,
      unit: 'ms',
      baseline: { name: "a Go peer's published mean", value: GO_PEER_MEAN_MS },
    },
    { name: 'submit to verified result, p50', value: percentile(latencies, 0.5), unit: 'ms' },
    { name: 'submit to verified result, p99', value: percentile(latencies, 0.99), unit: 'ms' },
    { name: 'jobs one by one, rate', value: (ids.length - failed) / served.seconds, unit: 'jobs/s' },
  ];
}

function describeBatches(served: Served, single: Served): readonly BenchRow[] {
  return [
    describeSuccess(`${served.ids.length} trivial jobs in batches of ${BATCH_JOBS}`, served),
    {
      name: 'jobs in batches, rate',
      value: (served.ids.length - served.failed) / served.seconds,
      unit: 'jobs/s',
      baseline: { name: 'the same jobs one by one', value: single.ids.length / single.seconds },
      goal: atLeast(5_000),
      floor: atLeast(1_000),
    },
  ];
}

function describeSuccess(name: string, { ids, failed }: Served): BenchRow {
  return { name, value: (100 * (ids.length - failed)) / ids.length, unit: '% done', floor: atLeast(100) };
}

if (import.meta.main) console.table(await benchMesh());
