import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createMethodTable } from '../../../src/rpc/method-table.ts';
import type { HandlerModules } from '../../../src/rpc/methods/handlers.ts';
import { SchedulerError } from '../../../src/scheduler/errors.ts';
import type { CheckpointView, JobDraft, JobEvent, JobView } from '../../../src/scheduler/interface.ts';
import { runLine } from '../../support/cli-harness.ts';
import {
  createFakeModules,
  EXAMPLE_VIEW,
  exampleLog,
  exampleResult,
  JOB,
  MemoryBlobs,
  viewWithOutputs,
} from '../../support/fake-rpc-modules.ts';
import { createTemporaryFolder, startServer } from '../../support/rpc-harness.ts';
import { wasmOf } from '../../support/workload.ts';

const JOB_FILE = `
name: digits
workload: { kind: wasm, module: trainer.wasm, abi: fogproof }
inputs:
  /data.csv: data.csv
replicas: 3
priceCeiling: 7
deadline: 10m
`;

/** A daemon whose requester is given by the test, on a socket of its own, and a folder to work in. */
async function createDaemon(requester: Partial<HandlerModules['requester']> = {}, parts: Partial<HandlerModules> = {}) {
  const folder = await createTemporaryFolder();
  const blobs = new MemoryBlobs();
  const fakes = createFakeModules();
  const drafts: JobDraft[] = [];
  const modules = createFakeModules({
    blobs,
    requester: {
      ...fakes.requester,
      submit: async (draft) => {
        drafts.push(draft);
        return { ...EXAMPLE_VIEW, state: 'seeking', result: null };
      },
      ...requester,
    },
    ...parts,
  });
  const server = await startServer(createMethodTable(modules, { version: '0' }));
  await writeFile(join(folder.path, 'job.yaml'), JOB_FILE);
  await writeFile(join(folder.path, 'trainer.wasm'), 'a module');
  await writeFile(join(folder.path, 'data.csv'), '1,2\n');
  const run = (line: string, options: Parameters<typeof runLine>[1] = {}) =>
    runLine([...line.split(' '), '--socket', server.path], { workingDirectory: folder.path, ...options });
  return {
    run,
    blobs,
    drafts,
    folder: folder.path,
    server,
    [Symbol.asyncDispose]: async () => {
      await server[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

async function* events(): AsyncGenerator<JobEvent> {
  yield exampleLog('epoch 1\n');
  yield { ...exampleLog(''), kind: 'metric', name: 'loss', value: '0.5', step: 1 } as JobEvent;
}

describe('job submit', () => {
  it('says what will run and cost, adds the files, follows and shows the result', async () => {
    await using daemon = await createDaemon({ events });
    const { exitCode, stdout, stderr } = await daemon.run('job submit job.yaml');
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: expect.any(String) });
    for (const part of [
      '3 different providers',
      '2 must agree',
      '7 a replica, 21 in all',
      'in 10 m',
      '2, 12 B',
      'epoch 1',
      'loss 0.5',
    ]) {
      expect(stderr).toContain(part);
    }
    expect(stdout).toContain('completed');
    const [draft] = daemon.drafts;
    expect(daemon.blobs.blobs.has(draft === undefined ? '' : wasmOf(draft.workload).module)).toBe(true);
    expect(draft).toMatchObject({ name: 'digits', inputs: [{ path: '/data.csv', sizeBytes: 4 }] });
  });

  it('answers at once with --detach: the id, or the view with --json', async () => {
    await using daemon = await createDaemon();
    expect(await daemon.run('job submit job.yaml --detach --quiet')).toEqual({
      exitCode: 0,
      stdout: `${JOB}\n`,
      stderr: '',
    });
    const json = await daemon.run('job submit job.yaml --detach --json');
    expect(JSON.parse(json.stdout)).toMatchObject({ job: JOB, state: 'seeking' });
    expect(json.stderr).toBe('');
  });

  it('refuses to keep what nobody will be there to keep', async () => {
    await using daemon = await createDaemon();
    for (const flag of ['--output out', '--bundle job.bundle']) {
      const { exitCode, stdout, stderr } = await daemon.run(`job submit job.yaml --detach ${flag}`);
      expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
      expect(stderr).toContain('has no effect with --detach');
    }
  });

  it('keeps outputs and bundle where asked to, as one JSON document', async () => {
    const outputs: { path: string; blob: never; sizeBytes: number }[] = [];
    const view = (): JobView => viewWithOutputs(outputs);
    await using daemon = await createDaemon({ events, wait: async () => view(), show: async () => view() });
    outputs.push({ path: '/model.bin', ...(await daemon.blobs.put(Buffer.from('weights'))) } as never);
    const { exitCode, stdout } = await daemon.run('job submit job.yaml --json --output out --bundle job.bundle');
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      job: JOB,
      outputs: [{ path: join(daemon.folder, 'out/model.bin'), sizeBytes: 7 }],
      bundle: { verdict: 'valid' },
    });
    expect(await readFile(join(daemon.folder, 'out/model.bin'), 'utf8')).toBe('weights');
  });

  it('exits with 1 if the job fails', async () => {
    const failure = { code: 'SCHEDULER_REPLICAS_DISAGREE', message: 'no two results are equal' };
    const failed = { ...EXAMPLE_VIEW, state: 'failed' as const, result: null, failure };
    await using daemon = await createDaemon({ events, wait: async () => failed });
    const { exitCode, stdout } = await daemon.run('job submit job.yaml --output out');
    expect(exitCode).toBe(1);
    expect(stdout).toContain('SCHEDULER_REPLICAS_DISAGREE: no two results are equal');
  });

  it('leaves the job running when it is interrupted, and says how to come back', async () => {
    await using daemon = await createDaemon({
      async *events(_, { signal }) {
        yield exampleLog('epoch 1\n');
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
      },
    });
    const controller = new AbortController();
    const onWrite = (text: string): void => {
      if (text.includes('epoch 1')) controller.abort(new DOMException('stopped by SIGINT', 'AbortError'));
    };
    const { exitCode, stdout, stderr } = await daemon.run('job submit job.yaml', {
      signal: controller.signal,
      onWrite,
    });
    expect({ exitCode, stdout }).toEqual({ exitCode: 130, stdout: '' });
    expect(stderr).toContain(`fogproof job logs ${JOB} --follow`);
  });

  it('refuses a bad file before it asks the daemon', async () => {
    await using daemon = await createDaemon();
    await writeFile(join(daemon.folder, 'bad.yaml'), 'name: x\n');
    const { exitCode, stderr } = await daemon.run('job submit bad.yaml');
    expect(exitCode).toBe(2);
    expect(stderr).toContain('error JOB_FILE_INVALID');
    expect(daemon.drafts).toEqual([]);
    const missing = await runLine(['job', 'submit', 'none.yaml'], { workingDirectory: daemon.folder });
    expect(missing).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('JOB_FILE_UNREADABLE') });
  });
});

