import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type JobId, type PeerKey, UnixMs } from '../../../src/domain/ids.ts';
import { decodeObject } from '../../../src/domain/object-type.ts';
import { OBSERVATION } from '../../../src/domain/observation.ts';
import { readSignedPayload } from '../../../src/proofs/signed-object.ts';
import { LedgerReputation } from '../../../src/reputation/ledger-reputation.ts';
import { REPUTATION_DEFAULTS } from '../../../src/reputation/options.ts';
import { EXAMPLE_JOB, EXAMPLE_PEER } from '../../../src/rpc/schema/common.ts';
import type { JobView } from '../../../src/scheduler/interface.ts';
import {
  RATING_OUTBOX_DEFAULTS,
  RatingOutbox,
  type RatingOutboxOptions,
  SIGNED_RATING_CODEC,
  WAITING_RATING_CODEC,
} from '../../../src/scheduler/rating-outbox.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import type { MemoryDatabase } from '../../support/memory-database.ts';
import { HOUR_MS } from '../../support/observation-builder.ts';
import { RequesterRig } from '../../support/requester-rig.ts';

const FLUSH_MS = 1_000;
const DAY_MS = 24 * HOUR_MS;

interface Setup {
  readonly replicas?: number;
  readonly cap?: number;
}

/** A requester with jobs that have ended, and its ratings with the reputation that they go to. */
async function startRequester({ replicas = 1, cap = 10 }: Setup = {}) {
  const rig = await RequesterRig.start();
  for (let index = 0; index < replicas; index += 1) await rig.addProvider();
  const work = async (): Promise<JobView> =>
    rig.end(replicas === 1 ? await rig.submit() : await rig.submitReplicas(replicas, replicas));
  const open = (database: MemoryDatabase, clock = rig.clock, options: Partial<RatingOutboxOptions> = {}) => {
    const modules = { identity: rig.identity, database, clock, logger: new NoopLogger(), metrics: rig.metrics };
    const reputation = new LedgerReputation(modules, {
      ...REPUTATION_DEFAULTS,
      networkId: 'test',
      epochMs: HOUR_MS,
      cappedPerPair: cap,
    });
    const outbox = new RatingOutbox(
      { ...modules, sink: reputation },
      { ...RATING_OUTBOX_DEFAULTS, flushMs: FLUSH_MS, ...options },
    );
    outbox.start();
    return { reputation, outbox, clock };
  };
  return { rig, work, open, ...open(rig.database) };
}

type Node = Awaited<ReturnType<typeof startRequester>>;

const all = (stars: number) => ({ stars, replica: null });
const waiting = (database: MemoryDatabase): number => database.rows('rating-outbox').size;

/** That count, the lowest first. */
async function ratingsOf({ reputation, rig }: Pick<Node, 'reputation' | 'rig'>): Promise<number[]> {
  const views = await Promise.all(rig.peers.records.map(({ peer }) => reputation.explain(peer, 'provider', 100)));
  const ratings = views.flat().flatMap(({ rating }) => (rating === null ? [] : [rating]));
  return ratings.sort((a, b) => a - b);
}

