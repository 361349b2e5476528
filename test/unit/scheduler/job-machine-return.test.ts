import { describe, expect, it } from 'vitest';
import { type JobId, type LeaseId, type PeerKey, UnixMs } from '../../../src/domain/ids.ts';
import { isRejection, transition } from '../../../src/scheduler/job-machine.ts';
import type { JobMachineEvent } from '../../../src/scheduler/job-machine-events.ts';
import { createInitialState, type JobFacts, type JobMachineState } from '../../../src/scheduler/job-machine-state.ts';

const END = UnixMs(5_000);

const facts = (change: Partial<JobFacts> = {}): JobFacts => ({
  job: 'job' as JobId,
  replicas: 1,
  quorum: 1,
  retries: 3,
  deadlineMs: UnixMs(100_000),
  commitReveal: false,
  hasCheckpoints: true,
  comparesOutputs: false,
  ...change,
});
const TWO: Partial<JobFacts> = { replicas: 2, quorum: 2, commitReveal: true };

const at = { atMs: END };
const lease = (name: string): LeaseId => name as LeaseId;
const issue = (name: string, replica = 0, attempt = 0, change: object = {}): JobMachineEvent => ({
  kind: 'lease-issued',
  ...at,
  lease: lease(name),
  provider: `peer-${name}` as PeerKey,
  replica,
  attempt,
  instrumenter: 'i/1',
  leaseEndsAtMs: END,
  ...change,
});
const about = (kind: 'lease-expired' | 'committed', name: string): JobMachineEvent => ({
  kind,
  ...at,
  lease: lease(name),
});
const accept = (name: string): JobMachineEvent => ({ kind: 'accepted', ...at, lease: lease(name), leaseEndsAtMs: END });
const lost = (name: string, replica = 0): JobMachineEvent[] => [
  issue(name, replica),
  accept(name),
  about('lease-expired', name),
];
const returned = (name: string, replaces: string | null = null): JobMachineEvent => ({
  kind: 'returned',
  ...at,
  lease: lease(name),
  leaseEndsAtMs: UnixMs(9_000),
  replaces: replaces === null ? null : lease(replaces),
});
const revealed = (name: string): JobMachineEvent => ({ kind: 'revealed', ...at, lease: lease(name), outputRoot: 'r' });

function run(change: Partial<JobFacts>, events: readonly JobMachineEvent[]): JobMachineState {
  let state: JobMachineState = createInitialState(facts(change));
  for (const event of events) {
    const next = transition(state, event);
    if (isRejection(next)) throw new TypeError(`${event.kind}: ${next.code}`);
    state = next;
  }
  return state;
}

function judge(change: Partial<JobFacts>, events: readonly JobMachineEvent[], last: JobMachineEvent): string {
  const next = transition(run(change, events), last);
  return isRejection(next) ? next.code : next.kind;
}

describe('an attempt that counted as lost', () => {
  it('stands again, and uses up no retry', () => {
    const state = run({}, [...lost('a'), returned('a')]);
    expect(state).toMatchObject({ kind: 'running', attempts: [{ state: 'running', end: null, leaseEndsAtMs: 9_000 }] });
    expect(judge({}, [...lost('a'), returned('a')], revealed('a'))).toBe('running');
  });

  it('ends the one that runs in its place', () => {
    const events = [...lost('a'), issue('b', 0, 1), accept('b')];
    const state = run({}, [...events, returned('a', 'b'), revealed('a')]);
    expect(state.attempts.map((attempt) => [attempt.state, attempt.end?.code, attempt.end?.isCounted])).toEqual([
      ['revealed', undefined, undefined],
      ['cancelled', 'SUPERSEDED', false],
    ]);
  });

  it.each<[string, Partial<JobFacts>, JobMachineEvent[], JobMachineEvent, string]>([
    ['is not known', {}, [], returned('a'), 'UNKNOWN_LEASE'],
    ['never counted as lost', {}, [issue('a'), accept('a')], returned('a'), 'NOT_LOST'],
    ['never accepted its lease', {}, [issue('a'), about('lease-expired', 'a')], returned('a'), 'NOT_LOST'],
    [
      'failed',
      {},
      [
        issue('a'),
        accept('a'),
        { kind: 'attempt-failed', ...at, lease: lease('a'), code: 'X', reason: 'x', isCounted: true },
      ],
      returned('a'),
      'NOT_LOST',
    ],
    ['names no replacement', {}, [...lost('a'), issue('b', 0, 1)], returned('a'), 'REPLICA_OCCUPIED'],
    ['names another one', {}, [...lost('a'), issue('b', 0, 1)], returned('a', 'c'), 'REPLICA_OCCUPIED'],
    [
      'comes after the result of its replacement',
      {},
      [...lost('a'), issue('b', 0, 1), accept('b'), revealed('b')],
      returned('a', 'b'),
      'REPLICA_OCCUPIED',
    ],
    [
      'comes after the commitment of its replacement',
      TWO,
      [...lost('a'), issue('b', 0, 1), accept('b'), about('committed', 'b')],
      returned('a', 'b'),
      'REPLICA_OCCUPIED',
    ],
    [
      'belongs to a provider that holds another replica by now',
      TWO,
      [...lost('a'), issue('b', 1, 0, { provider: 'peer-a' })],
      returned('a'),
      'PROVIDER_OCCUPIED',
    ],
    [
      'ran under another instrumenter than those that stand',
      TWO,
      [...lost('a'), issue('b', 1, 0, { instrumenter: 'j/1' })],
      returned('a'),
      'OTHER_INSTRUMENTER',
    ],
    [
      'was given up',
      TWO,
      [...lost('a'), { kind: 'replica-abandoned', ...at, replica: 0, reason: 'x' }],
      returned('a'),
      'NO_SUCH_REPLICA',
    ],
    ['is not wanted any more', {}, [...lost('a'), { kind: 'cancel-requested', ...at }], returned('a'), 'NOT_DESIRED'],
    [
      'comes when the set is fixed',
      { replicas: 3, quorum: 2, commitReveal: true },
      [
        ...lost('a', 2),
        issue('b', 0),
        accept('b'),
        about('committed', 'b'),
        issue('c', 1),
        accept('c'),
        about('committed', 'c'),
        issue('d', 2, 1),
        accept('d'),
        about('committed', 'd'),
        { kind: 'set-fixed', ...at, leases: ['b', 'c', 'd'].map(lease) },
      ],
      returned('a', 'd'),
      'SET_FIXED',
    ],
    ['comes twice', {}, [...lost('a'), returned('a')], returned('a'), 'NOT_LOST'],
  ])('is not back where it %s', (_, ...[change, events, last, code]) => {
    expect(judge(change, events, last)).toBe(code);
  });
});
