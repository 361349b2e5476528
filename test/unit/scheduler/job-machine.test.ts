import { describe, expect, it } from 'vitest';
import type { JobId, LeaseId, PeerKey } from '../../../src/domain/ids.ts';
import { UnixMs } from '../../../src/domain/ids.ts';
import { isRejection, type RejectionCode, transition } from '../../../src/scheduler/job-machine.ts';
import type { JobMachineEvent } from '../../../src/scheduler/job-machine-events.ts';
import { createInitialState, type JobFacts, type JobMachineState } from '../../../src/scheduler/job-machine-state.ts';

const T = UnixMs(1_000);
const LEASE_END = UnixMs(5_000);
const DEADLINE = UnixMs(100_000);

type Draft = JobMachineEvent extends infer Event
  ? Event extends JobMachineEvent
    ? Omit<Event, 'atMs'>
    : never
  : never;

const facts = (change: Partial<JobFacts> = {}): JobFacts => ({
  job: 'job' as JobId,
  replicas: 1,
  quorum: 1,
  retries: 1,
  deadlineMs: DEADLINE,
  commitReveal: false,
  hasCheckpoints: false,
  comparesOutputs: false,
  ...change,
});
const THREE: Partial<JobFacts> = { replicas: 3, quorum: 2, commitReveal: true };
const lease = (name: string): LeaseId => name as LeaseId;

function issue(name: string, replica = 0, attempt = 0, change: object = {}): Draft {
  return {
    kind: 'lease-issued',
    lease: lease(name),
    provider: `peer-${name}` as PeerKey,
    replica,
    attempt,
    instrumenter: 'i/1',
    leaseEndsAtMs: LEASE_END,
    ...change,
  } as Draft;
}
const accept = (name: string): Draft => ({ kind: 'accepted', lease: lease(name), leaseEndsAtMs: LEASE_END });
const phase = (name: string): Draft => ({ kind: 'phase', lease: lease(name), phase: 'running' });
const progress = (name: string, sequence = 1): Draft => ({
  kind: 'progress',
  lease: lease(name),
  sequence,
  fuel: 1,
  step: 1,
  cpuTimeMs: 1,
  leaseEndsAtMs: UnixMs(LEASE_END + sequence),
});
const unreachable = (name: string): Draft => ({ kind: 'unreachable', lease: lease(name), reason: 'cut' });
const reattached = (name: string): Draft => ({ kind: 'reattached', lease: lease(name) });
const committed = (name: string): Draft => ({ kind: 'committed', lease: lease(name) });
const fixed = (...names: string[]): Draft => ({ kind: 'set-fixed', leases: names.map(lease) });
const begun: Draft = { kind: 'reveal-begun' };
const revealed = (name: string, outputRoot = 'root'): Draft => ({ kind: 'revealed', lease: lease(name), outputRoot });
const failed = (name: string, isCounted = true): Draft => ({
  kind: 'attempt-failed',
  lease: lease(name),
  code: 'X',
  reason: 'x',
  isCounted,
});
const abandoned = (replica: number): Draft => ({ kind: 'replica-abandoned', replica, reason: 'none' });
const cancel: Draft = { kind: 'cancel-requested' };
const attemptCancelled = (name: string): Draft => ({ kind: 'attempt-cancelled', lease: lease(name), reason: 'asked' });
const concluded = (outputRoot = 'root'): Draft => ({ kind: 'concluded', outputRoot, programFailure: null });
const jobFailed: Draft = { kind: 'job-failed', code: 'X', message: 'x' };
const jobCancelled: Draft = { kind: 'job-cancelled' };
const expired = (name: string): readonly [Draft, UnixMs] => [{ kind: 'lease-expired', lease: lease(name) }, LEASE_END];
const deadline: readonly [Draft, UnixMs] = [{ kind: 'deadline-passed' }, DEADLINE];

type Step = Draft | readonly [Draft, UnixMs];

function toEvent(step: Step): JobMachineEvent {
  const [draft, atMs] = Array.isArray(step) ? (step as [Draft, UnixMs]) : [step as Draft, T];
  return { ...draft, atMs } as JobMachineEvent;
}

function run(change: Partial<JobFacts>, ...steps: readonly Step[]): JobMachineState {
  let state: JobMachineState = createInitialState(facts(change));
  for (const step of steps) {
    const next = transition(state, toEvent(step));
    if (isRejection(next)) throw new Error(`${toEvent(step).kind} was rejected: ${next.code}`);
    state = next;
  }
  return state;
}

