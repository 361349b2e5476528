import { describe, expect, it } from 'vitest';
import { OPEN_POLICY, type PolicyOptions } from '../../../../../src/scheduler/provider/policy/operator-policy.ts';
import { SteppedClock } from '../../../../support/provider-clock.ts';
import { ScriptedExecutor } from '../../../../support/provider-executor.ts';
import { identityOf, MODULE_ID, ProviderRig, type ProviderRigOptions } from '../../../../support/provider-rig.ts';
import { RecordingAuditTrail } from '../../../../support/recording-audit-trail.ts';

const HELD = new ScriptedExecutor(['process', 'bubblewrap'], () => undefined);

async function start(policy: Partial<PolicyOptions>, options: ProviderRigOptions = {}) {
  const audit = new RecordingAuditTrail();
  const provider = { ...options.provider, policy: { ...OPEN_POLICY, ...policy } };
  const rig = await ProviderRig.start({ audit, ...options, provider });
  return { rig, audit, requester: await rig.requester() };
}

describe("the operator's policy", () => {
  it('refuses with a code and a reason, and tells the operator the rule', async () => {
    const { peer } = await identityOf(9);
    const { rig, audit, requester } = await start({ deny: { ...OPEN_POLICY.deny, requesters: [peer] } });
    const answer = await requester.ask(await requester.signJobs(requester.describeJob()));
    const refusal = { code: 'REQUESTER_NOT_ALLOWED', detail: 'it takes no jobs of this requester' };
    expect(answer).toEqual({ kind: 'refused', refusal });
    const { refusals } = await rig.provider.explainNoWork();
    expect(refusals).toMatchObject([{ code: 'REQUESTER_NOT_ALLOWED', lastRule: 'policy.deny.requesters' }]);
    expect(audit.events).toMatchObject([{ kind: 'refusal', of: 'offer', rule: 'policy.deny.requesters', times: 1 }]);
  });

  it('denies one that is trusted', async () => {
    const { peer } = await identityOf(9);
    const options = { provider: { trustedRequesters: [peer] } };
    const { requester } = await start({ deny: { ...OPEN_POLICY.deny, requesters: [peer] } }, options);
    const answer = await requester.ask(await requester.signJobs(requester.describeJob()));
    expect(answer).toMatchObject({ refusal: { code: 'REQUESTER_NOT_ALLOWED' } });
  });

  it('judges what a job runs with its lease, since the terms do not say it', async () => {
    const { audit, requester } = await start({ deny: { ...OPEN_POLICY.deny, images: [MODULE_ID] } });
    const log = requester.lease(await requester.prepare());
    await log.done;
    expect(log.refusal).toBe('IMAGE_NOT_ALLOWED');
    expect(audit.kinds).toEqual(['offer', 'refusal']);
    expect(audit.events[1]).toMatchObject({ of: 'lease', rule: 'policy.deny.images' });
  });

  it('counts offers and live attempts of a requester, and no others', async () => {
    const quotas = { ...OPEN_POLICY.quotas, concurrentAttempts: 2 };
    const { rig, requester } = await start({ quotas }, { executor: HELD });
    const first = requester.lease(await requester.prepare());
    await first.until((log) => log.kinds.includes('running'));
    await requester.prepare();
    const third = await requester.ask(await requester.signJobs(requester.describeJob()));
    expect(third).toMatchObject({ refusal: { code: 'QUOTA_EXCEEDED', retryAfterMs: 1_000 } });
    const other = await rig.requester(10);
    expect((await other.ask(await other.signJobs(other.describeJob()))).kind).toBe('offer');
    HELD.held.at(-1)?.finish();
    await first.done;
    expect((await requester.ask(await requester.signJobs(requester.describeJob()))).kind).toBe('offer');
  });

  it('counts attempts of an hour and processor time of a day over restarts', async () => {
    const quotas = { concurrentAttempts: null, attemptsPerHour: 1, cpuTimePerDayMs: 5_000 };
    const executor = new ScriptedExecutor(['process', 'bubblewrap'], (execution) =>
      execution.finish({ usage: { cpuTimeMs: 6_000, wallTimeMs: 6_000, peakMemoryBytes: 1 } }),
    );
    const { rig, requester } = await start({ quotas }, { executor });
    await requester.lease(await requester.prepare()).done;
    await rig.provider.stop();
    const clock = new SteppedClock();
    const after = await start({ quotas }, { database: rig.database, executor, clock });
    const ask = async () =>
      after.requester.ask(
        await after.requester.signJobs(after.requester.describeJob({ deadlineMs: rigDeadline(clock) })),
      );
    expect(await ask()).toMatchObject({ refusal: { detail: expect.stringContaining('in an hour') } });
    await clock.advance(2 * 3_600_000);
    expect(await ask()).toMatchObject({ refusal: { detail: expect.stringContaining('processor time') } });
    await clock.advance(24 * 3_600_000);
    expect((await ask()).kind).toBe('offer');
  });

  it('begins nothing new in quiet hours, says so, and lets what runs go on', async () => {
    const clock = new SteppedClock();
    const at = (offsetMs: number): string => new Date(clock.nowMs() + offsetMs).toISOString().slice(11, 16);
    const windows = [`${at(60_000)}-${at(600_000)}`];
    const executor = new ScriptedExecutor(['process', 'bubblewrap'], () => undefined);
    const { rig, requester } = await start({ quietHours: { zone: 'UTC', windows } }, { clock, executor });
    const log = requester.lease(await requester.prepare());
    await log.until(({ kinds }) => kinds.includes('running'));
    for (let second = 0; second < 60; second += 1) {
      executor.held[0]?.sink.progress({ fuel: second, step: second, cpuTimeMs: second });
      await clock.advance(1_000);
    }
    const answer = await requester.ask(await requester.signJobs(requester.describeJob()));
    expect(answer).toMatchObject({ refusal: { code: 'QUIET_HOURS', retryAfterMs: expect.any(Number) } });
    const { summary, conditions } = await rig.provider.explainNoWork();
    expect(summary).toContain('quiet hours');
    expect(conditions.find(({ name }) => name === 'policy')).toMatchObject({ isMet: false });
    expect(log.kinds).not.toContain('receipt');
    executor.held[0]?.finish();
    await log.done;
    expect(log.kinds.at(-1)).toBe('receipt');
    await clock.advance(600_000);
    expect((await requester.ask(await requester.signJobs(requester.describeJob()))).kind).toBe('offer');
  });
});

