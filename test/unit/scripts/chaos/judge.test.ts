import { describe, expect, it } from 'vitest';
import type { EndedJob } from '../../../../scripts/chaos/client.ts';
import { JOB_KINDS, type JobKind } from '../../../../scripts/chaos/jobs.ts';
import { judgeJob, mayBeExcused } from '../../../../scripts/chaos/judge.ts';
import type { Outcome } from '../../../../scripts/crash-stepping/outcome.ts';

function kindOf(name: string): JobKind {
  const kind = JOB_KINDS.find((candidate) => candidate.name === name);
  if (kind === undefined) throw new TypeError(`no kind ${name}`);
  return kind;
}

const LINES = ['log a', 'metric b', 'log c'];
const EXPECTED: Outcome = {
  result: '{"outputs":[]}',
  roots: new Map([[4, 'aa']]),
  events: LINES,
  printed: new Map([['lease-0', LINES]]),
  resumedAttempts: 0,
  attempts: 1,
  contradictions: [],
};

const UNHARMED = { hasLostProvider: false, wasHarmed: false };
const LOST = { hasLostProvider: true, wasHarmed: true };
const HARMED = { hasLostProvider: false, wasHarmed: true };

interface Case {
  readonly change?: Partial<Outcome>;
  readonly state?: string;
  readonly code?: string;
  readonly options?: typeof UNHARMED;
}

function judge(name: string, { change = {}, state = 'completed', code, options = UNHARMED }: Case) {
  const failure = code === undefined ? null : { code, message: '' };
  const result = state === 'completed' ? { agreeing: ['lease-1'] } : null;
  const view = { state, failure, result };
  const outcome = { ...EXPECTED, printed: new Map([['lease-1', LINES]]), ...change };
  return judgeJob(kindOf(name), EXPECTED, { view, outcome, explanation: '' } as unknown as EndedJob, options).kind;
}

describe('judgeJob', () => {
  it('takes what is as undisturbed', () => {
    for (const name of ['stepping', 'single', 'replicas', 'confidential']) expect(judge(name, {})).toBe('right');
    expect(judge('cancelled', { change: { result: 'null' }, state: 'cancelled' })).toBe('right');
  });

  it('takes what has no end only as expired', () => {
    expect(judge('endless', { change: { result: '{"code":"JOB_DEADLINE"}' }, state: 'expired' })).toBe('right');
    expect(judge('endless', {})).toBe('wrong');
  });

  it.each([
    ['another result', { result: '{"outputs":[1]}' }],
    ['another state root', { roots: new Map([[4, 'bb']]) }],
    ['two roots of one step', { contradictions: [4] }],
    ['a line twice', { events: ['log a', 'metric b', 'metric b', 'log c'] }],
    ['lines in another order', { events: ['metric b', 'log a', 'log c'] }],
    ['another line', { events: ['log a', 'metric x', 'log c'] }],
  ] as const)('finds %s of what steps, whoever died', (_, change) => {
    expect(judge('stepping', { change })).toBe('wrong');
    expect(judge('stepping', { change, options: LOST })).toBe('wrong');
  });

  it('finds missing lines of what steps, unless they went with a provider', () => {
    const change = { events: ['log a', 'log c'] };
    expect(judge('stepping', { change })).toBe('wrong');
    expect(judge('stepping', { change, options: HARMED })).toBe('wrong');
    expect(judge('stepping', { change, options: LOST })).toBe('short');
    expect(judge('stepping', { change: { events: [] }, options: LOST })).toBe('short');
  });

  it.each(['single', 'batch', 'batch with places', 'failing', 'confidential', 'without retries', 'replicas'])(
    'finds lines of an attempt that are doubled, out of order or others: %s',
    (name) => {
      for (const lines of [['log a', 'log a'], ['metric b', 'log a'], ['log x']]) {
        for (const lease of ['lease-0', 'lease-1']) {
          const change = {
            printed: new Map([
              ['lease-1', LINES],
              [lease, lines],
            ]),
          };
          expect(judge(name, { change, options: LOST })).toBe('wrong');
        }
      }
    },
  );

  it('finds missing lines of the attempt that gave the result, and lets others have printed a part', () => {
    const part = ['log a'];
    const whole = {
      printed: new Map([
        ['lease-0', part],
        ['lease-1', LINES],
      ]),
    };
    const short = {
      printed: new Map([
        ['lease-0', LINES],
        ['lease-1', part],
      ]),
    };
    expect(judge('single', { change: whole })).toBe('right');
    expect(judge('single', { change: short })).toBe('wrong');
    expect(judge('single', { change: { printed: new Map() } })).toBe('wrong');
    expect(judge('single', { change: short, options: HARMED })).toBe('wrong');
    expect(judge('single', { change: short, options: LOST })).toBe('short');
    expect(judge('replicas', { change: short })).toBe('right');
  });
});

describe('a job without its result', () => {
  const endings: readonly (readonly [name: string, ending: Case])[] = [
    ['replicas', { state: 'expired', code: 'SCHEDULER_EXPIRED' }],
    ['replicas', { state: 'failed', code: 'SCHEDULER_QUORUM_LOST' }],
    ['stepping replicas', { state: 'failed', code: 'SCHEDULER_RETRIES_EXHAUSTED' }],
    ['without retries', { state: 'failed', code: 'SCHEDULER_RETRIES_EXHAUSTED' }],
  ];

  it.each(endings)('is excused where its parties were harmed, and else is a violation: %s', (name, ending) => {
    const change = { result: 'null', printed: new Map() };
    expect(mayBeExcused(kindOf(name))).toBe(true);
    expect(judge(name, { ...ending, change, options: HARMED })).toBe('excused');
    expect(judge(name, { ...ending, change, options: UNHARMED })).toBe('wrong');
  });

  it('is a violation in any other way, and of any other kind, whatever was done', () => {
    const change = { result: 'null' };
    const failed = { change, state: 'failed', options: LOST };
    expect(judge('replicas', { change, options: LOST })).toBe('wrong');
    expect(judge('replicas', { ...failed, code: 'SCHEDULER_REPLICAS_DISAGREE' })).toBe('wrong');
    expect(judge('without retries', { ...failed, state: 'expired', code: 'SCHEDULER_EXPIRED' })).toBe('wrong');
    for (const name of ['single', 'batch', 'stepping', 'confidential']) {
      expect(mayBeExcused(kindOf(name))).toBe(false);
      expect(judge(name, { ...failed, code: 'SCHEDULER_RETRIES_EXHAUSTED' })).toBe('wrong');
      expect(judge(name, { ...failed, state: 'expired', code: 'SCHEDULER_EXPIRED' })).toBe('wrong');
    }
  });
});
