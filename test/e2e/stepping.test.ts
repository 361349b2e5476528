import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readOutcome } from '../../scripts/crash-stepping/outcome.ts';
import type { BundleVerification } from '../../src/bundle/interface.ts';
import type { JobView } from '../../src/scheduler/interface.ts';
import { Mesh, type MeshNode } from '../support/mesh.ts';

const ROUNDS = 200;
const EVERY = 5;
const LAST_STEPS = [ROUNDS - EVERY, ROUNDS];

interface ReplayReport {
  readonly verdict: string;
}

describe('stepping jobs', () => {
  let mesh: Mesh;
  let requester: MeshNode;
  const providers = new Map<string, MeshNode>();

  beforeAll(async () => {
    mesh = await Mesh.open({ lease: '8s', renewal: '500ms' }, AbortSignal.timeout(420_000));
    requester = await mesh.addNode('requester', ['--no-provide']);
    for (const name of ['ada', 'berta']) providers.set(name, await mesh.addNode(name));
    await mesh.untilProviders(requester, 2);
  }, 60_000);
  afterAll(() => mesh?.[Symbol.asyncDispose]());

  async function submit(name: string, fields = ''): Promise<JobView> {
    const file = await mesh.writeTraining(name, { rounds: ROUNDS, replicas: 1 }, (text) => {
      const checkpoints = `checkpoints:\n  everySteps: ${EVERY}\n${fields}`;
      return `${text}\n${checkpoints}`;
    });
    return mesh.submit(requester, file);
  }

  const show = (job: JobView): Promise<JobView> => requester.client.call('job.show', { job: job.job });

  /** Waits until a snapshot of the job is held; gives who runs it. */
  async function untilHeld(job: JobView, leastStep = 1): Promise<MeshNode> {
    let provider: string | undefined;
    await mesh.until('a snapshot is held', 30_000, async () => {
      const running = (await show(job)).attempts.findLast(({ state }) => state === 'running');
      provider = running?.provider;
      return (running?.checkpoint?.heldStep ?? 0) >= leastStep;
    });
    const node = [...providers.values()].find(({ status }) => status.peer === provider);
    if (node === undefined) throw new Error('it runs nowhere');
    return node;
  }

  async function restart(node: MeshNode): Promise<void> {
    const address = requester.status.network.listen[0] ?? '';
    providers.set(node.name, await mesh.startNode(node, ['--bootstrap', address]));
  }

  async function outcomeOf(job: JobView) {
    const ended = await mesh.wait(requester, job);
    expect(ended.failure).toBeNull();
    return { ended, outcome: await readOutcome(requester.client, job.job) };
  }

  it('end as if nothing had happened: paused, killed with and without a restart, and with the requester away', async () => {
    const undisturbed = await outcomeOf(await submit('undisturbed'));
    const { roots, result, events } = undisturbed.outcome;
    expect([...roots.keys()]).toEqual(expect.arrayContaining([0, EVERY]));
    const expected = { result, events, contradictions: [] };

    const paused = await submit('paused');
    await untilHeld(paused);
    await mesh.expect(requester, ['job', 'pause', paused.job, '--wait']);
    expect((await show(paused)).state).toBe('paused');
    await mesh.expect(requester, ['job', 'resume', paused.job]);
    const pausedEnd = await outcomeOf(paused);
    expect(pausedEnd.outcome).toMatchObject(expected);
    expect(pausedEnd.outcome.roots).toEqual(roots);
    expect(pausedEnd.ended.attempts.map(({ state }) => state)).toEqual(['paused', 'revealed']);
    expect(pausedEnd.ended.attempts[1]?.resumedFrom?.step).toBeGreaterThan(0);

    const killed = await submit('killed');
    const victim = await untilHeld(killed);
    await mesh.kill(victim);
    await restart(victim);
    const killedEnd = await outcomeOf(killed);
    expect(killedEnd.outcome).toMatchObject(expected);
    expect(killedEnd.outcome.roots).toEqual(roots);
    // The same lease: it went on by itself.
    expect(killedEnd.ended.attempts.map(({ state }) => state)).toEqual(['revealed']);

    const lost = await submit('lost');
    const gone = await untilHeld(lost);
    await mesh.kill(gone);
    const lostEnd = await outcomeOf(lost);
    await restart(gone);
    expect(lostEnd.outcome).toMatchObject(expected);
    expect(lostEnd.outcome.roots).toEqual(roots);
    expect(lostEnd.ended.attempts.map(({ state }) => state)).toEqual(['lost', 'revealed']);
    expect(lostEnd.ended.attempts[1]?.provider).not.toBe(gone.status.peer);
    expect(lostEnd.ended.attempts[1]?.resumedFrom).toMatchObject({ lease: lostEnd.ended.attempts[0]?.lease });

    const away = await submit('away');
    await untilHeld(away);
    await mesh.kill(requester);
    const addresses = [...providers.values()].flatMap(({ status }) => ['--bootstrap', status.network.listen[0] ?? '']);
    requester = await mesh.startNode(requester, ['--no-provide', ...addresses]);
    const awayEnd = await outcomeOf(away);
    expect(awayEnd.outcome).toMatchObject(expected);
    expect(awayEnd.outcome.roots).toEqual(roots);

    const bundle = mesh.stage.path('lost.bundle');
    const line = ['bundle', 'export', lost.job, '--output', bundle, '--content', 'everything', '--snapshots', 'all'];
    await mesh.expect(requester, line);
    const verified = await mesh.expect<BundleVerification>(requester, ['bundle', 'verify', bundle]);
    expect(verified.verdict).toBe('valid');
    expect(JSON.stringify(verified)).toContain(gone.status.peer.slice(-8));
    const [from, to] = LAST_STEPS.map(String);
    const replay = await mesh.expect<ReplayReport>(requester, [
      ...['job', 'replay', bundle, '--from', from ?? '', '--to', to ?? ''],
    ]);
    expect(replay.verdict).toBe('equal');
  }, 300_000);

  it('are sealed for a third party that holds their snapshots, and go on from there', async () => {
    const actor = await mesh.createIdentity('holder');
    await appendFile(join(actor.home, 'config.yaml'), '\nsnapshots: { hold: { for: anyone } }\n');
    const address = requester.status.network.listen[0] ?? '';
    const holder = await mesh.startNode(actor, ['--no-provide', '--bootstrap', address]);
    const job = await submit('sealed', `  holder: ${holder.status.peer}\n  sealed: true\n`);
    // Held is what the holder has answered to have.
    const victim = await untilHeld(job, 8 * EVERY);
    await mesh.kill(victim);
    const { ended } = await outcomeOf(job);
    await restart(victim);
    expect(ended.attempts.at(-1)?.resumedFrom?.step).toBeGreaterThan(0);
    expect(await readFile(holder.logFile, 'utf8')).not.toContain('error');
  }, 120_000);
});
