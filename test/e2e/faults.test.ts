import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AttemptView } from '../../src/scheduler/interface.ts';
import { Mesh, type MeshNode } from '../support/mesh.ts';

/** Rounds that take several seconds: it is killed at its first signed progress. */
const LONG = 150;

describe('faults', () => {
  let mesh: Mesh;
  beforeEach(async () => {
    mesh = await Mesh.open({ lease: '3s', renewal: '500ms' }, AbortSignal.timeout(110_000));
  });
  afterEach(() => mesh?.[Symbol.asyncDispose]());

  async function untilRunning(node: MeshNode, job: { readonly job: string }): Promise<readonly AttemptView[]> {
    let attempts: readonly AttemptView[] = [];
    await mesh.until('it runs', 20_000, async () => {
      ({ attempts } = await node.client.call('job.show', { job: job.job as never }));
      return attempts.some(({ state, progress }) => state === 'running' && progress !== null);
    });
    return attempts;
  }

  it('a provider killed in the middle is replaced, and the result is accepted', async () => {
    const requester = await mesh.addNode('requester', ['--no-provide']);
    const providers = [await mesh.addNode('ada'), await mesh.addNode('berta')];
    await mesh.untilProviders(requester, 2);
    const file = await mesh.writeTraining('killed', { rounds: LONG, replicas: 1 });
    const job = await mesh.submit(requester, file);
    const [attempt] = await untilRunning(requester, job);
    const victim = providers.find(({ status }) => status.peer === attempt?.provider);
    if (victim === undefined) throw new Error('the attempt runs nowhere');
    await mesh.kill(victim);
    const ended = await mesh.wait(requester, job);
    expect(ended.state).toBe('completed');
    expect(ended.attempts.map(({ state }) => state)).toEqual(['lost', 'revealed']);
    expect(ended.attempts[1]?.provider).not.toBe(victim.status.peer);
  });

  it('a requester killed in the middle goes on with its job after it restarts', async () => {
    const requester = await mesh.addNode('requester', ['--no-provide']);
    const provider = await mesh.addNode('ada');
    await mesh.untilProviders(requester, 1);
    const file = await mesh.writeTraining('restart', { rounds: LONG, replicas: 1 });
    const job = await mesh.submit(requester, file);
    await untilRunning(requester, job);
    await mesh.kill(requester);
    const [address] = provider.status.network.listen;
    const again = await mesh.startNode(requester, ['--no-provide', '--bootstrap', address ?? '']);
    const ended = await mesh.wait(again, job);
    expect(ended.state).toBe('completed');
  });

  it('a provider killed in the middle says after its restart what became of the attempt, and takes work again', async () => {
    const requester = await mesh.addNode('requester', ['--no-provide']);
    const provider = await mesh.addNode('ada');
    await mesh.untilProviders(requester, 1);
    const file = await mesh.writeTraining('rerun', { rounds: LONG, replicas: 1 });
    const job = await mesh.submit(requester, file);
    await untilRunning(requester, job);
    await mesh.kill(provider);
    const again = await mesh.startNode(provider);
    const ended = await mesh.wait(requester, job);
    expect(ended.state).toBe('completed');
    const leases = new Set(ended.attempts.map(({ lease }) => lease));
    expect(leases.size).toBe(ended.attempts.length);
    expect(ended.attempts.filter(({ state }) => state === 'revealed')).toHaveLength(1);
    const { provider: status } = await again.client.call('node.status', {});
    expect(status.slots).toMatchObject({ running: 0, reserved: 0 });
  });
});
