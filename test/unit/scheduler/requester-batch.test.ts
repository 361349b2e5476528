import { describe, expect, it } from 'vitest';
import { type JobId, UnixMs } from '../../../src/domain/ids.ts';
import type { JobDraft } from '../../../src/scheduler/interface.ts';
import { settleTasks, until } from '../../support/manual-clock.ts';
import { PARAMETERS, RequesterRig, type RequesterRigOptions } from '../../support/requester-rig.ts';
import type { Script } from '../../support/scripted-provider.ts';

async function rigWith(scripts: readonly Script[], options: RequesterRigOptions = {}): Promise<RequesterRig> {
  const rig = await RequesterRig.start(options);
  for (const [index, script] of scripts.entries()) {
    await rig.addProvider(script, { pricesPerHour: [{ capabilityClass: 'cpu', price: `${index}` }] });
  }
  return rig;
}

async function draftsOf(rig: RequesterRig, count: number, change: Partial<JobDraft> = {}): Promise<JobDraft[]> {
  const draft = await rig.draft(change);
  return Array.from({ length: count }, (_, index) => ({ ...draft, name: `job ${index}` }));
}

const KEPT_FOR_MS = 600_000;

/** Two jobs whose leases one provider has accepted. */
async function hold(change: Partial<JobDraft> = {}) {
  const before = await rigWith([{ holds: true, acceptance: { resultsKeptForMs: KEPT_FOR_MS } }]);
  const [provider] = before.providers;
  if (provider === undefined) throw new Error('no provider');
  const ids = await before.requester.submitMany(await draftsOf(before, 2, change));
  await until(() => provider.attempts.size === ids.length);
  await settleTasks();
  return { before, provider, ids };
}

/** The write of the second line of each job waits for `released`. */
function holdSecondLines({ database }: RequesterRig) {
  const released = Promise.withResolvers<void>();
  const held: string[] = [];
  database.hold = (operations) => {
    const lines = operations.filter(({ namespace, key }) => namespace === 'job-logs' && key.endsWith('02'));
    if (lines.length === 0) return undefined;
    held.push(...lines.map(({ key }) => key));
    return released.promise;
  };
  return { released, held };
}

async function printedBy(rig: RequesterRig, id: JobId, { follow }: { readonly follow: boolean } = { follow: false }) {
  const lines: string[] = [];
  for await (const event of rig.requester.events(id, { follow, signal: AbortSignal.timeout(5_000) })) {
    if (event.kind === 'log') lines.push(event.text);
  }
  return lines;
}

