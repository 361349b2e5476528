import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildExamples, hasCCompiler } from '../../../scripts/build-examples.ts';
import { CarBundleExporter } from '../../../src/bundle/car-bundle-exporter.ts';
import type { BundleContent } from '../../../src/bundle/interface.ts';
import { verifyBundle } from '../../../src/bundle/verify.ts';
import { UnixMs } from '../../../src/domain/ids.ts';
import { LocalIdentity } from '../../../src/identity/local-identity.ts';
import { SystemClock } from '../../../src/lib/clock.ts';
import type { WasmExecutor } from '../../../src/sandbox/executors/wasm/wasm-executor.ts';
import type { ExecutionSink, ExecutionTask, Executor } from '../../../src/sandbox/interface.ts';
import type { JobDraft, JobEvent, JobView } from '../../../src/scheduler/interface.ts';
import { knowsProviders, type LiveNode, startLiveNode } from '../../support/live-node.ts';
import { describeIf, type Need } from '../../support/needs.ts';
import { createTestExecutor } from '../../support/sandbox.ts';

const C: Need = {
  isMet: hasCCompiler(),
  kind: 'toolchain',
  reason: 'clang and wasm-ld on PATH (apt install clang lld)',
};
const TOLERANCE = { element: 'f32', absolute: '1e-3', relative: '1e-3' } as const;
const signal = () => AbortSignal.timeout(30_000);

/** The executor of one provider; at the checkpoint of a round its first attempt waits, then may fail. */
class Gate implements Executor {
  readonly kind = 'wasm';
  readonly #executor: WasmExecutor;
  readonly reached = Promise.withResolvers<void>();
  readonly opened = Promise.withResolvers<'go on' | 'fail'>();
  /** Rounds that its attempts began at. */
  readonly began: number[] = [];
  #isArmed: boolean;

  constructor(executor: WasmExecutor, isArmed = true) {
    this.#executor = executor;
    this.#isArmed = isArmed;
  }

  get isolation() {
    return this.#executor.isolation;
  }

  get instrumenter() {
    return this.#executor.instrumenter;
  }

  warm(): Promise<void> {
    return Promise.resolve();
  }

