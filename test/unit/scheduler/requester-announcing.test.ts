import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Announcement } from '../../../src/domain/announcement.ts';
import { UnixMs } from '../../../src/domain/ids.ts';
import type { OfferResponse } from '../../../src/domain/messages.ts';
import { OFFER, type Offer } from '../../../src/domain/offer.ts';
import type { Signed, SignedWire } from '../../../src/domain/signed.ts';
import type { Identity } from '../../../src/identity/interface.ts';
import type { JobAnnouncements } from '../../../src/network/interface.ts';
import { signObject } from '../../../src/proofs/signed-object.ts';
import { createRequesterMetrics } from '../../../src/scheduler/metrics.ts';
import { OfferRouter } from '../../../src/scheduler/offer-router.ts';
import {
  ANNOUNCE_AFTER_MS,
  ANNOUNCE_BACKOFF_MS,
  ANNOUNCE_PACE,
} from '../../../src/scheduler/requester/announcing/constants.ts';
import { GivenOffers } from '../../../src/scheduler/requester/announcing/given-offers.ts';
import { randomSubject } from '../../support/announcement-builder.ts';
import { TransportMesh } from '../../support/fake-transport.ts';
import { ManualClock, settleTasks, until } from '../../support/manual-clock.ts';
import { RecordingMetrics } from '../../support/network.ts';
import { identityOf, RequesterRig } from '../../support/requester-rig.ts';
import { type Script, ScriptedProvider } from '../../support/scripted-provider.ts';

/** Gossip that keeps what is said. */
class Record implements JobAnnouncements {
  readonly said: Signed<Announcement>[] = [];
  recipients = 3;
  fault: Error | null = null;

  async announce(announcement: Signed<Announcement>) {
    if (this.fault !== null) throw this.fault;
    this.said.push(announcement);
    return { recipients: this.recipients };
  }

  listen() {
    return { [Symbol.dispose]: () => undefined };
  }

  get last(): Signed<Announcement> {
    const last = this.said.at(-1);
    if (last === undefined) throw new TypeError('nothing was announced');
    return last;
  }
}

async function start() {
  const announcements = new Record();
  const rig = await RequesterRig.start({ announcements });
  return { rig, announcements };
}

/** A provider that nobody knows. */
async function hide(rig: RequesterRig, seed: number, script: Script = {}): Promise<ScriptedProvider> {
  const identity = await identityOf(seed);
  return new ScriptedProvider({ transport: rig.mesh.join(identity.peer), identity, clock: rig.clock }, script);
}

async function give(rig: RequesterRig, provider: Identity, wire: SignedWire): Promise<boolean> {
  const transport = rig.mesh.join(provider.peer);
  const answer = await transport.request(rig.identity.peer, 'offer', { op: 'give', offer: wire });
  if (answer.kind !== 'noted') throw new TypeError(answer.kind);
  return answer.isWanted;
}