describe('the other job commands', () => {
  it('take a whole id, its beginning, or latest', async () => {
    await using daemon = await createDaemon();
    for (const name of [JOB, JOB.slice(0, 12), 'latest']) {
      const { stdout } = await daemon.run(`job show ${name} --json`);
      expect(JSON.parse(stdout)).toMatchObject({ job: JOB });
    }
    expect(await daemon.run('job show bafyreizzzzzzzz')).toMatchObject({ exitCode: 2, stdout: '' });
    expect(await daemon.run('job show nonsense')).toMatchObject({ exitCode: 2, stdout: '' });
  });

  it('refuse a beginning that several jobs have', async () => {
    const other = `${JOB.slice(0, 20)}${'a'.repeat(JOB.length - 20)}` as typeof JOB;
    await using daemon = await createDaemon({ list: async () => [EXAMPLE_VIEW, { ...EXAMPLE_VIEW, job: other }] });
    const { exitCode, stderr } = await daemon.run(`job show ${JOB.slice(0, 12)}`);
    expect({ exitCode, stderr }).toEqual({ exitCode: 2, stderr: expect.stringContaining('several jobs begin with') });
  });

  it('list, explain, cancel and wait', async () => {
    await using daemon = await createDaemon();
    expect((await daemon.run('job list --state completed --limit 5')).stdout).toContain('train digits');
    expect((await daemon.run('job show latest --why')).stdout).toContain('AT_CAPACITY');
    expect((await daemon.run('job cancel latest')).stdout).toContain('had ended before and stays completed');
    expect((await daemon.run('job wait latest')).exitCode).toBe(0);
    expect((await daemon.run('peers')).stdout).toContain('no peers');
    expect((await daemon.run('peers connect /ip4/127.0.0.1/tcp/1')).stdout).toContain('connected to 12D3');
    expect((await daemon.run('node status')).stdout).toContain('2 slots running');
    expect((await daemon.run('node why-no-work')).stdout).toContain('Nobody has asked yet.');
  });

  it('stream logs, for people once a line and for scripts every event', async () => {
    await using daemon = await createDaemon({
      async *events() {
        yield exampleLog('hello\u001b[2J\n', { lease: 'a' });
        yield exampleLog('hello\u001b[2J\n', { lease: 'b', replica: 1 });
      },
    });
    expect((await daemon.run('job logs latest')).stdout).toBe('hello\n');
    const lines = (await daemon.run('job logs latest --json')).stdout.trim().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as { lease: string }).lease)).toEqual(['a', 'b']);
  });

  it('list outputs, write them, and refuse to where there are none', async () => {
    await using daemon = await createDaemon();
    expect((await daemon.run('job result latest')).stdout).toContain('/model.bin');
    expect(await daemon.run('job result latest --output out')).toMatchObject({
      exitCode: 5,
      stderr: expect.stringContaining('RPC_OUTPUT_MISSING'),
    });
    await using other = await createDaemon({ show: async () => ({ ...EXAMPLE_VIEW, state: 'running', result: null }) });
    expect(await other.run('job result latest')).toMatchObject({
      exitCode: 5,
      stderr: expect.stringContaining('SCHEDULER_NO_RESULT'),
    });
  });
});

