import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { JobId } from '../../../src/domain/ids.ts';
import type { JobBatchId } from '../../../src/domain/job-batch.ts';
import { computeObjectCid } from '../../../src/lib/cid.ts';
import { SystemClock } from '../../../src/lib/clock.ts';
import { createMethodTable } from '../../../src/rpc/method-table.ts';
import type { JobDraft, JobView } from '../../../src/scheduler/interface.ts';
import { JobBatches } from '../../../src/scheduler/requester/batches/job-batches.ts';
import { runLine } from '../../support/cli-harness.ts';
import { createFakeModules, EXAMPLE_VIEW, MemoryBlobs, viewWithOutputs } from '../../support/fake-rpc-modules.ts';
import { MemoryDatabase } from '../../support/memory-database.ts';
import { createTemporaryFolder, startServer } from '../../support/rpc-harness.ts';
import { wasmOf } from '../../support/workload.ts';

const FILE = `
name: sweep
workload: { kind: wasm, module: m.wasm, abi: wasi, arguments: ["\${rate}"], seed: "\${index}" }
inputs: { /data: data.csv }
priceCeiling: 2
batch: { count: 20, each: [{ rate: 1 }, { rate: 2 }] }
`;

type Ending = (draft: JobDraft, index: number) => Pick<JobView, 'state' | 'failure' | 'result'> | undefined;

