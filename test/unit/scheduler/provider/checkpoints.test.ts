import { describe, expect, it } from 'vitest';
import { RECEIPT } from '../../../../src/domain/receipt.ts';
import { areBytesEqual } from '../../../../src/lib/bytes.ts';
import { NO_PARENT } from '../../../../src/proofs/checkpoint-chain.ts';
import { openMany } from '../../../../src/proofs/signed-object.ts';
import { computeStateRoot } from '../../../../src/proofs/state-root.ts';
import { verifyCheckpoint } from '../../../../src/proofs/verify-chain.ts';
import { MAX_BUFFERED_CHECKPOINTS } from '../../../../src/scheduler/provider/constants.ts';
import { JOB_PROVIDER_DEFAULTS } from '../../../../src/scheduler/provider/options.ts';
import {
  onlyJob,
  onlyLease,
  prepareStepping,
  readChain,
  readCheckpoints,
  readReceipt,
  startStepping,
  until,
} from '../../../support/provider-checkpoints.ts';
import { blobIdOf } from '../../../support/provider-rig.ts';
import { runSteps, stateAt } from '../../../support/provider-steps.ts';

/** Snapshots at the first checkpoint only. */
const frugal = () => ({ ...JOB_PROVIDER_DEFAULTS.snapshots, share: Number.MIN_VALUE });
const MISSING = blobIdOf(new Uint8Array([0]));
const FAILED = { kind: 'program-failed', code: 'TRAP', detail: 'unreachable' } as const;