describe('a rating', () => {
  it('is on disk before it is acknowledged, then signed as an observation of its own with the receipt', async () => {
    const node = await startRequester();
    const view = await node.work();
    const writes: string[] = [];
    node.rig.database.onWrite = (operations, { durable }) => {
      writes.push(...operations.map(({ namespace, kind }) => `${kind} ${namespace} ${String(durable)}`));
    };
    const [attempt] = view.attempts;
    const { ratings, signedAtMs } = await node.outbox.rate(view, all(4));
    expect(ratings).toEqual([
      { lease: attempt?.lease, replica: 0, provider: attempt?.provider, stars: 4, replaced: null },
    ]);
    expect(writes).toEqual(['put rating-outbox true']);
    expect(signedAtMs).toBe(node.clock.nowMs() + FLUSH_MS);
    expect(await ratingsOf(node)).toEqual([]);
    await node.clock.advance(FLUSH_MS);
    await node.outbox.flush();
    expect(await ratingsOf(node)).toEqual([4]);
    expect(waiting(node.rig.database)).toBe(0);
    const [id = ''] = node.rig.database.rows('observation-wires').keys();
    for await (const { observation, evidence } of node.reputation.load([id as never])) {
      const value = decodeObject(OBSERVATION, readSignedPayload(observation));
      expect(value).toMatchObject({
        rating: 4,
        lease: attempt?.lease,
        role: 'provider',
        observer: node.rig.identity.peer,
      });
      expect(new Set(Object.values(value.outcome))).toEqual(new Set(['none']));
      expect(evidence).toHaveLength(1);
    }
  });

  it('is replaced until it is signed, and stays afterwards', async () => {
    const node = await startRequester();
    const view = await node.work();
    await node.outbox.rate(view, all(1));
    const { ratings } = await node.outbox.rate(view, all(5));
    expect(ratings).toMatchObject([{ stars: 5, replaced: 1 }]);
    await node.outbox.flush();
    expect(await ratingsOf(node)).toEqual([5]);
    const again = node.outbox.rate(view, all(2));
    await expect(again).rejects.toMatchObject({ code: 'SCHEDULER_RATED_ALREADY', info: { replica: 0, stars: 5 } });
    await node.outbox.flush();
    expect(await ratingsOf(node)).toEqual([5]);
  });

  it('that is given while others are signed is either signed or refused, never lost', async () => {
    const node = await startRequester();
    const view = await node.work();
    await node.outbox.rate(view, all(1));
    const flushing = node.outbox.flush();
    const second = await node.outbox.rate(view, all(5)).then(
      () => 5,
      () => 1,
    );
    await flushing;
    await node.outbox.flush();
    expect(await ratingsOf(node)).toEqual([second]);
  });

  it('survives a crash, and is signed once, also if the crash came after signing', async () => {
    const node = await startRequester();
    const view = await node.work();
    await node.outbox.rate(view, all(3));
    const dead = node.rig.database.clone();
    await node.outbox.flush();
    const second = node.open(dead);
    await second.outbox.flush();
    expect(await ratingsOf({ ...second, rig: node.rig })).toEqual([3]);
    // The observation is on disk; that it is done is not.
    dead.rows('job-ratings').clear();
    const [lease = ''] = view.attempts.map((attempt) => attempt.lease);
    const third = node.open(dead.clone());
    await expect(third.outbox.rate(view, all(1))).rejects.toMatchObject({ code: 'SCHEDULER_RATED_ALREADY' });
    const entry = { job: view.job, provider: view.attempts[0]?.provider, stars: 1, attemptAtMs: node.clock.nowMs() };
    const fourthDisk = dead.clone();
    fourthDisk.rows('rating-outbox').set(lease, WAITING_RATING_CODEC.encode(entry as never));
    const fourth = node.open(fourthDisk);
    await fourth.outbox.flush();
    expect(await ratingsOf({ ...fourth, rig: node.rig })).toEqual([3]);
    expect([...fourthDisk.rows('job-ratings').values()].map((bytes) => SIGNED_RATING_CODEC.decode(bytes))).toEqual([3]);
  });

  it('is not kept from others by entries that cannot be read', async () => {
    const node = await startRequester();
    const [good, bad] = [await node.work(), await node.work()];
    await node.outbox.rate(good, all(2));
    await node.outbox.rate(bad, all(2));
    const lease = bad.attempts[0]?.lease ?? '';
    node.rig.database.rows('job-objects').delete(`${bad.job}/${lease}/receipt`);
    node.rig.database.rows('rating-outbox').set('bafybroken', new Uint8Array([1]));
    await node.outbox.flush();
    expect(await ratingsOf(node)).toEqual([2]);
    expect(waiting(node.rig.database)).toBe(0);
  });
});

