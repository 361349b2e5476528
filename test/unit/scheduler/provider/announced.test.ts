import { describe, expect, it } from 'vitest';
import type { Announcement } from '../../../../src/domain/announcement.ts';
import type { CapabilityClass } from '../../../../src/domain/capability.ts';
import { type PeerKey, UnixMs } from '../../../../src/domain/ids.ts';
import { OFFER, type Offer } from '../../../../src/domain/offer.ts';
import type { Signed } from '../../../../src/domain/signed.ts';
import type { Random } from '../../../../src/lib/random.ts';
import type { JobAnnouncements } from '../../../../src/network/interface.ts';
import { openSigned } from '../../../../src/proofs/signed-object.ts';
import { computeAnswerDelay } from '../../../../src/scheduler/provider/announced/answer-delay.ts';
import {
  ANSWER_DELAY_MS,
  FAMILIAR_WASTE_MS,
  GIVEN_SLOT_SHARE,
  GIVES_RATE,
  MAX_OPEN_GIVES_PER_REQUESTER,
  MAX_WAITING_ANNOUNCEMENTS,
  STRANGER_WASTE,
  STRANGERS_WAITING_SHARE,
} from '../../../../src/scheduler/provider/announced/constants.ts';
import { StrangerBudget } from '../../../../src/scheduler/provider/announced/stranger-budget.ts';
import { WaitingRoom } from '../../../../src/scheduler/provider/announced/waiting-room.ts';
import type { JobProviderOptions } from '../../../../src/scheduler/provider/options.ts';
import { signAnnouncement } from '../../../support/announcement-builder.ts';
import { until } from '../../../support/manual-clock.ts';
import { settle } from '../../../support/provider-clock.ts';
import { ScriptedExecutor } from '../../../support/provider-executor.ts';
import { identityOf, PARAMETERS, ProviderRig, TestRequester } from '../../../support/provider-rig.ts';

/** Gossip that a test speaks into. */
class Megaphone implements JobAnnouncements {
  classes: readonly CapabilityClass[] | null = null;
  shout: (announcement: Signed<Announcement>) => void = () => undefined;

  async announce() {
    return { recipients: 0 };
  }

  listen(classes: readonly CapabilityClass[], onAnnouncement: (announcement: Signed<Announcement>) => void) {
    this.classes = classes;
    this.shout = onAnnouncement;
    return { [Symbol.dispose]: () => void (this.classes = null) };
  }
}

/** How a requester answers what it is given. */
type Attitude = 'wants' | 'declines' | 'breaks' | 'declines late';

class Scene {
  readonly announcements: Megaphone;
  readonly rig: ProviderRig;
  readonly given: Signed<Offer>[] = [];
  #seed = 20;

  private constructor(rig: ProviderRig, announcements: Megaphone) {
    this.rig = rig;
    this.announcements = announcements;
  }

  static async open(provider: Partial<JobProviderOptions> = {}, executor = new ScriptedExecutor()): Promise<Scene> {
    const announcements = new Megaphone();
    const rig = await ProviderRig.start({ provider, executor, announcements });
    return new Scene(rig, announcements);
  }