describe('an attempt with checkpoints', () => {
  it('tells of its start with the first link, of each link after it, and of its end in the receipt alone', async () => {
    const { rig } = await startStepping({ steps: 35, every: 10 });
    const requester = await rig.requester();
    const work = await prepareStepping(requester);
    const log = requester.lease(work);
    await log.done;
    const told = await readCheckpoints(log.events);
    expect(told.map(({ value }) => [value.index, value.step])).toEqual([
      [0, 0],
      [1, 10],
      [2, 20],
      [3, 30],
    ]);
    expect(log.kinds).toEqual(['running', ...Array(4).fill('checkpoint'), 'finished', 'receipt']);
    const chain = await readChain(log, work);
    expect(chain.links.map(({ step }) => step)).toEqual([10, 20, 30, 35]);
    expect(chain.links.map(({ stateRoot }) => stateRoot)).toEqual(
      [10, 20, 30, 35].map((step) => computeStateRoot(stateAt(step, { isDone: step === 35 }))),
    );
  });

  it('signs links that follow on each other and on the start, as docs/stepping.md says', async () => {
    const { rig } = await startStepping({ steps: 25, every: 10 });
    const requester = await rig.requester();
    const work = await prepareStepping(requester);
    const log = requester.lease(work);
    await log.done;
    let previous: { index: number; step: number; head: Uint8Array } | null = null;
    for (const checkpoint of await readCheckpoints(log.events)) {
      const context = { job: onlyJob(work), lease: onlyLease(work), previous };
      expect(verifyCheckpoint(checkpoint, context)).toMatchObject({ ok: true });
      previous = checkpoint.value;
    }
    const [start, ...links] = await readCheckpoints(log.events);
    expect(start?.value.previous).toEqual(NO_PARENT);
    expect((await readChain(log, work)).heads.slice(0, 2)).toEqual(links.map(({ value }) => value.head));
  });

  it('journals each link durably before it is told', async () => {
    const { rig } = await startStepping({ steps: 25, every: 10 });
    const requester = await rig.requester();
    const log = requester.lease(await prepareStepping(requester));
    const seen: [told: number, isDurable: boolean][] = [];
    rig.database.onWrite = (operations, options) => {
      const links = operations.filter(({ namespace }) => namespace === 'checkpoints').length;
      if (links === 0) return;
      seen.push([log.kinds.filter((kind) => kind === 'checkpoint').length, options.durable === true]);
    };
    await log.done;
    expect(seen).toEqual([
      [0, true],
      [2, true],
    ]);
  });

  it('that is short costs no event, no row and no snapshot more than one without', async () => {
    const { rig } = await startStepping({ steps: 5, every: 10 });
    const requester = await rig.requester();
    const work = await prepareStepping(requester);
    const log = requester.lease(work);
    const durable: string[] = [];
    rig.database.onWrite = (operations, options) => {
      if (options.durable === true) durable.push(...operations.map(({ namespace }) => namespace));
    };
    await log.done;
    expect(log.kinds).toEqual(['running', 'finished', 'receipt']);
    // With its lease and its end: what they count for towards the quota of its requester.
    expect(durable).toEqual(['leases', 'requester-usage', 'leases', 'requester-usage']);
    expect(rig.database.rows('checkpoints').size).toBe(0);
    expect(rig.snapshots?.usage().snapshots).toBe(0);
    const chain = await readChain(log, work);
    expect(chain.links.map(({ step }) => step)).toEqual([5]);
  });

  it('has the links there are in its receipt when the program fails, and none for the failing step', async () => {
    const { rig } = await startStepping({ steps: 25, every: 10, outcome: FAILED });
    const requester = await rig.requester();
    const work = await prepareStepping(requester);
    const log = requester.lease(work);
    await log.done;
    expect((await readReceipt(log)).result.outcome).toEqual(FAILED);
    expect((await readChain(log, work)).links.map(({ step }) => step)).toEqual([10, 20]);
  });

  it('has a root over its start alone where there is no other link', async () => {
    const { rig } = await startStepping({ steps: 5, every: 10, outcome: FAILED });
    const requester = await rig.requester();
    const work = await prepareStepping(requester);
    const log = requester.lease(work);
    await log.done;
    const chain = await readChain(log, work);
    expect(chain.links).toEqual([]);
    expect((await readReceipt(log)).checkpointChain?.links).toBe(0);
  });

  it('has neither root nor chain where the program did not begin, or the job makes none', async () => {
    const { rig } = await startStepping({ steps: 5, every: 10 });
    rig.executor.behaviour = (execution) => execution.finish();
    const requester = await rig.requester();
    for (const work of [await prepareStepping(requester), await requester.prepare()]) {
      const log = requester.lease(work);
      await log.done;
      const receipt = await readReceipt(log);
      expect(receipt.checkpointRoot).toBeNull();
      expect(receipt.checkpointChain).toBeUndefined();
    }
  });

  it('ends as failed, and tells nothing, if a link cannot be journalled', async () => {
    const { rig } = await startStepping({ steps: 25, every: 10 });
    const requester = await rig.requester();
    const log = requester.lease(await prepareStepping(requester));
    rig.database.onWrite = (operations) => {
      if (operations.some(({ key }) => key.endsWith('/00002'))) throw new RangeError('disk full');
    };
    await log.done;
    expect((await readReceipt(log)).result.outcome).toMatchObject({ kind: 'attempt-failed', code: 'INTERNAL' });
    expect((await readCheckpoints(log.events)).map(({ value }) => value.index)).toEqual([0, 1]);
  });

  it('tells of every link to who comes late, also of those that left its memory', async () => {
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const steps = MAX_BUFFERED_CHECKPOINTS + 4;
    const before = (step: number): Promise<void> | undefined => (step === steps ? held : undefined);
    const plan = { steps, every: 1, hasFiles: true, before };
    const { rig } = await startStepping(plan, { provider: { snapshots: frugal() } });
    const requester = await rig.requester();
    const work = await prepareStepping(requester);
    const first = requester.lease(work);
    await until('all links but the end', () => first.kinds.length > steps);
    first.drop();
    // As if the connection had been lost early, and nothing after that had come.
    const seen = first.events.slice(0, 5);
    const from = seen.at(-1)?.sequence ?? 0;
    const lease = onlyLease(work).id as never;
    const second = requester.send({ op: 'attach', leases: [{ lease, fromSequence: from }] });
    await until('what was missed', () => second.events.length > 0);
    release();
    await second.done;
    const told = await readCheckpoints([...seen, ...second.events]);
    expect(told.map(({ value }) => value.index)).toEqual(Array.from({ length: steps }, (_, index) => index));
    const sequences = second.events.map(({ sequence }) => sequence);
    expect(sequences).toEqual([...sequences].sort((a, b) => a - b));
    expect(sequences[0]).toBeGreaterThan(from);
  });

  it('numbers logs and metrics, since a run that goes on gives some of them again', async () => {
    const { rig } = await startStepping({ steps: 5, every: 10 });
    rig.executor.behaviour = (execution) => {
      execution.sink.log('log', 'x', 4);
      execution.sink.metric('loss', '1', 3, 5);
      execution.finish();
    };
    const requester = await rig.requester();
    const log = requester.lease(await prepareStepping(requester));
    await log.done;
    const ordinals = log.events.flatMap(({ event }) =>
      event.kind === 'log' || event.kind === 'metric' ? [event.ordinal] : [],
    );
    expect(ordinals).toEqual([4, 5]);
  });
});

