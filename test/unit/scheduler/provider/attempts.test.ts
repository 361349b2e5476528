import { describe, expect, it } from 'vitest';
import { LEASE_ACCEPTANCE, PROGRESS } from '../../../../src/domain/lease.ts';
import { RECEIPT } from '../../../../src/domain/receipt.ts';
import { encodeUtf8 } from '../../../../src/lib/bytes.ts';
import { openMany, openSigned } from '../../../../src/proofs/signed-object.ts';
import { SandboxError } from '../../../../src/sandbox/errors.ts';
import { settle } from '../../../support/provider-clock.ts';
import type { HeldExecution, ScriptedExecutor } from '../../../support/provider-executor.ts';
import { type AnswerLog, blobIdOf, leaseIdOf, MODULE, ProviderRig } from '../../../support/provider-rig.ts';

async function receiptOf(log: AnswerLog) {
  const last = log.events.at(-1)?.event;
  if (last?.kind !== 'receipt') throw new TypeError(`the last event is ${last?.kind}`);
  return { ...(await openSigned(RECEIPT, last.receipt)), inlineBlobs: last.inlineBlobs };
}

function hold(executor: ScriptedExecutor): void {
  executor.behaviour = () => undefined;
}

async function heldBy(executor: ScriptedExecutor, index = 0): Promise<HeldExecution> {
  for (let turn = 0; turn < 200 && executor.held[index] === undefined; turn += 1) await settle(1);
  const execution = executor.held[index];
  if (execution === undefined) throw new TypeError('nothing is executed');
  return execution;
}

