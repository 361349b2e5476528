import { describe, expect, it } from 'vitest';
import type { Checkpoint } from '../../../../src/domain/checkpoint.ts';
import { encodeHex } from '../../../../src/lib/bytes.ts';
import { computeStateRoot } from '../../../../src/proofs/state-root.ts';
import type { MemoryDatabase } from '../../../support/memory-database.ts';
import { MemoryDisk } from '../../../support/memory-disk.ts';
import {
  onlyLease,
  prepareStepping,
  readChain,
  readCheckpoints,
  readReceipt,
  startStepping,
  until,
} from '../../../support/provider-checkpoints.ts';
import { SteppedClock, settle } from '../../../support/provider-clock.ts';
import { ScriptedExecutor } from '../../../support/provider-executor.ts';
import {
  attach,
  type Disturbed,
  type Restart,
  restart,
  SHARE_ALL,
  serveModule,
  standAt,
} from '../../../support/provider-restart.ts';
import { leaseIdOf } from '../../../support/provider-rig.ts';
import { stateAt } from '../../../support/provider-steps.ts';

/** Every index has one head, state and time, however often it was told of; each is told. */
function assertOneChain(told: readonly { readonly value: Checkpoint }[]): void {
  const byIndex = new Map<number, string>();
  for (const { value } of told) {
    const { snapshot: _, ...link } = value;
    const text = JSON.stringify(link, (_key, part: unknown) => (part instanceof Uint8Array ? encodeHex(part) : part));
    expect(byIndex.get(value.index) ?? text).toBe(text);
    byIndex.set(value.index, text);
  }
}

function rootsOf(chain: { readonly links: readonly { step: number; stateRoot: Uint8Array }[] }, end = 55): void {
  expect(chain.links.map(({ stateRoot }) => encodeHex(stateRoot))).toEqual(
    chain.links.map(({ step }) => encodeHex(computeStateRoot(stateAt(step, { isDone: step === end })))),
  );
}