describe('jobs submitted together', () => {
  it('are signed, leased and received together, and end one by one', async () => {
    const rig = await rigWith([{}]);
    const [provider] = rig.providers;
    const ids = await rig.requester.submitMany(await draftsOf(rig, 20));
    expect(new Set(ids).size).toBe(20);
    const views = await Promise.all(ids.map((id) => rig.end(id)));
    expect(views.map(({ state }) => state)).toEqual(Array(20).fill('completed'));
    expect(views.map(({ name }) => name)).toEqual(ids.map((_, index) => `job ${index}`));
    expect(provider && rig.mesh.countSent(provider.peer, 'offer')).toBe(1);
    expect(provider && rig.mesh.countSent(provider.peer, 'job:lease')).toBe(1);
    await rig.clock.advance(1_000);
    expect(provider?.closed).toHaveLength(20);
    expect(rig.requester.counts()).toEqual({ active: 0, total: 20 });
    expect(rig.clock.pending).toBe(0);
  });

  it('leave evidence like any other', async () => {
    const rig = await rigWith([{}]);
    const [first] = await rig.requester.submitMany(await draftsOf(rig, 3));
    if (first === undefined) throw new Error('no job');
    await rig.end(first);
    const evidence = await rig.requester.evidence(first);
    expect(evidence.attempts).toMatchObject([
      { lease: { kind: 'batch' }, acceptance: { kind: 'batch' }, receipt: { kind: 'batch' } },
    ]);
    expect(evidence.job.wire.kind).toBe('batch');
    const kinds = [];
    for await (const event of rig.requester.events(first, { follow: false, signal: AbortSignal.timeout(1_000) })) {
      kinds.push(event.kind === 'state' ? event.state : event.kind);
    }
    expect(kinds.at(-1)).toBe('completed');
  });

  it('go in several windows where they are many or ask for different things', async () => {
    const rig = await rigWith([{}], { requester: { batchWindow: 8 } });
    const [provider] = rig.providers;
    const other = await rig.draft();
    const drafts = [
      ...(await draftsOf(rig, 20)),
      ...(await draftsOf(rig, 5, { resources: { ...other.resources, fuel: 5 } })),
    ];
    const ids = await rig.requester.submitMany(drafts);
    const views = await Promise.all(ids.slice(0, 20).map((id) => rig.end(id)));
    expect(views.map(({ state }) => state)).toEqual(Array(20).fill('completed'));
    // The scripted provider uses 7 units of fuel: over the limit of the others.
    await settleTasks();
    expect(await rig.requester.list({ limit: 100, state: 'completed' })).toHaveLength(20);
    expect(provider && rig.mesh.countSent(provider.peer, 'job:lease')).toBe(4);
  });

  it('are refused whole where one of them cannot be', async () => {
    const rig = await rigWith([{}]);
    const [draft] = await draftsOf(rig, 1);
    if (draft === undefined) throw new Error('no draft');
    const replicated = { ...draft, replication: { replicas: 3, quorum: 2, diversity: 'peer' as const } };
    await expect(rig.requester.submitMany([draft, replicated])).rejects.toMatchObject({
      code: 'SCHEDULER_BATCH_REPLICAS',
      info: { index: 1 },
    });
    await expect(rig.requester.submitMany([draft, { ...draft, deadlineMs: UnixMs(1) }])).rejects.toMatchObject({
      code: 'SCHEDULER_DEADLINE_PAST',
    });
    expect(rig.requester.counts()).toEqual({ active: 0, total: 0 });
  });

  it.each([
    ['forges receipts', { receipt: { network: 'else' }, forge: ['fogproof/lease-acceptance@1'] }, 'BAD_ACCEPTANCE'],
    ['refuses the leases', { refuseLease: { code: 'AT_CAPACITY', detail: 'no' } }, 'AT_CAPACITY'],
    ['lies about results', { result: { instrumenter: 'else/2' } }, 'BAD_RESULT'],
    ['set its clock forward', { receipt: { finishedAtMs: UnixMs(8_000_000_000_000) } }, 'FINISHED_AFTER_LEASE'],
  ] as const)('go elsewhere, each by itself, where a provider %s', async (_, script, code) => {
    const rig = await rigWith([script as Script, {}]);
    const ids = await rig.requester.submitMany(await draftsOf(rig, 5));
    const views = await Promise.all(ids.map((id) => rig.end(id)));
    for (const view of views) {
      expect(view.attempts.at(-1)?.provider).toBe(rig.providers[1]?.peer);
      expect(view.attempts[0]?.reason).toContain(code);
      expect(view.state).toBe('completed');
    }
  });

  it.each(['inline', 'bare'] as const)('end once where each receipt comes twice (%s)', async (sendsReceiptsTwice) => {
    const rig = await rigWith([{ sendsReceiptsTwice, handsOutOutputs: 'never' }]);
    const [provider] = rig.providers;
    const ids = await rig.requester.submitMany(await draftsOf(rig, 3));
    await until(() => provider !== undefined && rig.mesh.countSent(provider.peer, 'job:lease') > 0);
    await settleTasks(200);
    if (provider !== undefined) provider.script = { silentOn: ['offer', 'lease'] };
    const other = await rig.addProvider();
    const views = await Promise.all(ids.map((id) => rig.end(id)));
    expect(views.map(({ state }) => state)).toEqual(Array(3).fill('completed'));
    // Without the files the result cannot be used: each job is given to the other provider, once.
    expect(other.attempts.size).toBe(sendsReceiptsTwice === 'bare' ? 3 : 0);
    const after = await rig.restart();
    expect(await Promise.all(ids.map((id) => after.requester.show(id)))).toEqual(views);
  });

  it('go elsewhere where a provider accepts and is silent', async () => {
    const rig = await rigWith([{ silentOn: ['lease'] }, {}]);
    const ids = await rig.requester.submitMany(await draftsOf(rig, 5));
    await rig.clock.advance(PARAMETERS.leaseDurationMs + 2_000);
    const views = await Promise.all(ids.map((id) => rig.end(id)));
    expect(views.map(({ state }) => state)).toEqual(Array(5).fill('completed'));
    expect(views[0]?.attempts.map(({ state }) => state)).toEqual(['lost', 'revealed']);
  });

  it('wait for a provider, and can be cancelled or expire one by one', async () => {
    const rig = await rigWith([]);
    const soon = UnixMs(rig.clock.nowMs() + 1_000);
    const drafts = await draftsOf(rig, 3);
    const ids = await rig.requester.submitMany(
      drafts.map((draft, index) => (index === 2 ? { ...draft, deadlineMs: soon } : draft)),
    );
    const [first, second, third] = ids;
    if (!first || !second || !third) throw new Error('three are needed');
    expect((await rig.requester.explain(first)).hints[0]).toContain('no providers known');
    await rig.requester.cancel(first);
    expect((await rig.end(first)).state).toBe('cancelled');
    await rig.clock.advance(1_500);
    expect((await rig.end(third)).state).toBe('expired');
    await rig.addProvider();
    expect((await rig.end(second)).state).toBe('completed');
  });

  it('are taken up again after a restart', async () => {
    const before = await rigWith([{ silentOn: ['lease'] }]);
    const ids = await before.requester.submitMany(await draftsOf(before, 4));
    const [provider] = before.providers;
    await until(() => provider !== undefined && before.mesh.countSent(provider.peer, 'job:lease') > 0);
    await settleTasks();
    if (provider !== undefined) provider.script = {};
    const after = await before.restart();
    const views = await Promise.all(ids.map((id) => after.end(id)));
    expect(views.map(({ state }) => state)).toEqual(Array(4).fill('completed'));
    expect(views[0]?.attempts).toHaveLength(1);
  });

  it('are not given to another provider after a restart while their lease runs', async () => {
    const { before, provider, ids } = await hold();
    const [first] = ids;
    if (first === undefined) throw new Error('no job');
    expect((await before.requester.show(first)).attempts[0]).toMatchObject({ resultsKeptForMs: KEPT_FOR_MS });
    before.mesh.cut(provider.peer);
    const after = await before.restart();
    const other = await after.addProvider();
    await after.clock.advance(PARAMETERS.leaseDurationMs / 2);
    expect(other.attempts.size).toBe(0);
    after.mesh.restore(provider.peer);
    for (const attempt of provider.attempts.values()) await provider.finish(attempt);
    await after.clock.advance(PARAMETERS.leaseDurationMs / 2);
    for (const id of ids) {
      expect(await after.end(id)).toMatchObject({ state: 'completed', attempts: [{ state: 'revealed' }] });
    }
  });

  it('wait after their deadline for what their provider has promised to keep', async () => {
    const { before, provider, ids } = await hold({ deadlineMs: UnixMs(1_800_000_000_000 + 10_000) });
    await before.requester.stop();
    for (const attempt of provider.attempts.values()) await provider.finish(attempt);
    before.mesh.cut(provider.peer);
    await before.clock.advance(60_000);
    const after = await before.restart();
    await after.clock.advance(10 * PARAMETERS.leaseDurationMs);
    expect(after.requester.counts().active).toBe(ids.length);
    after.mesh.restore(provider.peer);
    await after.clock.advance(60_000);
    for (const id of ids) expect((await after.end(id)).state).toBe('completed');
  });

  it('take no result that was finished after the lease had run out', async () => {
    const before = await rigWith([]);
    const ids = await before.requester.submitMany(await draftsOf(before, 2));
    // The members are looked at every 250 ms; the lease ends in between.
    await before.clock.advance(100);
    const provider = await before.addProvider({ holds: true });
    await until(() => provider.attempts.size === 2);
    await settleTasks();
    await before.clock.advance(PARAMETERS.leaseDurationMs - 50);
    expect((await Promise.all(ids.map((id) => before.requester.show(id)))).map(({ state }) => state)).toEqual(
      Array(2).fill('running'),
    );
    await before.clock.advance(100);
    provider.script = { silentOn: ['offer', 'lease'] };
    const other = await before.addProvider();
    for (const attempt of provider.attempts.values()) await provider.finish(attempt);
    for (const id of ids) {
      const { attempts } = await before.end(id);
      expect(attempts.map(({ reason }) => reason?.split(':')[0])).toEqual(['FINISHED_AFTER_LEASE', undefined]);
    }
    expect(other.attempts.size).toBe(2);
  });

  it('halt together where their results cannot be written, and are not lost', async () => {
    const before = await rigWith([{}]);
    const drafts = await draftsOf(before, 4);
    let writes = 0;
    before.database.onWrite = (operations) => {
      if (operations.some(({ key }) => key.endsWith('/end'))) {
        writes += 1;
        throw new Error('disk full');
      }
    };
    const ids = await before.requester.submitMany(drafts);
    await until(() => writes > 0);
    await settleTasks();
    expect(before.requester.unlisted().halted).toBe(4);
    before.database.onWrite = undefined;
    const after = await before.restart();
    await after.clock.advance(10_000);
    for (const id of ids) expect((await after.end(id)).state).toBe('completed');
  });

  it.each([
    ['of the group', {}],
    ['one by one', { holds: true }],
  ] as const)('end only once what they printed before is on disk, with receipts %s', async (_, script) => {
    const before = await rigWith([{ ...script, prints: ['one', 'two'] }]);
    const [provider] = before.providers;
    if (provider === undefined) throw new Error('no provider');
    const { released, held } = holdSecondLines(before);
    const ids = await before.requester.submitMany(await draftsOf(before, 2));
    await until(() => provider.attempts.size === ids.length);
    await settleTasks();
    if (provider.script.holds === true) {
      for (const attempt of provider.attempts.values()) {
        for (const text of ['one', 'two']) provider.emit(attempt, { kind: 'log', stream: 'stdout', text });
        await provider.finish(attempt);
      }
    }
    await until(() => held.length > 0);
    await settleTasks();
    // Its process dies now.
    const after = await before.restart();
    for (const attempt of provider.attempts.values()) if (!attempt.isOver) await provider.finish(attempt);
    for (const id of ids) {
      expect((await after.end(id)).state).toBe('completed');
      expect(await printedBy(after, id)).toEqual(['one', 'two']);
    }
    released.resolve();
  });

  it('write nothing of what comes after they left their batch before what they printed in it', async () => {
    const { before, provider, ids } = await hold();
    const { released, held } = holdSecondLines(before);
    const { only } = provider;
    for (const text of ['one', 'two']) provider.emit(only, { kind: 'log', stream: 'stdout', text });
    await until(() => held.length > 0);
    const atMs = UnixMs(before.clock.nowMs());
    provider.script = { receipt: { startedAtMs: atMs, finishedAtMs: atMs } };
    await before.clock.advance(PARAMETERS.leaseDurationMs + 500);
    await until(() => before.mesh.countSent(provider.peer, 'job:attach') >= ids.length);
    provider.emit(only, { kind: 'log', stream: 'stdout', text: 'three' });
    for (const attempt of provider.attempts.values()) await provider.finish(attempt);
    const [first] = ids;
    if (first === undefined) throw new Error('no job');
    await settleTasks();
    const after = await before.restart();
    expect(await after.end(first)).toMatchObject({ state: 'completed', attempts: [{ state: 'revealed' }] });
    expect(await printedBy(after, first)).toEqual(['one', 'two', 'three']);
    released.resolve();
  });

  it('tell who follows them all that they printed before they say that they have ended', async () => {
    const rig = await rigWith([{ prints: ['one', 'two'] }]);
    const { released, held } = holdSecondLines(rig);
    const ids = await rig.requester.submitMany(await draftsOf(rig, 2));
    const followed = ids.map((id) => printedBy(rig, id, { follow: true }));
    await until(() => held.length > 0);
    await settleTasks();
    released.resolve();
    expect(await Promise.all(followed)).toEqual(Array(2).fill(['one', 'two']));
  });
});