describe('an attempt', () => {
  it('is countersigned, run, and ends with a receipt that carries small outputs', async () => {
    const rig = await ProviderRig.start();
    const requester = await rig.requester();
    const work = await requester.prepare();
    const log = requester.lease(work);
    await log.done;
    const acceptances = await openMany(
      LEASE_ACCEPTANCE,
      log.find('leased')?.acceptances ?? { kind: 'each', items: [] },
      rig.identity.peer,
    );
    expect(acceptances.map(({ value }) => value.lease)).toEqual([work.leases[0]?.id]);
    expect(log.kinds).toEqual(['running', 'finished', 'receipt']);
    const receipt = await receiptOf(log);
    expect(receipt.signer).toBe(rig.identity.peer);
    expect(receipt.value.result.outcome).toEqual({ kind: 'completed' });
    expect(receipt.value.result.outputs).toEqual([
      { path: '/out.txt', blob: blobIdOf(encodeUtf8('42')), sizeBytes: 2 },
    ]);
    expect(receipt.inlineBlobs).toEqual([{ blob: blobIdOf(encodeUtf8('42')), bytes: encodeUtf8('42') }]);
    expect(receipt.value.salt).toBeNull();
    expect(rig.provider.status()).toMatchObject({ slots: { total: 2, reserved: 0, running: 0 }, completed: 1 });
  });

  it('journals the lease durably before it is countersigned', async () => {
    const rig = await ProviderRig.start();
    const requester = await rig.requester();
    const work = await requester.prepare();
    const durable: boolean[] = [];
    rig.database.onWrite = (operations, options) => {
      if (operations.some(({ key }) => key === work.leases[0]?.id)) durable.push(options.durable === true);
    };
    await requester.lease(work).until((log) => log.find('leased') !== undefined);
    expect(durable[0]).toBe(true);
  });

  it('answers nothing and frees its slot if the journal fails', async () => {
    const rig = await ProviderRig.start();
    const requester = await rig.requester();
    const work = await requester.prepare();
    rig.database.onWrite = () => {
      throw new RangeError('disk full');
    };
    const log = requester.lease(work);
    await expect(log.done).rejects.toThrow('disk full');
    expect(log.find('leased')).toBeUndefined();
    expect(rig.provider.status().slots).toEqual({ total: 2, reserved: 0, running: 0 });
    expect(rig.executor.held).toEqual([]);
  });

  it('streams logs and metrics in program order, in few frames', async () => {
    const rig = await ProviderRig.start();
    hold(rig.executor);
    const requester = await rig.requester();
    const log = requester.lease(await requester.prepare());
    const execution = await heldBy(rig.executor);
    for (let step = 0; step < 100; step += 1) {
      execution.sink.log('stdout', `line ${step}`, 2 * step + 1);
      execution.sink.metric('loss', String(step), step, 2 * step + 2);
    }
    await settle();
    const before = log.responses.length;
    await rig.clock.advance(50);
    await log.until(({ events }) => events.length >= 201);
    expect(log.responses.length - before).toBeLessThanOrEqual(1);
    execution.finish();
    await log.done;
    const texts = log.events.flatMap(({ event }) => (event.kind === 'log' ? [event.text] : []));
    expect(texts).toEqual(Array.from({ length: 100 }, (_, step) => `line ${step}`));
    const sequences = log.events.map(({ sequence }) => sequence);
    expect(sequences).toEqual(sequences.map((_, index) => index + 1));
  });

  it('renews its lease by signed progress while the executor shows life', async () => {
    const rig = await ProviderRig.start();
    hold(rig.executor);
    const requester = await rig.requester();
    const log = requester.lease(await requester.prepare());
    const execution = await heldBy(rig.executor);
    for (let beat = 1; beat <= 40; beat += 1) {
      execution.sink.progress({ fuel: beat * 10, step: beat, cpuTimeMs: beat });
      await rig.clock.advance(250);
    }
    const progress = log.events.flatMap(({ event }) => (event.kind === 'progress' ? [event.progress] : []));
    // Ten seconds at a renewal of one second: at least every half second.
    expect(progress.length).toBeGreaterThanOrEqual(20);
    const opened = await Promise.all(progress.map((wire) => openSigned(PROGRESS, wire, rig.identity.peer)));
    expect(opened.map(({ value }) => value.sequence)).toEqual(opened.map((_, index) => index + 1));
    expect(rig.provider.status().attempts[0]?.phase).toBe('running');
    execution.finish();
    await log.done;
    expect((await receiptOf(log)).value.result.outcome.kind).toBe('completed');
  });

  it('ends when the executor shows no life for as long as a lease lasts', async () => {
    const rig = await ProviderRig.start();
    hold(rig.executor);
    const requester = await rig.requester();
    const log = requester.lease(await requester.prepare());
    const execution = await heldBy(rig.executor);
    await rig.clock.advance(4_500);
    await log.done;
    expect(execution.signal.aborted).toBe(true);
    expect((await receiptOf(log)).value.result.outcome).toMatchObject({ code: 'LEASE_EXPIRED' });
    expect(rig.provider.status().slots.running).toBe(0);
  });

  it('ends at the deadline of the job even if the program lives on', async () => {
    const rig = await ProviderRig.start();
    hold(rig.executor);
    const requester = await rig.requester();
    const job = requester.describeJob();
    const deadlineMs = (rig.clock.nowMs() + 2_000) as typeof job.deadlineMs;
    const log = requester.lease(await requester.prepare(await requester.signJobs({ ...job, deadlineMs })));
    const execution = await heldBy(rig.executor);
    for (let beat = 0; beat < 10; beat += 1) {
      execution.sink.progress({ fuel: beat, step: beat, cpuTimeMs: beat });
      await rig.clock.advance(250);
    }
    await log.done;
    expect((await receiptOf(log)).value.result.outcome).toMatchObject({
      code: 'LEASE_EXPIRED',
      detail: 'the deadline of the job passed',
    });
  });

  it('goes on without its requester, who attaches again and misses nothing', async () => {
    const rig = await ProviderRig.start();
    hold(rig.executor);
    const requester = await rig.requester();
    const work = await requester.prepare();
    const first = requester.lease(work);
    const execution = await heldBy(rig.executor);
    await first.until(({ events }) => events.length > 0);
    first.drop();
    execution.sink.log('stdout', 'while away', 1);
    const lease = leaseIdOf(work.leases[0] as never);
    const second = requester.send({ op: 'attach', leases: [{ lease, fromSequence: 1 }] });
    await second.until(({ events }) => events.length > 0);
    execution.finish();
    await second.done;
    expect(second.kinds).toEqual(['log', 'finished', 'receipt']);
    const third = requester.send({ op: 'attach', leases: [{ lease, fromSequence: 0 }] });
    await third.done;
    expect(third.kinds).toEqual(['running', 'log', 'finished', 'receipt']);
  });

  it('is cancelled by its requester and by nobody else', async () => {
    const rig = await ProviderRig.start();
    hold(rig.executor);
    const requester = await rig.requester(9);
    const stranger = await rig.requester(8);
    const work = await requester.prepare();
    const leases = work.leases.map(leaseIdOf);
    const log = requester.lease(work);
    const execution = await heldBy(rig.executor);
    await stranger.sendOne({ op: 'cancel', leases, reason: 'mine now' });
    await settle();
    expect(execution.signal.aborted).toBe(false);
    const spy = stranger.send({ op: 'attach', leases: leases.map((lease) => ({ lease, fromSequence: 0 })) });
    await spy.done;
    expect(spy.responses).toEqual([{ kind: 'unknown-lease', lease: leases[0] }]);
    await requester.sendOne({ op: 'cancel', leases, reason: 'changed my mind' });
    await log.done;
    expect((await receiptOf(log)).value.result.outcome).toMatchObject({ kind: 'attempt-failed', code: 'CANCELLED' });
    const late = stranger.send({ op: 'attach', leases: leases.map((lease) => ({ lease, fromSequence: 0 })) });
    await late.done;
    expect(late.responses).toEqual([{ kind: 'unknown-lease', lease: leases[0] }]);
  });

  it('fails as the host’s fault when the executor throws', async () => {
    const rig = await ProviderRig.start();
    rig.executor.behaviour = (execution) => execution.crash(new RangeError('secret path /home/op'));
    const requester = await rig.requester();
    const log = requester.lease(await requester.prepare());
    await log.done;
    const { outcome } = (await receiptOf(log)).value.result;
    expect(outcome).toEqual({
      kind: 'attempt-failed',
      code: 'INTERNAL',
      detail: 'an unexpected error of the provider',
    });
    expect(rig.provider.status()).toMatchObject({ failed: 1, slots: { running: 0, reserved: 0 } });
  });

  it('says so if the host cannot run it as leased', async () => {
    const rig = await ProviderRig.start();
    rig.executor.behaviour = (execution) => execution.crash(new SandboxError({ code: 'SANDBOX_CLOSED' }));
    const requester = await rig.requester();
    const log = requester.lease(await requester.prepare());
    await log.done;
    expect((await receiptOf(log)).value.result.outcome).toMatchObject({ code: 'EXECUTOR_UNAVAILABLE' });
  });

  it('gives a program’s failure as a result', async () => {
    const rig = await ProviderRig.start();
    const outcome = { kind: 'program-failed', code: 'OUT_OF_FUEL', detail: 'after 1000' } as const;
    rig.executor.behaviour = (execution) => execution.finish({ outcome, outputs: [] });
    const requester = await rig.requester();
    const log = requester.lease(await requester.prepare());
    await log.done;
    expect((await receiptOf(log)).value.result.outcome).toEqual(outcome);
  });

  it('puts large outputs into the store and grants them to the requester alone', async () => {
    const rig = await ProviderRig.start();
    const bytes = new Uint8Array(100_000).fill(3);
    rig.executor.behaviour = (execution) => execution.finish({ outputs: [{ path: '/big', bytes }] });
    const requester = await rig.requester(9);
    const stranger = await rig.requester(8);
    const work = await requester.prepare();
    const log = requester.lease(work);
    await log.done;
    expect((await receiptOf(log)).inlineBlobs).toEqual([]);
    const read = { op: 'read' as const, blob: blobIdOf(bytes), offset: 0, maxBytes: 10 };
    const { peer } = rig.identity;
    expect(await requester.transport.request(peer, 'blob', read)).toMatchObject({ kind: 'chunk', sizeBytes: 100_000 });
    expect(await stranger.transport.request(peer, 'blob', read)).toEqual({ kind: 'not-found' });
    expect(rig.blobs.pinned).toEqual([blobIdOf(bytes)]);
    await requester.sendOne({ op: 'close', leases: work.leases.map(leaseIdOf) });
    expect(rig.blobs.pinned).toEqual([]);
    expect(await requester.transport.request(peer, 'blob', read)).toEqual({ kind: 'not-found' });
  });
});

