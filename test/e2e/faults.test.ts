import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AttemptView, JobView } from '../../src/scheduler/interface.ts';
import { Mesh, type MeshNode } from '../support/mesh.ts';

/** Rounds that take several seconds: it is killed at its first signed progress. */
const LONG = 150;

describe('faults', () => {
  let mesh: Mesh;
  let requester: MeshNode;
  const providers = new Map<string, MeshNode>();

  beforeAll(async () => {
    mesh = await Mesh.open({ lease: '3s', renewal: '500ms' }, AbortSignal.timeout(170_000));
    requester = await mesh.addNode('requester', ['--no-provide']);
    for (const name of ['ada', 'berta']) providers.set(name, await mesh.addNode(name));
    await mesh.untilProviders(requester, 2);
  }, 60_000);
  afterAll(() => mesh?.[Symbol.asyncDispose]());

  const submit = async (name: string): Promise<JobView> =>
    mesh.submit(requester, await mesh.writeTraining(name, { rounds: LONG, replicas: 1 }));

  /** Until it runs and has said how far it is; gives who runs it. */
  async function untilRunning({ job }: JobView): Promise<MeshNode> {
    let attempt: AttemptView | undefined;
    await mesh.until('it runs', 20_000, async () => {
      const { attempts } = await requester.client.call('job.show', { job });
      attempt = attempts.find(({ state, progress }) => state === 'running' && progress !== null);
      return attempt !== undefined;
    });
    const node = [...providers.values()].find(({ status }) => status.peer === attempt?.provider);
    if (node === undefined) throw new Error('the attempt runs nowhere');
    return node;
  }

  async function restart(node: MeshNode): Promise<MeshNode> {
    const again = await mesh.startNode(node, ['--bootstrap', requester.status.network.listen[0] ?? '']);
    providers.set(node.name, again);
    return again;
  }

  it('a provider killed in the middle is replaced, and the result is accepted', async () => {
    const job = await submit('killed');
    const victim = await untilRunning(job);
    await mesh.kill(victim);
    const ended = await mesh.wait(requester, job);
    expect(ended.state).toBe('completed');
    expect(ended.attempts.map(({ state }) => state)).toEqual(['lost', 'revealed']);
    expect(ended.attempts[1]?.provider).not.toBe(victim.status.peer);
    await restart(victim);
    await mesh.untilProviders(requester, 2);
  });

  it('a requester killed in the middle goes on with its job after it restarts', async () => {
    const job = await submit('restart');
    const provider = await untilRunning(job);
    await mesh.kill(requester);
    const [address] = provider.status.network.listen;
    requester = await mesh.startNode(requester, ['--no-provide', '--bootstrap', address ?? '']);
    const ended = await mesh.wait(requester, job);
    expect(ended.state).toBe('completed');
  });

  it('a provider killed in the middle says after its restart what became of the attempt, and takes work again', async () => {
    const job = await submit('rerun');
    const victim = await untilRunning(job);
    for (const other of providers.values()) if (other !== victim) await mesh.stop(other);
    await mesh.kill(victim);
    const again = await restart(victim);
    const ended = await mesh.wait(requester, job);
    expect(ended.state).toBe('completed');
    const leases = new Set(ended.attempts.map(({ lease }) => lease));
    expect(leases.size).toBe(ended.attempts.length);
    expect(ended.attempts.filter(({ state }) => state === 'revealed')).toHaveLength(1);
    const { provider: status } = await again.client.call('node.status', {});
    expect(status.slots).toMatchObject({ running: 0, reserved: 0 });
  });
});
