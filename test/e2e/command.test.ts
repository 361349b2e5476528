import { once } from 'node:events';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildExampleRoot } from '../../scripts/build-examples.ts';
import { findStaticCompiler } from '../../scripts/build-root.ts';
import type { BundleVerification } from '../../src/bundle/interface.ts';
import { computeDataPaths } from '../../src/config/paths.ts';
import { SystemClock } from '../../src/lib/clock.ts';
import { probeCommand } from '../../src/sandbox/executors/command/probe-command.ts';
import { chooseRootsFolder } from '../../src/sandbox/roots/choose-folder.ts';
import { Mesh, type MeshNode } from '../support/mesh.ts';
import { describeIf, type Need } from '../support/needs.ts';

const JOB_FILE = join(import.meta.dirname, '../../examples/command/job.yaml');
const probe = await probeCommand(new SystemClock());
const NEED: Need = {
  isMet: probe.kind === 'works' && findStaticCompiler() !== undefined,
  kind: 'host',
  reason: 'bubblewrap, user namespaces and a C compiler with a static library (apt install bubblewrap gcc)',
};

describeIf(NEED, 'examples/command over real daemons', () => {
  let mesh: Mesh;
  let requester: MeshNode;
  const providers: MeshNode[] = [];

  beforeAll(async () => {
    await buildExampleRoot('command', { isForced: false });
    mesh = await Mesh.open({}, AbortSignal.timeout(110_000));
    requester = await mesh.addNode('requester', ['--no-provide']);
    for (const name of ['ada', 'berta']) providers.push(await mesh.addNode(name));
    await mesh.untilProviders(requester, 2);
  });
  afterAll(async () => {
    const homes = providers.map(({ status }) => status.home);
    await mesh?.[Symbol.asyncDispose]();
    // Of a node run as root it is outside of the data folder.
    for (const home of homes) await rm(dirname(rootsFolder(home)), { recursive: true, force: true });
  });

  function rootsFolder(home: string): string {
    return chooseRootsFolder(home, computeDataPaths(home).roots);
  }

  it('runs on two providers that agree byte for byte, and its bundle verifies without any daemon', async () => {
    const out = mesh.stage.path('orbits-out');
    const submitted = await mesh.submit(requester, JOB_FILE);
    const job = await mesh.wait(requester, submitted);
    await mesh.expect(requester, ['job', 'result', job.job, '--output', out]);
    const [before, after] = (await readFile(join(out, 'output/energy.txt'), 'utf8')).trim().split(' ').map(Number);
    expect(before).toBeLessThan(0);
    expect(Math.abs(((after ?? 0) - (before ?? 0)) / (before ?? 1))).toBeLessThan(1e-3);
    expect((await readFile(join(out, 'output/bodies.csv'), 'utf8')).split('\n')).toHaveLength(402);

    expect(job).toMatchObject({ state: 'completed', result: { fuel: null, steps: 0 } });
    expect(job.result?.agreeing).toHaveLength(2);
    const bundle = mesh.stage.path('orbits.bundle');
    await mesh.expect(requester, ['bundle', 'export', job.job, '--output', bundle]);
    const verified = await mesh.expect<BundleVerification>(mesh.stage.actor('stranger'), ['bundle', 'verify', bundle]);
    expect(verified.verdict).toBe('valid');
    expect(verified.assurances.map(({ assurance }) => assurance)).toEqual(['signed', 'replicated']);
    const shown = await mesh.run(requester, ['job', 'show', job.job]);
    expect(shown.stdout).toContain('completed');
  });

  it('leaves no process behind, and the root unpacked once', async () => {
    for (const { status } of providers) {
      expect(await readdir(rootsFolder(status.home))).toEqual([expect.stringMatching(/^[0-9a-f]{64}-\d+$/)]);
    }
    expect(await listProcesses('/bin/orbits')).toEqual([]);
  });

  it('refuses a command of the provider’s own system folders, which its operator has not allowed', async () => {
    const file = await mesh.writeJob('hello', 'host', () =>
      [
        'name: host',
        'workload: { kind: command, root: host, program: /bin/true }',
        'retries: 0',
        'deadline: 1m',
        '',
      ].join('\n'),
    );
    const { job } = await mesh.submit(requester, file);
    let why = '';
    await mesh.until('every provider has refused it', 30_000, async () => {
      why = (await mesh.run(requester, ['job', 'show', job, '--why'])).stdout;
      return why.split('IMAGE_NOT_ALLOWED').length > providers.length;
    });
    expect(why).toContain('system folders');
    // Nobody was leased what it would not have run.
    expect((await requester.client.call('job.show', { job })).attempts).toEqual([]);
    await mesh.expect(requester, ['job', 'cancel', job]);
  });

  it('ends the sandboxes of a provider that is killed', async () => {
    const [ada] = providers;
    if (ada === undefined) throw new TypeError('no providers');
    const settings = mesh.stage.path('long.txt');
    await writeFile(settings, '4000 100000 1\n');
    const text = await readFile(JOB_FILE, 'utf8');
    const file = mesh.stage.path('long.yaml');
    await writeFile(file, text.replace('data/settings.txt', settings).replace('build/', `${dirname(JOB_FILE)}/build/`));
    const job = await mesh.submit(requester, file);
    await mesh.until('both run it', 30_000, async () => (await listProcesses('/bin/orbits')).length >= 6);
    const ended = once(ada.process, 'exit');
    // It alone: what it started has to notice by itself.
    process.kill(ada.status.pid, 'SIGKILL');
    await ended;
    await mesh.until('only one runs it', 10_000, async () => (await listProcesses('/bin/orbits')).length <= 3);
    await mesh.expect(requester, ['job', 'cancel', job.job]);
    await mesh.until('nobody runs it', 10_000, async () => (await listProcesses('/bin/orbits')).length === 0);
  });
});

/** Processes of this machine that run a program, by its path. */
async function listProcesses(program: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const line = await readFile(`/proc/${name}/cmdline`, 'utf8').catch(() => '');
    if (line.split('\0')[0] === program) found.push(name);
  }
  return found;
}