describe('the log of decisions', () => {
  it('has the offer, the lease, the start and the end of an attempt, and nothing that it printed', async () => {
    const executor = new ScriptedExecutor(['process', 'bubblewrap'], ({ sink, finish }) => {
      sink.log('stdout', 'the secret of the input', 1);
      finish({ outcome: { kind: 'program-failed', code: 'TRAP', detail: 'the secret of the input' } });
    });
    const { audit, requester } = await start({}, { executor });
    await requester.lease(await requester.prepare()).done;
    expect(audit.kinds).toEqual(['offer', 'lease', 'attempt-start', 'attempt-end']);
    expect(audit.events.at(-1)).toMatchObject({ outcomes: { TRAP: 1 }, cpuTimeMs: 1, requester: requester.peer });
    expect(JSON.stringify(audit.events)).not.toContain('secret');
  });

  it('counts refusals that are the same, and says how many there were', async () => {
    const { rig, audit, requester } = await start({ allow: { ...OPEN_POLICY.allow, kinds: [] } });
    const jobs = await requester.signJobs(requester.describeJob());
    for (let time = 0; time < 5; time += 1) await requester.ask(jobs);
    expect(audit.events).toHaveLength(1);
    await rig.clock.advance(61_000);
    expect(audit.events).toMatchObject([{ times: 1 }, { times: 4, rule: 'policy.allow.kinds' }]);
    await requester.ask(jobs);
    await requester.ask(jobs);
    await rig.provider.stop();
    expect(audit.events.map((event) => ('times' in event ? event.times : 0))).toEqual([1, 4, 1, 1]);
  });
});

describe('an operator that says stop', () => {
  it('drains: what runs comes to its end, also what was leased before; nothing new is taken until it resumes', async () => {
    const executor = new ScriptedExecutor(['process', 'bubblewrap'], () => undefined);
    const { rig, requester } = await start({}, { executor });
    const log = requester.lease(await requester.prepare());
    const late = await requester.prepare();
    await log.until(({ kinds }) => kinds.includes('running'));
    await rig.provider.close();
    expect(rig.provider.status()).toMatchObject({ isDraining: true, closed: { reason: 'drain' } });
    const jobs = await requester.signJobs(requester.describeJob());
    expect(await requester.ask(jobs)).toMatchObject({ refusal: { code: 'DRAINING' } });
    const refused = requester.lease(late);
    await refused.done;
    expect(refused.refusal).toBe('DRAINING');
    expect((await rig.provider.explainNoWork()).summary).toContain('node drain');
    executor.held[0]?.finish();
    await log.done;
    expect(log.kinds.at(-1)).toBe('receipt');
    await rig.provider.stop();
    const after = await start({}, { database: rig.database });
    expect(await after.requester.ask(await after.requester.signJobs(after.requester.describeJob()))).toMatchObject({
      refusal: { code: 'DRAINING' },
    });
    await after.rig.provider.open();
    expect((await after.requester.ask(await after.requester.signJobs(after.requester.describeJob()))).kind).toBe(
      'offer',
    );
  });

  it('panics: what runs and what waits is ended with a receipt that says so', async () => {
    const executor = new ScriptedExecutor(['process', 'bubblewrap'], () => undefined);
    const { rig, audit, requester } = await start({}, { executor, provider: { slots: 1 } });
    const running = requester.lease(await requester.prepare());
    await running.until(({ kinds }) => kinds.includes('running'));
    const waiting = requester.lease(await requester.prepare());
    await waiting.until(({ kinds }) => kinds.includes('queued'));
    expect(await rig.provider.panic({ signal: AbortSignal.timeout(5_000) })).toBe(2);
    await Promise.all([running.done, waiting.done]);
    expect([running, waiting].map(({ kinds }) => kinds.at(-1))).toEqual(['receipt', 'receipt']);
    const ends = audit.events.filter(({ kind }) => kind === 'attempt-end');
    expect(ends).toMatchObject([{ outcomes: { OPERATOR_STOPPED: 1 } }, { outcomes: { OPERATOR_STOPPED: 1 } }]);
    expect(executor.running).toBe(0);
    expect(rig.provider.status()).toMatchObject({ attempts: [], closed: { reason: 'panic' } });
  });
});

function rigDeadline(clock: SteppedClock) {
  return (clock.nowMs() + 3_600_000) as never;
}