function judge(state: JobMachineState, step: Step): RejectionCode | JobMachineState['kind'] {
  const next = transition(state, toEvent(step));
  return isRejection(next) ? next.code : next.kind;
}

const issueThree = [issue('a', 0), issue('b', 1), issue('c', 2)];
const acceptThree = [accept('a'), accept('b'), accept('c')];
const commitThree = [...issueThree, ...acceptThree, committed('a'), committed('b'), committed('c')];

/** Every kind of state with how it is reached. */
const STATES = {
  seeking: run({}),
  leased: run({}, issue('a')),
  accepted: run({}, issue('a'), accept('a')),
  running: run({}, issue('a'), accept('a'), phase('a'), progress('a', 5)),
  unreachable: run({}, issue('a'), accept('a'), unreachable('a')),
  revealed: run({}, issue('a'), accept('a'), revealed('a')),
  retried: run({}, issue('a'), accept('a'), failed('a'), issue('b', 0, 1)),
  exhausted: run({}, issue('a'), accept('a'), failed('a'), issue('b', 0, 1), accept('b'), failed('b')),
  cancelling: run({}, issue('a'), accept('a'), cancel),
  three: run(THREE, ...issueThree, ...acceptThree),
  committed: run(THREE, ...commitThree),
  setFixed: run(THREE, ...commitThree, fixed('a', 'b', 'c')),
  revealing: run(THREE, ...commitThree, fixed('a', 'b', 'c'), begun),
  halfRevealed: run(THREE, ...commitThree, fixed('a', 'b', 'c'), begun, revealed('a')),
  split: run(THREE, ...commitThree, fixed('a', 'b', 'c'), begun, revealed('a'), revealed('b', 'other')),
  agreed: run(THREE, ...commitThree, fixed('a', 'b', 'c'), begun, revealed('a'), revealed('b')),
  completed: run({}, issue('a'), accept('a'), revealed('a'), concluded()),
  failed: run({}, jobFailed),
  cancelled: run({}, cancel, jobCancelled),
  expired: run({}, deadline),
} as const;