describe('work that no known peer takes', () => {
  it('is announced at once where nobody is known, and given to who offers', async () => {
    const { rig, announcements } = await start();
    const provider = await hide(rig, 30);
    const job = await rig.submit();
    await rig.clock.advance(0);
    expect(announcements.said).toHaveLength(1);
    const { value } = announcements.last;
    expect(value).toMatchObject({
      subject: job,
      network: 'test',
      requester: rig.identity.peer,
      capabilityClass: 'cpu',
      attempts: 1,
      wanted: 1,
    });
    expect(Object.keys(value)).not.toContain('inputs');
    const offer = await provider.offerOn(value);
    expect(await give(rig, provider.identity, offer.wire)).toBe(true);
    const view = await rig.end(job);
    expect(view).toMatchObject({ state: 'completed', attempts: [{ provider: provider.peer }] });
    const explained = { count: 1, lastRecipients: 3, given: { wanted: 1, unwanted: 0, invalid: 0 }, failure: null };
    expect((await rig.requester.explain(job)).announced).toMatchObject(explained);
    // It is written with the end of the job.
    const later = await rig.restart();
    expect((await later.requester.explain(job)).announced).toMatchObject(explained);
  });

  it('is not announced where a known peer offers in time', async () => {
    const { rig, announcements } = await start();
    await rig.addProvider();
    await rig.end(await rig.submit());
    await rig.clock.advance(ANNOUNCE_AFTER_MS * 2);
    expect(announcements.said).toHaveLength(0);
  });

  it('is announced a little after known peers were asked that do not answer, at once where all refuse', async () => {
    const { rig, announcements } = await start();
    const provider = await rig.addProvider({ silentOn: ['offer'] });
    await rig.submit();
    await rig.clock.advance(ANNOUNCE_AFTER_MS - 1);
    expect(announcements.said).toHaveLength(0);
    await rig.clock.advance(1);
    await until(() => announcements.said.length === 1);
    provider.script = { refuseOffer: () => ({ code: 'AT_CAPACITY', detail: '' }) };
    await rig.submit();
    await rig.clock.advance(1);
    await until(() => announcements.said.length === 2);
  });

  it('is announced again, ever more seldom and each time as another message, until it has its provider', async () => {
    const { rig, announcements } = await start();
    const job = await rig.submit();
    const startMs = rig.clock.nowMs();
    for (let second = 0; second <= 62; second += 1) await rig.clock.advance(1_000);
    const times = announcements.said.map(({ value }) => (value.issuedAtMs - startMs) / 1_000);
    expect(times).toEqual([0, 1, 3, 7, 15, 31, 61]);
    const lives = announcements.said.map(({ value }) => value.expiresAtMs - value.issuedAtMs);
    expect(Math.max(...lives)).toBe(60_000);
    expect(new Set(announcements.said.map(({ id }) => id)).size).toBe(times.length);
    await rig.requester.cancel(job);
    await rig.clock.advance(ANNOUNCE_BACKOFF_MS.longest * 2);
    expect(announcements.said).toHaveLength(times.length);
  });

  it('never lives longer than the job', async () => {
    const { rig, announcements } = await start();
    const deadlineMs = UnixMs(rig.clock.nowMs() + 4_000);
    await rig.submit({ deadlineMs });
    await rig.clock.advance(0);
    expect(announcements.last.value.expiresAtMs).toBe(deadlineMs);
  });

  it('is announced no faster than peers let pass, however many jobs look', async () => {
    const { rig, announcements } = await start();
    for (let index = 0; index < ANNOUNCE_PACE.burst * 2; index += 1) await rig.submit();
    await rig.clock.advance(1);
    expect(announcements.said.length).toBe(ANNOUNCE_PACE.burst);
    await rig.clock.advance(10_000);
    expect(announcements.said.length).toBeLessThanOrEqual(ANNOUNCE_PACE.burst + 10 * ANNOUNCE_PACE.perSecond);
  });

  it('names in its explanation what went out, to how many, and what hindered it', async () => {
    const { rig, announcements } = await start();
    announcements.recipients = 0;
    const job = await rig.submit();
    await rig.clock.advance(0);
    const unheard = await rig.requester.explain(job);
    expect(unheard.summary).toContain('announced once, last to 0 peers; 0 offers came back');
    expect(unheard.hints.join('\n')).toContain('nobody that takes such jobs is connected');
    announcements.fault = new Error('no network');
    await rig.clock.advance(1_000);
    const failed = await rig.requester.explain(job);
    expect(failed.announced).toMatchObject({ count: 1, failure: 'no network' });
    expect(failed.hints.join('\n')).toContain('could not be sent: no network');
  });
});

