import { describe, expect, it } from 'vitest';
import type { EndedJob } from '../../../../scripts/chaos/client.ts';
import { JOB_KINDS, type JobKind } from '../../../../scripts/chaos/jobs.ts';
import { judgeJob } from '../../../../scripts/chaos/judge.ts';
import type { Outcome } from '../../../../scripts/crash-stepping/outcome.ts';

function kindOf(name: string): JobKind {
  const kind = JOB_KINDS.find((candidate) => candidate.name === name);
  if (kind === undefined) throw new TypeError(`no kind ${name}`);
  return kind;
}

const EXPECTED: Outcome = {
  result: '{"outputs":[]}',
  roots: new Map([[4, 'aa']]),
  events: ['log a', 'metric b', 'log c'],
  resumedAttempts: 0,
  attempts: 1,
  contradictions: [],
};

function judge(name: string, change: Partial<Outcome>, state = 'completed', hasLostProvider = false) {
  const failure = state === 'failed' ? { code: 'SCHEDULER_QUORUM_LOST', message: '' } : null;
  const ended = { view: { state, failure }, outcome: { ...EXPECTED, ...change }, explanation: '' } as EndedJob;
  return judgeJob(kindOf(name), EXPECTED, ended, { hasLostProvider }).kind;
}

describe('judgeJob', () => {
  it('takes what is as undisturbed', () => {
    expect(judge('stepping', {})).toBe('right');
    expect(judge('cancelled', { result: 'null' }, 'cancelled')).toBe('right');
  });

  it('takes what has no end only as expired, and what has no retries also as given up', () => {
    expect(judge('endless', { result: '{"code":"JOB_DEADLINE"}' }, 'expired')).toBe('right');
    expect(judge('endless', {}, 'completed')).toBe('wrong');
    const exhausted = { state: 'failed', failure: { code: 'SCHEDULER_RETRIES_EXHAUSTED', message: '' } };
    const ended = { view: exhausted, outcome: { ...EXPECTED, result: '{}' }, explanation: '' } as unknown as EndedJob;
    expect(judgeJob(kindOf('without retries'), EXPECTED, ended, { hasLostProvider: true }).kind).toBe('excused');
    expect(judgeJob(kindOf('single'), EXPECTED, ended, { hasLostProvider: true }).kind).toBe('wrong');
    expect(judge('without retries', { result: '{}' })).toBe('wrong');
  });

  it.each([
    ['another result', { result: '{"outputs":[1]}' }],
    ['another state root', { roots: new Map([[4, 'bb']]) }],
    ['two roots of one step', { contradictions: [4] }],
    ['a line twice', { events: ['log a', 'metric b', 'metric b', 'log c'] }],
    ['lines in another order', { events: ['metric b', 'log a', 'log c'] }],
    ['another line', { events: ['log a', 'metric x', 'log c'] }],
  ] as const)('finds %s, whoever died', (_, change) => {
    expect(judge('stepping', change)).toBe('wrong');
    expect(judge('stepping', change, 'completed', true)).toBe('wrong');
  });

  it('finds missing lines, unless they went with a provider', () => {
    expect(judge('stepping', { events: ['log a', 'log c'] })).toBe('wrong');
    expect(judge('stepping', { events: ['log a', 'log c'] }, 'completed', true)).toBe('short');
    expect(judge('stepping', { events: [] }, 'completed', true)).toBe('short');
  });

  it('excuses jobs of several replicas that were left with too few providers, and no others', () => {
    expect(judge('replicas', { result: 'null' }, 'failed')).toBe('excused');
    expect(judge('replicas', { result: 'null' }, 'expired')).toBe('excused');
    expect(judge('replicas', { result: 'null' }, 'completed')).toBe('wrong');
    expect(judge('single', { result: 'null' }, 'failed')).toBe('wrong');
    expect(judge('single', { result: 'null' }, 'expired')).toBe('wrong');
  });
});
