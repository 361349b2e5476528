import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { GpuRequest } from '../../../../../src/domain/gpu.ts';
import type { OfferResponse } from '../../../../../src/domain/messages.ts';
import { OFFER, type Offer } from '../../../../../src/domain/offer.ts';
import { openSigned } from '../../../../../src/proofs/signed-object.ts';
import { GPU_LOOKS, GPU_SAMPLE_MS, GPU_SETTLE_MS } from '../../../../../src/scheduler/provider/constants.ts';
import { MemoryDatabase } from '../../../../support/memory-database.ts';
import { settle } from '../../../../support/provider-clock.ts';
import { ANY_GPU, ScriptedGpuExecutor, ScriptedGpus, signGpuJob } from '../../../../support/provider-gpus.ts';
import {
  PARAMETERS,
  ProviderRig,
  type ProviderRigOptions,
  type TestRequester,
} from '../../../../support/provider-rig.ts';
import { h100 } from '../../../../support/smi-log.ts';

const GIB = 2 ** 30;
const hold = (): void => {};

interface Scene {
  readonly rig: ProviderRig;
  readonly gpus: ScriptedGpus;
  readonly executor: ScriptedGpuExecutor;
  readonly requester: TestRequester;
}

async function open(count: number, options: ProviderRigOptions = {}): Promise<Scene> {
  const gpus = new ScriptedGpus(count);
  const executor = new ScriptedGpuExecutor(hold);
  const provider = { slots: 4, ...options.provider };
  const rig = await ProviderRig.start({ gpus, executor, ...options, provider });
  return { rig, gpus, executor, requester: await rig.requester() };
}

async function ask({ requester }: Scene, request?: GpuRequest): Promise<OfferResponse> {
  return await requester.ask(await signGpuJob(requester, request));
}

async function offerOf(scene: Scene, answer: OfferResponse): Promise<Offer> {
  if (answer.kind !== 'offer') throw new TypeError(JSON.stringify(answer));
  return (await openSigned(OFFER, answer.offer, scene.rig.identity.peer)).value;
}

const refusalOf = (answer: OfferResponse) => (answer.kind === 'refused' ? answer.refusal : undefined);
const uuidsOf = ({ executor }: Scene, index: number) =>
  executor.held[index]?.task.gpus?.grants.map(({ uuid }) => uuid) ?? [];

async function lease(scene: Scene, request?: GpuRequest) {
  const log = scene.requester.lease(await scene.requester.prepare(await signGpuJob(scene.requester, request)), []);
  await settle(30);
  return log;
}

