import { describe, expect, test } from 'vitest';
import type { SignatureStatus } from '../../../src/chain/endpoints/solana-rpc.ts';
import { findDenial, judgeAbsence, judgeStatuses, type SurveyedStatus } from '../../../src/chain/journal/judge.ts';

const FAILURE = { name: 'InstructionError', instruction: 0, customCode: 1, detail: 'custom 1' };

function status(commitment: SignatureStatus['commitment'], change: Partial<SignatureStatus> = {}): SignatureStatus {
  return { slot: 10, commitment, failure: null, ...change };
}

const answers = <T>(...values: readonly T[]) => values.map((value, index) => ({ url: `http://node-${index}`, value }));

describe('statuses', () => {
  test('final needs as many endpoints as must agree', () => {
    expect(judgeStatuses(answers(status('finalized')), 1)).toMatchObject({ kind: 'final', slot: 10 });
    expect(judgeStatuses(answers(status('finalized'), null), 2)).toEqual({ kind: 'confirmed', slot: 10 });
    expect(judgeStatuses(answers(status('finalized'), status('confirmed')), 2)).toEqual({
      kind: 'confirmed',
      slot: 10,
    });
    expect(judgeStatuses(answers(status('finalized'), status('finalized')), 2)).toMatchObject({ kind: 'final' });
  });

  test('another slot or another result is a contradiction', () => {
    const other = answers(status('finalized'), status('finalized', { slot: 11 }));
    expect(judgeStatuses(other, 2)).toMatchObject({ kind: 'contradiction' });
    const failed = answers(status('finalized'), status('finalized', { failure: FAILURE }));
    expect(judgeStatuses(failed, 1)).toMatchObject({
      kind: 'contradiction',
      contradiction: { first: { url: 'http://node-0' }, second: { value: expect.stringContaining('custom 1') } },
    });
  });

  test('processed is seen, nothing is unknown', () => {
    expect(judgeStatuses(answers(status('processed'), null), 2)).toEqual({ kind: 'seen' });
    expect(judgeStatuses(answers(null, null), 2)).toEqual({ kind: 'unknown' });
    expect(judgeStatuses([], 1)).toEqual({ kind: 'unknown' });
  });
});

describe('absence', () => {
  const attempt = { lastValidBlockHeight: 100, signedSlot: 50, heightVotes: 2 };
  const gone: SurveyedStatus = { status: null, finalSlot: 300, finalHeight: 101, firstSlot: 0 };

  test('is proven by endpoints that are past it and have its history', () => {
    expect(judgeAbsence(attempt, answers(gone, gone), 2)).toEqual({ kind: 'expired' });
    expect(judgeAbsence({ ...attempt, heightVotes: 1 }, answers(gone), 1)).toEqual({ kind: 'expired' });
  });

  test.each([
    ['one endpoint of two', answers(gone)],
    ['nobody', []],
    ['one that is at its last valid height only', answers(gone, { ...gone, finalHeight: 100 })],
    ['one that knows it, though two others do not', answers(gone, gone, { ...gone, status: status('processed') })],
  ])('is not proven by %s', (_, asked) => {
    expect(judgeAbsence(attempt, asked, 2)).toEqual({ kind: 'open' });
  });

  test('is not proven where too few told the height when it was signed', () => {
    expect(judgeAbsence({ ...attempt, heightVotes: 1 }, answers(gone, gone), 2)).toEqual({ kind: 'open' });
  });

  test('is unproven, with a reason, where history begins after it was signed', () => {
    const short = { ...gone, firstSlot: 51 };
    expect(judgeAbsence(attempt, answers(gone, short), 2)).toEqual({
      kind: 'unproven',
      problems: [expect.stringContaining('http://node-1 keeps history from slot 51')],
    });
  });
});

describe('denial', () => {
  const final: SurveyedStatus = { status: status('finalized'), finalSlot: 200, finalHeight: 200, firstSlot: 0 };
  const denies: SurveyedStatus = { status: null, finalSlot: 200, finalHeight: 200, firstSlot: 0 };

  test('one that is well past a final slot and does not know it', () => {
    expect(findDenial(answers(final, denies))).toMatchObject({ second: { url: 'http://node-1' } });
  });

  test.each([
    ['is behind', { ...denies, finalSlot: 60 }],
    ['has no history from then', { ...denies, firstSlot: 11 }],
    ['knows it', final],
  ])('none by one that %s', (_, other) => {
    expect(findDenial(answers(final, other))).toBeUndefined();
  });
});
