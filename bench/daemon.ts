import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RpcClient } from '../src/rpc/client.ts';
import type { JobDraft } from '../src/scheduler/interface.ts';
import { Mesh, type MeshNode } from '../test/support/mesh.ts';
import { readRss } from './process-figures.ts';
import { atLeast, atMost, type BenchRow, percentile } from './rows.ts';
import { prepareDraft, runJobs } from './trivial-jobs.ts';

const STARTS = 7;
const WARM_JOBS = 50;
const JOBS = 300;
const BLOB_ROUNDS = 3;
const BLOB_BYTES = 256 * 2 ** 20;
const BATCH_JOBS = 4_000;
const WARM_BATCHES = 1;
const BATCHES = 3;
/** An idle daemon has nothing to do and has given back what its start left behind. */
const IDLE_AFTER_MS = 5_000;
const MEBIBYTE = 2 ** 20;

async function measureBareNode(): Promise<{ startMs: number; rssBytes: number }> {
  const startsMs: number[] = [];
  for (let index = 0; index < STARTS; index += 1) {
    const startedAt = performance.now();
    await once(spawn(process.execPath, ['-e', '0'], { stdio: 'ignore' }), 'exit');
    startsMs.push(performance.now() - startedAt);
  }
  const idle = spawn(process.execPath, ['-e', 'console.log(1); setInterval(() => 0, 1e6)'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(idle.stdout, 'data');
  const rssBytes = await readRss(idle.pid ?? 0);
  idle.kill();
  return { startMs: percentile(startsMs, 0.5), rssBytes };
}

async function listChildren(pid: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8');
  const own = text.trim() === '' ? [] : text.trim().split(' ').map(Number);
  return [...own, ...(await Promise.all(own.map(listChildren))).flat()];
}

/** Start-up, memory, and jobs between daemons that are processes of their own. */
export async function benchDaemon(): Promise<readonly BenchRow[]> {
  const bare = await measureBareNode();
  const rows: BenchRow[] = [await measureStartUp(bare.startMs)];
  await using mesh = await Mesh.open({}, AbortSignal.timeout(600_000));
  const requester = await mesh.addNode('requester', ['--no-provide']);
  const provider = await mesh.addNode('provider', ['--slots', '2']);
  await mesh.untilProviders(requester, 1);
  rows.push(await measureMemory('idle daemon, no children', requester, bare.rssBytes));
  const draft = await prepareDraft(mesh, requester);
  rows.push(...(await measureJobs(requester, draft, bare.startMs)));
  rows.push(...(await measureBesideBlob(mesh, { requester, provider, draft })));
  rows.push(await measureChildren(provider, bare.rssBytes));
  rows.push(await measureBatch(requester, draft));
  return rows;
}

async function measureStartUp(bareMs: number): Promise<BenchRow> {
  const readyMs: number[] = [];
  for (let index = 0; index < STARTS; index += 1) {
    await using mesh = await Mesh.open({}, AbortSignal.timeout(60_000));
    const node = await mesh.addNode('node');
    readyMs.push(node.status.readyAfterMs);
  }
  return {
    name: 'daemon ready after node start',
    value: percentile(readyMs, 0.5),
    unit: 'ms',
    baseline: { name: 'bare Node.js start to end', value: bareMs },
    goal: atMost(800),
    floor: atMost(1_500),
  };
}

async function measureMemory(name: string, node: MeshNode, bareBytes: number): Promise<BenchRow> {
  await sleep(IDLE_AFTER_MS);
  return {
    name,
    value: (await readRss(node.status.pid)) / MEBIBYTE,
    unit: 'MiB RSS',
    baseline: { name: 'bare Node.js', value: bareBytes / MEBIBYTE },
    goal: atMost(130),
    floor: atMost(180),
  };
}

async function measureChildren(node: MeshNode, bareBytes: number): Promise<BenchRow> {
  const pids = [node.status.pid, ...(await listChildren(node.status.pid))];
  const sizes = await Promise.all(pids.map(readRss));
  return {
    name: `provider with its ${pids.length - 1} warm children`,
    value: sizes.reduce((sum, size) => sum + size, 0) / MEBIBYTE,
    unit: 'MiB RSS',
    baseline: { name: 'bare Node.js', value: bareBytes / MEBIBYTE },
  };
}

interface Pair {
  readonly requester: MeshNode;
  readonly provider: MeshNode;
  readonly draft: JobDraft;
}

/** Jobs while blobs move from their requester to their provider, against jobs just before. */
async function measureBesideBlob(mesh: Mesh, { requester, provider, draft }: Pair): Promise<readonly BenchRow[]> {
  const [quiet, busy]: [number[], number[]] = [[], []];
  for (let round = 0; round < BLOB_ROUNDS; round += 1) {
    quiet.push(...(await runJobs(requester, draft, (count) => count < JOBS / BLOB_ROUNDS)));
    const path = mesh.stage.path('blob.bin');
    await writeFile(path, randomBytes(BLOB_BYTES));
    const { blob } = await requester.client.call('blob.add', { path });
    await requester.client.call('blob.share', { blob });
    let isMoving = true;
    const moving = provider.client.call('blob.fetch', { blob, peers: [requester.status.peer] }).finally(() => {
      isMoving = false;
    });
    busy.push(...(await runJobs(requester, draft, () => isMoving)));
    await moving;
  }
  return [0.5, 0.99].map((share) => ({
    name: `trivial job as a blob of ${BLOB_BYTES / MEBIBYTE} MiB moves, p${share * 100} (${busy.length})`,
    value: percentile(busy, share),
    unit: 'ms',
    baseline: { name: 'nothing moves', value: percentile(quiet, share) },
    goal: atMost(2, 'ratio'),
  }));
}

async function measureJobs(requester: MeshNode, draft: JobDraft, bareMs: number): Promise<readonly BenchRow[]> {
  const all = await runJobs(requester, draft, (count) => count < WARM_JOBS + JOBS);
  const samples = all.slice(WARM_JOBS);
  const baseline = { name: 'bare Node.js start to end', value: bareMs };
  return [
    {
      name: 'trivial job, submit to verified, p50',
      value: percentile(samples, 0.5),
      unit: 'ms',
      baseline,
      goal: atMost(15),
      floor: atMost(50),
    },
    {
      name: 'trivial job, submit to verified, p99',
      value: percentile(samples, 0.99),
      unit: 'ms',
      baseline,
      goal: atMost(50),
      floor: atMost(100),
    },
  ];
}

/** Jobs a second, from the submission of a batch until the last of its jobs is verified. */
async function runBatch(client: RpcClient, draft: JobDraft): Promise<number> {
  const startedAt = performance.now();
  const { jobs } = await client.call('job.submitMany', { drafts: Array.from({ length: BATCH_JOBS }, () => draft) });
  const views = await Promise.all(jobs.map((job) => client.call('job.wait', { job })));
  const rate = BATCH_JOBS / ((performance.now() - startedAt) / 1000);
  const failed = views.filter(({ state }) => state !== 'completed').length;
  if (failed > 0) throw new Error(`${failed} of ${BATCH_JOBS} jobs of the batch did not complete`);
  return rate;
}

async function measureBatch(requester: MeshNode, draft: JobDraft): Promise<BenchRow> {
  const { client } = requester;
  const serialStartedAt = performance.now();
  for (let index = 0; index < 50; index += 1) {
    const { job } = await client.call('job.submit', { draft });
    await client.call('job.wait', { job });
  }
  const serialRate = 50 / ((performance.now() - serialStartedAt) / 1000);
  const rates: number[] = [];
  for (let batch = 0; batch < WARM_BATCHES + BATCHES; batch += 1) {
    const rate = await runBatch(client, draft);
    if (batch >= WARM_BATCHES) rates.push(rate);
  }
  return {
    name: `batch of ${BATCH_JOBS} trivial jobs through one provider`,
    value: percentile(rates, 0.5),
    unit: 'jobs/s',
    baseline: { name: 'the same jobs one after another', value: serialRate },
    goal: atLeast(5_000),
    floor: atLeast(1_000),
  };
}
