import { describe, expect, it } from 'vitest';
import { LeaseId, UnixMs } from '../../../src/domain/ids.ts';
import type { SandboxReport } from '../../../src/domain/receipt.ts';
import { until } from '../../support/manual-clock.ts';
import { PARAMETERS, RequesterRig } from '../../support/requester-rig.ts';
import type { Script } from '../../support/scripted-provider.ts';

const OTHER_ID = 'bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy';

/** Later than any lease here may run. */
const FAR_AHEAD = UnixMs(8_000_000_000_000);

/** One provider with a script is asked first (it is cheapest), an honest one second. */
async function rigWith(script: Script): Promise<RequesterRig> {
  const rig = await RequesterRig.start();
  await rig.addProvider(script);
  await rig.addProvider({}, { pricesPerHour: [{ capabilityClass: 'cpu', price: '5' }] });
  return rig;
}

const MODEL_RUN: SandboxReport = {
  executor: 'wasm',
  isolation: 'process',
  controls: [],
  engine: 'v8',
  inference: { items: 1, cachedItems: 1, calls: 0, largestBatchRows: 0 },
};

describe('what a provider signs wrongly ends its attempt, never the job', () => {
  const lies: readonly (readonly [name: string, script: Script, code: string])[] = [
    ['acceptance by another key', { forge: ['fogproof/lease-acceptance@1'] }, 'BAD_ACCEPTANCE'],
    ['acceptance of another lease', { acceptance: { lease: OTHER_ID as LeaseId } }, 'BAD_ACCEPTANCE'],
    ['receipt by another key', { forge: ['fogproof/receipt@1'] }, 'BAD_RECEIPT'],
    ['receipt for another lease', { receipt: { lease: OTHER_ID as LeaseId } }, 'BAD_RECEIPT'],
    ['receipt for another job', { receipt: { job: OTHER_ID as never } }, 'BAD_RECEIPT'],
    ['receipt for another network', { receipt: { network: 'else' } }, 'BAD_RECEIPT'],
    ['root that is not of the result', { receipt: { outputRoot: OTHER_ID as never } }, 'BAD_RECEIPT'],
    ['opening of no commitment', { receipt: { salt: new Uint8Array(32) } }, 'BAD_RECEIPT'],
    ['finish before the start', { receipt: { finishedAtMs: UnixMs(1) } }, 'BAD_RECEIPT'],
    ['a clock set forward while it ran', { receipt: { finishedAtMs: FAR_AHEAD } }, 'FINISHED_AFTER_LEASE'],
    ['a clock set back before it ran', { receipt: { startedAtMs: UnixMs(1) } }, 'FINISHED_AFTER_LEASE'],
    ['other instrumenter', { result: { instrumenter: 'else/2' } }, 'BAD_RESULT'],
    ['fuel over the limit', { result: { fuel: 1_001 } }, 'BAD_RESULT'],
    ['no module that ran', { result: { instrumentedModule: null } }, 'BAD_RESULT'],
    ['calls of a model that it did not run', { receipt: { sandbox: MODEL_RUN } }, 'BAD_RESULT'],
    ['output over the limit', { output: 'x'.repeat(10_001) }, 'BAD_RESULT'],
    ['files that are not handed out', { handsOutOutputs: 'never' }, 'OUTPUT_UNAVAILABLE'],
  ];

  it.each(lies)('%s', async (_, script, code) => {
    const rig = await rigWith(script);
    const view = await rig.end(await rig.submit());
    expect(view.state).toBe('completed');
    expect(view.attempts.map(({ provider }) => provider)).toEqual(rig.providers.map(({ peer }) => peer));
    expect(view.attempts[0]).toMatchObject({ state: 'failed', reason: expect.stringContaining(code) });
    expect(rig.providers[0]?.cancelled).toHaveLength(1);
  });

  it.each([
    ['another key', { forge: ['fogproof/offer@1'] }, 'not valid'],
    ['a price above the ceiling', { offer: { price: '1' } }, 'above'],
    ['another network', { offer: { network: 'else' } }, 'network'],
    ['fewer attempts', { offer: { attempts: 2 } }, 'attempts'],
    [
      'another requester',
      { offer: { requester: '12D3KooWGRUVWvY9yEuNKEZeVYmFPJkjB1dUM3hJ5v3gEoYrQDxS' as never } },
      'requester',
    ],
    ['an expiry in the past', { offer: { expiresAtMs: UnixMs(1) } }, 'expired'],
  ] as const)('offer with %s', async (_, script, reason) => {
    const rig = await rigWith(script as Script);
    const view = await rig.end(await rig.submit());
    expect(view.attempts.map(({ provider }) => provider)).toEqual([rig.providers[1]?.peer]);
    const { asked } = await rig.requester.explain(view.job);
    expect(asked[0]).toMatchObject({ answer: { kind: 'unreachable', reason: expect.stringContaining(reason) } });
  });

  it('progress by another key or of an old sequence', async () => {
    for (const script of [{ forge: ['fogproof/progress@1'] }, { progress: { sequence: 1 } }] satisfies Script[]) {
      const rig = await rigWith({ ...script, holds: true });
      const [liar] = rig.providers;
      const job = await rig.submit();
      if (liar === undefined) throw new Error('no provider');
      await rig.leased(liar);
      await liar.progress(liar.only, 1);
      await liar.progress(liar.only, 2);
      const view = await rig.end(job);
      expect(view.attempts[0]).toMatchObject({ state: 'failed', reason: expect.stringContaining('BAD_PROGRESS') });
      expect(view.state).toBe('completed');
    }
  });

  it('takes nothing twice from a provider that sends everything twice', async () => {
    const rig = await rigWith({ sendsEventsTwice: true });
    const view = await rig.end(await rig.submit());
    expect(view).toMatchObject({ state: 'completed', attempts: [{ state: 'revealed' }] });
    expect(await rig.requester.evidence(view.job)).toMatchObject({ attempts: { length: 1 } });
  });

  it('fetches files over the blob protocol where they are not inline', async () => {
    const rig = await rigWith({ handsOutOutputs: 'by-blob' });
    expect(await rig.end(await rig.submit())).toMatchObject({ state: 'completed', attempts: { length: 1 } });
  });
});

