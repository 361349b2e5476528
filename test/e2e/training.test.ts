import { hash } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildExampleRoot } from '../../scripts/build-examples.ts';
import { findStaticCompiler } from '../../scripts/build-root.ts';
import { readOutcome } from '../../scripts/crash-stepping/outcome.ts';
import type { BundleVerification } from '../../src/bundle/interface.ts';
import { computeDataPaths } from '../../src/config/paths.ts';
import { SystemClock } from '../../src/lib/clock.ts';
import { probeCommand } from '../../src/sandbox/executors/command/probe-command.ts';
import { chooseRootsFolder } from '../../src/sandbox/roots/choose-folder.ts';
import type { JobView } from '../../src/scheduler/interface.ts';
import { Mesh, type MeshNode } from '../support/mesh.ts';
import { describeIf, type Need } from '../support/needs.ts';

const EXAMPLE = join(import.meta.dirname, '../../examples/training');
const ROUNDS = 60;
const probe = await probeCommand(new SystemClock());

interface TrainingKind {
  readonly kind: string;
  readonly need: Need;
  /** Builds what the job names; gives the text of its file, with absolute paths. */
  readonly prepare: () => Promise<string>;
}

/** Kinds of work that native training programs run as. Each has to give the same: a further one is an entry here. */
const KINDS: readonly TrainingKind[] = [
  {
    kind: 'command',
    need: {
      isMet: probe.kind === 'works' && findStaticCompiler() !== undefined,
      kind: 'host',
      reason: 'bubblewrap, user namespaces and a C compiler with a static library (apt install bubblewrap gcc)',
    },
    prepare: async () => {
      await buildExampleRoot('training', { isForced: false });
      const text = await readFile(join(EXAMPLE, 'job.yaml'), 'utf8');
      return text.replace('build/root', `${EXAMPLE}/build/root`).replace('../digits', join(EXAMPLE, '../digits'));
    },
  },
];

for (const { kind, need, prepare } of KINDS) {
  describeIf(need, `training by a ${kind} over real daemons`, () => {
    let mesh: Mesh;
    let requester: MeshNode;
    let text: string;
    const providers = new Map<string, MeshNode>();
    const homes: string[] = [];

    beforeAll(async () => {
      text = await prepare();
      mesh = await Mesh.open({ lease: '5s', renewal: '500ms' }, AbortSignal.timeout(420_000));
      requester = await mesh.addNode('requester', ['--no-provide']);
      for (const name of ['ada', 'berta']) providers.set(name, await mesh.addNode(name));
      homes.push(...[...providers.values()].map(({ status }) => status.home));
      await mesh.untilProviders(requester, 2);
    }, 90_000);
    afterAll(async () => {
      await mesh?.[Symbol.asyncDispose]();
      // Of a node run as root it is outside of the data folder.
      for (const home of homes) {
        await rm(dirname(chooseRootsFolder(home, computeDataPaths(home).roots)), { recursive: true, force: true });
      }
    });

    const show = (job: JobView): Promise<JobView> => requester.client.call('job.show', { job: job.job });

    async function submit(name: string): Promise<JobView> {
      const file = mesh.stage.path(`${name}.yaml`);
      await writeFile(file, text);
      return mesh.submit(requester, file);
    }

    /** Waits until a snapshot of the job is held; gives who runs it. */
    async function untilHeld(job: JobView): Promise<MeshNode> {
      let provider: string | undefined;
      await mesh.until('a snapshot is held', 30_000, async () => {
        const running = (await show(job)).attempts.findLast(({ state }) => state === 'running');
        provider = running?.provider;
        return (running?.checkpoint?.heldStep ?? 0) > 0;
      });
      const node = [...providers.values()].find(({ status }) => status.peer === provider);
      if (node === undefined) throw new Error('it runs nowhere');
      return node;
    }

    async function restart(node: MeshNode): Promise<void> {
      const address = requester.status.network.listen[0] ?? '';
      providers.set(node.name, await mesh.startNode(node, ['--bootstrap', address]));
    }

    /** Its end, what the weights came to, and the losses of the rounds, each as often as it was told. */
    async function finish(job: JobView) {
      const ended = await mesh.wait(requester, job);
      expect(ended).toMatchObject({ failure: null, state: 'completed', result: { fuel: null, steps: ROUNDS } });
      const { roots, contradictions } = await readOutcome(requester.client, job.job);
      expect(contradictions).toEqual([]);
      const out = mesh.stage.path(`out-${job.job}`);
      await mesh.expect(requester, ['job', 'result', job.job, '--output', out]);
      const bytes = await readFile(join(out, 'output/weights.f64'));
      expect(bytes).toHaveLength(8 * 10 * 65);
      const weights = hash('sha256', bytes, 'hex');
      return { ended, roots, weights, states: ended.attempts.map(({ state, reason }) => reason ?? state) };
    }

    it('ends with the same bytes: undisturbed, paused, killed with and without a restart', async () => {
      const undisturbed = await finish(await submit('undisturbed'));
      const { weights, roots } = undisturbed;
      expect([...roots.keys()].slice(0, 3)).toEqual([0, 1, 2]);

      const paused = await submit('paused');
      await untilHeld(paused);
      await mesh.expect(requester, ['job', 'pause', paused.job, '--wait']);
      expect((await show(paused)).state).toBe('paused');
      await mesh.expect(requester, ['job', 'resume', paused.job]);
      const pausedEnd = await finish(paused);
      expect(pausedEnd).toMatchObject({ weights, states: [expect.stringContaining('PAUSED'), 'revealed'] });
      expect(pausedEnd.ended.attempts[1]?.resumedFrom?.step).toBeGreaterThan(0);
      for (const [step, root] of pausedEnd.roots) expect([step, root]).toEqual([step, roots.get(step)]);

      const killed = await submit('killed');
      const victim = await untilHeld(killed);
      await mesh.kill(victim);
      await restart(victim);
      // By itself under the same lease, or, where the daemon took longer to start than that lasts, after another one.
      const killedEnd = await finish(killed);
      expect(killedEnd.weights).toBe(weights);
      expect([['revealed'], [expect.stringContaining('PARTITIONED'), 'revealed']]).toContainEqual(killedEnd.states);
      for (const [step, root] of killedEnd.roots) expect([step, root]).toEqual([step, roots.get(step)]);

      const lost = await submit('lost');
      const gone = await untilHeld(lost);
      await mesh.kill(gone);
      const lostEnd = await finish(lost);
      await restart(gone);
      expect(lostEnd).toMatchObject({ weights, states: [expect.stringContaining('PARTITIONED'), 'revealed'] });
      expect(lostEnd.ended.attempts[1]?.provider).not.toBe(gone.status.peer);
      expect(lostEnd.ended.attempts[1]?.resumedFrom?.step).toBeGreaterThan(0);

      const bundle = mesh.stage.path('lost.bundle');
      await mesh.expect(requester, ['bundle', 'export', lost.job, '--output', bundle]);
      const verified = await mesh.expect<BundleVerification>(requester, ['bundle', 'verify', bundle]);
      expect(verified.verdict).toBe('valid');
      expect(JSON.stringify(verified)).toContain(gone.status.peer.slice(-8));
    }, 300_000);
  });
}