/** For each state what each event leads to; where a state is not named, the default holds. */
const TABLE: readonly (readonly [
  event: string,
  step: Step,
  otherwise: RejectionCode,
  leadsTo: Partial<Record<keyof typeof STATES, RejectionCode | JobMachineState['kind']>>,
])[] = [
  [
    'lease-issued',
    issue('z'),
    'REPLICA_OCCUPIED',
    {
      seeking: 'running',
      retried: 'REPLICA_OCCUPIED',
      exhausted: 'WRONG_ATTEMPT_NUMBER',
      cancelling: 'NOT_DESIRED',
      setFixed: 'SET_FIXED',
      revealing: 'SET_FIXED',
      halfRevealed: 'SET_FIXED',
      split: 'SET_FIXED',
      agreed: 'SET_FIXED',
    },
  ],
  [
    'lease-issued again',
    issue('z', 0, 2),
    'REPLICA_OCCUPIED',
    {
      seeking: 'WRONG_ATTEMPT_NUMBER',
      exhausted: 'RETRIES_EXHAUSTED',
      cancelling: 'NOT_DESIRED',
      setFixed: 'SET_FIXED',
      revealing: 'SET_FIXED',
      halfRevealed: 'SET_FIXED',
      split: 'SET_FIXED',
      agreed: 'SET_FIXED',
    },
  ],
  ['lease-issued twice', issue('a'), 'DUPLICATE_LEASE', { seeking: 'running' }],
  [
    'lease-issued to no replica',
    issue('z', 9),
    'NO_SUCH_REPLICA',
    {
      cancelling: 'NOT_DESIRED',
      setFixed: 'SET_FIXED',
      revealing: 'SET_FIXED',
      halfRevealed: 'SET_FIXED',
      split: 'SET_FIXED',
      agreed: 'SET_FIXED',
    },
  ],
  [
    'accepted',
    accept('a'),
    'ATTEMPT_OVER',
    {
      seeking: 'UNKNOWN_LEASE',
      leased: 'running',
      accepted: 'ALREADY_ACCEPTED',
      running: 'ALREADY_ACCEPTED',
      unreachable: 'ALREADY_ACCEPTED',
      cancelling: 'ALREADY_ACCEPTED',
      three: 'ALREADY_ACCEPTED',
    },
  ],
  [
    'phase',
    phase('a'),
    'ATTEMPT_OVER',
    {
      seeking: 'UNKNOWN_LEASE',
      leased: 'NOT_ACCEPTED',
      accepted: 'running',
      running: 'running',
      unreachable: 'running',
      cancelling: 'running',
      three: 'running',
    },
  ],
  [
    'progress',
    progress('a'),
    'ATTEMPT_OVER',
    {
      seeking: 'UNKNOWN_LEASE',
      leased: 'NOT_ACCEPTED',
      accepted: 'running',
      running: 'STALE_PROGRESS',
      unreachable: 'running',
      cancelling: 'running',
      three: 'running',
    },
  ],
  [
    'unreachable',
    unreachable('a'),
    'ATTEMPT_OVER',
    {
      seeking: 'UNKNOWN_LEASE',
      unreachable: 'NOT_UNREACHABLE',
      leased: 'running',
      accepted: 'running',
      running: 'running',
      cancelling: 'running',
      three: 'running',
    },
  ],
  [
    'reattached',
    reattached('a'),
    'ATTEMPT_OVER',
    {
      seeking: 'UNKNOWN_LEASE',
      unreachable: 'running',
      leased: 'NOT_UNREACHABLE',
      accepted: 'NOT_UNREACHABLE',
      running: 'NOT_UNREACHABLE',
      cancelling: 'NOT_UNREACHABLE',
      three: 'NOT_UNREACHABLE',
    },
  ],
  [
    'lease-expired',
    expired('a'),
    'ATTEMPT_OVER',
    {
      seeking: 'UNKNOWN_LEASE',
      running: 'LEASE_LIVE',
      leased: 'seeking',
      accepted: 'seeking',
      unreachable: 'seeking',
      cancelling: 'seeking',
      three: 'running',
    },
  ],
  [
    'committed',
    committed('a'),
    'ATTEMPT_OVER',
    {
      seeking: 'UNKNOWN_LEASE',
      leased: 'NO_COMMITMENTS',
      accepted: 'NO_COMMITMENTS',
      running: 'NO_COMMITMENTS',
      unreachable: 'NO_COMMITMENTS',
      cancelling: 'NO_COMMITMENTS',
      three: 'running',
    },
  ],
  [
    'set-fixed',
    fixed('a', 'b', 'c'),
    'NO_COMMITMENTS',
    {
      three: 'BAD_SET',
      committed: 'running',
      setFixed: 'SET_FIXED',
      revealing: 'SET_FIXED',
      halfRevealed: 'SET_FIXED',
      split: 'SET_FIXED',
      agreed: 'SET_FIXED',
    },
  ],
  [
    'set-fixed without one',
    fixed('a', 'b'),
    'NO_COMMITMENTS',
    {
      three: 'BAD_SET',
      committed: 'BAD_SET',
      setFixed: 'SET_FIXED',
      revealing: 'SET_FIXED',
      halfRevealed: 'SET_FIXED',
      split: 'SET_FIXED',
      agreed: 'SET_FIXED',
    },
  ],
  [
    'reveal-begun',
    begun,
    'SET_OPEN',
    {
      cancelling: 'NOT_DESIRED',
      setFixed: 'revealing',
      revealing: 'SET_FIXED',
      halfRevealed: 'SET_FIXED',
      split: 'SET_FIXED',
      agreed: 'SET_FIXED',
    },
  ],
  [
    'revealed',
    revealed('a'),
    'ATTEMPT_OVER',
    {
      seeking: 'UNKNOWN_LEASE',
      leased: 'NOT_ACCEPTED',
      accepted: 'running',
      running: 'running',
      unreachable: 'running',
      cancelling: 'running',
      three: 'NOT_IN_SET',
      committed: 'NOT_IN_SET',
      setFixed: 'NOT_IN_SET',
      revealing: 'revealing',
    },
  ],
  [
    'attempt-failed',
    failed('a'),
    'ATTEMPT_OVER',
    {
      seeking: 'UNKNOWN_LEASE',
      leased: 'seeking',
      accepted: 'seeking',
      running: 'seeking',
      unreachable: 'seeking',
      revealed: 'seeking',
      cancelling: 'seeking',
      three: 'running',
      committed: 'running',
      setFixed: 'running',
      revealing: 'revealing',
      halfRevealed: 'revealing',
      split: 'revealing',
      agreed: 'revealing',
    },
  ],
  [
    'replica-abandoned',
    abandoned(0),
    'REPLICA_OCCUPIED',
    {
      seeking: 'seeking',
      exhausted: 'seeking',
      setFixed: 'SET_FIXED',
      revealing: 'SET_FIXED',
      halfRevealed: 'SET_FIXED',
      split: 'SET_FIXED',
      agreed: 'SET_FIXED',
    },
  ],
  [
    'cancel-requested',
    cancel,
    'NOT_DESIRED',
    {
      seeking: 'seeking',
      leased: 'running',
      accepted: 'running',
      running: 'running',
      unreachable: 'running',
      revealed: 'running',
      retried: 'running',
      exhausted: 'seeking',
      three: 'running',
      committed: 'running',
      setFixed: 'running',
      revealing: 'revealing',
      halfRevealed: 'revealing',
      split: 'revealing',
      agreed: 'revealing',
    },
  ],
  [
    'attempt-cancelled',
    attemptCancelled('a'),
    'NOT_CANCELLING',
    {
      seeking: 'UNKNOWN_LEASE',
      retried: 'ATTEMPT_OVER',
      exhausted: 'ATTEMPT_OVER',
      cancelling: 'seeking',
    },
  ],
  [
    'concluded',
    concluded(),
    'QUORUM_MISSING',
    { cancelling: 'NOT_DESIRED', revealed: 'completed', agreed: 'completed' },
  ],
  ['concluded with another root', concluded('other'), 'QUORUM_MISSING', { cancelling: 'NOT_DESIRED' }],
  [
    'job-failed',
    jobFailed,
    'NOT_DESIRED',
    {
      seeking: 'failed',
      leased: 'failed',
      accepted: 'failed',
      running: 'failed',
      unreachable: 'failed',
      revealed: 'failed',
      retried: 'failed',
      exhausted: 'failed',
      three: 'failed',
      committed: 'failed',
      setFixed: 'failed',
      revealing: 'failed',
      halfRevealed: 'failed',
      split: 'failed',
      agreed: 'failed',
    },
  ],
  ['job-cancelled', jobCancelled, 'NOT_CANCELLING', { cancelling: 'STILL_STANDING' }],
  [
    'deadline-passed',
    deadline,
    'DEADLINE_AHEAD',
    Object.fromEntries(
      Object.entries(STATES).map(([name, state]) => [name, 'endedAtMs' in state ? 'JOB_ENDED' : 'expired']),
    ),
  ],
  ['deadline-passed early', deadline[0], 'DEADLINE_AHEAD', {}],
];