describe('job pause, resume, stop and checkpoints', () => {
  const running: JobView = { ...EXAMPLE_VIEW, state: 'running', desired: 'run', endedAtMs: null, result: null };
  const pausing: JobView = { ...running, desired: 'pause' };
  const paused: JobView = { ...pausing, state: 'paused' };
  const state = (name: JobView['state']): JobEvent => ({
    kind: 'state',
    job: JOB,
    atMs: EXAMPLE_VIEW.createdAtMs,
    state: name,
  });

  it('pause answers at once, or with --wait when it is paused', async () => {
    let view = pausing;
    await using daemon = await createDaemon({
      pause: async () => pausing,
      show: async () => view,
      async *events() {
        yield state('paused');
        yield state('running');
        view = paused;
        yield state('paused');
        throw new Error('nobody listens any more');
      },
    });
    const asked = await daemon.run('job pause latest');
    expect(asked).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('running, to be paused') });
    const waited = await daemon.run('job pause latest --wait');
    expect(waited.exitCode).toBe(0);
    expect(waited.stdout).toMatch(/is paused; go on with: fogproof job resume bafyrei/);
    expect(JSON.parse((await daemon.run('job pause latest --wait --json')).stdout)).toMatchObject({ state: 'paused' });
  });

  it('pause --wait fails if it ended, or went on, before it was paused', async () => {
    for (const [view, text] of [
      [EXAMPLE_VIEW, 'ended before it was paused: it is completed'],
      [running, 'is running'],
    ] as const) {
      await using daemon = await createDaemon({
        pause: async () => pausing,
        show: async () => view,
        async *events() {
          yield state('running');
        },
      });
      const { exitCode, stdout } = await daemon.run('job pause latest --wait');
      expect(exitCode).toBe(1);
      expect(stdout).toContain(text);
    }
  });

  it('pause of a job that cannot be paused says what can', async () => {
    await using daemon = await createDaemon({
      pause: async (job) => {
        throw new SchedulerError({ code: 'SCHEDULER_NOT_PAUSABLE', job, reason: 'it makes no checkpoints' });
      },
    });
    const { exitCode, stderr } = await daemon.run('job pause latest');
    expect(exitCode).toBe(5);
    expect(stderr).toContain('SCHEDULER_NOT_PAUSABLE');
    expect(stderr).toContain('docs/job-spec.md');
  });

  it('resume goes on, and stop is another name of cancel', async () => {
    const seeking: JobView = { ...running, state: 'seeking' };
    const cancelling: JobView = { ...running, desired: 'cancel' };
    await using daemon = await createDaemon({ resume: async () => seeking, cancel: async () => cancelling });
    expect((await daemon.run('job resume latest')).stdout).toMatch(/goes on: it is seeking/);
    expect(JSON.parse((await daemon.run('job resume latest --json')).stdout)).toMatchObject({ state: 'seeking' });
    for (const verb of ['stop', 'cancel']) {
      expect((await daemon.run(`job ${verb} latest`)).stdout).toContain('running, to be cancelled');
    }
    expect((await daemon.run('job stop --help')).stdout).toContain('fogproof job cancel');
  });

  it('checkpoints shows the newest of each attempt, whole with --json', async () => {
    const [attempt] = EXAMPLE_VIEW.attempts;
    const checkpoints = [1, 2, 3].map(
      (step): CheckpointView => ({
        lease: attempt?.lease as CheckpointView['lease'],
        provider: attempt?.provider as CheckpointView['provider'],
        replica: 0,
        step,
        fuel: step * 1_000,
        atMs: EXAMPLE_VIEW.createdAtMs,
        head: 'ab'.repeat(32),
        stateRoot: 'cd'.repeat(32),
        snapshot: step === 3 ? 'held' : 'announced',
      }),
    );
    await using daemon = await createDaemon({ checkpoints: async () => checkpoints });
    const { stdout } = await daemon.run('job checkpoints latest --limit 2');
    expect(stdout.trim().split('\n')).toHaveLength(3);
    expect(stdout).toMatch(/cdcdcdcdcdcdcdcd….*held/);
    const json = JSON.parse((await daemon.run('job checkpoints latest --json')).stdout) as { checkpoints: unknown[] };
    expect(json.checkpoints).toEqual(checkpoints);
    await using other = await createDaemon();
    expect((await other.run('job checkpoints latest')).stdout).toContain('no checkpoints');
  });
});