  async requester(attitude: Attitude): Promise<TestRequester> {
    this.#seed += 1;
    const requester = new TestRequester(await identityOf(this.#seed), this.rig);
    const { given, rig } = this;
    requester.transport.handle('offer', async function* (request) {
      if (request.op !== 'give') throw new TypeError('it takes no jobs');
      given.push(await openSigned(OFFER, request.offer));
      if (attitude === 'breaks') throw new TypeError('it broke');
      if (attitude === 'declines late') await new Promise<void>((resolve) => rig.clock.schedule(2_900, resolve));
      yield { kind: 'noted', isWanted: attitude === 'wants' };
    });
    return requester;
  }

  /** Says it, and lets the time pass in which it would be answered. */
  async announce({ identity }: Pick<TestRequester, 'identity'>, changes: Partial<Announcement> = {}): Promise<void> {
    const before = this.#events();
    this.announcements.shout(await signAnnouncement(identity, this.rig.clock.nowMs(), changes));
    await this.rig.clock.advance(ANSWER_DELAY_MS.base + ANSWER_DELAY_MS.perLoad);
    await until(() => this.#events() > before);
    await settle();
  }

  /** Everything that can come of an announcement. */
  #events(): number {
    const outcomes = [...this.rig.metrics.sums].filter(([name]) => name.startsWith('fogproof_provider_announcements_'));
    return outcomes.reduce((sum, [, count]) => sum + count, this.given.length);
  }

  count(outcome: string): number {
    return this.rig.metrics.sums.get(`fogproof_provider_announcements_total ${outcome}`) ?? 0;
  }

  get slots() {
    return this.rig.provider.status().slots;
  }
}

describe('a provider that hears of work', () => {
  it('gives a signed offer that holds a slot until it is leased, and runs what is leased', async () => {
    const scene = await Scene.open();
    const requester = await scene.requester('wants');
    const [job] = await requester.signJobs(requester.describeJob());
    if (job === undefined) throw new TypeError();
    const { resources, isolation, deadlineMs, priceCeiling } = job.value;
    const terms = {
      workloadKind: 'wasm',
      resources,
      isolation,
      deadlineMs,
      priceCeiling,
      commitReveal: false,
    } as const;
    await scene.announce(requester, { subject: job.id, terms });
    const [offer] = scene.given;
    if (offer === undefined) throw new TypeError();
    expect(offer.value).toMatchObject({
      requester: requester.peer,
      provider: scene.rig.identity.peer,
      subject: job.id,
      terms,
    });
    expect(scene.slots.reserved).toBe(1);
    const leases = await requester.signLeases([job], offer);
    const log = requester.lease({ jobs: [job], leases, offer });
    await log.until(({ kinds }) => kinds.includes('receipt'));
    expect(scene.slots).toMatchObject({ reserved: 0, running: 0 });
    await scene.rig.clock.advance(PARAMETERS.offerTtlMs);
    expect(scene.count('taken')).toBe(1);
  });

  it('waits a little before it answers', async () => {
    const scene = await Scene.open();
    const requester = await scene.requester('wants');
    scene.announcements.shout(await signAnnouncement(requester.identity, scene.rig.clock.nowMs()));
    await settle();
    expect(scene.given).toHaveLength(0);
    await scene.rig.clock.advance(ANSWER_DELAY_MS.base);
    await until(() => scene.given.length === 1);
  });

  it.each<Attitude>(['declines', 'breaks'])(
    'lets go of what it reserved when the requester is one that %s',
    async (attitude) => {
      const scene = await Scene.open();
      const requester = await scene.requester(attitude);
      await scene.announce(requester);
      await until(() => scene.count(attitude === 'breaks' ? 'unreachable' : 'unwanted') === 1);
      expect(scene.given).toHaveLength(1);
      expect(scene.slots.reserved).toBe(0);
    },
  );

  it('lets go of it when the requester cannot be reached', async () => {
    const scene = await Scene.open();
    await scene.announce({ identity: await identityOf(77) });
    expect(scene.count('unreachable')).toBe(1);
    expect(scene.slots.reserved).toBe(0);
  });

  it('gives none for what expired while it waited', async () => {
    const scene = await Scene.open();
    const requester = await scene.requester('wants');
    // One whose slots are in use takes its time.
    for (const seed of [8, 9]) await (await scene.rig.requester(seed)).prepare();
    const soon = UnixMs(scene.rig.clock.nowMs() + 1);
    const announcement = await signAnnouncement(requester.identity, scene.rig.clock.nowMs() - 1_000, {
      expiresAtMs: soon,
    });
    scene.announcements.shout(announcement);
    await scene.rig.clock.advance(ANSWER_DELAY_MS.base + ANSWER_DELAY_MS.perLoad);
    expect(scene.given).toHaveLength(0);
    expect(scene.count('expired')).toBe(1);
  });

  it('judges the terms as it would those of a request, and does not tally it as one', async () => {
    const scene = await Scene.open({ pricesPerHour: [{ capabilityClass: 'cpu', price: '3600' }] });
    await scene.announce(await scene.requester('wants'));
    expect(scene.given).toHaveLength(0);
    expect(scene.count('refused')).toBe(1);
    expect(await scene.rig.provider.explainNoWork()).toMatchObject({ refusals: [], lastRequestAtMs: null });
  });

  it('gives no second offer for the same work while the first is open, nor beside one that was asked for', async () => {
    const scene = await Scene.open({ slots: 8 });
    const requester = await scene.requester('wants');
    const [job] = await requester.signJobs(requester.describeJob());
    if (job === undefined) throw new TypeError();
    await scene.announce(requester, { subject: job.id });
    await scene.announce(requester, { subject: job.id });
    expect(scene.given).toHaveLength(1);
    const other = await scene.requester('wants');
    const [asked] = await other.signJobs(other.describeJob());
    if (asked === undefined) throw new TypeError();
    await other.takeOffer([asked]);
    await scene.announce(other, { subject: asked.id });
    expect(scene.given).toHaveLength(1);
    expect(scene.count('open-gives')).toBe(2);
  });

  it('answers not itself, and nobody while it drains or after it stopped', async () => {
    const scene = await Scene.open();
    const requester = await scene.requester('wants');
    await scene.announce({ identity: scene.rig.identity });
    expect(scene.count('own')).toBe(1);
    void scene.rig.provider.drain({ signal: AbortSignal.timeout(1_000) });
    await scene.announce(requester);
    expect(scene.count('draining')).toBe(1);
    await scene.rig.provider.stop();
    expect(scene.announcements.classes).toBeNull();
    expect(scene.given).toHaveLength(0);
  });

  it('listens to the classes that it serves, and to none where it takes no jobs', async () => {
    expect((await Scene.open()).announcements.classes).toEqual(['cpu']);
    expect((await Scene.open({ isEnabled: false })).announcements.classes).toEqual([]);
    expect((await Scene.open({}, new ScriptedExecutor([]))).announcements.classes).toEqual([]);
  });
});

describe('work that does not exist, announced under many names', () => {
  it('never holds more than a share of the slots; who asks gets the rest', async () => {
    const scene = await Scene.open({ slots: 8 });
    const nowMs = scene.rig.clock.nowMs();
    for (let index = 0; index < 8; index += 1) {
      const { identity } = await scene.requester('wants');
      scene.announcements.shout(await signAnnouncement(identity, nowMs));
    }
    await scene.rig.clock.advance(ANSWER_DELAY_MS.base + ANSWER_DELAY_MS.perLoad);
    await until(() => scene.given.length + scene.count('no-share') === 8);
    expect(scene.slots.reserved).toBe(8 * GIVEN_SLOT_SHARE);
    expect(scene.count('no-share')).toBe(4);
    const honest = await scene.rig.requester();
    for (let index = 0; index < 4; index += 1) await honest.prepare();
    expect(scene.slots.reserved).toBe(8);
  });

  it.each(['wants', 'declines late'] as const)(
    'holds a single slot for a small share of the time where each of them %s, and those who take what they are given are served',
    async (attitude) => {
      const scene = await Scene.open({ slots: 1 });
      const friend = await scene.requester('wants');
      await serve(scene, friend);
      // The same few identities would be caught by their own lapses.
      const liars = await Promise.all(Array.from({ length: 40 }, () => scene.requester(attitude)));
      let heldMs = 0;
      const stepMs = 500;
      const rounds = 400;
      for (let round = 0; round < rounds; round += 1) {
        const liar = liars[round % liars.length] ?? friend;
        scene.announcements.shout(await signAnnouncement(liar.identity, scene.rig.clock.nowMs()));
        await scene.rig.clock.advance(stepMs);
        heldMs += scene.slots.reserved * stepMs;
      }
      const { atOnceMs, share } = STRANGER_WASTE;
      const bound = atOnceMs + rounds * stepMs * share + PARAMETERS.offerTtlMs;
      expect(heldMs).toBeGreaterThan(atOnceMs / 2);
      expect(heldMs).toBeLessThanOrEqual(bound);
      expect(scene.count('stranger')).toBeGreaterThan(rounds / 2);
      await scene.rig.clock.advance(PARAMETERS.offerTtlMs);
      expect(await serve(scene, friend)).toBe(true);
    },
  );

  it('of one stranger waits once, and leaves room for the first of another', async () => {
    const scene = await Scene.open({ slots: 64 });
    const nowMs = scene.rig.clock.nowMs();
    const [loud, quiet] = [await scene.requester('declines'), await scene.requester('wants')];
    for (let index = 0; index < MAX_WAITING_ANNOUNCEMENTS + 5; index += 1) {
      scene.announcements.shout(await signAnnouncement(loud.identity, nowMs));
    }
    expect(scene.count('crowded')).toBe(MAX_WAITING_ANNOUNCEMENTS + 4);
    await scene.announce(quiet);
    await until(() => scene.given.some(({ value }) => value.requester === quiet.peer));
  });

  it('is given no more offers than a bound at once', async () => {
    const scene = await Scene.open({ slots: 64 });
    const requester = await scene.requester('declines');
    const announcement = await signAnnouncement(requester.identity, scene.rig.clock.nowMs());
    const startedAtMs = scene.rig.clock.nowMs();
    while (scene.count('rate') === 0 && scene.given.length < GIVES_RATE.burst * 2) {
      scene.announcements.shout(announcement);
      await scene.rig.clock.advance(1);
    }
    const seconds = (scene.rig.clock.nowMs() - startedAtMs) / 1_000;
    expect(scene.given.length).toBeLessThanOrEqual(GIVES_RATE.burst + GIVES_RATE.perSecond * seconds + 1);
    expect(scene.count('rate')).toBe(1);
  });
});

describe('the room of announcements that wait', () => {
  const peer = (index: number) => `peer ${index}` as PeerKey;

  it('has a place for each stranger, and half of its places for those who take what they are given', () => {
    const room = new WaitingRoom();
    const enter = (first: number, kind: 'stranger' | 'familiar'): number =>
      Array.from({ length: MAX_WAITING_ANNOUNCEMENTS }, (_, index) => room.enter(peer(first + index), kind)).filter(
        (place) => place !== null,
      ).length;
    const strangers = MAX_WAITING_ANNOUNCEMENTS * STRANGERS_WAITING_SHARE;
    expect(enter(0, 'stranger')).toBe(strangers);
    expect(enter(1_000, 'familiar')).toBe(MAX_WAITING_ANNOUNCEMENTS - strangers);
  });

  it('has a place again for whom one came free', () => {
    const room = new WaitingRoom();
    const place = room.enter(peer(1), 'stranger');
    expect(room.enter(peer(1), 'stranger')).toBeNull();
    place?.[Symbol.dispose]();
    expect(room.enter(peer(1), 'stranger')).not.toBeNull();
    const own = Array.from({ length: MAX_OPEN_GIVES_PER_REQUESTER + 1 }, () => room.enter(peer(2), 'familiar'));
    expect(own.indexOf(null)).toBe(MAX_OPEN_GIVES_PER_REQUESTER);
  });
});

/** Announces, takes what is given and runs it; whether anything was. */
async function serve(scene: Scene, requester: TestRequester): Promise<boolean> {
  const before = scene.given.length;
  const [job] = await requester.signJobs(requester.describeJob());
  if (job === undefined) throw new TypeError();
  const { resources, isolation, deadlineMs, priceCeiling } = job.value;
  const terms = { workloadKind: 'wasm', resources, isolation, deadlineMs, priceCeiling, commitReveal: false } as const;
  await scene.announce(requester, { subject: job.id, terms });
  const offer = scene.given[before];
  if (offer === undefined) return false;
  const log = requester.lease({ jobs: [job], leases: await requester.signLeases([job], offer), offer });
  await log.until(({ kinds }) => kinds.includes('receipt'));
  await scene.rig.clock.advance(PARAMETERS.offerTtlMs);
  return true;
}

describe('the budget of strangers', () => {
  const peer = (text: string) => text as PeerKey;

  const { atOnceMs, share, longestPauseMs } = STRANGER_WASTE;

  it('is one for all of them, is whole again once one takes, and is not theirs who did', () => {
    const budget = new StrangerBudget(0);
    for (let index = 1; index < 4; index += 1) budget.noteWasted(peer(`liar ${index}`), atOnceMs / 4, 0);
    expect(budget.isPaused(0)).toBe(false);
    budget.noteWasted(peer('another'), atOnceMs / 4 + 1_000, 0);
    const pauseMs = 1_000 / share;
    expect(budget.isPaused(pauseMs - 1)).toBe(true);
    expect(budget.isPaused(pauseMs + 1)).toBe(false);
    budget.noteTaken(peer('friend'));
    expect(budget.isStranger(peer('friend'))).toBe(false);
    budget.noteWasted(peer('liar'), atOnceMs - 1, pauseMs + 1);
    expect(budget.isPaused(pauseMs + 1)).toBe(false);
  });

  it('makes a stranger again of who wastes as much as an offer’s life, which costs the others nothing', () => {
    const budget = new StrangerBudget(0);
    for (let index = 0; index < 50; index += 1) {
      budget.noteTaken(peer('friend'));
      budget.noteWasted(peer('friend'), FAMILIAR_WASTE_MS - 1, 0);
      expect(budget.isStranger(peer('friend'))).toBe(false);
      budget.noteWasted(peer('friend'), 1, 0);
      expect(budget.isStranger(peer('friend'))).toBe(true);
    }
    expect(budget.isPaused(0)).toBe(false);
  });

  it('pauses no longer than its longest', () => {
    const budget = new StrangerBudget(0);
    for (let index = 0; index < 100; index += 1) budget.noteWasted(peer(`liar ${index}`), 5_000, 0);
    expect(budget.isPaused(longestPauseMs - 1)).toBe(true);
    expect(budget.isPaused(longestPauseMs + 1)).toBe(false);
  });
});

describe('the time after which an announcement is answered', () => {
  const drawing = (share: number): Random => ({
    bytes: (length) => {
      const bytes = new Uint8Array(length);
      new DataView(bytes.buffer).setUint32(0, Math.floor(share * (2 ** 32 - 1)));
      return bytes;
    },
  });
  const at = (share: number, load: number, providers = 0, wanted = 1) =>
    computeAnswerDelay({ load, providers, wanted }, drawing(share));

  it('is longer on a node that has more to do: an idle one is before a full one', () => {
    expect(at(0, 0)).toBe(0);
    expect(at(1, 0)).toBeLessThanOrEqual(ANSWER_DELAY_MS.base);
    expect(at(0, 1)).toBeGreaterThan(at(1, 0));
    expect(at(1, 1)).toBeLessThanOrEqual(ANSWER_DELAY_MS.base + ANSWER_DELAY_MS.perLoad);
  });

  it('is spread over more time where more others may answer, within a bound, and over less where more is wanted', () => {
    expect(at(1, 0, 500)).toBeGreaterThan(1_000);
    expect(at(1, 0, 1_000_000)).toBeLessThanOrEqual(ANSWER_DELAY_MS.base + ANSWER_DELAY_MS.mostForProviders);
    expect(at(1, 0, 500, 64)).toBeLessThan(at(1, 0, 500));
  });
});
