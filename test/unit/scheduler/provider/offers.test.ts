import { describe, expect, it } from 'vitest';
import type { ResourceAmount } from '../../../../src/domain/job.ts';
import type { OfferResponse } from '../../../../src/domain/messages.ts';
import { OFFER } from '../../../../src/domain/offer.ts';
import { openSigned } from '../../../../src/proofs/signed-object.ts';
import { RETRY_AFTER_MS } from '../../../../src/scheduler/provider/constants.ts';
import { JOB_PROVIDER_DEFAULTS } from '../../../../src/scheduler/provider/options.ts';
import { settle } from '../../../support/provider-clock.ts';
import { ScriptedExecutor } from '../../../support/provider-executor.ts';
import { leaseIdOf, PARAMETERS, ProviderRig, type ProviderRigOptions, termsOf } from '../../../support/provider-rig.ts';

async function ask(options: ProviderRigOptions, change: object = {}): Promise<OfferResponse> {
  const rig = await ProviderRig.start(options);
  const requester = await rig.requester();
  return await requester.ask(await requester.signJobs(requester.describeJob(change)));
}

function refusalOf(answer: OfferResponse) {
  return answer.kind === 'refused' ? answer.refusal : undefined;
}

const NO_QUEUE = { ...JOB_PROVIDER_DEFAULTS.queue, attempts: 0 };
const PRICE = [{ capabilityClass: 'cpu' as const, price: '3600' }];