describe('every event in every state', () => {
  it.each(TABLE)('%s', (_, step, otherwise, leadsTo) => {
    const found: Record<string, string> = {};
    const expected: Record<string, string> = {};
    for (const [name, state] of Object.entries(STATES) as [keyof typeof STATES, JobMachineState][]) {
      found[name] = judge(state, step);
      const isEnded = 'endedAtMs' in state;
      // The attempt `a` of these is over, and in them `retried` and `exhausted` hold another.
      expected[name] = isEnded ? 'JOB_ENDED' : (leadsTo[name] ?? otherwise);
    }
    expect(found).toEqual(expected);
  });

  it('covers every kind of event', () => {
    const kinds = new Set(TABLE.map(([, step]) => toEvent(step).kind));
    expect(kinds.size).toBe(19);
  });
});

describe('rules beyond the table', () => {
  it('no provider holds two replicas, and all share an instrumenter', () => {
    const state = run(THREE, issue('a', 0));
    const same = { provider: 'peer-a' as PeerKey };
    expect(judge(state, issue('b', 1, 0, same))).toBe('PROVIDER_OCCUPIED');
    expect(judge(state, issue('b', 1, 0, { instrumenter: 'i/2' }))).toBe('OTHER_INSTRUMENTER');
    const again = run(THREE, issue('a', 0), failed('a'));
    expect(judge(again, issue('b', 1, 0, { ...same, instrumenter: 'i/2' }))).toBe('running');
  });

  it('failures that are not the provider’s use up no retry', () => {
    const state = run({ retries: 0 }, issue('a'), failed('a', false));
    expect(judge(state, issue('b', 0, 1))).toBe('running');
    const used = run({ retries: 0 }, issue('a'), failed('a'));
    expect(judge(used, issue('b', 0, 1))).toBe('RETRIES_EXHAUSTED');
  });

  it('a lease that ends before it was accepted uses up no retry', () => {
    expect(judge(run({ retries: 0 }, issue('a'), expired('a')), issue('b', 0, 1))).toBe('running');
    expect(judge(run({ retries: 0 }, issue('a'), accept('a'), expired('a')), issue('b', 0, 1))).toBe(
      'RETRIES_EXHAUSTED',
    );
  });

  it('tells a silent provider from one that was cut off', () => {
    const end = (state: JobMachineState) => state.attempts[0]?.end?.code;
    expect(end(run({}, issue('a'), accept('a'), expired('a')))).toBe('LEASE_EXPIRED');
    expect(end(run({}, issue('a'), accept('a'), unreachable('a'), expired('a')))).toBe('PARTITIONED');
  });

  it('a set that loses a member before the reveal is void, after it is not', () => {
    expect(run(THREE, ...commitThree, fixed('a', 'b', 'c'), failed('a')).set).toBeNull();
    expect(run(THREE, ...commitThree, fixed('a', 'b', 'c'), begun, failed('a')).set).toEqual(['a', 'b', 'c']);
  });

  it('a set may lack replicas that were given up, but never a quorum', () => {
    const two = run(THREE, issue('a', 0), issue('b', 1), accept('a'), accept('b'), committed('a'), committed('b'));
    expect(judge(two, fixed('a', 'b'))).toBe('BAD_SET');
    const given = run(
      THREE,
      issue('a', 0),
      issue('b', 1),
      accept('a'),
      accept('b'),
      committed('a'),
      committed('b'),
      abandoned(2),
    );
    expect(judge(given, fixed('a', 'b'))).toBe('running');
    expect(judge(given, fixed('a', 'a'))).toBe('BAD_SET');
    const one = run(THREE, issue('a', 0), accept('a'), committed('a'), abandoned(1), abandoned(2));
    expect(judge(one, fixed('a'))).toBe('BAD_SET');
  });

  it('a late commitment does not join a fixed set', () => {
    const state = run(
      THREE,
      issue('a', 0),
      issue('b', 1),
      issue('c', 2),
      accept('a'),
      accept('b'),
      accept('c'),
      committed('a'),
      committed('b'),
      failed('c'),
      abandoned(2),
      fixed('a', 'b'),
    );
    expect(judge(state, committed('c'))).toBe('ATTEMPT_OVER');
    expect(judge(state, issue('d', 2, 1))).toBe('SET_FIXED');
  });

  it('a result counts for its replica once', () => {
    expect(judge(STATES.halfRevealed, revealed('a', 'other'))).toBe('ATTEMPT_OVER');
    expect(judge(STATES.halfRevealed, concluded())).toBe('QUORUM_MISSING');
    expect(judge(STATES.split, concluded())).toBe('QUORUM_MISSING');
  });

  it('results that agree without being equal are named', () => {
    const both = [...commitThree, fixed('a', 'b', 'c'), begun, revealed('a'), revealed('b', 'other')];
    const state = run({ ...THREE, comparesOutputs: true }, ...both);
    const agreed = (...names: string[]): Draft => ({ ...concluded(), agreeing: names.map(lease) }) as Draft;
    expect(judge(state, concluded())).toBe('QUORUM_MISSING');
    expect(judge(state, agreed('a', 'b'))).toBe('completed');
    expect(judge(state, agreed('a'))).toBe('QUORUM_MISSING');
    expect(judge(state, agreed('a', 'c'))).toBe('BAD_AGREEMENT');
    expect(judge(state, agreed('a', 'a'))).toBe('BAD_AGREEMENT');
    expect(judge(state, { ...agreed('a', 'b'), outputRoot: 'third' } as Draft)).toBe('BAD_AGREEMENT');
    expect(judge(run(THREE, ...both), agreed('a', 'b'))).toBe('BAD_AGREEMENT');
    expect(run({ ...THREE, comparesOutputs: true }, ...both, agreed('a', 'b'))).toMatchObject({ agreeing: ['a', 'b'] });
  });

  it('a failure that the program made ends the job as failed, with a result', () => {
    const programFailure = { code: 'TRAP', detail: 'unreachable' } as const;
    const state = run({}, issue('a'), accept('a'), revealed('a'), {
      kind: 'concluded',
      outputRoot: 'root',
      programFailure,
    });
    expect(state).toMatchObject({
      kind: 'failed',
      acceptedRoot: 'root',
      failure: { code: 'JOB_PROGRAM_TRAP', message: 'unreachable' },
    });
  });

  it('what still stands when the job ends is cancelled, results stay', () => {
    const state = run(THREE, ...commitThree, fixed('a', 'b', 'c'), begun, revealed('a'), revealed('b'), concluded());
    expect(state.attempts.map((attempt) => attempt.state)).toEqual(['revealed', 'revealed', 'cancelled']);
  });

  it('progress never shortens a lease', () => {
    const early = { ...progress('a', 9), leaseEndsAtMs: UnixMs(1) } as Draft;
    expect(run({}, issue('a'), accept('a'), early).attempts[0]?.leaseEndsAtMs).toBe(LEASE_END);
  });
});