describe('an offer of GPUs', () => {
  it('says what is given, and holds it', async () => {
    const scene = await open(2);
    expect((await offerOf(scene, await ask(scene))).gpus).toEqual([
      { model: 'NVIDIA H100 80GB HBM3', memoryBytes: h100(0).memoryMebibytes * 2 ** 20, mig: null },
    ]);
    expect((await offerOf(scene, await ask(scene))).gpus).toHaveLength(1);
    expect(refusalOf(await ask(scene))).toEqual({
      code: 'GPU_UNAVAILABLE',
      detail: '1 of one model asked for; of 2 such GPUs 2 are leased or promised',
      retryAfterMs: 30_000,
    });
    await scene.rig.clock.advance(PARAMETERS.offerTtlMs + 1);
    expect((await ask(scene)).kind).toBe('offer');
  });

  it('is made of all that are asked for or not at all', async () => {
    const scene = await open(2);
    expect((await offerOf(scene, await ask(scene, { ...ANY_GPU, count: 2 }))).gpus).toHaveLength(2);
    expect(refusalOf(await ask(await open(2), { ...ANY_GPU, count: 3 }))?.code).toBe('GPU_UNAVAILABLE');
    expect(refusalOf(await ask(await open(2), { ...ANY_GPU, minMemoryBytes: 100 * GIB }))?.detail).toMatch(/has none/);
    expect(refusalOf(await ask(await open(2), { ...ANY_GPU, models: ['a100'] }))?.code).toBe('GPU_UNAVAILABLE');
    expect(refusalOf(await ask(await open(2), { ...ANY_GPU, mig: '1g.10gb' }))?.code).toBe('GPU_UNAVAILABLE');
  });

  it('is not made of what others use', async () => {
    const scene = await open(1);
    scene.gpus.use(0, true);
    expect(refusalOf(await ask(scene))?.detail).toMatch(/process 99 computes on it/);
    scene.gpus.use(0, false);
    expect((await ask(scene)).kind).toBe('offer');
  });

  it('is not made by a node that lends none, nor for jobs that come in batches', async () => {
    const executor = new ScriptedGpuExecutor();
    const rig = await ProviderRig.start({ executor });
    expect(
      refusalOf(await ask({ rig, executor, gpus: new ScriptedGpus(0), requester: await rig.requester() }))?.code,
    ).toBe('GPU_UNAVAILABLE');
    const scene = await open(2);
    const [first, second] = [await signGpuJob(scene.requester), await signGpuJob(scene.requester)];
    const batch = await scene.requester.signJobs(...[...first, ...second].map(({ value }) => value));
    expect(refusalOf(await scene.requester.ask(batch))?.detail).toMatch(/one by one/);
  });

  it('costs as much as its GPUs of their class', async () => {
    const pricesPerHour = [
      { capabilityClass: 'cpu' as const, price: '1' },
      { capabilityClass: 'gpu-datacentre' as const, price: '3600' },
    ];
    const scene = await open(2, { provider: { pricesPerHour } });
    const priced = await signGpuJob(scene.requester, { ...ANY_GPU, count: 2 }, { priceCeiling: '120' });
    expect((await offerOf(scene, await scene.requester.ask(priced))).price).toBe('120');
    const cheap = await signGpuJob(scene.requester, ANY_GPU, { priceCeiling: '59' });
    expect(refusalOf(await (await open(2, { provider: { pricesPerHour } })).requester.ask(cheap))?.code).toBe(
      'PRICE_TOO_LOW',
    );
  });

  it('leaves jobs without GPUs alone, and looks at no GPU for them', async () => {
    const scene = await open(1);
    const before = scene.gpus.looks;
    const answer = await scene.requester.ask(
      await signGpuJob(scene.requester, undefined, {
        resources: { ...scene.requester.describeJob().resources, fuel: null },
      }),
    );
    expect((await offerOf(scene, answer)).gpus).toBeUndefined();
    expect(scene.gpus.looks).toBe(before);
  });
});

describe('a lease of GPUs', () => {
  it('gives them to the program, and frees them when it has ended', async () => {
    const scene = await open(1);
    const log = await lease(scene);
    expect(uuidsOf(scene, 0)).toEqual([h100(0).uuid]);
    expect(refusalOf(await ask(scene))?.code).toBe('GPU_UNAVAILABLE');
    scene.executor.held[0]?.finish();
    await log.until(({ kinds }) => kinds.includes('receipt'));
    await settle();
    expect((await ask(scene)).kind).toBe('offer');
  });

  it('takes equal ones where others use those that were promised', async () => {
    const scene = await open(2);
    const work = await scene.requester.prepare(await signGpuJob(scene.requester));
    scene.gpus.use(0, true);
    scene.requester.lease(work, []);
    await settle(30);
    expect(uuidsOf(scene, 0)).toEqual([h100(1).uuid]);
  });

  it('waits a moment for a process that has just ended, and fails through the provider if it stays', async () => {
    const scene = await open(1);
    const work = await scene.requester.prepare(await signGpuJob(scene.requester));
    scene.gpus.use(0, true);
    const log = scene.requester.lease(work, []);
    await settle(30);
    expect(scene.executor.held).toHaveLength(0);
    for (let look = 0; look < GPU_LOOKS; look += 1) await scene.rig.clock.advance(GPU_SETTLE_MS);
    await log.until(({ kinds }) => kinds.includes('receipt'));
    expect(scene.executor.held).toHaveLength(0);
    scene.gpus.use(0, false);
    expect((await ask(scene)).kind).toBe('offer');
  });

  it('tells its requester every few seconds how busy they are, and no longer than the program runs', async () => {
    const scene = await open(1);
    const log = await lease(scene);
    scene.gpus.gpus = [h100(0, { utilisation: '87 %', usedMebibytes: 1000, processes: [{ pid: 1 }] })];
    const samples = () =>
      log.events.flatMap(({ event }) => (event.kind === 'metric' ? [`${event.name} ${event.value}`] : []));
    const live = async (ms: number): Promise<void> => {
      scene.executor.held[0]?.sink.progress({ fuel: null, step: 0, cpuTimeMs: 1 });
      await scene.rig.clock.advance(ms);
    };
    for (let elapsedMs = 1_000; elapsedMs < GPU_SAMPLE_MS; elapsedMs += 1_000) await live(1_000);
    expect(samples()).toEqual([]);
    await live(1_100);
    expect(samples()).toEqual(['gpu.utilisation 0.87', `gpu.memoryBytes ${1000 * 2 ** 20}`]);
    scene.executor.held[0]?.finish();
    await log.until(({ kinds }) => kinds.includes('receipt'));
    const looks = scene.gpus.looks;
    await scene.rig.clock.advance(3 * GPU_SAMPLE_MS);
    expect(samples()).toHaveLength(2);
    expect(scene.gpus.looks).toBe(looks);
  });

  it('is over when its provider dies: the next process holds nothing', async () => {
    const database = new MemoryDatabase();
    const scene = await open(1, { database });
    await lease(scene);
    expect(uuidsOf(scene, 0)).toHaveLength(1);
    const next = await open(1, { database: database.clone(), clock: scene.rig.clock });
    expect((await ask(next)).kind).toBe('offer');
    const remains = await open(1, { database: new MemoryDatabase() });
    remains.gpus.use(0, true);
    expect(refusalOf(await ask(remains))?.code).toBe('GPU_UNAVAILABLE');
  });
});