describe('an offer', () => {
  it('repeats the terms, names price, isolation and instrumenter, and is signed', async () => {
    const rig = await ProviderRig.start({ provider: { pricesPerHour: PRICE } });
    const requester = await rig.requester();
    const [job] = await requester.signJobs(requester.describeJob({ priceCeiling: '60' }));
    if (job === undefined) throw new TypeError();
    const answer = await requester.ask([job]);
    if (answer.kind !== 'offer') throw new TypeError(JSON.stringify(answer));
    const { value } = await openSigned(OFFER, answer.offer, rig.identity.peer);
    expect(value).toMatchObject({
      subject: job.id,
      requester: requester.peer,
      provider: rig.identity.peer,
      terms: termsOf(job.value),
      attempts: 1,
      price: '60',
      isolation: 'bubblewrap',
      instrumenter: 'scripted/1',
      expiresAtMs: rig.clock.nowMs() + PARAMETERS.offerTtlMs,
    });
    expect(rig.executor.warmed).toEqual([requester.peer]);
  });

  it('is refused with the figures if the ceiling is below the standing price', async () => {
    const answer = await ask({ provider: { pricesPerHour: PRICE } }, { priceCeiling: '59' });
    expect(refusalOf(answer)).toEqual({
      code: 'PRICE_TOO_LOW',
      detail: 'ceiling 59, standing price of this attempt 60 (base units)',
    });
  });

  it.each(['memoryBytes', 'fuel', 'wallTimeMs', 'outputBytes', 'logBytes'] as const)(
    'is refused if %s is more than it lends',
    async (name: ResourceAmount) => {
      const limits = { memoryBytes: 2 ** 20, fuel: 1e6, wallTimeMs: 1e6, outputBytes: 1e7, logBytes: 1e7 };
      const resources = { ...limits, memoryBytes: 65_536, [name]: limits[name] + 1 };
      const refusal = refusalOf(await ask({ provider: { limits } }, { resources }));
      expect(refusal?.code).toBe('RESOURCES_TOO_LARGE');
      expect(refusal?.detail).toBe(`${name}: ${limits[name] + 1} asked for, at most ${limits[name]} lent`);
      expect((await ask({ provider: { limits } }, { resources: limits })).kind).toBe('offer');
    },
  );

  it('is refused to strangers where the host cannot isolate as policy demands, and given to trusted ones', async () => {
    const rig = await ProviderRig.start();
    const { peer } = await rig.requester();
    const weak = () => new ScriptedExecutor(['process']);
    expect(refusalOf(await ask({ executor: weak() }))?.code).toBe('ISOLATION_POLICY');
    expect((await ask({ executor: weak(), provider: { trustedRequesters: [peer] } })).kind).toBe('offer');
    expect((await ask({ executor: weak(), provider: { isolationForStrangers: 'process' } })).kind).toBe('offer');
    const demanding = { isolation: 'bubblewrap' };
    const trusting = { executor: weak(), provider: { trustedRequesters: [peer] } };
    expect(refusalOf(await ask(trusting, demanding))?.code).toBe('ISOLATION_UNAVAILABLE');
  });

  it('is refused where no executor works, or providing is off', async () => {
    const off = await ask({ executor: new ScriptedExecutor([]) });
    expect(refusalOf(off)?.code).toBe('EXECUTOR_UNAVAILABLE');
    const disabled = await ask({ provider: { isEnabled: false } });
    expect(refusalOf(disabled)).toMatchObject({
      code: 'EXECUTOR_UNAVAILABLE',
      detail: 'providing is switched off on this node',
    });
  });

  it('is refused to requesters that policy does not name', async () => {
    const rig = await ProviderRig.start();
    const [named, other] = [await rig.requester(9), await rig.requester(8)];
    expect((await ask({ provider: { allowRequesters: [named.peer] } })).kind).toBe('offer');
    const refused = await ask({ provider: { allowRequesters: [other.peer] } });
    expect(refusalOf(refused)?.code).toBe('REQUESTER_NOT_ALLOWED');
  });

  it('is refused if the deadline is over', async () => {
    const rig = await ProviderRig.start();
    const answer = await ask({ clock: rig.clock }, { deadlineMs: rig.clock.nowMs() + 49 });
    expect(refusalOf(answer)?.code).toBe('DEADLINE_TOO_SOON');
  });

  it('to the node itself follows its policy', async () => {
    const policies = { run: undefined, refuse: 'OWN_JOB' } as const;
    for (const ownJobs of ['run', 'refuse'] as const) {
      const executor = new ScriptedExecutor(['process']);
      const rig = await ProviderRig.start({ executor, provider: { ownJobs } });
      const self = await rig.requester(1);
      const answer = await self.ask(await self.signJobs(self.describeJob()));
      expect(refusalOf(answer)?.code).toBe(policies[ownJobs]);
    }
  });

  it('holds a slot until it expires', async () => {
    const rig = await ProviderRig.start({ provider: { queue: NO_QUEUE } });
    const requester = await rig.requester();
    const ask = async () => await requester.ask(await requester.signJobs(requester.describeJob()));
    expect((await ask()).kind).toBe('offer');
    expect((await ask()).kind).toBe('offer');
    expect(refusalOf(await ask())).toEqual({
      code: 'AT_CAPACITY',
      detail: '2 slots: 0 running, 2 reserved; it has no queue',
      retryAfterMs: RETRY_AFTER_MS.shortest,
    });
    await rig.clock.advance(PARAMETERS.offerTtlMs);
    expect((await ask()).kind).toBe('offer');
  });

  it('is refused for ever longer to a requester that leaves its offers untaken, and only to it', async () => {
    const rig = await ProviderRig.start({ provider: { queue: NO_QUEUE } });
    const squatter = await rig.requester(9);
    const honest = await rig.requester(8);
    const ask = async (who: typeof squatter) => await who.ask(await who.signJobs(who.describeJob()));
    const heldAtMs: number[] = [];
    const startedAtMs = rig.clock.nowMs();
    for (let turn = 0; turn < 120; turn += 1) {
      while ((await ask(squatter)).kind === 'offer') heldAtMs.push(rig.clock.nowMs() - startedAtMs);
      await rig.clock.advance(500);
    }
    expect(heldAtMs.length).toBeLessThan(14);
    expect(refusalOf(await ask(squatter))?.detail).toMatch(/untaken/);
    expect((await ask(honest)).kind).toBe('offer');
  });

  it('is given as before once a requester takes one', async () => {
    const rig = await ProviderRig.start();
    const requester = await rig.requester();
    const ask = async () => await requester.ask(await requester.signJobs(requester.describeJob()));
    for (let turn = 0; turn < 6; turn += 1) {
      expect((await ask()).kind).toBe('offer');
      if (turn % 3 === 2) await requester.lease(await requester.prepare()).done;
      await rig.clock.advance(PARAMETERS.offerTtlMs);
    }
  });

  it('never gives more slots than there are, however many ask at once', async () => {
    const rig = await ProviderRig.start({ provider: { queue: NO_QUEUE } });
    const requester = await rig.requester();
    const jobs = await Promise.all(Array.from({ length: 8 }, () => requester.signJobs(requester.describeJob())));
    const answers = await Promise.all(jobs.map((job) => requester.ask(job)));
    expect(answers.filter(({ kind }) => kind === 'offer')).toHaveLength(2);
  });

  it('is refused to a requester that asks too often, and only to it', async () => {
    const rig = await ProviderRig.start({ provider: { allowRequesters: [] } });
    const requester = await rig.requester(9);
    const [job] = await requester.signJobs(requester.describeJob());
    if (job === undefined) throw new TypeError();
    const request = { subject: job.id, terms: termsOf(job.value) };
    const codes = new Set<string | undefined>();
    for (let count = 0; count < 401; count += 1) codes.add(refusalOf(await requester.requestOffer(request))?.code);
    expect(codes).toEqual(new Set(['REQUESTER_NOT_ALLOWED', 'RATE_LIMITED']));
    const other = await rig.requester(8);
    expect(refusalOf(await other.requestOffer(request))?.code).toBe('REQUESTER_NOT_ALLOWED');
    await rig.clock.advance(1_000);
    expect(refusalOf(await requester.requestOffer(request))?.code).toBe('REQUESTER_NOT_ALLOWED');
  });

  it('is limited in number for one requester, whatever the slots', async () => {
    const rig = await ProviderRig.start({ provider: { slots: 100 } });
    const requester = await rig.requester();
    const codes: (string | undefined)[] = [];
    for (let count = 0; count < 65; count += 1) {
      codes.push(refusalOf(await requester.ask(await requester.signJobs(requester.describeJob())))?.code);
    }
    expect(codes.filter((code) => code === undefined)).toHaveLength(64);
    expect(codes.at(-1)).toBe('RATE_LIMITED');
  });
});

