import { describe, expect, it } from 'vitest';
import { computeBlobId } from '../../../src/domain/blob-tree.ts';
import { UnixMs } from '../../../src/domain/ids.ts';
import { HALTED_RETRY_MS } from '../../../src/scheduler/constants.ts';
import type { JobEvent } from '../../../src/scheduler/interface.ts';
import type { WriteOperation } from '../../../src/storage/interface.ts';
import { settleTasks, until } from '../../support/manual-clock.ts';
import { PARAMETERS, RequesterRig } from '../../support/requester-rig.ts';
import { wasmOf } from '../../support/workload.ts';

const soon = () => AbortSignal.timeout(5_000);

async function collect(events: AsyncIterable<JobEvent>): Promise<JobEvent[]> {
  const collected: JobEvent[] = [];
  for await (const event of events) collected.push(event);
  return collected;
}

const ENDS = ['committed', 'revealed', 'concluded'] as const;
const isLog = ({ namespace }: WriteOperation): boolean => namespace === 'job-logs';

describe('submission', () => {
  it('gives two jobs for one draft', async () => {
    const rig = await RequesterRig.start();
    expect(await rig.submit()).not.toBe(await rig.submit());
  });

  it.each([
    ['SCHEDULER_BAD_QUORUM', { replication: { replicas: 4, quorum: 2, diversity: 'peer' } }],
    ['SCHEDULER_BAD_QUORUM', { replication: { replicas: 2, quorum: 3, diversity: 'peer' } }],
    ['SCHEDULER_DEADLINE_PAST', { deadlineMs: UnixMs(1) }],
    ['DOMAIN_BAD_OBJECT', { name: '' }],
  ] as const)('refuses what cannot be: %s', async (code, change) => {
    const rig = await RequesterRig.start();
    await expect(rig.submit(change)).rejects.toMatchObject({ code });
    expect(rig.requester.counts()).toEqual({ active: 0, total: 0 });
  });

  it('refuses blobs that are not here, two inputs under one path, and more jobs than allowed', async () => {
    const rig = await RequesterRig.start({ requester: { maxActiveJobs: 1 } });
    const workload = wasmOf((await rig.draft()).workload);
    const input = { path: '/in', blob: workload.module, sizeBytes: workload.moduleSizeBytes };
    await expect(rig.submit({ inputs: [input, input] })).rejects.toMatchObject({ code: 'SCHEDULER_DUPLICATE_PATH' });
    await expect(rig.submit({ inputs: [{ ...input, sizeBytes: 99 }] })).rejects.toMatchObject({
      code: 'SCHEDULER_BLOB_MISSING',
      hint: `Give its size as ${workload.moduleSizeBytes}.`,
    });
    const elsewhere = computeBlobId(new Uint8Array(9));
    await expect(rig.submit({ inputs: [{ path: '/in', blob: elsewhere, sizeBytes: 9 }] })).rejects.toMatchObject({
      code: 'SCHEDULER_BLOB_MISSING',
      hint: expect.stringContaining(`fogproof blob get ${elsewhere}`),
    });
    await rig.submit();
    await expect(rig.submit()).rejects.toMatchObject({ code: 'SCHEDULER_TOO_MANY_JOBS', retryable: true });
  });

  it('is refused before the start and after the stop', async () => {
    const rig = await RequesterRig.start();
    await rig.requester.stop();
    await expect(rig.submit()).rejects.toMatchObject({ code: 'SCHEDULER_NOT_STARTED' });
  });

  it('leaves nothing behind where the job cannot be written', async () => {
    const rig = await RequesterRig.start();
    rig.database.onWrite = () => {
      throw new Error('disk full');
    };
    await expect(rig.submit()).rejects.toThrow('disk full');
    expect(rig.requester.counts()).toEqual({ active: 0, total: 0 });
  });

  it('writes the job and each lease durably before they leave the node', async () => {
    const rig = await RequesterRig.start();
    const provider = await rig.addProvider({ holds: true });
    const durable: string[] = [];
    rig.database.onWrite = (operations, options) => {
      if (options.durable === true) durable.push(...operations.map(({ namespace }) => namespace));
      if (operations.some(({ namespace }) => namespace === 'job-history')) {
        expect(rig.mesh.countSent(provider.peer, 'job:lease')).toBe(0);
      }
    };
    await rig.submit();
    await until(() => durable.includes('job-history'));
    expect(durable).toContain('jobs');
    rig.database.onWrite = undefined;
  });
});

