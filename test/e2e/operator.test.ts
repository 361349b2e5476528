import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findDescendants, listProcesses } from '../../src/node/descendant-processes.ts';
import type { PanicReport } from '../../src/rpc/interface.ts';
import { isRunning } from '../../src/sandbox/host/process-entry.ts';
import type { JobView } from '../../src/scheduler/interface.ts';
import { parseEntry } from '../../src/telemetry/audit/audit-entry.ts';
import { readTrail, type TrailVerification } from '../../src/telemetry/audit/verify-trail.ts';
import { Mesh, type MeshNode } from '../support/mesh.ts';

/** The goal is 2 s; a machine that runs other tests at the same time may take longer. */
const PANIC_LIMIT_MS = 5_000;

describe('what an operator says while the node runs', () => {
  let mesh: Mesh;
  let requester: MeshNode;
  let ada: MeshNode;
  let training: JobView;

  beforeAll(async () => {
    mesh = await Mesh.open({}, AbortSignal.timeout(480_000));
    requester = await mesh.addNode('requester', ['--no-provide']);
    ada = await mesh.addNode('ada', ['--slots', '2']);
    await mesh.untilProviders(requester, 1);
  }, 120_000);

  afterAll(async () => {
    await mesh[Symbol.asyncDispose]();
  });

  const attemptsOf = async (job: JobView) => (await requester.client.call('job.show', { job: job.job })).attempts;
  const runningOn = (job: JobView, node: MeshNode) => () =>
    attemptsOf(job).then((attempts) =>
      attempts.some(({ state, provider }) => state === 'running' && provider === node.status.peer),
    );
  const isRefused = (job: JobView, code: string) => async () => {
    const { asked } = await requester.client.call('job.explain', { job: job.job });
    return asked.some(({ answer }) => answer.kind === 'refused' && answer.refusal.code === code);
  };

  it('drain: what runs goes on, nothing new is taken, and a restart changes nothing', async () => {
    const file = await mesh.writeTraining('long', { rounds: 100_000, replicas: 1 });
    training = await mesh.submit(requester, file);
    await mesh.until('it runs', 30_000, runningOn(training, ada));
    const drained = await mesh.expect<{ readonly attempts: number }>(ada, ['node', 'drain']);
    expect(drained.attempts).toBe(1);

    const hello = await mesh.submit(requester, await mesh.writeJob('hello', 'hello', (text) => text));
    await mesh.until('it is refused', 20_000, isRefused(hello, 'DRAINING'));
    const why = await mesh.run(requester, ['job', 'show', hello.job, '--why']);
    expect(why.stdout).toContain('DRAINING');
    expect((await mesh.run(ada, ['node', 'why-no-work'])).stdout).toContain('drained by `node drain`');
    expect((await mesh.run(ada, ['node', 'status'])).stdout).toContain('drained since');
    expect((await attemptsOf(training)).at(-1)?.state).toBe('running');

    expect(await mesh.stop(ada)).toBe(0);
    ada = await mesh.startNode(mesh.stage.actor('ada'), ['--slots', '2']);
    expect(ada.status.provider.closed?.reason).toBe('drain');

    await mesh.expect(ada, ['node', 'drain', '--resume']);
    expect(await mesh.wait(requester, hello)).toMatchObject({ state: 'completed' });
  }, 240_000);

  it('panic: no process of a sandbox is left within seconds, and requesters go elsewhere', async () => {
    await mesh.until('it runs again', 60_000, runningOn(training, ada));
    const berta = await mesh.addNode('berta', ['--slots', '1']);
    await mesh.untilProviders(requester, 2);
    const sandboxes = findDescendants(listProcesses(), ada.process.pid ?? 0);
    expect(sandboxes.length).toBeGreaterThan(0);

    const beganAtMs = performance.now();
    const report = await mesh.expect<PanicReport>(ada, ['node', 'panic']);
    const tookMs = performance.now() - beganAtMs;
    const left = sandboxes.filter(isRunning);
    console.log(
      `panic: ${report.attempts} attempts, ${sandboxes.length} processes; ${report.elapsedMs} ms in the daemon, ` +
        `${Math.round(tookMs)} ms with the command around it (goal 2000)`,
    );
    expect(left).toEqual([]);
    expect(findDescendants(listProcesses(), ada.process.pid ?? 0).filter(isRunning)).toEqual([]);
    expect(report).toMatchObject({ attempts: 1, left: 0 });
    expect(report.elapsedMs).toBeLessThan(PANIC_LIMIT_MS);

    await mesh.until('its requester was told', 20_000, async () =>
      (await attemptsOf(training)).some(({ reason }) => reason?.startsWith('OPERATOR_STOPPED') === true),
    );
    await mesh.until('another provider has it', 60_000, runningOn(training, berta));
    const status = await ada.client.call('node.status', {});
    expect(status.provider.closed?.reason).toBe('panic');
    expect((await mesh.run(ada, ['node', 'why-no-work'])).stdout).toContain('stopped by `node panic`');
    await mesh.expect(ada, ['node', 'resume']);
    expect((await ada.client.call('node.status', {})).provider.closed).toBeNull();
    await mesh.expect(requester, ['job', 'cancel', training.job]);
  }, 180_000);

  it('all of it is in the audit log, whose chain is whole', async () => {
    const verified = await mesh.expect<TrailVerification>(ada, ['audit', 'verify']);
    expect(verified.fault).toBeNull();
    const kinds: string[] = [];
    for await (const { text } of readTrail(join(ada.home, 'audit')))
      kinds.push(parseEntry(text)?.event.kind ?? 'broken');
    const told = ['start', 'policy', 'offer', 'lease', 'attempt-start', 'drain', 'refusal', 'stop', 'start', 'resume'];
    let from = 0;
    for (const kind of [...told, 'panic', 'attempt-end', 'panic-done', 'resume']) {
      const at = kinds.indexOf(kind, from);
      expect(at, `${kind} after ${from} in ${kinds.join(' ')}`).toBeGreaterThanOrEqual(from);
      from = at + 1;
    }
    const shown = await mesh.run(ada, ['audit', 'show', '--since', '1h']);
    expect(shown.stdout).toContain('DRAINING');
  }, 60_000);
});
