import { describe, expect, it } from 'vitest';
import { UnixMs } from '../../../src/domain/ids.ts';
import type { JobView } from '../../../src/scheduler/interface.ts';
import { PARAMETERS, RequesterRig } from '../../support/requester-rig.ts';
import type { Script, ScriptedProvider } from '../../support/scripted-provider.ts';

async function rigWith(...scripts: readonly Script[]): Promise<RequesterRig> {
  const rig = await RequesterRig.start();
  for (const script of scripts) await rig.addProvider(script);
  return rig;
}

function at(rig: RequesterRig, index: number): ScriptedProvider {
  const provider = rig.providers[index];
  if (provider === undefined) throw new Error(`no provider ${index}`);
  return provider;
}

/** Attempts of a provider in the order made. */
function attemptsOf(view: JobView, provider: ScriptedProvider) {
  return view.attempts.filter((attempt) => attempt.provider === provider.peer);
}

/** The provider that holds no attempt yet. */
function idle(rig: RequesterRig): ScriptedProvider {
  const provider = rig.providers.find((candidate) => candidate.attempts.size === 0);
  if (provider === undefined) throw new Error('all have attempts');
  return provider;
}

describe('replicas under commit, then reveal', () => {
  it('a killed provider is replaced, and all three count', async () => {
    const rig = await rigWith({ holds: true }, { holds: true }, { holds: true }, { holds: true });
    const job = await rig.submitReplicas(3, 2);
    const spare = await waitForThree(rig);
    const [killed, second, third] = rig.providers.filter((provider) => provider !== spare);
    if (!killed || !second || !third) throw new Error('three are needed');
    rig.mesh.cut(killed.peer);
    await second.finish(second.only);
    await third.finish(third.only);
    await rig.clock.advance(PARAMETERS.leaseDurationMs + 500);
    await rig.leased(spare);
    expect((await rig.requester.show(job)).state).toBe('running');
    await spare.finish(spare.only);
    const view = await rig.end(job);
    expect(view).toMatchObject({ state: 'completed', result: { agreeing: { length: 3 }, dissenting: [] } });
    expect(attemptsOf(view, killed)).toMatchObject([{ state: 'lost', replica: attemptsOf(view, spare)[0]?.replica }]);
    expect((await rig.requester.evidence(job)).missingReplicas).toEqual([]);
  });

  it('a liar is outvoted', async () => {
    const rig = await rigWith({ output: 'forty-three' }, {}, {});
    const view = await rig.end(await rig.submitReplicas(3, 2));
    expect(view).toMatchObject({ state: 'completed', result: { agreeing: { length: 2 }, dissenting: { length: 1 } } });
    expect(view.result?.dissenting).toEqual(attemptsOf(view, at(rig, 0)).map(({ lease }) => lease));
    expect((await rig.requester.evidence(view.job)).attempts).toHaveLength(3);
  });

  it('no majority means no result, and the evidence is kept', async () => {
    const rig = await rigWith({ output: 'a' }, { output: 'b' }, {});
    const view = await rig.end(await rig.submitReplicas(3, 2));
    expect(view).toMatchObject({ state: 'failed', failure: { code: 'SCHEDULER_REPLICAS_DISAGREE' }, result: null });
    expect((await rig.requester.evidence(view.job)).attempts).toHaveLength(3);
  });

  it('a colluding majority wins, and the dissenter stays in evidence', async () => {
    const rig = await rigWith({ output: 'lie' }, { output: 'lie' }, {});
    const view = await rig.end(await rig.submitReplicas(3, 2));
    expect(view.result?.dissenting).toEqual(attemptsOf(view, at(rig, 2)).map(({ lease }) => lease));
  });

  it.each([
    [
      'a commitment of the future',
      { commitment: { committedAtMs: UnixMs(8_000_000_000_000) } },
      'FINISHED_AFTER_LEASE',
    ],
    ['a commitment by another key', { forge: ['fogproof/commitment@1'] }, 'BAD_COMMITMENT'],
    [
      'a commitment to another job',
      { commitment: { job: 'bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy' as never } },
      'BAD_COMMITMENT',
    ],
    ['a set signature by another key', { forge: ['fogproof/commitment-set@1'] }, 'BAD_SET_SIGNATURE'],
    ['no set signature', { silentOn: ['sign-set'] }, 'UNREACHABLE'],
  ] as const)('%s: replaced before anybody reveals', async (_, script, code) => {
    const rig = await rigWith(script as Script, {}, {}, {});
    const job = await rig.submitReplicas(3, 2);
    await rig.clock.advance(15_000);
    const view = await rig.end(job);
    expect(view).toMatchObject({ state: 'completed', result: { agreeing: { length: 3 } } });
    const [attempt] = attemptsOf(view, at(rig, 0));
    // It may have been the spare from the start: then it never had the chance.
    if (attempt !== undefined) expect(attempt.reason).toContain(code);
  });

  it.each([
    ['a finish of the future', { receipt: { finishedAtMs: UnixMs(8_000_000_000_000) } }, 'FINISHED_AFTER_LEASE'],
    ['a salt that does not open the commitment', { receipt: { salt: new Uint8Array(32).fill(9) } }, 'BAD_OPENING'],
    ['no salt', { receipt: { salt: null } }, 'BAD_OPENING'],
    [
      'another set',
      { receipt: { commitmentSet: 'bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy' as never } },
      'BAD_OPENING',
    ],
    ['a receipt by another key', { forge: ['fogproof/receipt@1'] }, 'BAD_RECEIPT'],
    ['no reveal', { silentOn: ['reveal'] }, null],
  ] as const)('%s after the set is signed: k shrinks and evidence says so', async (_, script, code) => {
    const rig = await rigWith(script as Script, {}, {});
    const job = await rig.submitReplicas(3, 2);
    await rig.clock.advance(12_000);
    const view = await rig.end(job);
    expect(view).toMatchObject({ state: 'completed', result: { agreeing: { length: 2 } } });
    const [attempt] = attemptsOf(view, at(rig, 0));
    if (code !== null) expect(attempt).toMatchObject({ state: 'failed', reason: expect.stringContaining(code) });
    const evidence = await rig.requester.evidence(job);
    expect(evidence).toMatchObject({ attempts: { length: 2 }, unrevealed: { length: 1 } });
    expect(evidence.missingReplicas).toMatchObject([{ replica: attempt?.replica }]);
  });

  it('a result before any commitment is refused', async () => {
    const rig = await rigWith({ holds: true }, {}, {}, {});
    const job = await rig.submitReplicas(3, 2);
    const early = at(rig, 0);
    await rig.clock.advance(10);
    if (early.attempts.size === 0) return;
    Object.assign(early.only.lease.value, { commitReveal: false });
    await early.finish(early.only);
    await rig.clock.advance(1_000);
    const view = await rig.end(job);
    expect(attemptsOf(view, early)[0]?.reason).toContain('REVEALED_EARLY');
    expect(view.state).toBe('completed');
  });

  it('k shrinks where nobody takes the last replica, and names it', async () => {
    const rig = await rigWith({}, {});
    const job = await rig.submitReplicas(3, 2);
    await rig.clock.advance(1_000);
    expect((await rig.requester.show(job)).state).toBe('running');
    await rig.clock.advance(5_000);
    const view = await rig.end(job);
    expect(view).toMatchObject({ state: 'completed', result: { agreeing: { length: 2 } } });
    const { missingReplicas } = await rig.requester.evidence(job);
    expect(missingReplicas).toMatchObject([{ replica: 2, reason: expect.stringContaining('no other provider') }]);
  });

  it('a replacement that commits after the reveal does not count', async () => {
    const rig = await rigWith({}, {}, { holds: true });
    const job = await rig.submitReplicas(3, 2);
    const late = at(rig, 2);
    await rig.leased(late);
    await rig.clock.advance(PARAMETERS.leaseDurationMs + 6_000);
    const view = await rig.end(job);
    await late.finish(late.only);
    await rig.clock.advance(1_000);
    expect(await rig.requester.show(job)).toEqual(view);
    expect(attemptsOf(view, late)).toMatchObject([{ state: 'lost' }]);
  });

  it('members that sign one set only run again when another voids it', async () => {
    const rig = await rigWith({ silentOn: ['sign-set'] }, { signsOneSetOnly: true }, { signsOneSetOnly: true }, {});
    const job = await rig.submitReplicas(3, 2);
    await rig.clock.advance(60_000);
    expect(await rig.end(job)).toMatchObject({ state: 'completed' });
  });

  it('members that are bound to a voided set are not blamed after a restart of the requester either', async () => {
    const before = await rigWith({ signsOneSetOnly: true }, { silentOn: ['sign-set'] });
    const job = await before.submitReplicas(2, 2);
    const bound = at(before, 0);
    await before.clock.advance(12_000);
    expect(attemptsOf(await before.requester.show(job), at(before, 1))).toMatchObject([{ state: 'failed' }]);
    const rig = await before.restart();
    await rig.addProvider();
    await rig.clock.advance(60_000);
    const view = await rig.end(job);
    expect(view.state).toBe('completed');
    expect(attemptsOf(view, bound)).toMatchObject([
      { state: 'failed', reason: expect.stringContaining('SET_VOID') },
      { state: 'revealed' },
    ]);
  });

  it('never puts two replicas on one provider', async () => {
    const rig = await rigWith({}, {}, {}, {});
    const view = await rig.end(await rig.submitReplicas(4, 3));
    expect(new Set(view.attempts.map(({ provider }) => provider)).size).toBe(4);
  });

  it('keeps to one instrumenter', async () => {
    const rig = await rigWith({}, {}, { offer: { instrumenter: 'else/2' } }, {});
    const view = await rig.end(await rig.submitReplicas(3, 2));
    expect(view.state).toBe('completed');
    expect(view.attempts.filter(({ state }) => state === 'revealed')).toHaveLength(3);
  });

  it('agrees on a failure of the program', async () => {
    const outcome = { kind: 'program-failed', code: 'OUT_OF_FUEL', detail: 'after 1000 units' } as const;
    const rig = await rigWith(...[0, 1, 2].map((): Script => ({ result: { outcome, fuel: 1_001 } })));
    const view = await rig.end(await rig.submitReplicas(3, 2));
    expect(view).toMatchObject({ state: 'failed', failure: { code: 'JOB_PROGRAM_OUT_OF_FUEL' } });
    expect(view.result?.agreeing).toHaveLength(3);
  });

  it('fails where files are not to be had from anybody who agrees', async () => {
    const rig = await rigWith(...[0, 1, 2].map((): Script => ({ handsOutOutputs: 'never' })));
    const view = await rig.end(await rig.submitReplicas(3, 2));
    expect(view.failure?.code).toBe('SCHEDULER_OUTPUTS_UNAVAILABLE');
  });

  it('takes files from whoever of the agreeing hands them out', async () => {
    const rig = await rigWith(
      { handsOutOutputs: 'never' },
      { handsOutOutputs: 'never' },
      { handsOutOutputs: 'by-blob' },
    );
    expect(await rig.end(await rig.submitReplicas(3, 2))).toMatchObject({ state: 'completed' });
  });

  it('gives up where a quorum cannot be reached any more', async () => {
    const rig = await rigWith({ forge: ['fogproof/commitment@1'] }, { forge: ['fogproof/commitment@1'] }, {});
    const view = await rig.end(await rig.submitReplicas(3, 2, { retries: 0 }));
    expect(view).toMatchObject({ state: 'failed', failure: { code: 'SCHEDULER_RETRIES_EXHAUSTED' } });
  });
});

async function waitForThree(rig: RequesterRig): Promise<ScriptedProvider> {
  await rig.clock.advance(10);
  const spare = idle(rig);
  await rig.leased(...rig.providers.filter((provider) => provider !== spare));
  return spare;
}