describe('blobs of a lease', () => {
  it('are read by its provider while it stands, and by nobody else', async () => {
    const rig = await RequesterRig.start();
    const providers = [await rig.addProvider({ holds: true }), await rig.addProvider({ holds: true })];
    const draft = await rig.draft();
    const { module: blob } = wasmOf(draft.workload);
    const job = await rig.submit();
    await until(() => providers.some(({ attempts }) => attempts.size > 0));
    const [holder, other] = providers.sort((a, b) => b.attempts.size - a.attempts.size);
    if (holder === undefined || other === undefined) throw new Error('two are needed');
    expect(rig.grants.isAllowed(holder.peer, blob)).toBe(true);
    expect(rig.grants.isAllowed(other.peer, blob)).toBe(false);
    await holder.finish(holder.only);
    await rig.end(job);
    expect(rig.grants.isAllowed(holder.peer, blob)).toBe(false);
  });

  it('ride with the first lease, and stay behind once the provider has had them', async () => {
    const rig = await RequesterRig.start();
    const provider = await rig.addProvider();
    await rig.end(await rig.submit());
    expect(provider.blobs.blobs.size).toBe(2);
    provider.blobs.blobs.clear();
    await rig.end(await rig.submit());
    expect(provider.blobs.blobs.size).toBe(1);
  });
});

describe('cancel', () => {
  it('stops the attempts and ends the job', async () => {
    const rig = await RequesterRig.start();
    const providers = [await rig.addProvider({ holds: true }), await rig.addProvider({ holds: true })];
    const job = await rig.submitReplicas(2, 2);
    await rig.leased(...providers);
    await rig.requester.cancel(job);
    const view = await rig.end(job);
    expect(view).toMatchObject({ state: 'cancelled', desired: 'cancel', failure: { code: 'JOB_CANCELLED' } });
    expect(view.attempts.map(({ state }) => state)).toEqual(['cancelled', 'cancelled']);
    expect(providers.map(({ cancelled }) => cancelled.length)).toEqual([1, 1]);
    expect(await rig.requester.cancel(job)).toEqual(view);
  });

  it('does not wait for a provider that does not confirm', async () => {
    const rig = await RequesterRig.start();
    const provider = await rig.addProvider({ holds: true, silentOn: ['cancel'] });
    const job = await rig.submit();
    await rig.leased(provider);
    await rig.requester.cancel(job);
    await rig.clock.advance(2_500);
    expect(await rig.end(job)).toMatchObject({
      state: 'cancelled',
      attempts: [{ reason: expect.stringContaining('did not confirm') }],
    });
  });

  it('ends a job that nobody has taken', async () => {
    const rig = await RequesterRig.start();
    const job = await rig.submit();
    await rig.requester.cancel(job);
    expect(await rig.end(job)).toMatchObject({ state: 'cancelled', attempts: [] });
  });
});

describe('deadline', () => {
  it('ends a job and cancels what runs', async () => {
    const rig = await RequesterRig.start();
    const provider = await rig.addProvider({ holds: true });
    const job = await rig.submit({ deadlineMs: UnixMs(rig.clock.nowMs() + 3_000) });
    await rig.leased(provider);
    await rig.clock.advance(3_000);
    expect(await rig.end(job)).toMatchObject({
      state: 'expired',
      failure: { code: 'JOB_DEADLINE' },
      attempts: [{ state: 'cancelled' }],
    });
    await until(() => provider.cancelled.length === 1);
  });

  it('leaves no timer behind once jobs have ended', async () => {
    const rig = await RequesterRig.start();
    await rig.addProvider();
    await rig.end(await rig.submit());
    await rig.clock.advance(1_000);
    expect(rig.clock.pending).toBe(0);
  });
});