describe('a killed provider', () => {
  it('goes on under the same lease from its newest snapshot, and nothing that it told is contradicted', async () => {
    const scene = await standAt(35);
    scene.log.drop();
    const { next, runs } = await restart(scene);
    const from = scene.log.events.at(-1)?.sequence ?? 0;
    const log = await attach(scene.requester, scene.lease, from);
    expect(await runs[0]).toMatchObject({ beganAt: 30 });
    expect((await readReceipt(log)).result.outcome).toEqual({ kind: 'completed' });
    const chain = await readChain(log, scene.work);
    expect(chain.links.map(({ step }) => step)).toEqual([10, 20, 30, 40, 50, 55]);
    rootsOf(chain);
    const told = [...(await readCheckpoints(scene.log.events)), ...(await readCheckpoints(log.events))];
    assertOneChain(told);
    expect(told.map(({ value }) => value.index)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(told.slice(1).map(({ value }) => encodeHex(value.head))).toEqual(
      chain.heads.slice(0, 5).map((head) => encodeHex(head)),
    );
    expect(log.events.every(({ sequence }) => sequence > from)).toBe(true);
    expect(next.provider.status()).toMatchObject({ attempts: [], completed: 1, slots: { running: 0, reserved: 0 } });
  });

  it('tells who has missed everything of every link', async () => {
    const scene = await standAt(35);
    scene.log.drop();
    await restart(scene);
    const log = await attach(scene.requester, scene.lease);
    const told = await readCheckpoints(log.events);
    expect(told.map(({ value }) => value.index)).toEqual([0, 1, 2, 3, 4, 5]);
    const sequences = log.events.map(({ sequence }) => sequence);
    expect(sequences).toEqual([...new Set(sequences)].sort((a, b) => a - b));
  });

  it('opens its sealed snapshots again', async () => {
    const scene = await standAt(35, { sealed: true });
    scene.log.drop();
    const { runs } = await restart(scene);
    const log = await attach(scene.requester, scene.lease);
    expect((await readReceipt(log)).result.outcome).toEqual({ kind: 'completed' });
    expect(await runs[0]).toMatchObject({ beganAt: 30 });
  });

  it('begins at the beginning if no snapshot is left, and keeps to the chain that it told', async () => {
    const scene = await standAt(35);
    scene.log.drop();
    const { runs } = await restart(scene, { disk: new MemoryDisk() });
    const log = await attach(scene.requester, scene.lease);
    expect(await runs[0]).toMatchObject({ beganAt: 0 });
    expect((await readReceipt(log)).result.outcome).toEqual({ kind: 'completed' });
    assertOneChain([...(await readCheckpoints(scene.log.events)), ...(await readCheckpoints(log.events))]);
    rootsOf(await readChain(log, scene.work));
  });

  it('goes on from an older snapshot if the newest is damaged', async () => {
    const scene = await standAt(35);
    scene.log.drop();
    const disk = scene.rig.disk?.afterKill() ?? new MemoryDisk();
    const newest = disk.names.at(-1) ?? '';
    disk.flip(newest, (await disk.measure(newest)) - 2);
    const { runs } = await restart(scene, { disk });
    const log = await attach(scene.requester, scene.lease);
    expect((await readReceipt(log)).result.outcome).toEqual({ kind: 'completed' });
    expect((await runs[0])?.beganAt).toBeLessThan(30);
  });

  it('fails as STATE_MISMATCH if a step gives another state than it signed', async () => {
    const scene = await standAt(35);
    scene.log.drop();
    // Without a snapshot it runs all steps again, and those from the 20th on differ.
    await restart(scene, { disk: new MemoryDisk(), plan: { differsFrom: 15 } });
    const log = await attach(scene.requester, scene.lease);
    expect((await readReceipt(log)).result.outcome).toMatchObject({ kind: 'attempt-failed', code: 'STATE_MISMATCH' });
    assertOneChain([...(await readCheckpoints(scene.log.events)), ...(await readCheckpoints(log.events))]);
    expect((await readChain(log, scene.work)).links.map(({ step }) => step)).toEqual([10]);
  });

  it('fails as STATE_MISMATCH if it ends before a step that it signed', async () => {
    const scene = await standAt(35);
    scene.log.drop();
    await restart(scene, { disk: new MemoryDisk(), plan: { steps: 25 } });
    const log = await attach(scene.requester, scene.lease);
    expect((await readReceipt(log)).result.outcome).toMatchObject({ code: 'STATE_MISMATCH' });
  });

  it('fails as STATE_MISMATCH if its steps fall elsewhere', async () => {
    const scene = await standAt(35);
    scene.log.drop();
    await restart(scene, { disk: new MemoryDisk(), plan: { every: 12 } });
    const log = await attach(scene.requester, scene.lease);
    expect((await readReceipt(log)).result.outcome).toMatchObject({ code: 'STATE_MISMATCH' });
  });

  it('fails as STATE_MISMATCH if its rounds fall elsewhere, be their files the same', async () => {
    const scene = await standAt(35, { hasFiles: true });
    scene.log.drop();
    await restart(scene, { disk: new MemoryDisk(), plan: { every: 12, hasFiles: true } });
    const log = await attach(scene.requester, scene.lease);
    expect((await readReceipt(log)).result.outcome).toMatchObject({ code: 'STATE_MISMATCH' });
  });

  it('goes on with what had no checkpoint yet, from the beginning', async () => {
    const scene = await standAt(5);
    scene.log.drop();
    serveModule(scene);
    const { runs } = await restart(scene);
    const log = await attach(scene.requester, scene.lease);
    expect((await readReceipt(log)).result.outcome).toEqual({ kind: 'completed' });
    expect(await runs[0]).toMatchObject({ beganAt: 0 });
  });
});

describe('an attempt is not gone on with', () => {
  const interrupted = { kind: 'attempt-failed', code: 'INTERNAL' } as const;

  async function outcomeAfter(scene: Disturbed, change: Restart = {}) {
    scene.log.drop();
    const { next, runs } = await restart(scene, change);
    const log = await attach(scene.requester, scene.lease);
    expect(runs).toEqual([]);
    expect(next.provider.status().attempts).toEqual([]);
    return (await readReceipt(log)).result.outcome;
  }

  it('if it was down for longer than the lease', async () => {
    const scene = await standAt(35);
    // Nothing moves time in a dead process, and the restarted one has the clock of the first.
    const database = scene.rig.database.clone();
    const clock = new SteppedClock();
    await clock.advance(4_000);
    expect(await outcomeAfter(scene, { database, options: { clock } })).toMatchObject(interrupted);
  });

  it('if the executor counts otherwise now', async () => {
    const scene = await standAt(35);
    const executor = new ScriptedExecutor();
    Object.defineProperty(executor, 'instrumenter', { value: 'scripted/2' });
    expect(await outcomeAfter(scene, { options: { executor } })).toMatchObject(interrupted);
  });

  it('if the isolation that it was leased with is gone', async () => {
    const scene = await standAt(35);
    expect(await outcomeAfter(scene, { options: { executor: new ScriptedExecutor(['process']) } })).toMatchObject(
      interrupted,
    );
  });

  it('if providing was switched off', async () => {
    const scene = await standAt(35);
    const options = { provider: { ...SHARE_ALL, isEnabled: false } };
    expect(await outcomeAfter(scene, { options })).toMatchObject(interrupted);
  });

  it('if it makes no checkpoints', async () => {
    const { rig } = await startStepping({ steps: 5, every: 10 });
    rig.executor.behaviour = () => undefined;
    const requester = await rig.requester();
    const work = await requester.prepare();
    const log = requester.lease(work);
    await until('the run', () => rig.executor.held.length > 0);
    const scene = { rig, requester, work, log, lease: leaseIdOf(onlyLease(work)) };
    expect(await outcomeAfter(scene)).toMatchObject(interrupted);
  });

  it('if its requester was told that it ended, and that could not be written down', async () => {
    const scene = await standAt(35);
    scene.rig.database.onWrite = (operations) => {
      if (operations.some(({ namespace, kind }) => namespace === 'leases' && kind === 'put'))
        throw new RangeError('full');
    };
    scene.release();
    await scene.log.done;
    expect((await readReceipt(scene.log)).result.outcome).toMatchObject(interrupted);
    expect(await outcomeAfter(scene)).toMatchObject(interrupted);
  });
});

describe('a provider that is stopped', () => {
  it('leaves what makes checkpoints for the next process, without a receipt, and counts no crash', async () => {
    const scene = await standAt(35);
    await scene.rig.provider.stop();
    await scene.log.done;
    expect(scene.log.kinds).not.toContain('receipt');
    expect(scene.rig.executor.running).toBe(0);
    expect(scene.rig.clock.pending).toBe(1);
    for (let time = 0; time < 4; time += 1) {
      const { next } = await restart(scene, { plan: { before: () => new Promise(() => undefined) } });
      await until('the run', () => next.executor.held.length > 0);
      await settle();
      await next.provider.stop();
      Object.assign(scene, { rig: next });
    }
    expect(scene.rig.database.rows('poison-jobs').size).toBe(0);
    await restart(scene);
    const log = await attach(scene.requester, scene.lease, scene.log.events.at(-1)?.sequence);
    expect((await readReceipt(log)).result.outcome).toEqual({ kind: 'completed' });
    expect((await readChain(log, scene.work)).links.map(({ step }) => step)).toEqual([10, 20, 30, 40, 50, 55]);
  });

  it('leaves what it has just taken up, and has not begun, too', async () => {
    const scene = await standAt(35);
    scene.log.drop();
    const { next, runs } = await restart(scene);
    await next.provider.stop();
    expect(runs).toEqual([]);
    await restart({ rig: next });
    const log = await attach(scene.requester, scene.lease);
    expect((await readReceipt(log)).result.outcome).toEqual({ kind: 'completed' });
  });

  it('renews the lease soon after it is back', async () => {
    const scene = await standAt(35);
    scene.log.drop();
    const database = scene.rig.database.clone();
    await scene.rig.clock.advance(2_000);
    const { next } = await restart(scene, { database, plan: { before: () => new Promise(() => undefined) } });
    const log = scene.requester.send({ op: 'attach', leases: [{ lease: scene.lease, fromSequence: 0 }] });
    await next.clock.advance(500);
    expect(log.kinds).toContain('progress');
  });
});

describe('an attempt that ended before the restart', () => {
  it('is told of whole, checkpoints and receipt, to who attaches late', async () => {
    const { rig } = await startStepping({ steps: 55, every: 10 }, { provider: SHARE_ALL });
    const requester = await rig.requester();
    const work = await prepareStepping(requester);
    const first = requester.lease(work);
    await first.done;
    await restart({ rig });
    const log = await attach(requester, leaseIdOf(onlyLease(work)), 3);
    expect((await readCheckpoints(log.events)).map(({ value }) => value.index)).toEqual([0, 1, 2, 3, 4, 5]);
    rootsOf(await readChain(log, work));
    const rest = await attach(requester, leaseIdOf(onlyLease(work)), first.events.at(-3)?.sequence);
    expect(rest.kinds).toEqual(['receipt']);
  });
});

describe('a process that dies at any write', () => {
  async function runUntilWrite(count: number) {
    const { rig } = await startStepping({ steps: 25, every: 10 }, { provider: SHARE_ALL });
    const requester = await rig.requester();
    const work = await prepareStepping(requester);
    const log = requester.lease(work);
    let writes = 0;
    let left: { readonly database: MemoryDatabase; readonly disk: MemoryDisk } | undefined;
    rig.database.onWrite = () => {
      writes += 1;
      if (writes <= count) return;
      left ??= { database: rig.database.clone(), disk: rig.disk?.afterKill() ?? new MemoryDisk() };
      log.drop();
      throw new RangeError('dead');
    };
    await log.done.catch(() => undefined);
    await settle();
    return { rig, requester, work, log, left, lease: leaseIdOf(onlyLease(work)) };
  }

  it('never contradicts what it told, and comes to the same states', async () => {
    let goneOnWith = 0;
    for (let count = 1; ; count += 1) {
      const scene = await runUntilWrite(count);
      if (scene.left === undefined) break;
      serveModule(scene);
      await restart(scene, { ...scene.left, plan: { steps: 25 } });
      const before = await readCheckpoints(scene.log.events);
      const log = await attach(scene.requester, scene.lease, scene.log.events.at(-1)?.sequence ?? 0);
      if (log.find('unknown-lease') !== undefined) {
        expect(scene.log.responses).toEqual([]);
        continue;
      }
      const after = await readCheckpoints(log.events);
      const { outcome } = (await readReceipt(log)).result;
      if (outcome.kind === 'attempt-failed') {
        expect(outcome.detail).toBe('provider restarted while the attempt was live');
        expect(before).toEqual([]);
        continue;
      }
      goneOnWith += 1;
      assertOneChain([...before, ...after]);
      expect([...before, ...after].map(({ value }) => value.index)).toEqual([0, 1, 2]);
      rootsOf(await readChain(log, scene.work), 25);
    }
    expect(goneOnWith).toBeGreaterThan(3);
  });
});