describe('a provider that does not answer', () => {
  it('is passed over at a hedge when its offer tarries', async () => {
    const rig = await rigWith({ silentOn: ['offer'] });
    const job = await rig.submit();
    await rig.clock.advance(300);
    expect(await rig.end(job)).toMatchObject({ state: 'completed', attempts: [{ provider: rig.providers[1]?.peer }] });
  });

  it('loses the lease that it never accepts', async () => {
    const rig = await rigWith({ silentOn: ['lease'] });
    const job = await rig.submit();
    await rig.clock.advance(PARAMETERS.leaseDurationMs + 1_000);
    const view = await rig.end(job);
    expect(view.attempts.map(({ state }) => state)).toEqual(['lost', 'revealed']);
  });

  it('is replaced once its lease ends, and keeps it while it signs progress', async () => {
    const rig = await rigWith({ holds: true });
    const [silent] = rig.providers;
    const job = await rig.submit();
    if (silent === undefined) throw new Error('no provider');
    await rig.leased(silent);
    for (let sequence = 1; sequence <= 3; sequence += 1) {
      await rig.clock.advance(PARAMETERS.leaseDurationMs - 500);
      await silent.progress(silent.only, sequence);
    }
    await rig.clock.advance(1_000);
    expect((await rig.requester.show(job)).attempts).toMatchObject([{ state: 'running', progress: { step: 3 } }]);
    await rig.clock.advance(PARAMETERS.leaseDurationMs);
    const view = await rig.end(job);
    expect(view.attempts.map(({ state }) => state)).toEqual(['lost', 'revealed']);
  });

  it('does not keep a job by renewing its lease beyond the wall-time limit', async () => {
    const rig = await rigWith({ holds: true });
    const [slow] = rig.providers;
    const job = await rig.submit();
    if (slow === undefined) throw new Error('no provider');
    await rig.leased(slow);
    for (let sequence = 1; sequence <= 70; sequence += 1) {
      await rig.clock.advance(2_000);
      await slow.progress(slow.only, sequence);
    }
    const view = await rig.end(job);
    expect(view.attempts[0]).toMatchObject({ state: 'failed', reason: expect.stringContaining('OVERDUE') });
  });

  it('is followed again after its stream dropped, and nothing is heard twice', async () => {
    const rig = await rigWith({ holds: true });
    const [provider] = rig.providers;
    const job = await rig.submit();
    if (provider === undefined) throw new Error('no provider');
    await rig.leased(provider);
    provider.emit(provider.only, { kind: 'log', stream: 'stdout', text: 'before' });
    await rig.clock.advance(10);
    rig.mesh.cut(provider.peer);
    await rig.clock.advance(200);
    expect((await rig.requester.show(job)).attempts).toMatchObject([{ state: 'unreachable' }]);
    provider.emit(provider.only, { kind: 'log', stream: 'stdout', text: 'during' });
    rig.mesh.restore(provider.peer);
    await rig.clock.advance(2_000);
    expect((await rig.requester.show(job)).attempts).toMatchObject([{ state: 'queued' }]);
    await provider.finish(provider.only);
    await rig.end(job);
    const texts: string[] = [];
    for await (const event of rig.requester.events(job, { follow: false, signal: AbortSignal.timeout(1_000) })) {
      if (event.kind === 'log') texts.push(event.text);
    }
    expect(texts).toEqual(['before', 'during']);
  });

  it('is replaced after it was cut off for longer than its lease; what it brings back late does not count', async () => {
    const rig = await rigWith({ holds: true });
    const [gone, other] = rig.providers;
    if (gone === undefined || other === undefined) throw new Error('no providers');
    other.script = { holds: true };
    const job = await rig.submit();
    await rig.leased(gone);
    rig.mesh.cut(gone.peer);
    await rig.clock.advance(PARAMETERS.leaseDurationMs + 1_000);
    await rig.leased(other);
    rig.mesh.restore(gone.peer);
    await gone.finish(gone.only);
    await rig.clock.advance(1_000);
    expect((await rig.requester.show(job)).state).toBe('running');
    await other.finish(other.only);
    const view = await rig.end(job);
    expect(view.attempts.map(({ state }) => state)).toEqual(['lost', 'revealed']);
  });
});

