import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PeerKey } from '../../../src/domain/ids.ts';
import { UNPAID_WEIGHT, WEIGHT_ONE } from '../../../src/reputation/beta-model.ts';
import { CredibleBound, loadBetaQuantile } from '../../../src/reputation/credible-bound.ts';
import { computeEpochDigest, computeSnapshotHash } from '../../../src/reputation/epoch-digest.ts';
import { type CountedObservation, ObservationLedger } from '../../../src/reputation/observation-ledger.ts';
import { NEWCOMER_SCORE, StandingBook } from '../../../src/reputation/standing-book.ts';
import { countedOf, FAILED, SERVED } from '../../support/observation-builder.ts';

const CAP = 10;
const SUBJECT = 'provider' as PeerKey;
const bound = new CredibleBound(await loadBetaQuantile());

function createLedger(options: Partial<ConstructorParameters<typeof ObservationLedger>[1]> = {}) {
  const book = new StandingBook({ halfLifeEpochs: 720, maxFolded: 100 });
  book.useBound(bound);
  const ledger = new ObservationLedger([book], {
    maxObservations: 100,
    maxPerSubject: 50,
    cappedPerPair: CAP,
    ...options,
  });
  return { book, ledger };
}

const some = fc.uniqueArray(
  fc
    .record({
      observer: fc.constantFrom('a', 'b', 'c', 'd'),
      subject: fc.constantFrom('x', 'y', 'z'),
      name: fc.nat({ max: 40 }),
      epoch: fc.integer({ min: 1_000, max: 1_003 }),
      isGood: fc.boolean(),
      rating: fc.option(fc.integer({ min: 1, max: 5 })),
    })
    .map(({ observer, subject, name, epoch, isGood, rating }) =>
      // A lease belongs to one epoch and has one payment: who signs for two is at fault, and is told of in the ledger's comment.
      countedOf({
        observer,
        subject,
        name: `${subject} ${epoch} ${name}`,
        epoch,
        weight: name % 2 === 0 ? WEIGHT_ONE : UNPAID_WEIGHT,
        ...(rating === null ? { outcome: isGood ? SERVED : FAILED } : { rating }),
      }),
    ),
  { selector: ({ id }) => id, minLength: 20, maxLength: 120 },
);

function describeLedger({ book, ledger }: ReturnType<typeof createLedger>) {
  const epochs = [...ledger.epochs()].sort((a, b) => a - b);
  return {
    ids: epochs.map((epoch) =>
      computeEpochDigest(
        epoch,
        [...ledger.ofEpoch(epoch)].map(({ id }) => id),
      ),
    ),
    hashes: epochs.map((epoch) => computeSnapshotHash('test', epoch, book.sumsOfEpoch(epoch))),
    scores: ['x', 'y', 'z'].map((subject) => book.scoreOf(subject as PeerKey, 'provider', 1_004)),
  };
}