describe('job rate', () => {
  const createRater = async () => {
    const asked: { readonly stars: number; readonly replica: number | null }[] = [];
    const example = exampleResult('job.rate');
    const rate: HandlerModules['ratings']['rate'] = async (_, rating) => {
      asked.push(rating);
      return { ...example, ratings: example.ratings.map((one) => ({ ...one, stars: rating.stars, replaced: 2 })) };
    };
    return Object.assign(await createDaemon({}, { ratings: { rate } }), { asked });
  };

  it('shows whom it rated, what that replaces, and until when it can be replaced', async () => {
    await using daemon = await createRater();
    const { exitCode, stdout } = await daemon.run('job rate latest 4');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/4 of 5 +2 of 5/);
    expect(stdout).toContain('can be replaced until');
    const json = await daemon.run('job rate latest 5 --replica 1 --json');
    expect(JSON.parse(json.stdout)).toMatchObject({ job: JOB, ratings: [{ stars: 5, replaced: 2 }] });
    expect(daemon.asked).toEqual([
      { stars: 4, replica: null },
      { stars: 5, replica: 1 },
    ]);
  });

  it.each(['0', '6', '4.5', 'good', '-1', '05'])('refuses %s as a rating', async (stars) => {
    await using daemon = await createRater();
    const { exitCode, stdout } = await daemon.run(`job rate latest ${stars}`);
    expect({ exitCode, stdout, asked: daemon.asked }).toEqual({ exitCode: 2, stdout: '', asked: [] });
  });

  it('says why a job cannot be rated, and what to do', async () => {
    const info = { code: 'SCHEDULER_RATING_LATE', job: JOB, replica: 0, untilMs: 1_790_000_000_000 } as const;
    const late = { rate: async () => Promise.reject(new SchedulerError(info)) };
    await using daemon = await createDaemon({}, { ratings: late });
    const { exitCode, stderr } = await daemon.run('job rate latest 5');
    expect(exitCode).not.toBe(0);
    expect(stderr).toContain('SCHEDULER_RATING_LATE');
    expect(stderr).toContain('could be rated until 2026-');
  });
});

describe('node logs', () => {
  const line = (level: number, msg: string): string =>
    `${JSON.stringify({ level, time: 1_790_000_000_000, module: 'network', msg, port: 1 })}\n`;

  it('shows the last lines of a level, also without a daemon', async () => {
    await using folder = await createTemporaryFolder();
    const home = join(folder.path, 'home');
    await mkdir(home);
    const log = [line(30, 'one'), line(40, 'two'), line(30, 'three'), 'a crash\n', line(50, 'four')].join('');
    await writeFile(join(home, 'node.log'), log);
    const run = (words: string) => runLine([...words.split(' '), '--home', home]);
    const all = (await run('node logs')).stdout.trim().split('\n');
    expect(all).toHaveLength(5);
    expect(all[0]).toContain('INFO  network: one port=1');
    expect((await run('node logs --lines 2')).stdout.trim().split('\n')).toHaveLength(2);
    expect((await run('node logs --level warn')).stdout).not.toContain('three');
    expect((await run('node logs --level warn')).stdout).toContain('a crash');
    expect(JSON.parse((await run('node logs --lines 1 --json')).stdout)).toMatchObject({ msg: 'four' });
  });

  it('says where it looked if there is none', async () => {
    await using folder = await createTemporaryFolder();
    const { exitCode, stderr } = await runLine(['node', 'logs', '--home', folder.path]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 5, stderr: expect.stringContaining('error CLI_NO_LOG') });
  });
});