describe('who is rated', () => {
  it('is every provider of the accepted result, or one of them', async () => {
    const node = await startRequester({ replicas: 3 });
    const view = await node.work();
    expect((await node.outbox.rate(view, { stars: 2, replica: 1 })).ratings).toMatchObject([{ replica: 1 }]);
    const { ratings } = await node.outbox.rate(view, all(5));
    expect(new Map(ratings.map(({ replica, replaced }) => [replica, replaced]))).toEqual(
      new Map([
        [0, null],
        [1, 2],
        [2, null],
      ]),
    );
    await node.outbox.flush();
    expect(await ratingsOf(node)).toEqual([5, 5, 5]);
  });

  it('is all or nobody: if one is rated already, the others are not rated with it', async () => {
    const node = await startRequester({ replicas: 2 });
    const view = await node.work();
    await node.outbox.rate(view, { stars: 2, replica: 1 });
    await node.outbox.flush();
    await expect(node.outbox.rate(view, all(5))).rejects.toMatchObject({ info: { replica: 1, stars: 2 } });
    expect(waiting(node.rig.database)).toBe(0);
    await node.outbox.rate(view, { stars: 5, replica: 0 });
    await node.outbox.flush();
    expect(await ratingsOf(node)).toEqual([2, 5]);
  });

  it('is nobody who has no part in it, nor this node itself, nor before there is a result', async () => {
    const node = await startRequester();
    const view = await node.work();
    const { result, attempts } = view;
    if (result === null) throw new TypeError('no result');
    const refuse = async (changed: JobView, replica: number | null, code: string): Promise<void> => {
      await expect(node.outbox.rate(changed, { stars: 1, replica })).rejects.toMatchObject({ code });
    };
    await refuse(view, 7, 'SCHEDULER_NOT_RATABLE');
    await refuse(
      { ...view, result: { ...result, agreeing: [], dissenting: result.agreeing } },
      0,
      'SCHEDULER_NOT_RATABLE',
    );
    const own = attempts.map((attempt) => ({ ...attempt, provider: node.rig.identity.peer }));
    await refuse({ ...view, attempts: own }, null, 'SCHEDULER_NOT_RATABLE');
    await refuse({ ...view, state: 'running', endedAtMs: null }, null, 'SCHEDULER_NO_RESULT');
    await refuse({ ...view, state: 'failed', result: null }, null, 'SCHEDULER_NO_RESULT');
    await refuse({ ...view, job: 'another' as JobId }, null, 'SCHEDULER_STORE_CORRUPT');
    expect(waiting(node.rig.database)).toBe(0);
  });
});

describe('the bounds of ratings', () => {
  it('are six days after the end of the attempt', async () => {
    const node = await startRequester();
    const view = await node.work();
    const endedAtMs = node.clock.nowMs();
    const at = (sinceMs: number) => node.open(node.rig.database, new ManualClock(endedAtMs + sinceMs)).outbox;
    await expect(at(6 * DAY_MS + 1).rate(view, all(5))).rejects.toMatchObject({
      code: 'SCHEDULER_RATING_LATE',
      info: { untilMs: endedAtMs + 6 * DAY_MS },
      message: expect.stringContaining(new Date(endedAtMs + 6 * DAY_MS).toISOString()),
    });
    await at(6 * DAY_MS).rate(view, all(5));
    expect(waiting(node.rig.database)).toBe(1);
  });

  it('are as many of one provider in an epoch as count; a replaced one is none more', async () => {
    const node = await startRequester({ cap: 3 });
    const views = [await node.work(), await node.work(), await node.work(), await node.work()] as const;
    await node.outbox.rate(views[0], all(5));
    await node.outbox.flush();
    await node.outbox.rate(views[1], all(5));
    await node.outbox.rate(views[2], all(5));
    await node.outbox.rate(views[2], all(4));
    const provider = node.rig.peers.records[0]?.peer;
    const full = node.outbox.rate(views[3], all(5));
    await expect(full).rejects.toMatchObject({ code: 'SCHEDULER_RATINGS_FULL', info: { provider } });
    await node.outbox.flush();
    expect(await ratingsOf(node)).toEqual([4, 5, 5]);
    // Attempts of another epoch have room of their own.
    await node.clock.advance(HOUR_MS);
    await node.outbox.rate(await node.work(), all(1));
    await node.outbox.flush();
    expect(await ratingsOf(node)).toHaveLength(4);
  });
});

describe('what is stored', () => {
  const entries = fc.record({
    job: fc.constant(EXAMPLE_JOB as JobId),
    provider: fc.constant(EXAMPLE_PEER as PeerKey),
    stars: fc.integer({ min: 1, max: 5 }),
    attemptAtMs: fc.nat().map(UnixMs),
  });

  it('is read as it was written', () => {
    fc.assert(
      fc.property(entries, (entry) => {
        expect(WAITING_RATING_CODEC.decode(WAITING_RATING_CODEC.encode(entry))).toEqual(entry);
        expect(SIGNED_RATING_CODEC.decode(SIGNED_RATING_CODEC.encode(entry.stars))).toBe(entry.stars);
      }),
    );
  });

  it('is a rating from 1 to 5, and refused in any other form', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 4 }), (bytes) => {
        expect(() => WAITING_RATING_CODEC.decode(bytes)).toThrow();
        const isStars = bytes.length === 1 && (bytes[0] ?? 0) >= 1 && (bytes[0] ?? 0) <= 5;
        if (isStars) expect(SIGNED_RATING_CODEC.decode(bytes)).toBe(bytes[0]);
        else expect(() => SIGNED_RATING_CODEC.decode(bytes)).toThrow();
      }),
    );
    for (const stars of [0, 6, 1.5]) expect(() => SIGNED_RATING_CODEC.encode(stars)).toThrow();
  });
});