describe('the set of observations that count', () => {
  it('is the same in whatever order they come, with all its bounds at work', () => {
    fc.assert(
      fc.property(some, fc.infiniteStream(fc.nat()), (observations, numbers) => {
        const options = { maxObservations: 25, maxPerSubject: 12, cappedPerPair: 3 };
        const [forwards, shuffled] = [createLedger(options), createLedger(options)];
        for (const observation of observations) forwards.ledger.add(observation);
        const keyed = observations.map((observation) => [numbers.next().value as number, observation] as const);
        for (const [, observation] of keyed.sort(([a], [b]) => a - b)) shuffled.ledger.add(observation);
        expect(describeLedger(shuffled)).toEqual(describeLedger(forwards));
        expect(forwards.ledger.size).toBeLessThanOrEqual(25);
      }),
      { numRuns: 25 },
    );
  });

  it('takes no more than the cap of 1,000 unpaid ones of one pair in an epoch', () => {
    const { book, ledger } = createLedger({ maxObservations: 10_000, maxPerSubject: 10_000 });
    const codes = new Set<string>();
    for (let index = 0; index < 1_000; index += 1) {
      const result = ledger.add(countedOf({ observer: 'friend', subject: SUBJECT, name: `${index}` }));
      if (result.kind === 'refused') codes.add(result.code);
    }
    expect(ledger.size).toBe(CAP);
    expect([...codes]).toEqual(['OBSERVATION_OVER_CAP']);
    const { completion } = book.posteriorsOf(SUBJECT, 'provider', 1_000);
    expect(completion.alpha).toBeCloseTo(1 + CAP * 0.01, 9);
    // One honest observation that a token was paid for outweighs all of them.
    ledger.add(countedOf({ observer: 'honest', subject: SUBJECT, name: 'paid', weight: WEIGHT_ONE, outcome: FAILED }));
    expect(book.posteriorsOf(SUBJECT, 'provider', 1_000).completion.mean).toBeLessThan(0.5);
  });

  it('counts the cap for each pair, role and epoch by itself, and never for paid ones', () => {
    const { ledger } = createLedger({ maxObservations: 1_000, maxPerSubject: 1_000, cappedPerPair: 1 });
    const add = (fields: Partial<Parameters<typeof countedOf>[0]>, index: number) =>
      ledger.add(countedOf({ observer: 'a', subject: 'b', name: `${index}`, ...fields })).kind;
    expect([{}, { epoch: 1_001 }, { role: 'requester' as const }, { observer: 'c' }].map(add)).toEqual(
      Array(4).fill('added'),
    );
    expect([10, 11, 12].map((index) => add({ weight: WEIGHT_ONE }, index))).toEqual(Array(3).fill('added'));
  });

  it('has one observation of one lease by one observer, and says which', () => {
    const { ledger } = createLedger();
    const twice = [SERVED, FAILED].map((outcome) => ({
      ...countedOf({ observer: 'a', subject: SUBJECT, name: 'one', outcome }),
      id: (outcome === SERVED ? 'bafy1' : 'bafy0') as CountedObservation['id'],
    }));
    expect(twice.map((observation) => ledger.add(observation).kind)).toEqual(['added', 'added']);
    expect([...ledger.ofSubject(SUBJECT, 'provider')].map(({ id }) => id)).toEqual(['bafy0']);
    expect(ledger.add(twice[0] as CountedObservation)).toEqual({ kind: 'refused', code: 'OBSERVATION_LEASE_TAKEN' });
    expect(ledger.add(twice[1] as CountedObservation)).toEqual({ kind: 'refused', code: 'OBSERVATION_SEEN' });
  });

  it('has a rating of the same lease beside it, one and in one dimension alone, under a cap of its own', () => {
    const { book, ledger } = createLedger({ cappedPerPair: 1 });
    const add = (name: string, rating: number | null) =>
      ledger.add(countedOf({ observer: 'a', subject: SUBJECT, name, rating })).kind;
    expect([add('one', null), add('one', 5)]).toEqual(['added', 'added']);
    const { ratings, completion } = book.posteriorsOf(SUBJECT, 'provider', 1_000);
    expect([ratings.weight, completion.weight]).toEqual([0.01, 0.01]);
    for (let index = 0; index < 20; index += 1) add(`${index}`, 5);
    for (const rating of [1, 2, 3, 4]) add('one', rating);
    expect(ledger.size).toBe(2);
    expect(book.posteriorsOf(SUBJECT, 'provider', 1_000).completion).toEqual(completion);
    const [pair, epoch] = [{ observer: 'a' as PeerKey, subject: SUBJECT, role: 'provider' as const }, 1_000];
    expect((['attempt', 'rating'] as const).map((kind) => ledger.countCapped({ ...pair, epoch }, kind))).toEqual([
      1, 1,
    ]);
  });

  it('of two ratings of one lease keeps the one with the lower id, in whatever order they come', () => {
    const pair = [1, 5].map((rating) => countedOf({ observer: 'a', subject: SUBJECT, name: 'one', rating }));
    const kept = [pair, pair.toReversed()].map((order) => {
      const { ledger } = createLedger();
      for (const observation of order) ledger.add(observation);
      return [...ledger.ofSubject(SUBJECT, 'provider')].map(({ id }) => id);
    });
    expect(kept[0]).toEqual([pair.map(({ id }) => id).sort()[0]]);
    expect(kept[1]).toEqual(kept[0]);
  });

  it('gives up what weighs least, then what is oldest, where there is no room', () => {
    const { ledger } = createLedger({ maxObservations: 3 });
    const of = (name: string, weight: bigint, epoch: number) =>
      countedOf({ observer: `observer of ${name}`, subject: `subject of ${name}`, name, weight, epoch });
    const [light, old, young] = [of('l', 1n, 1_005), of('o', 5n, 1_000), of('y', 5n, 1_001)];
    for (const observation of [light, old, young]) ledger.add(observation);
    const heavy = of('h', 9n, 999);
    expect(ledger.add(heavy)).toEqual({ kind: 'added', displaced: [light] });
    expect(ledger.add(of('z', 1n, 1_009))).toEqual({ kind: 'refused', code: 'OBSERVATION_CROWDED_OUT' });
    expect(ledger.add(of('g', 9n, 998))).toEqual({ kind: 'added', displaced: [old] });
  });

  it('takes none of an epoch that is folded', () => {
    const { ledger } = createLedger();
    const observation = countedOf({ observer: 'a', subject: 'b', name: 'x', epoch: 1_000 });
    ledger.add(observation);
    expect(ledger.fold(1_000)).toEqual([observation]);
    expect(ledger.add(countedOf({ observer: 'a', subject: 'b', name: 'y', epoch: 1_000 }))).toEqual({
      kind: 'refused',
      code: 'OBSERVATION_TOO_OLD',
    });
  });
});