describe('job collect', () => {
  const unkept: JobView = {
    ...EXAMPLE_VIEW,
    state: 'expired',
    result: null,
    failure: { code: 'JOB_DEADLINE', message: 'its deadline passed before it had a result' },
    attempts: EXAMPLE_VIEW.attempts.map((attempt) => ({
      ...attempt,
      state: 'failed' as const,
      reason: 'RESULT_NOT_KEPT: the result is not kept any more: it had signed to keep it for 1 h',
    })),
  };

  it('waits for a job and writes its files', async () => {
    const outputs: { path: string; blob: never; sizeBytes: number }[] = [];
    const view = (): JobView => viewWithOutputs(outputs);
    let isWaited = false;
    await using daemon = await createDaemon({
      show: async () => (isWaited ? view() : { ...view(), state: 'running', endedAtMs: null, result: null }),
      wait: async () => {
        isWaited = true;
        return view();
      },
    });
    outputs.push({ path: '/model.bin', ...(await daemon.blobs.put(Buffer.from('weights'))) } as never);
    const { exitCode, stdout } = await daemon.run('job collect latest --output out');
    expect({ exitCode, isWaited }).toEqual({ exitCode: 0, isWaited: true });
    expect(stdout).toContain(`wrote ${join(daemon.folder, 'out/model.bin')}`);
  });

  it('says plainly what is not kept any more', async () => {
    await using daemon = await createDaemon({ show: async () => unkept });
    const { exitCode, stdout } = await daemon.run('job collect latest');
    expect(exitCode).toBe(1);
    expect(stdout).toContain('JOB_DEADLINE');
    expect(stdout).toContain('RESULT_NOT_KEPT: the result is not kept any more');
  });

  it('takes what is there with --no-wait', async () => {
    const running: JobView = { ...EXAMPLE_VIEW, state: 'running', endedAtMs: null, result: null };
    await using daemon = await createDaemon({ show: async () => running, wait: () => new Promise(() => undefined) });
    const { exitCode, stdout } = await daemon.run('job collect latest --no-wait --json');
    expect(exitCode).toBe(1);
    expect(JSON.parse(stdout)).toMatchObject({ state: 'running', files: [] });
  });

  it('collects all that has not ended, and what has ended lately, each into a folder of its own', async () => {
    const other = EXAMPLE_VIEW.attempts[0]?.lease as unknown as JobView['job'];
    const outputs: { path: string; blob: never; sizeBytes: number }[] = [];
    const now = Date.now() as JobView['createdAtMs'];
    const views = (): JobView[] => [
      { ...viewWithOutputs(outputs), endedAtMs: now },
      { ...unkept, job: other, endedAtMs: now },
    ];
    await using daemon = await createDaemon({
      list: async () => [...views(), { ...EXAMPLE_VIEW, endedAtMs: 1 as never }],
      show: async (job) => views().find((view) => view.job === job) ?? EXAMPLE_VIEW,
    });
    outputs.push({ path: '/model.bin', ...(await daemon.blobs.put(Buffer.from('weights'))) } as never);
    const { exitCode, stdout } = await daemon.run('job collect --all --output out --json');
    expect(exitCode).toBe(1);
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines).toMatchObject([
      { job: JOB, state: 'completed', files: [join(daemon.folder, `out/${JOB}/model.bin`)] },
      { job: other, state: 'expired', files: [] },
    ]);
  });

  it.each([['job collect'], ['job collect latest --all'], ['job collect --all --since soon']])(
    '%s is refused',
    async (line) => {
      await using daemon = await createDaemon();
      expect((await daemon.run(line)).exitCode).toBe(2);
    },
  );
});
