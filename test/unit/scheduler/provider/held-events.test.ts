import { afterAll, describe, expect, it } from 'vitest';
import type { AttemptEvent } from '../../../../src/domain/messages.ts';
import {
  onlyLease,
  prepareStepping,
  readCheckpoints,
  readReceipt,
  startStepping,
  until,
} from '../../../support/provider-checkpoints.ts';
import { settle } from '../../../support/provider-clock.ts';
import {
  type HolderScene,
  type HolderSceneOptions,
  leaseOf,
  listHeldSteps,
  startWithHolder,
  stopWith,
} from '../../../support/provider-holder.ts';
import { attach, restart, SHARE_ALL, standStill } from '../../../support/provider-restart.ts';
import { type AnswerLog, leaseIdOf } from '../../../support/provider-rig.ts';

const stack = new AsyncDisposableStack();
afterAll(() => stack.disposeAsync());

/** An attempt that stands after a step, with a third party as holder. */
async function standWithHolder(step: number, options: HolderSceneOptions = {}) {
  const { before, reached, release } = standStill(step);
  const scene = await startWithHolder(stack, { ...options, plan: { steps: 55, before } });
  return { scene, reached, release };
}

/** The holder is asked and never answers. */
function silence({ switchboard, holder }: HolderScene): void {
  switchboard.join(holder.identity.peer).handle('job', async function* (_, { signal }) {
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    yield { kind: 'done' };
  });
}

async function pauseAt(step: number, options: HolderSceneOptions = {}, prepare?: (scene: HolderScene) => void) {
  const { scene, reached, release } = await standWithHolder(step, options);
  prepare?.(scene);
  const { work, log } = await leaseOf(scene);
  await reached;
  const lease = leaseIdOf(onlyLease(work));
  await scene.requester.sendOne({ op: 'pause', leases: [lease], reason: 'lunch' });
  release();
  await settle();
  return { scene, work, log, lease };
}

const heldIndexes = ({ events }: Pick<AnswerLog, 'events'>): number[] =>
  events.flatMap(({ event }: { readonly event: AttemptEvent }) => (event.kind === 'held' ? [event.index] : []));

describe('a provider whose lease names a third party as holder', () => {
  it('tells which snapshot the holder has, once it has it', async () => {
    const { scene, reached } = await standWithHolder(25);
    const { work, log } = await leaseOf(scene);
    let hadIt: readonly number[] = [];
    await reached;
    await log.until(() => {
      if (heldIndexes(log).at(-1) === 2 && hadIt.length === 0) hadIt = listHeldSteps(scene.holder, work);
      return hadIt.length > 0;
    });
    expect(hadIt).toContain(20);
    const [, , newest] = await readCheckpoints(log.events);
    expect(newest?.value).toMatchObject({ index: 2, step: 20 });
    const place = (kind: string): number => log.kinds.lastIndexOf(kind);
    expect(place('held')).toBeGreaterThan(place('checkpoint'));
  });

  it('tells nothing while the holder does not take it', async () => {
    const scene = await startWithHolder(stack, { hold: { for: 'nobody' } });
    const { log } = await leaseOf(scene);
    await log.done;
    expect(scene.rig.metrics.sums.get('fogproof_provider_hold_notices_total refused')).toBeGreaterThan(0);
    expect(log.kinds).not.toContain('held');
  });

  it('tells it again after a restart, since it may not have been heard', async () => {
    const { scene, reached } = await standWithHolder(25);
    const { work, log } = await leaseOf(scene);
    await reached;
    await log.until(() => heldIndexes(log).at(-1) === 2);
    log.drop();
    const again = standStill(25);
    stopWith(stack, (await restart(scene, { plan: { before: again.before } })).next);
    const fromSequence = log.events.at(-1)?.sequence ?? 0;
    const late = scene.requester.send({
      op: 'attach',
      leases: [{ lease: leaseIdOf(onlyLease(work)), fromSequence }],
    });
    await late.until(() => heldIndexes(late).length > 0);
    expect(heldIndexes(late)).toEqual([2]);
  });
});

describe('a provider whose requester holds the snapshots', () => {
  it('tells nothing of it', async () => {
    const { rig } = await startStepping({ steps: 25, every: 10 }, { provider: SHARE_ALL });
    const requester = await rig.requester();
    const log = requester.lease(await prepareStepping(requester));
    await log.done;
    expect(log.kinds).not.toContain('held');
  });
});

describe('the end of a paused attempt', () => {
  it('is told once the holder has its last snapshot', async () => {
    const { log } = await pauseAt(15);
    await log.done;
    expect(log.kinds.slice(-2)).toEqual(['held', 'receipt']);
    expect((await readCheckpoints(log.events)).at(-1)?.value.index).toBe(2);
    expect(heldIndexes(log).at(-1)).toBe(2);
    expect((await readReceipt(log)).result.outcome).toMatchObject({ code: 'PAUSED' });
  });

  it('is told at once where the holder does not take it', async () => {
    const { log } = await pauseAt(15, { hold: { for: 'nobody' } });
    await log.done;
    expect(log.kinds).not.toContain('held');
    expect((await readReceipt(log)).result.outcome).toMatchObject({ code: 'PAUSED' });
  });

  it('waits no longer than half of what its lease has left, and holds no slot', async () => {
    const { log, scene } = await pauseAt(15, {}, silence);
    await scene.clock.advance(1_900);
    expect(log.kinds).not.toContain('receipt');
    expect(scene.rig.provider.status().slots).toMatchObject({ running: 0, reserved: 0 });
    await scene.clock.advance(200);
    await log.done;
    expect((await readReceipt(log)).result.outcome).toMatchObject({ code: 'PAUSED' });
  });

  it('waits no longer than the provider is there', async () => {
    const { log, scene } = await pauseAt(15, {}, silence);
    expect(log.kinds).not.toContain('receipt');
    await scene.rig.provider.stop();
    await log.done;
    expect((await readReceipt(log)).result.outcome).toMatchObject({ code: 'PAUSED' });
  });

  it('is told with what is held to a requester that comes back after a restart', async () => {
    const { log, scene, lease } = await pauseAt(15);
    await log.done;
    const { next } = await restart(scene);
    stopWith(stack, next);
    const late = await attach(scene.requester, lease);
    expect(heldIndexes(late)).toEqual([2]);
    expect(late.kinds.slice(-2)).toEqual(['held', 'receipt']);
    const sequences = late.events.map(({ sequence }) => sequence);
    expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => a - b));
  });
});

describe('the end of any other attempt', () => {
  it('is told without waiting for the holder', async () => {
    const scene = await startWithHolder(stack);
    silence(scene);
    const { log } = await leaseOf(scene);
    await until('the receipt', () => log.kinds.includes('receipt'));
    expect((await readReceipt(log)).result.outcome).toEqual({ kind: 'completed' });
  });
});