type Step =
  | { readonly kind: 'lease'; readonly count: number }
  | { readonly kind: 'ask' | 'finish' | 'crash' | 'use' | 'leave'; readonly index: number }
  | { readonly kind: 'die' | 'expire' };

const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('lease' as const), count: fc.integer({ min: 1, max: 2 }) }) },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constantFrom('ask', 'finish', 'crash', 'use', 'leave'), index: fc.nat(2) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('die', 'expire') }) },
);

/** GPUs that programs have which run in this scene now. */
function runningIn({ executor }: Scene): readonly (readonly string[])[] {
  return executor.held
    .filter((held) => !ended.has(held) && !held.signal.aborted)
    .map(({ task }) => task.gpus?.grants.map(({ uuid }) => uuid) ?? []);
}
const ended = new WeakSet<object>();

async function take(scene: Scene, step: Step): Promise<void> {
  const running = scene.executor.held.filter((held) => !ended.has(held) && !held.signal.aborted);
  switch (step.kind) {
    case 'lease': {
      const answer = await signGpuJob(scene.requester, { ...ANY_GPU, count: step.count });
      await scene.requester.prepare(answer).then((work) => scene.requester.lease(work, []), hold);
      break;
    }
    case 'ask':
      await ask(scene);
      break;
    case 'finish':
    case 'crash': {
      const held = running[step.index % Math.max(1, running.length)];
      if (held === undefined) break;
      ended.add(held);
      if (step.kind === 'finish') held.finish();
      else held.crash(new Error('the sandbox is gone'));
      break;
    }
    case 'use':
    case 'leave':
      scene.gpus.use(step.index, step.kind === 'use');
      break;
    case 'expire':
      await scene.rig.clock.advance(PARAMETERS.offerTtlMs + 61_000);
      break;
    case 'die':
      break;
    default:
      return step satisfies never;
  }
  await settle(20);
}

describe('leases of GPUs, whatever happens', () => {
  it('are never of one GPU twice, and leave none behind', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(steps, { maxLength: 14 }), async (course) => {
        let scene = await open(3);
        for (const step of course) {
          if (step.kind === 'die') {
            // The process is gone with all that it ran, at once; what it had journalled is not.
            const { clock } = scene.rig;
            const database = scene.rig.database.clone();
            const { gpus } = scene.gpus;
            scene = await open(3, { database, clock });
            scene.gpus.gpus = gpus;
          } else await take(scene, step);
          const given = runningIn(scene).flat();
          expect(new Set(given).size).toBe(given.length);
        }
        for (const held of scene.executor.held) held.finish();
        for (const index of [0, 1, 2]) scene.gpus.use(index, false);
        await scene.rig.clock.advance(200_000);
        expect(await describeFree(scene)).toBe('offer');
        await scene.rig.provider.stop();
      }),
      { numRuns: 25 },
    );
  });
});

/** All three at once are to be had again, by somebody who has asked for nothing before. */
async function describeFree(scene: Scene): Promise<string> {
  const requester = await scene.rig.requester(42);
  const answer = await requester.ask(await signGpuJob(requester, { ...ANY_GPU, count: 3 }));
  return answer.kind === 'offer' ? 'offer' : JSON.stringify(answer);
}