/** A daemon with real batches, whose jobs end as a test says, at once. */
async function createDaemon(options: { readonly ending?: Ending } = {}) {
  const folder = await createTemporaryFolder();
  const blobs = new MemoryBlobs();
  const output = { path: '/out.txt', ...(await blobs.put(Buffer.from('42'))) };
  const completed = { ...viewWithOutputs([output as never]), state: 'completed' as const };
  const drafts: JobDraft[] = [];
  const views = new Map<JobId, JobView>();
  const hooks: { beforeSubmit: (count: number) => void } = { beforeSubmit: () => undefined };
  const create = (draft: JobDraft): JobId => {
    const index = drafts.push(draft) - 1;
    const job = computeObjectCid(Buffer.from(`job ${index}`)).toString() as JobId;
    const ending = (options.ending ?? (() => completed))(draft, index);
    views.set(job, { ...EXAMPLE_VIEW, job, name: draft.name, endedAtMs: null, state: 'running', result: null });
    if (ending !== undefined) {
      const view = { ...EXAMPLE_VIEW, ...ending, job, name: draft.name };
      views.set(job, view);
      setImmediate(() => batches.end(view));
    }
    return job;
  };
  const database = new MemoryDatabase();
  const batches: JobBatches = new JobBatches({
    database,
    clock: new SystemClock(),
    submit: async (draft, note) => {
      const job = create(draft);
      await database.write(note(0, job));
      return job;
    },
    submitMany: async (many, note) => {
      hooks.beforeSubmit(many.length);
      const jobs = many.map(create);
      await database.write(jobs.flatMap((job, index) => note(index, job)));
      return jobs;
    },
    stateOf: (job) => views.get(job)?.state,
    show: async (job) => views.get(job) ?? EXAMPLE_VIEW,
    cancel: async (job) => {
      const view = { ...(views.get(job) ?? EXAMPLE_VIEW), state: 'cancelled' as const };
      batches.end(view);
      return view;
    },
  });
  const fakes = createFakeModules();
  const show = async (job: JobId) => views.get(job) ?? EXAMPLE_VIEW;
  const modules = createFakeModules({ blobs, requester: { ...fakes.requester, batches, show } });
  const server = await startServer(createMethodTable(modules, { version: '0' }));
  await writeFile(join(folder.path, 'sweep.yaml'), FILE);
  await writeFile(join(folder.path, 'm.wasm'), 'a module');
  await writeFile(join(folder.path, 'data.csv'), '1,2\n');
  const run = (line: string, more: Parameters<typeof runLine>[1] = {}) =>
    runLine([...line.split(' '), '--socket', server.path], { workingDirectory: folder.path, ...more });
  return {
    run,
    drafts,
    batches,
    hooks,
    blobs,
    folder: folder.path,
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

async function onlyBatch(batches: JobBatches): Promise<JobBatchId> {
  const [found, another] = await batches.list({ limit: 2 });
  if (found === undefined || another !== undefined) throw new TypeError('there is not one batch');
  return found.batch;
}

describe('job submit of a batch file', () => {
  it('shows the cost, adds each file once, runs all and writes what each gave', async () => {
    await using daemon = await createDaemon();
    const { exitCode, stdout, stderr } = await daemon.run('job submit sweep.yaml --output out');
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: expect.any(String) });
    expect(stderr).toContain('sweep, 40 jobs');
    expect(stderr).toContain('2 a replica, 80 in all');
    expect(stdout).toContain('40 completed, 0 failed');
    expect(daemon.drafts).toHaveLength(40);
    expect(daemon.drafts.map(({ workload }) => wasmOf(workload).arguments[0])).toEqual([
      ...Array(20).fill('1'),
      ...Array(20).fill('2'),
    ]);
    // Module, input and what the fake result gave.
    expect(daemon.blobs.blobs.size).toBe(3);
    expect(await readFile(join(daemon.folder, 'out/07/out.txt'), 'utf8')).toBe('42');
    const lines = (await readFile(join(daemon.folder, 'out/jobs.jsonl'), 'utf8')).trim().split('\n');
    expect(lines).toHaveLength(40);
    expect(JSON.parse(lines[7] ?? '')).toMatchObject({ index: 7, state: 'completed', files: [expect.any(String)] });
  });

  it('goes on where it was cut off, and submits nothing twice', async () => {
    await using daemon = await createDaemon();
    const text = FILE.replace('count: 20', 'count: 500');
    await writeFile(join(daemon.folder, 'sweep.yaml'), text);
    let calls = 0;
    const controller = new AbortController();
    daemon.hooks.beforeSubmit = () => {
      calls += 1;
      if (calls === 2) controller.abort(new DOMException('killed', 'AbortError'));
    };
    const cut = await daemon.run('job submit sweep.yaml', { signal: controller.signal });
    expect(cut.exitCode).toBe(130);
    expect(cut.stderr).toContain('the same command goes on with it');
    expect(daemon.drafts.length).toBeLessThan(1000);
    const again = await daemon.run('job submit sweep.yaml --json');
    expect(again.exitCode).toBe(0);
    expect(JSON.parse(again.stdout)).toMatchObject({ size: 1000, submitted: 1000, states: { completed: 1000 } });
    expect(daemon.drafts).toHaveLength(1000);
    const third = await daemon.run('job submit sweep.yaml');
    expect(third.exitCode).toBe(0);
    expect(third.stderr).toContain('nothing is submitted again');
    expect(daemon.drafts).toHaveLength(1000);
  });

  it('is another batch where its file, its inputs or its name are others', async () => {
    await using daemon = await createDaemon();
    await daemon.run('job submit sweep.yaml');
    await writeFile(join(daemon.folder, 'data.csv'), '3,4\n');
    await daemon.run('job submit sweep.yaml');
    await daemon.run('job submit sweep.yaml --batch again');
    await writeFile(join(daemon.folder, 'sweep.yaml'), FILE.replace('rate: 2', 'rate: 3'));
    await daemon.run('job submit sweep.yaml');
    expect(daemon.drafts).toHaveLength(160);
    const conflict = await daemon.run('job submit sweep.yaml --batch again');
    expect(conflict).toMatchObject({ exitCode: 5, stderr: expect.stringContaining('SCHEDULER_BATCH_CONFLICT') });
  });

  it('exits with 1 where a job failed, and says why', async () => {
    const failure = { code: 'JOB_PROGRAM_TRAP', message: 'it trapped' };
    await using daemon = await createDaemon({
      ending: (_, index) =>
        index === 3 ? { state: 'failed', failure, result: null } : { ...viewWithOutputs([]), state: 'completed' },
    });
    const { exitCode, stdout } = await daemon.run('job submit sweep.yaml');
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/39 completed, 1 failed/);
    expect(stdout).toContain('1 × JOB_PROGRAM_TRAP');
    const batch = await onlyBatch(daemon.batches);
    const list = await daemon.run(`job list --batch ${batch} --state failed --json`);
    expect(JSON.parse(list.stdout)).toMatchObject({ jobs: [{ index: 3, view: { failure } }] });
  });

  it('answers with its name at once with --detach, and can be shown, waited for and cancelled by it', async () => {
    await using daemon = await createDaemon({ ending: () => undefined });
    const detached = await daemon.run('job submit sweep.yaml --detach --quiet');
    const batch = await onlyBatch(daemon.batches);
    expect(detached).toEqual({ exitCode: 0, stdout: `${batch}\n`, stderr: '' });
    const short = batch.slice(0, 8);
    expect((await daemon.run(`job show ${short}`)).stdout).toContain('40 running');
    expect((await daemon.run('job list --batches')).stdout).toContain(batch);
    const waiting = daemon.run(`job wait ${short} --json`);
    const cancelled = await daemon.run(`job cancel ${short}`);
    expect(cancelled.stdout).toContain('0 of its 40 jobs had completed');
    expect(await waiting).toMatchObject({ exitCode: 1 });
    const again = await daemon.run('job submit sweep.yaml --batch other --detach --json');
    expect(JSON.parse(again.stdout)).toMatchObject({ batch: 'other', submitted: 40, endedAtMs: null });
  });

  it('writes results later, by its name', async () => {
    await using daemon = await createDaemon();
    await daemon.run('job submit sweep.yaml --detach --batch one');
    expect((await daemon.run('job wait one')).exitCode).toBe(0);
    const { exitCode, stdout } = await daemon.run('job result one --output res --json');
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ written: { jobs: 40, directory: join(daemon.folder, 'res') } });
    expect(await readFile(join(daemon.folder, 'res/39/out.txt'), 'utf8')).toBe('42');
  });

  it('is collected by its name, at once or when it has ended', async () => {
    await using daemon = await createDaemon();
    await daemon.run('job submit sweep.yaml --detach --batch one');
    const { exitCode, stdout } = await daemon.run('job collect one --output res --json');
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ states: { completed: 40 }, written: { jobs: 40 } });
  });

  it.each([
    ['job submit sweep.yaml --bundle x', /a bundle for each job/],
    ['job submit sweep.yaml --batch Nope', /cannot name a batch/],
    ['job show nothing', /neither a job nor a batch/],
  ])('%s is refused', async (line, message) => {
    await using daemon = await createDaemon();
    expect(await daemon.run(line)).toMatchObject({ exitCode: 2, stderr: expect.stringMatching(message) });
  });
});
