import { describe, expect, it } from 'vitest';
import type { Resources } from '../../../../src/domain/job.ts';
import { ATTEMPT_SIGN_CODEC } from '../../../../src/scheduler/provider/checkpoints/attempt-origin.ts';
import { readReceipt } from '../../../support/provider-checkpoints.ts';
import { settle } from '../../../support/provider-clock.ts';
import { attach, type Disturbed, restart, standAt, standStill } from '../../../support/provider-restart.ts';
import type { ProviderRig } from '../../../support/provider-rig.ts';

const RESOURCES: Resources = {
  memoryBytes: 65_536,
  fuel: 1_000,
  wallTimeMs: 60_000,
  outputBytes: 1_000_000,
  logBytes: 1_000_000,
};

/** A program that has run 700 ms when its process dies; the lease was last renewed after 500 ms. */
async function runAWhile(wallTimeMs = 60_000) {
  const scene = await standAt(35, { job: { resources: { ...RESOURCES, wallTimeMs } } });
  scene.rig.executor.held[0]?.sink.progress({ fuel: 350, step: 35, cpuTimeMs: 40 });
  await scene.rig.clock.advance(700);
  return scene;
}

function readSign({ database }: ProviderRig, { lease }: Disturbed) {
  const row = database.rows('attempt-signs').get(lease);
  if (row === undefined) throw new TypeError('no sign');
  return ATTEMPT_SIGN_CODEC.decode(row);
}

/** The next process, as it stands after a step. */
async function goOn(rig: ProviderRig, step: number) {
  const { before, reached, release } = standStill(step);
  const { next } = await restart({ rig }, { plan: { before } });
  await reached;
  await settle();
  return { next, release };
}

const limitOf = ({ executor }: ProviderRig) => executor.held[0]?.task.resources.wallTimeMs;

describe('the time limit of an attempt that goes on after a restart', () => {
  it('is what the processes before have left of it', async () => {
    const scene = await runAWhile();
    expect(limitOf(scene.rig)).toBe(60_000);
    expect(readSign(scene.rig, scene)).toMatchObject({ wallTimeMs: 500, cpuTimeMs: 40 });
    const { next } = await goOn(scene.rig, 35);
    expect(limitOf(next)).toBe(59_500);
    next.executor.held[0]?.sink.progress({ fuel: 350, step: 35, cpuTimeMs: 30 });
    await next.clock.advance(600);
    expect(readSign(next, scene)).toMatchObject({ wallTimeMs: 1_000, cpuTimeMs: 70 });
    expect(limitOf((await goOn(next, 35)).next)).toBe(59_000);
  });

  it('counts up to each checkpoint, and to a stop', async () => {
    const scene = await runAWhile();
    const { next, release } = await goOn(scene.rig, 35);
    await next.clock.advance(100);
    const before = readSign(next, scene).wallTimeMs;
    release();
    await settle(40);
    expect(before).toBe(500);
    expect(readSign(next, scene).wallTimeMs).toBe(600);
    const other = await goOn(scene.rig, 35);
    await other.next.clock.advance(130);
    await other.next.provider.stop();
    expect(readSign(other.next, scene).wallTimeMs).toBe(630);
  });

  it.each([
    ['is a second at least', 800, 800, 800],
    ['is a second at least, if the job has one', 1_200, 1_200, 1_000],
  ])('%s', async (_, wallTimeMs, first, second) => {
    const scene = await runAWhile(wallTimeMs);
    expect(limitOf(scene.rig)).toBe(first);
    expect(limitOf((await goOn(scene.rig, 35)).next)).toBe(second);
  });
});

describe('the usage in a receipt', () => {
  it('is that of all processes', async () => {
    const scene = await runAWhile();
    const { release } = await goOn(scene.rig, 35);
    release();
    const { usage } = await readReceipt(await attach(scene.requester, scene.lease));
    // The scripted executor says 1 ms and 2 ms of each run.
    expect(usage).toEqual({ cpuTimeMs: 41, wallTimeMs: 502, peakMemoryBytes: 65_536 });
  });

  it('is told of attempts that were ended too', async () => {
    const scene = await runAWhile();
    const { next } = await goOn(scene.rig, 35);
    next.executor.held[0]?.sink.progress({ fuel: 350, step: 35, cpuTimeMs: 5 });
    await next.clock.advance(300);
    await scene.requester.sendOne({ op: 'cancel', leases: [scene.lease], reason: 'enough' });
    const { usage, result } = await readReceipt(await attach(scene.requester, scene.lease));
    expect(result.outcome).toMatchObject({ code: 'CANCELLED' });
    expect(usage).toMatchObject({ cpuTimeMs: 45, wallTimeMs: 800 });
  });

  it('is told of attempts that could not be gone on with', async () => {
    const scene = await runAWhile();
    await restart(scene, { options: { provider: { isEnabled: false } } });
    const { usage, result } = await readReceipt(await attach(scene.requester, scene.lease));
    expect(result.outcome).toMatchObject({ code: 'INTERNAL' });
    expect(usage).toMatchObject({ cpuTimeMs: 40, wallTimeMs: 500 });
  });
});