describe('restart', () => {
  it('follows an attempt with a live lease again', async () => {
    const before = await RequesterRig.start();
    const provider = await before.addProvider({ holds: true });
    const job = await before.submit();
    await before.leased(provider);
    provider.emit(provider.only, { kind: 'log', stream: 'stdout', text: 'one' });
    await settleTasks();
    const after = await before.restart();
    provider.emit(provider.only, { kind: 'log', stream: 'stdout', text: 'two' });
    await settleTasks();
    await provider.finish(provider.only);
    const view = await after.end(job);
    expect(view).toMatchObject({ state: 'completed', attempts: [{ state: 'revealed' }] });
    const events = await collect(after.requester.events(job, { follow: false, signal: soon() }));
    expect(events.flatMap((event) => (event.kind === 'log' ? [event.text] : []))).toEqual(['one', 'two']);
    expect(await after.requester.evidence(job)).toMatchObject({ attempts: { length: 1 } });
  });

  it('replaces an attempt that stays silent after the restart for as long as a lease lasts', async () => {
    const before = await RequesterRig.start();
    const provider = await before.addProvider({ holds: true });
    const job = await before.submit();
    await before.leased(provider);
    await settleTasks();
    await before.requester.stop();
    await before.clock.advance(PARAMETERS.leaseDurationMs + 1_000);
    const after = await before.restart();
    const other = await after.addProvider();
    await settleTasks();
    expect((await after.requester.show(job)).attempts.map(({ state }) => state)).not.toContain('lost');
    await after.clock.advance(PARAMETERS.leaseDurationMs + 1_000);
    const view = await after.end(job);
    expect(view.attempts.map(({ state }) => state)).toEqual(['lost', 'revealed']);
    expect(view.attempts[1]?.provider).toBe(other.peer);
  });

  it('takes progress that is sent again after a restart as heard, not as a lie', async () => {
    const before = await RequesterRig.start();
    const provider = await before.addProvider({ holds: true });
    const job = await before.submit();
    await before.leased(provider);
    await provider.progress(provider.only, 1);
    await settleTasks();
    await before.requester.stop();
    const after = await before.restart();
    await settleTasks();
    // Its feed gave the first one again when it was attached to.
    await provider.progress(provider.only, 2);
    await provider.finish(provider.only);
    expect((await after.end(job)).attempts.map(({ state }) => state)).toEqual(['revealed']);
  });

  it('tries the only provider again after an attempt that it says itself it could not finish', async () => {
    const rig = await RequesterRig.start();
    const provider = await rig.addProvider({ holds: true });
    const job = await rig.submit();
    await rig.leased(provider);
    const first = provider.only;
    await provider.fail(first, 'EXECUTOR_CRASHED');
    await settleTasks();
    const { hints } = await rig.requester.explain(job);
    expect(hints.at(-1)).toContain('every known provider that fits has failed it');
    for (let turn = 0; provider.attempts.size < 2 && turn < 100; turn += 1) {
      await settleTasks();
      await rig.clock.advance(100);
    }
    const second = [...provider.attempts.values()].find((attempt) => attempt !== first);
    if (second === undefined) throw new Error('it was not asked again');
    await provider.finish(second);
    const view = await rig.end(job);
    expect(view.attempts.map(({ state, provider: by }) => [state, by])).toEqual([
      ['failed', provider.peer],
      ['revealed', provider.peer],
    ]);
  });

  it('accepts the result of an attempt that ran on while nobody listened, however long that was', async () => {
    const before = await RequesterRig.start();
    const provider = await before.addProvider({ holds: true });
    const job = await before.submit();
    await before.leased(provider);
    await settleTasks();
    await before.requester.stop();
    for (let sequence = 1; sequence <= 8; sequence += 1) {
      await before.clock.advance(PARAMETERS.leaseDurationMs / 2);
      await provider.progress(provider.only, sequence);
    }
    const after = await before.restart();
    await settleTasks();
    await provider.finish(provider.only);
    expect((await after.end(job)).attempts.map(({ state }) => state)).toEqual(['revealed']);
  });

  it('replaces an attempt that its provider has forgotten', async () => {
    const before = await RequesterRig.start();
    const provider = await before.addProvider({ holds: true });
    const job = await before.submit();
    await before.leased(provider);
    await settleTasks();
    provider.attempts.clear();
    provider.script = {};
    const after = await before.restart();
    const view = await after.end(job);
    expect(view.attempts[0]?.reason).toContain('LEASE_FORGOTTEN');
    expect(view.state).toBe('completed');
  });

  it.each(['committed', 'set-fixed', 'reveal-begun', 'revealed'])(
    'goes on with replicas after a crash at %s',
    async (crashAt) => {
      const before = await RequesterRig.start();
      for (let index = 0; index < 3; index += 1) await before.addProvider();
      let crashed: Promise<RequesterRig> | undefined;
      before.database.onWrite = (operations) => {
        const isHere = operations.some(
          ({ namespace, ...operation }) =>
            namespace === 'job-history' &&
            operation.kind === 'put' &&
            new TextDecoder().decode(operation.value).includes(crashAt),
        );
        // Once this write is applied, nothing further is: the process is gone.
        if (isHere && crashed === undefined) crashed = Promise.resolve().then(() => before.restart());
      };
      const job = await before.submitReplicas(3, 2);
      await until(() => crashed !== undefined);
      const after = await crashed;
      await after?.clock.advance(30_000);
      const view = await after?.end(job);
      expect(view).toMatchObject({ state: 'completed', failure: null });
      expect(view?.result?.agreeing.length).toBeGreaterThanOrEqual(2);
    },
  );

  it.each([
    ['alone', 1],
    ['with a replica', 2],
  ])('writes what an attempt %s gave before it writes that the attempt came to its end', async (_how, replicas) => {
    const rig = await RequesterRig.start();
    for (let index = 0; index < replicas; index += 1) await rig.addProvider({ holds: true });
    const logs = Promise.withResolvers<void>();
    const order: string[] = [];
    rig.database.hold = (operations) => (operations.some(isLog) ? logs.promise : undefined);
    rig.database.onWrite = (operations) => {
      if (operations.some(isLog)) order.push('logs');
      for (const operation of operations) {
        const isChange = operation.namespace === 'job-history' && operation.kind === 'put';
        const text = isChange ? new TextDecoder().decode(operation.value) : '';
        for (const kind of ENDS) if (text.includes(kind)) order.push('end');
      }
    };
    const job = await rig.submitReplicas(replicas, replicas);
    await rig.leased(...rig.providers);
    for (const provider of rig.providers) {
      provider.emit(provider.only, { kind: 'log', stream: 'stdout', text: 'the last words' });
      await provider.finish(provider.only);
    }
    await settleTasks();
    expect(order).toEqual([]);
    logs.resolve();
    expect((await rig.end(job)).state).toBe('completed');
    expect(order[0]).toBe('logs');
    expect(order).toContain('end');
  });

  it('keeps what has ended, newest first', async () => {
    const before = await RequesterRig.start();
    await before.addProvider();
    const first = await before.end(await before.submit({ name: 'first' }));
    await before.clock.advance(10);
    const second = await before.end(await before.submit({ name: 'second' }));
    const after = await before.restart();
    expect(await after.requester.list({ limit: 10 })).toEqual([second, first]);
    expect(await after.requester.list({ limit: 1, state: 'completed' })).toEqual([second]);
    expect(await after.requester.list({ limit: 10, state: 'failed' })).toEqual([]);
    expect(after.requester.counts()).toEqual({ active: 0, total: 2 });
    expect(await after.requester.wait(first.job, { signal: soon() })).toEqual(first);
  });

  it.each(['jobs', 'job-history', 'job-objects'] as const)('names a corrupt entry of %s and goes on', async (name) => {
    const before = await RequesterRig.start();
    const provider = await before.addProvider({ holds: true });
    const job = await before.submit();
    await before.leased(provider);
    await settleTasks();
    const rows = before.database.rows(name);
    const [key] = [...rows.keys()].filter((candidate) => candidate.startsWith(job));
    if (key === undefined) throw new Error('no entry');
    rows.set(key, new Uint8Array([1, 2, 3]));
    const after = await before.restart();
    await expect(after.requester.show(job)).rejects.toMatchObject({
      code: 'SCHEDULER_STORE_CORRUPT',
      message: expect.stringContaining(`${name}/${job}`),
    });
    await after.addProvider();
    expect(await after.end(await after.submit())).toMatchObject({ state: 'completed' });
  });

  it.each(['jobs', 'job-history', 'job-objects'] as const)('names a damaged entry of %s and goes on', async (name) => {
    const before = await RequesterRig.start();
    const provider = await before.addProvider({ holds: true });
    const job = await before.submit();
    await before.leased(provider);
    await settleTasks();
    const key = [...before.database.rows(name).keys()].find((candidate) => candidate.startsWith(job));
    before.database.damaged.add(`${name}/${key}`);
    const after = await before.restart();
    await expect(after.requester.show(job)).rejects.toMatchObject({
      code: 'SCHEDULER_STORE_CORRUPT',
      message: expect.stringContaining(`${name}/${job}`),
    });
    await after.addProvider();
    expect(await after.end(await after.submit())).toMatchObject({ state: 'completed' });
  });

  it('neither ends nor runs again a job whose summary is damaged', async () => {
    const before = await RequesterRig.start();
    await before.addProvider();
    const { job } = await before.end(await before.submit());
    before.database.damaged.add(`jobs/${job}/end`);
    const after = await before.restart();
    await expect(after.requester.show(job)).rejects.toMatchObject({ code: 'SCHEDULER_STORE_CORRUPT' });
    expect(after.requester.counts()).toMatchObject({ active: 0 });
  });

  it('makes the summary of an ended job again from its history and its receipt', async () => {
    const before = await RequesterRig.start();
    await before.addProvider();
    const ended = await before.end(await before.submit());
    before.database.rows('jobs').delete(`${ended.job}/end`);
    const after = await before.restart();
    expect(await after.requester.show(ended.job)).toEqual(ended);
    expect(after.requester.counts()).toEqual({ active: 0, total: 1 });
    expect(await (await after.restart()).requester.show(ended.job)).toEqual(ended);
  });

  it('names an ended job that lost its summary and the receipt of its result', async () => {
    const before = await RequesterRig.start();
    await before.addProvider();
    const { job } = await before.end(await before.submit());
    before.database.rows('jobs').delete(`${job}/end`);
    const objects = before.database.rows('job-objects');
    for (const key of [...objects.keys()]) if (key.endsWith('/receipt')) objects.delete(key);
    const after = await before.restart();
    await expect(after.requester.show(job)).rejects.toMatchObject({ code: 'SCHEDULER_STORE_CORRUPT' });
  });

  it('takes a halted job up again once the store works, and lists the others meanwhile', async () => {
    const rig = await RequesterRig.start();
    const provider = await rig.addProvider({ holds: true });
    const job = await rig.submit();
    await rig.leased(provider);
    await settleTasks();
    rig.database.onWrite = () => {
      throw new Error('disk full');
    };
    const waiting = expect(rig.requester.wait(job, { signal: soon() })).rejects.toThrow('disk full');
    await provider.finish(provider.only);
    await waiting;
    expect(await rig.requester.list({ limit: 10 })).toEqual([]);
    expect(rig.requester.counts()).toEqual({ active: 1, total: 1 });
    await rig.clock.advance(HALTED_RETRY_MS);
    await until(() => rig.requester.unlisted().halted === 1);
    rig.database.onWrite = undefined;
    await rig.clock.advance(HALTED_RETRY_MS);
    await until(() => rig.requester.unlisted().halted === 0);
    expect(await rig.end(job)).toMatchObject({ state: 'completed' });
    expect(await rig.requester.list({ limit: 10 })).toHaveLength(1);
  });

  it('halts a job whose history cannot be written, and takes it up at the next start', async () => {
    const before = await RequesterRig.start();
    const provider = await before.addProvider({ holds: true });
    const job = await before.submit();
    await before.leased(provider);
    await settleTasks();
    before.database.onWrite = () => {
      throw new Error('disk full');
    };
    const waiting = expect(before.requester.wait(job, { signal: soon() })).rejects.toThrow('disk full');
    await provider.finish(provider.only);
    await waiting;
    await expect(before.requester.show(job)).rejects.toMatchObject({ code: 'SCHEDULER_JOB_HALTED' });
    before.database.onWrite = undefined;
    const after = await before.restart();
    expect(await after.end(job)).toMatchObject({ state: 'completed' });
  });
});