describe('the standing of a peer', () => {
  it('is uncertain for a newcomer, better after success, worse after failure', () => {
    const { book, ledger } = createLedger();
    expect(book.scoreOf(SUBJECT, 'provider', 1_000)).toEqual(NEWCOMER_SCORE);
    ledger.add(countedOf({ observer: 'a', subject: 'good', name: '1', weight: WEIGHT_ONE }));
    ledger.add(countedOf({ observer: 'a', subject: 'bad', name: '2', weight: WEIGHT_ONE, outcome: FAILED }));
    const boundOf = (peer: string) => book.scoreOf(peer as PeerKey, 'provider', 1_000).lowerBound;
    expect(boundOf('good')).toBeGreaterThan(NEWCOMER_SCORE.lowerBound);
    expect(boundOf('bad')).toBeLessThan(NEWCOMER_SCORE.lowerBound);
  });

  it('fades towards that of a newcomer', () => {
    const { book, ledger } = createLedger();
    ledger.add(countedOf({ observer: 'a', subject: SUBJECT, name: '1', weight: WEIGHT_ONE }));
    const weights = [1_000, 1_720, 2_440].map((epoch) => book.scoreOf(SUBJECT, 'provider', epoch).weight);
    expect(weights[0]).toBeCloseTo(1, 9);
    expect(weights[1]).toBeCloseTo(0.5, 6);
    expect(weights[2]).toBeCloseTo(0.25, 6);
  });

  it('stays when its observations are folded, and goes with those that are taken away', () => {
    const { book, ledger } = createLedger();
    const [first, second] = ['1', '2'].map((name, index) =>
      countedOf({ observer: 'a', subject: SUBJECT, name, epoch: 1_000 + index, weight: WEIGHT_ONE }),
    ) as [CountedObservation, CountedObservation];
    ledger.add(first);
    ledger.add(second);
    const before = book.posteriorsOf(SUBJECT, 'provider', 1_100).completion;
    expect(book.fold(1_000)).toHaveLength(1);
    ledger.fold(1_000);
    expect(book.posteriorsOf(SUBJECT, 'provider', 1_100).completion.alpha).toBeCloseTo(before.alpha, 6);
    ledger.remove(second.id);
    expect(book.posteriorsOf(SUBJECT, 'provider', 1_000).completion.weight).toBeCloseTo(1, 6);
  });

  it('of too many folded ones goes where the least is left of it', () => {
    const book = new StandingBook({ halfLifeEpochs: 720, maxFolded: 1 });
    const ledger = new ObservationLedger([book], { maxObservations: 9, maxPerSubject: 9, cappedPerPair: 9 });
    ledger.add(countedOf({ observer: 'a', subject: 'light', name: '1' }));
    ledger.add(countedOf({ observer: 'a', subject: 'heavy', name: '2', weight: WEIGHT_ONE }));
    book.fold(1_000);
    ledger.fold(1_000);
    expect(book.dropWeakest(1_001).map(({ subject }) => subject)).toEqual(['light']);
    expect(book.subjects('provider')).toEqual(['heavy']);
  });
});