  execute(task: ExecutionTask, sink: ExecutionSink, options: { readonly signal?: AbortSignal }) {
    this.began.push(task.resume?.step ?? 0);
    const watched: ExecutionSink = {
      log: (...values) => sink.log(...values),
      metric: (...values) => sink.metric(...values),
      progress: (progress) => sink.progress(progress),
      checkpoint: async (checkpoint) => {
        if (this.#isArmed && checkpoint.step === 30 && checkpoint.place === 'middle') {
          this.#isArmed = false;
          this.reached.resolve();
          if ((await this.opened.promise) === 'fail') throw new Error('the machine is gone');
        }
        return await sink.checkpoint(checkpoint);
      },
    };
    return this.#executor.execute(task, watched, options);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

const isHeld = (event: JobEvent): boolean => event.kind === 'checkpoint' && event.snapshot === 'held';

describeIf(C, 'a training program between live nodes', () => {
  let module: Uint8Array;
  let executor: WasmExecutor;

  beforeAll(async () => {
    module = await readFile(buildExamples({ isForced: false }).find((file) => file.endsWith('rounds.wasm')) ?? '');
    executor = await createTestExecutor({ slots: 4 });
  });
  afterAll(async () => await executor[Symbol.asyncDispose]());

  async function startMesh(stack: AsyncDisposableStack, gates: readonly Gate[]) {
    const requester = stack.use(await startLiveNode());
    const bootstrap = [requester.address()];
    const providers: LiveNode[] = [];
    for (const gate of gates) providers.push(stack.use(await startLiveNode({ executor: gate, bootstrap })));
    await knowsProviders(requester, gates.length);
    return { node: requester, providers };
  }

  async function submit(node: LiveNode, replicas: number, change: Partial<JobDraft> = {}): Promise<JobView['job']> {
    const { blob, sizeBytes } = await node.blobs.put(module);
    const settings = await node.blobs.put(new TextEncoder().encode('45 500'));
    const draft: JobDraft = {
      name: 'rounds',
      deadlineMs: UnixMs(Date.now() + 60_000),
      capabilityClass: 'cpu',
      workload: {
        ...{ kind: 'wasm', module: blob, moduleSizeBytes: sizeBytes, abi: 'wasi' },
        ...{ arguments: [], environment: {}, seed: new Uint8Array(32) },
      },
      inputs: [{ path: '/settings.txt', ...settings }],
      resources: { memoryBytes: 2 ** 25, fuel: 1e9, wallTimeMs: 20_000, outputBytes: 1_000_000, logBytes: 10_000 },
      isolation: 'process',
      replication: { replicas, quorum: Math.floor(replicas / 2) + 1, diversity: 'peer' },
      retries: 3,
      market: 'direct',
      priceCeiling: '0',
      checkpoints: { schedule: { kind: 'rounds', every: 10 }, holder: null, sealed: false },
      comparisons: [{ path: '/output/weights.f32', ...TOLERANCE }],
      ...change,
    };
    return (await node.requester.submit(draft)).job;
  }

  async function follow(node: LiveNode, job: JobView['job'], isWanted: (event: JobEvent) => boolean): Promise<void> {
    for await (const event of node.requester.events(job, { follow: true, signal: signal() })) {
      if (isWanted(event)) return;
    }
    throw new Error('it never came');
  }

  async function listLogs(node: LiveNode, job: JobView['job']): Promise<string[]> {
    const lines: string[] = [];
    for await (const event of node.requester.events(job, { follow: false, signal: signal() })) {
      if (event.kind === 'log' && event.stream === 'stdout') lines.push(event.text.split(' loss')[0] ?? '');
    }
    return lines;
  }

  async function exportAndVerify(node: LiveNode, job: JobView['job'], content: BundleContent): Promise<string[]> {
    const folder = await mkdtemp(join(tmpdir(), 'fogproof-rounds-'));
    try {
      const path = join(folder, 'bundle');
      const identity = await LocalIdentity.fromSeed(new Uint8Array(32).fill(1));
      const exporter = new CarBundleExporter({ blobs: node.blobs, identity, clock: new SystemClock() });
      const exported = await exporter.exportFile(await node.requester.evidence(job), {
        path,
        format: 'bundle',
        content,
      });
      const { verdict, assurances } = await verifyBundle(await readFile(path));
      expect(exported.verdict).toBe(verdict);
      return assurances.map(({ assurance, verdict: { kind } }) => `${assurance} ${kind}`);
    } finally {
      await rm(folder, { recursive: true });
    }
  }

  it('is paused with its files, and goes on from them', async () => {
    await using stack = new AsyncDisposableStack();
    const gate = new Gate(executor);
    const { node } = await startMesh(stack, [gate]);
    const job = await submit(node, 1);
    await gate.reached.promise;
    await node.requester.pause(job);
    gate.opened.resolve('go on');
    await follow(node, job, (event) => event.kind === 'state' && event.state === 'paused');
    await follow(node, job, (event) => isHeld(event) && event.kind === 'checkpoint' && event.step >= 30);
    const [paused] = (await node.requester.show(job)).attempts;
    const stoppedAt = paused?.checkpoint?.step;
    await node.requester.resume(job);
    const view = await node.requester.wait(job, { signal: signal() });
    expect(view).toMatchObject({ state: 'completed', result: { steps: 45 } });
    expect(gate.began).toEqual([0, stoppedAt]);
    const checkpoints = await node.requester.checkpoints(job);
    const roots = checkpoints.filter(({ step }) => step === stoppedAt).map(({ stateRoot }) => stateRoot);
    expect(new Set(roots).size).toBe(1);
    // Its log goes on where it was; nothing of it is taken for a repetition.
    expect(await listLogs(node, job)).toEqual(['round 10', 'round 20', 'round 30', 'round 40', 'round 45']);
  });

  it('moves on from the newest files that are held, and agrees with its replicas within its tolerance', async () => {
    await using stack = new AsyncDisposableStack();
    const gates = Array.from({ length: 4 }, () => new Gate(executor));
    const { node, providers } = await startMesh(stack, gates);
    const job = await submit(node, 3);
    await follow(node, job, isHeld);
    const held = (await node.requester.checkpoints(job)).find(({ snapshot }) => snapshot === 'held');
    const failing = providers.findIndex(({ peer }) => peer === held?.provider);
    for (const [index, gate] of gates.entries()) gate.opened.resolve(index === failing ? 'fail' : 'go on');
    const view = await node.requester.wait(job, { signal: signal() });
    expect(view).toMatchObject({ state: 'completed', result: { agreeing: { length: 3 }, dissenting: [] } });
    const resumed = view.attempts.find(({ resumedFrom }) => resumedFrom !== undefined);
    expect(resumed?.resumedFrom).toMatchObject({ lease: held?.lease });
    expect(resumed?.resumedFrom?.step).toBeGreaterThanOrEqual(10);
    // It lost its momentum, so its weights are others; of the rest two are the same, and one of those is accepted.
    expect(view.result?.withinTolerance?.leases).toEqual([resumed?.lease]);
    const largest = view.result?.withinTolerance?.largest;
    expect(largest?.path).toBe('/output/weights.f32');
    expect(Number(largest?.share)).toBeGreaterThan(0);
    expect(Number(largest?.share)).toBeLessThanOrEqual(1);
    expect(await exportAndVerify(node, job, 'outputs')).toEqual(['signed valid', 'replicated-within-tolerance valid']);
    // Without the files it is known of the two alone that ran undisturbed, which are byte-identical.
    expect(await exportAndVerify(node, job, 'evidence')).toEqual(['signed unchecked', 'replicated valid']);
  });
});