describe('events', () => {
  it('are the same live and from the record', async () => {
    const rig = await RequesterRig.start();
    const provider = await rig.addProvider({ holds: true });
    const job = await rig.submit();
    const live = collect(rig.requester.events(job, { follow: true, signal: soon() }));
    await rig.leased(provider);
    provider.emit(provider.only, { kind: 'metric', name: 'loss', value: '0.5', step: 1 });
    await provider.progress(provider.only, 1);
    await settleTasks();
    await provider.finish(provider.only);
    await rig.end(job);
    const seen = await live;
    expect(seen[0]).toMatchObject({ kind: 'state', state: 'seeking' });
    expect(seen.at(-1)).toMatchObject({ kind: 'state', state: 'completed' });
    expect(seen.filter(({ kind }) => kind === 'metric')).toHaveLength(1);
    const recorded = await collect(rig.requester.events(job, { follow: true, signal: soon() }));
    const order = (events: readonly JobEvent[]) => events.map((event) => JSON.stringify(event)).sort();
    expect(order(recorded)).toEqual(order(seen));
  });

  it('bound the logs of a job', async () => {
    const rig = await RequesterRig.start();
    const provider = await rig.addProvider({ holds: true });
    const job = await rig.submit();
    await rig.leased(provider);
    const text = 'x'.repeat(60_000);
    for (let line = 0; line < 160; line += 1) {
      provider.emit(provider.only, { kind: 'log', stream: 'stdout', text });
      await settleTasks(1);
    }
    await provider.finish(provider.only);
    await rig.end(job);
    const events = await collect(rig.requester.events(job, { follow: false, signal: soon() }));
    const stored = events.filter(({ kind }) => kind === 'log').length;
    expect(stored).toBeGreaterThan(100);
    expect(stored).toBeLessThan(160);
    expect(rig.metrics.read('fogproof_requester_logs_dropped_total')).toBe(160 - stored);
  });

  it('of an unknown job are refused', async () => {
    const rig = await RequesterRig.start();
    const unknown = 'bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy' as never;
    await expect(rig.requester.show(unknown)).rejects.toMatchObject({ code: 'SCHEDULER_UNKNOWN_JOB' });
    await expect(rig.requester.explain(unknown)).rejects.toMatchObject({ code: 'SCHEDULER_UNKNOWN_JOB' });
    await expect(rig.requester.cancel(unknown)).rejects.toMatchObject({ code: 'SCHEDULER_UNKNOWN_JOB' });
    await expect(rig.requester.evidence(unknown)).rejects.toMatchObject({ code: 'SCHEDULER_UNKNOWN_JOB' });
    await expect(collect(rig.requester.events(unknown, { follow: true, signal: soon() }))).rejects.toMatchObject({
      code: 'SCHEDULER_UNKNOWN_JOB',
    });
  });
});