describe('attempts that fail at their provider', () => {
  it('are made again elsewhere, as often as the job allows', async () => {
    const rig = await RequesterRig.start();
    for (let index = 0; index < 4; index += 1) await rig.addProvider({ holds: true });
    const job = await rig.submit({ retries: 2 });
    for (let tried = 0; tried < 3; tried += 1) {
      await rig.clock.advance(1_000);
      const provider = rig.providers.find((candidate) => [...candidate.attempts.values()].some((a) => !a.isOver));
      if (provider === undefined) throw new Error('no attempt');
      await provider.fail(provider.only, 'EXECUTOR_CRASHED');
    }
    const view = await rig.end(job);
    expect(view).toMatchObject({ state: 'failed', failure: { code: 'SCHEDULER_RETRIES_EXHAUSTED' } });
    expect(new Set(view.attempts.map(({ provider }) => provider)).size).toBe(3);
    // Each may drop what it keeps of its attempt, failed as it is.
    await rig.clock.advance(1_000);
    const tried = rig.providers.filter(({ attempts }) => attempts.size > 0);
    await until(() => tried.every(({ closed }) => closed.length > 0));
    expect(tried.map(({ closed, only }) => closed.includes(LeaseId(only.lease.id)))).toEqual([true, true, true]);
  });

  it('are not counted where the lease was refused', async () => {
    const rig = await rigWith({ refuseLease: { code: 'AT_CAPACITY', detail: 'just taken' } });
    const view = await rig.end(await rig.submit({ retries: 0 }));
    expect(view.attempts.map(({ state }) => state)).toEqual(['failed', 'revealed']);
  });

  it('cannot use up a job by offering and refusing for ever', async () => {
    const rig = await RequesterRig.start();
    await rig.addProvider({ refuseLease: { code: 'AT_CAPACITY', detail: 'always' } });
    const job = await rig.submit();
    await rig.clock.advance(60_000);
    expect((await rig.requester.show(job)).attempts).toHaveLength(3);
    await rig.addProvider();
    expect(await rig.end(job)).toMatchObject({ state: 'completed' });
  });

  it('are results where the program failed', async () => {
    const outcome = { kind: 'program-failed', code: 'TRAP', detail: 'unreachable executed' } as const;
    const rig = await rigWith({ result: { outcome } });
    const view = await rig.end(await rig.submit());
    expect(view).toMatchObject({
      state: 'failed',
      failure: { code: 'JOB_PROGRAM_TRAP' },
      result: { outcome, agreeing: { length: 1 } },
    });
    expect(await rig.requester.evidence(view.job)).toMatchObject({ attempts: { length: 1 } });
  });
});
