import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BundleVerification } from '../../src/bundle/interface.ts';
import type { JobView } from '../../src/scheduler/interface.ts';
import { Mesh, type MeshNode } from '../support/mesh.ts';

const ROUNDS = 20;

describe('jobs over real daemons', () => {
  let mesh: Mesh;
  let requester: MeshNode;
  const providers: MeshNode[] = [];

  beforeAll(async () => {
    mesh = await Mesh.open({}, AbortSignal.timeout(110_000));
    requester = await mesh.addNode('requester', ['--no-provide']);
    for (const name of ['ada', 'berta', 'cora']) providers.push(await mesh.addNode(name));
    await mesh.untilProviders(requester, 3);
  });
  afterAll(() => mesh?.[Symbol.asyncDispose]());

  it('runs a trivial job and writes its output', async () => {
    const file = await mesh.writeJob('hello', 'hello', (text) => text);
    const out = mesh.stage.path('hello-out');
    const result = await mesh.run(requester, ['job', 'submit', file, '--output', out]);
    expect(result).toMatchObject({ exitCode: 0 });
    expect(await readFile(`${out}/output`, 'utf8')).toBe('hello, fog\n');
  });

  it('trains on three providers that agree byte for byte, and the bundle verifies without any daemon', async () => {
    const file = await mesh.writeTraining('train', { rounds: ROUNDS, replicas: 3 });
    const job = await mesh.wait(requester, await mesh.submit(requester, file));
    expect(job).toMatchObject({ state: 'completed', failure: null });
    expect(job.result?.agreeing).toHaveLength(3);
    expect(job.result?.steps).toBe(ROUNDS);
    const bundle = mesh.stage.path('train.bundle');
    await mesh.expect(requester, ['bundle', 'export', job.job, '--output', bundle]);
    const stranger = mesh.stage.actor('stranger');
    const verified = await mesh.expect<BundleVerification>(stranger, ['bundle', 'verify', bundle]);
    expect(verified.verdict).toBe('valid');
    expect(verified.assurances.map(({ assurance }) => assurance)).toEqual(['signed', 'replicated']);
  });

  it('follows logs and metrics of a running job', async () => {
    const file = await mesh.writeTraining('logs', { rounds: ROUNDS, replicas: 1 });
    const job = await mesh.submit(requester, file);
    const lines: string[] = [];
    for await (const line of mesh.stage.lines(
      requester,
      ['job', 'logs', job.job, '--follow', '--json'],
      AbortSignal.timeout(30_000),
    )) {
      lines.push(line);
    }
    const metrics = lines
      .map((line) => JSON.parse(line))
      .filter(({ kind, name }) => kind === 'metric' && name === 'loss');
    expect(metrics.map(({ step }) => step)).toEqual(Array.from({ length: ROUNDS }, (_, index) => index + 1));
  });

  it('tells at once why a job waits that nobody can run', async () => {
    const file = await mesh.writeJob('hello', 'greedy', (text) => text.replace('memory: 16MiB', 'memory: 60GiB'));
    const job = await mesh.submit(requester, file);
    await mesh.until('three refusals are recorded', 10_000, async () => {
      const { asked } = await requester.client.call('job.explain', { job: job.job });
      return asked.filter(({ answer }) => answer.kind === 'refused').length === 3;
    });
    const told = await mesh.run(requester, ['job', 'show', job.job, '--why']);
    expect(told.stdout).toContain('RESOURCES_TOO_LARGE');
    const cancelled = await mesh.expect<JobView>(requester, ['job', 'cancel', job.job]);
    expect(['cancelled', 'seeking']).toContain(cancelled.state);
    expect((await mesh.wait(requester, job)).state).toBe('cancelled');
  });

  it('ends a running job when it is cancelled, and frees the provider', async () => {
    const file = await mesh.writeTraining('cancel', { rounds: 100_000, replicas: 1 });
    const job = await mesh.submit(requester, file);
    await mesh.until('it runs', 15_000, async () => {
      const { attempts } = await requester.client.call('job.show', { job: job.job });
      return attempts.some(({ state }) => state === 'running');
    });
    await mesh.expect(requester, ['job', 'cancel', job.job]);
    expect((await mesh.wait(requester, job)).state).toBe('cancelled');
    await mesh.until('no provider runs anything', 10_000, async () => {
      const all = await Promise.all(providers.map(({ client }) => client.call('node.status', {})));
      return all.every(({ provider }) => provider.slots.running === 0 && provider.slots.reserved === 0);
    });
  });

  it('gives a program that fails as a result on which the replicas agree', async () => {
    const file = await mesh.writeTraining('starved', { rounds: ROUNDS, replicas: 3 });
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace(/^ {2}fuel: .*$/m, '  fuel: 10M'));
    const result = await mesh.run(requester, ['job', 'submit', file]);
    expect(result.exitCode).toBe(1);
    expect(`${result.stdout}${result.stderr}`).toContain('JOB_PROGRAM_OUT_OF_FUEL');
  });

  it('expires at its deadline', async () => {
    const file = await mesh.writeTraining('late', { rounds: 100_000, replicas: 1 });
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace(/^deadline: .*$/m, 'deadline: 3s'));
    const job = await mesh.wait(requester, await mesh.submit(requester, file));
    expect(job).toMatchObject({ state: 'expired' });
  });

  it('explains to an operator why no work comes', async () => {
    const [ada] = providers;
    if (ada === undefined) throw new Error('no provider');
    const told = await mesh.run(ada, ['node', 'why-no-work']);
    expect(told.exitCode).toBe(0);
    expect(told.stdout).toContain('RESOURCES_TOO_LARGE');
  });
});