describe('inputs', () => {
  it('are fetched from the requester when they did not come with the lease', async () => {
    const rig = await ProviderRig.start();
    const requester = await rig.requester();
    const input = encodeUtf8('1,2,3');
    const { blob } = await requester.blobs.put(input);
    const { blob: module } = await requester.blobs.put(MODULE);
    requester.grants.grant(rig.identity.peer, [blob, module]);
    const job = requester.describeJob({ inputs: [{ path: '/in.csv', blob, sizeBytes: input.length }] });
    const log = requester.lease(await requester.prepare(await requester.signJobs(job)), []);
    await log.done;
    expect(log.kinds).toEqual(['fetching', 'running', 'finished', 'receipt']);
    expect(rig.executor.held[0]?.task.inputs).toEqual([{ path: '/in.csv', bytes: input }]);
    expect(rig.executor.held[0]?.task.module).toEqual(MODULE);
  });

  it('that the requester does not hand out make the attempt fail', async () => {
    const rig = await ProviderRig.start();
    const requester = await rig.requester();
    const log = requester.lease(await requester.prepare(), []);
    await log.done;
    expect((await receiptOf(log)).value.result.outcome).toMatchObject({ code: 'INPUT_UNAVAILABLE' });
    expect(rig.executor.held).toEqual([]);
  });

  it('that are not what their id says are not used', async () => {
    const rig = await ProviderRig.start();
    const requester = await rig.requester();
    const work = await requester.prepare();
    const request = requester.leaseRequest(work, []);
    if (request.op !== 'lease') throw new TypeError();
    const forged = { blob: blobIdOf(MODULE), bytes: encodeUtf8('\0asm madule') };
    const log = requester.send({ ...request, inlineBlobs: [forged] });
    await log.done;
    expect((await receiptOf(log)).value.result.outcome).toMatchObject({ code: 'INPUT_UNAVAILABLE' });
    expect(rig.executor.held).toEqual([]);
  });

  it('are never read from what the store holds of others', async () => {
    const rig = await ProviderRig.start();
    const secret = encodeUtf8('the output of somebody else');
    const { blob } = await rig.blobs.put(secret);
    const thief = await rig.requester(8);
    const job = thief.describeJob({ inputs: [{ path: '/in', blob, sizeBytes: secret.length }] });
    const log = thief.lease(await thief.prepare(await thief.signJobs(job)));
    await log.done;
    expect((await receiptOf(log)).value.result.outcome).toMatchObject({ code: 'INPUT_UNAVAILABLE' });
    expect(rig.executor.held).toEqual([]);
    // Nor by sending other bytes under that id.
    thief.blobs.blobs.set(blob, encodeUtf8('some bytes of the same size'));
    thief.grants.grant(rig.identity.peer, [blob]);
    const again = thief.lease(await thief.prepare(await thief.signJobs({ ...job, nonce: new Uint8Array(16) })));
    await again.done;
    expect((await receiptOf(again)).value.result.outcome).toMatchObject({ code: 'INPUT_UNAVAILABLE' });
    expect(rig.executor.held).toEqual([]);
  });

  it('that came inline once need not be sent again', async () => {
    const rig = await ProviderRig.start();
    const requester = await rig.requester();
    await requester.lease(await requester.prepare()).done;
    const log = requester.lease(await requester.prepare(), []);
    await log.done;
    expect((await receiptOf(log)).value.result.outcome.kind).toBe('completed');
  });
});