describe('an offer that comes unasked', () => {
  async function seeking(change: Parameters<RequesterRig['submit']>[0] = {}) {
    const { rig, announcements } = await start();
    const provider = await hide(rig, 30, { holds: true });
    const job = await rig.submit(change);
    await rig.clock.advance(0);
    return { rig, provider, job, announced: announcements.last.value };
  }

  it('is not wanted once another was taken', async () => {
    const { rig, provider, announced, job } = await seeking();
    const other = await hide(rig, 31);
    const offers = await Promise.all([provider.offerOn(announced), other.offerOn(announced)]);
    const [first, second] = await Promise.all([
      give(rig, provider.identity, offers[0].wire),
      give(rig, other.identity, offers[1].wire),
    ]);
    expect([first, second].filter((isWanted) => isWanted)).toHaveLength(1);
    expect((await rig.requester.show(job)).attempts.length).toBeLessThanOrEqual(1);
  });

  it('is not wanted twice of one provider, for replicas that need different ones', async () => {
    const { rig, provider, announced } = await seeking({ replication: { replicas: 3, quorum: 2, diversity: 'peer' } });
    expect(announced.wanted).toBe(3);
    expect(await give(rig, provider.identity, (await provider.offerOn(announced)).wire)).toBe(true);
    expect(await give(rig, provider.identity, (await provider.offerOn(announced)).wire)).toBe(false);
  });

  it.each<[string, Partial<Offer>]>([
    ['for other terms', { attempts: 2 }],
    ['above the ceiling', { price: '1' }],
    ['that has expired', { expiresAtMs: UnixMs(1) }],
    ['to another requester', { requester: 'other' as never }],
  ])('is refused if it is one %s', async (_name, change) => {
    const { rig, provider, announced, job } = await seeking();
    const changed = 'requester' in change ? { requester: provider.peer } : change;
    const offer = await signObject(
      OFFER,
      { ...(await provider.offerOn(announced)).value, ...changed },
      provider.identity,
    );
    expect(await give(rig, provider.identity, offer.wire)).toBe(false);
    expect((await rig.requester.explain(job)).announced?.given).toEqual({ wanted: 0, unwanted: 0, invalid: 1 });
  });

  it('is refused if another than its signer gives it', async () => {
    const { rig, provider, announced } = await seeking();
    const thief = await hide(rig, 32);
    expect(await give(rig, thief.identity, (await provider.offerOn(announced)).wire)).toBe(false);
  });

  it('is not wanted of a peer that is being asked: it answers that', async () => {
    const { rig, announcements } = await start();
    const provider = await rig.addProvider({ silentOn: ['offer'] });
    await rig.submit();
    await rig.clock.advance(ANNOUNCE_AFTER_MS);
    await until(() => announcements.said.length === 1);
    const offer = await provider.offerOn(announcements.last.value);
    expect(await give(rig, provider.identity, offer.wire)).toBe(false);
    expect(rig.metrics.read('fogproof_requester_offers_given_total', { answer: 'unwanted' })).toBe(1);
  });

  it('for work of which nothing is known is not wanted, whatever it is', async () => {
    const { rig, provider, announced } = await seeking();
    const foreign = await provider.offerOn({ ...announced, subject: randomSubject() });
    expect(await give(rig, provider.identity, foreign.wire)).toBe(false);
    expect(rig.metrics.read('fogproof_requester_offers_given_total', { answer: 'unknown' })).toBe(1);
  });

  it('is noted as not wanted where it is garbage', async () => {
    const given = new GivenOffers({ metrics: createRequesterMetrics(new RecordingMetrics()) });
    const { peer } = await identityOf(33);
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (envelope) => {
        const answer = await given.answer(peer, { op: 'give', offer: { kind: 'envelope', envelope } });
        expect(answer).toEqual({ kind: 'noted', isWanted: false });
      }),
      { numRuns: 50 },
    );
  });
});

describe('the one handler of the offer protocol', () => {
  it('serves both roles of a node, each alone too, and goes with the last', async () => {
    const mesh = new TransportMesh(new ManualClock());
    const [node, peer] = await Promise.all([identityOf(34), identityOf(35)]);
    const router = new OfferRouter(mesh.join(node.peer));
    const from = mesh.join(peer.peer);
    const offer: SignedWire = { kind: 'envelope', envelope: new Uint8Array(1) };
    const sendGive = () => from.request(node.peer, 'offer', { op: 'give', offer });
    await expect(sendGive()).rejects.toMatchObject({ code: 'NETWORK_UNREACHABLE' });
    const refusal: OfferResponse = { kind: 'refused', refusal: { code: 'DRAINING', detail: 'test' } };
    const asks = router.answerAsks(async () => refusal);
    expect(await sendGive()).toEqual({ kind: 'noted', isWanted: false });
    const gives = router.answerGives(async (given) => ({ kind: 'noted', isWanted: given === peer.peer }));
    expect(await sendGive()).toEqual({ kind: 'noted', isWanted: true });
    asks[Symbol.dispose]();
    expect(await sendGive()).toEqual({ kind: 'noted', isWanted: true });
    gives[Symbol.dispose]();
    await settleTasks(1);
    await expect(sendGive()).rejects.toMatchObject({ code: 'NETWORK_UNREACHABLE' });
  });
});