describe('draining', () => {
  it('refuses offers and leases, and resolves when what runs has ended', async () => {
    const rig = await ProviderRig.start();
    rig.executor.behaviour = () => undefined;
    const requester = await rig.requester();
    const running = requester.lease(await requester.prepare());
    await running.until(({ events }) => events.length > 0);
    const late = await requester.prepare();
    let isDrained = false;
    const drained = rig.provider.drain({ signal: new AbortController().signal }).then(() => {
      isDrained = true;
    });
    expect(rig.provider.status().isDraining).toBe(true);
    expect(refusalOf(await requester.ask(late.jobs))?.code).toBe('DRAINING');
    const refused = requester.lease(late);
    await refused.done;
    expect(refused.refusal).toBe('DRAINING');
    await settle();
    expect(isDrained).toBe(false);
    rig.executor.held[0]?.finish();
    await drained;
    await running.done;
    expect(running.kinds.at(-1)).toBe('receipt');
  });
});

describe('draining with a commitment that waits for its reveal', () => {
  const replication = { replicas: 2, quorum: 2, diversity: 'peer' } as const;

  async function drainCommitted() {
    const rig = await ProviderRig.start();
    const requester = await rig.requester();
    const work = await requester.prepare(await requester.signJobs(requester.describeJob({ replication })));
    const log = requester.lease(work);
    await log.done;
    expect(log.kinds.at(-1)).toBe('committed');
    const state = { isDrained: false };
    const drained = rig.provider.drain({ signal: new AbortController().signal }).then(() => {
      state.isDrained = true;
    });
    await settle();
    expect(state.isDrained).toBe(false);
    return { rig, requester, work, drained };
  }

  it('ends when the requester has closed the lease', async () => {
    const { requester, work, drained } = await drainCommitted();
    await requester.sendOne({ op: 'close', leases: work.leases.map(leaseIdOf) });
    await drained;
  });

  it('does not wait longer than a lease lasts', async () => {
    const { rig, drained } = await drainCommitted();
    await rig.clock.advance(PARAMETERS.leaseDurationMs);
    await drained;
  });
});

describe('why there is no work', () => {
  const unmetOf = async ({ provider }: ProviderRig) => {
    const { conditions } = await provider.explainNoWork();
    return conditions.filter(({ isMet }) => !isMet).map(({ name }) => name);
  };

  it('names each unmet condition with what to do', async () => {
    const rig = await ProviderRig.start({
      executor: new ScriptedExecutor([]),
      provider: { isEnabled: false, allowRequesters: [], slots: 0 },
    });
    rig.connections = 0;
    expect(await unmetOf(rig)).toEqual(['providing', 'executor', 'isolation', 'peers', 'requesters', 'slots']);
    for (const { isMet, remedy } of (await rig.provider.explainNoWork()).conditions)
      expect(remedy === null).toBe(isMet);
    expect((await rig.provider.explainNoWork()).summary).toBe(
      'No work can come: providing is switched off on this node.',
    );
  });

  it('says that nobody asked, then what was refused and why', async () => {
    const rig = await ProviderRig.start({ provider: { pricesPerHour: PRICE } });
    expect(await rig.provider.explainNoWork()).toMatchObject({ lastRequestAtMs: null, offersMade: 0, refusals: [] });
    expect((await rig.provider.explainNoWork()).summary).toContain('no requester has asked');
    const requester = await rig.requester();
    await requester.ask(await requester.signJobs(requester.describeJob({ priceCeiling: '1' })));
    expect(await unmetOf(rig)).toEqual(['price']);
    expect(await rig.provider.explainNoWork()).toMatchObject({
      lastRequestAtMs: rig.clock.nowMs(),
      refusals: [
        { code: 'PRICE_TOO_LOW', count: 1, lastDetail: 'ceiling 1, standing price of this attempt 60 (base units)' },
      ],
    });
  });
});