describe('attempts of a batch', () => {
  it('have their chains in their receipts, and no rows, events or snapshots of links', async () => {
    const { rig } = await startStepping({ steps: 25, every: 10 });
    const requester = await rig.requester();
    const one = (await prepareStepping(requester)).jobs[0]?.value;
    if (one === undefined) throw new TypeError();
    const jobs = await requester.signJobs(one, { ...one, nonce: new Uint8Array(16) });
    const log = requester.lease(await requester.prepare(jobs));
    const namespaces = new Set<string>();
    rig.database.onWrite = (operations) => {
      for (const { namespace } of operations) namespaces.add(namespace);
    };
    await log.done;
    const receipts = log.responses.flatMap((response) => (response.kind === 'receipts' ? [response] : []));
    expect(receipts).toHaveLength(1);
    expect(receipts[0]?.inlineBlobs.length).toBeGreaterThanOrEqual(3);
    expect([...namespaces]).toEqual(['leases', 'requester-usage']);
    expect(log.kinds).not.toContain('checkpoint');
    expect(rig.snapshots?.usage().snapshots).toBe(0);
  });

  it('have a long chain as a blob that their requester may read', async () => {
    const { rig } = await startStepping({ steps: 5, every: 10 });
    const [short, plan] = [rig.executor.behaviour, { steps: 830, every: 1, hasFiles: true }];
    rig.executor.behaviour = (execution) => {
      rig.executor.behaviour = short;
      void runSteps(execution, plan);
    };
    const requester = await rig.requester();
    const one = (await prepareStepping(requester)).jobs[0]?.value;
    if (one === undefined) throw new TypeError();
    const log = requester.lease(await requester.prepare(await requester.signJobs(one, { ...one, name: 'another' })));
    await log.done;
    const { receipts = { kind: 'each' as const, items: [] } } = log.find('receipts') ?? {};
    const [receipt] = await openMany(RECEIPT, receipts);
    expect(receipt?.value.checkpointChain?.links).toBe(830);
    const { blob = MISSING } = receipt?.value.checkpointChain ?? {};
    const read = { op: 'read', blob, offset: 0, maxBytes: 10 } as const;
    const { peer } = rig.identity;
    expect(await requester.transport.request(peer, 'blob', read)).toMatchObject({ kind: 'chunk' });
    const stranger = await rig.requester(8);
    expect(await stranger.transport.request(peer, 'blob', read)).toEqual({ kind: 'not-found' });
  });

  it('cannot be paused', async () => {
    const { rig } = await startStepping({ steps: 25, every: 10 });
    rig.executor.behaviour = () => undefined;
    const requester = await rig.requester();
    const one = (await prepareStepping(requester)).jobs[0]?.value;
    if (one === undefined) throw new TypeError();
    const work = await requester.prepare(await requester.signJobs(one, { ...one, nonce: new Uint8Array(16) }));
    const log = requester.lease(work);
    await log.until(() => rig.executor.held.length > 0);
    const leases = work.leases.map(({ id }) => id as never);
    expect(await requester.sendOne({ op: 'pause', leases, reason: 'lunch' })).toMatchObject({
      kind: 'refused',
      refusal: { code: 'NOT_PAUSABLE' },
    });
  });
});

describe('equal steps of two providers', () => {
  it('have equal state roots under different heads', async () => {
    const heads: Uint8Array[] = [];
    const roots: Uint8Array[] = [];
    for (const seed of [1, 2]) {
      const { rig } = await startStepping({ steps: 15, every: 10 }, { seed });
      const requester = await rig.requester();
      const log = requester.lease(await prepareStepping(requester));
      await log.done;
      const last = (await readCheckpoints(log.events)).at(-1)?.value;
      if (last === undefined) throw new TypeError();
      heads.push(last.head);
      roots.push(last.stateRoot);
    }
    expect(roots[0]).toEqual(roots[1]);
    expect(areBytesEqual(heads[0] ?? NO_PARENT, heads[1] ?? NO_PARENT)).toBe(false);
  });
});