describe('explain', () => {
  it('says that no providers are known', async () => {
    const rig = await RequesterRig.start();
    const explanation = await rig.requester.explain(await rig.submit());
    expect(explanation).toMatchObject({ state: 'seeking', asked: [] });
    expect(explanation.hints[0]).toContain('add a bootstrap peer');
  });

  it('says who does not fit and why', async () => {
    const rig = await RequesterRig.start();
    await rig.addProvider({}, { capabilities: ['gpu-consumer'] });
    const { hints, asked } = await rig.requester.explain(await rig.submit());
    expect(hints).toEqual(['1 of 1 known providers: it is not of capability class cpu']);
    expect(asked).toEqual([]);
  });

  it('names the price at which somebody would take it', async () => {
    const rig = await RequesterRig.start();
    for (const price of [900, 700]) {
      const refusal = { code: 'PRICE_TOO_LOW', detail: `the price is ${price}, the ceiling 100` } as const;
      await rig.addProvider({ refuseOffer: () => refusal });
    }
    const job = await rig.submit({ priceCeiling: '100' });
    await settleTasks(40);
    const { hints, asked } = await rig.requester.explain(job);
    expect(asked).toHaveLength(2);
    expect(hints.join()).toContain('all 2 refused: PRICE_TOO_LOW');
    expect(hints.join()).toContain('raise the price ceiling to at least 700');
  });

  it('counts replicas against providers', async () => {
    const rig = await RequesterRig.start();
    await rig.addProvider({ holds: true });
    const job = await rig.submitReplicas(3, 2);
    await settleTasks(40);
    const { summary, hints } = await rig.requester.explain(job);
    expect(summary).toContain('1 of 3 replicas are with a provider');
    expect(hints.join()).toContain('3 replicas need as many different providers');
  });

  it('asks a new provider at once, and keeps the answers after the end', async () => {
    const rig = await RequesterRig.start();
    await rig.addProvider({ refuseOffer: () => ({ code: 'REQUESTER_NOT_ALLOWED', detail: 'not on the list' }) });
    const job = await rig.submit();
    await settleTasks(40);
    await rig.addProvider();
    const view = await rig.end(job);
    expect(view.state).toBe('completed');
    const { asked, summary } = await rig.requester.explain(job);
    expect(asked.map(({ answer }) => answer.kind)).toEqual(['refused', 'offered']);
    expect(summary).toContain('verified');
  });
});
