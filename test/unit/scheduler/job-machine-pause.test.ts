import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type JobId, type LeaseId, type PeerKey, UnixMs } from '../../../src/domain/ids.ts';
import { ATTEMPTS_PER_PROVIDER, PROVIDER_REST_MS } from '../../../src/scheduler/constants.ts';
import { decide, isProviderExcluded } from '../../../src/scheduler/job-decision.ts';
import { isRejection, transition } from '../../../src/scheduler/job-machine.ts';
import type { JobMachineEvent } from '../../../src/scheduler/job-machine-events.ts';
import {
  type ActiveJob,
  countAttempts,
  createInitialState,
  isEnded,
  isRunning,
  isStanding,
  type JobFacts,
  type JobMachineState,
  listLine,
  listOpenReplicas,
} from '../../../src/scheduler/job-machine-state.ts';
import { chooseResumePoint, type HeldPoint } from '../../../src/scheduler/job-resume.ts';
import { replay } from '../../../src/scheduler/requester/job-view.ts';

const atMs = UnixMs(1_000);
const PROVIDERS = ['p', 'q', 'r', 's', 't'] as PeerKey[];

const factsArbitrary: fc.Arbitrary<JobFacts> = fc.integer({ min: 1, max: 3 }).map((replicas) => ({
  job: 'job' as JobId,
  replicas,
  quorum: Math.floor(replicas / 2) + 1,
  retries: 3,
  deadlineMs: UnixMs(1_000_000),
  commitReveal: replicas > 1,
  hasCheckpoints: true,
  comparesOutputs: false,
}));

/** One of the events that fit where the job is, most of which the machine takes. */
function propose(state: ActiveJob, dice: number): JobMachineEvent {
  const pick = <Item>(items: readonly Item[], salt: number): Item | undefined =>
    items[(dice * 31 + salt * 17) % items.length];
  const running = pick(state.attempts.filter(isRunning), 1);
  const replica = pick(listOpenReplicas(state), 2);
  const kind = dice % 12;
  if (kind === 0) return { kind: 'pause-requested', atMs };
  if (kind === 1) return { kind: 'resume-requested', atMs };
  if (kind < 6 && replica !== undefined) return issue(state, replica, pick, dice);
  if (running === undefined) return { kind: 'resume-requested', atMs };
  const { lease } = running;
  if (!running.isAccepted) return { kind: 'accepted', atMs, lease, leaseEndsAtMs: UnixMs(5_000) };
  if (kind < 9) return { kind: 'attempt-paused', atMs, lease, reason: 'asked' };
  if (kind === 9) return { kind: 'committed', atMs, lease };
  const code =
    kind === 10 ? 'EXECUTOR_CRASHED' : (pick(['STATE_MISMATCH', 'INPUT_UNAVAILABLE', 'CHECKPOINT_INVALID'], 5) ?? '');
  return { kind: 'attempt-failed', atMs, lease, code, reason: 'r', isCounted: true };
}

function issue(
  state: ActiveJob,
  replica: number,
  pick: <Item>(items: readonly Item[], salt: number) => Item | undefined,
  dice: number,
): JobMachineEvent {
  const attempt = countAttempts(state, replica).total;
  // Of any replica: those of others have to be refused.
  const source =
    dice % 5 === 0
      ? undefined
      : pick(
          state.attempts.filter((other) => !isStanding(other)),
          3,
        );
  return {
    kind: 'lease-issued',
    atMs,
    lease: `lease-${state.attempts.length}` as LeaseId,
    provider: pick(PROVIDERS, 4) ?? ('p' as PeerKey),
    replica,
    attempt,
    instrumenter: 'i',
    leaseEndsAtMs: UnixMs(5_000),
    ...(source === undefined ? {} : { resumedFrom: { lease: source.lease, step: dice % 7 } }),
  };
}

/** Jobs that are paused, resumed and moved all the time. */
function checkPausing(property: (states: readonly JobMachineState[], taken: readonly JobMachineEvent[]) => void): void {
  fc.assert(
    fc.property(factsArbitrary, fc.array(fc.nat(), { maxLength: 60, size: 'max' }), (facts, dice) => {
      const states: JobMachineState[] = [createInitialState(facts)];
      const taken: JobMachineEvent[] = [];
      for (const thrown of dice) {
        const state = states.at(-1);
        if (state === undefined || isEnded(state)) break;
        const event = propose(state, thrown);
        const next = transition(state, event);
        if (isRejection(next)) continue;
        states.push(next);
        taken.push(event);
      }
      property(states, taken);
    }),
    { numRuns: 200 },
  );
}

describe('whatever is paused and moved', () => {
  it('a job that is to be paused begins nothing, and is paused exactly while something is left and nothing runs', () => {
    let paused = 0;
    checkPausing((states) => {
      for (const [index, state] of states.entries()) {
        const before = states[index - 1];
        if (before?.desired !== 'run') expect(state.attempts.length).toBe(before?.attempts.length ?? 0);
        if (isEnded(state) || state.kind === 'revealing') continue;
        const isHalted = !state.attempts.some(isRunning) && listOpenReplicas(state).length > 0;
        expect(state.kind === 'paused').toBe(state.desired === 'pause' && isHalted);
        if (state.kind === 'paused') paused += 1;
        if (state.desired === 'pause') expect(['seek', 'wait']).not.toContain(decide(state).kind);
      }
    });
    expect(paused).toBeGreaterThan(0);
  });

  it('pauses use up no retry, and end only attempts that were asked to stop', () => {
    let paused = 0;
    checkPausing((states) => {
      for (const attempt of states.at(-1)?.attempts ?? []) {
        if (attempt.state !== 'paused') continue;
        paused += 1;
        expect(attempt).toMatchObject({ isPauseAsked: true, end: { code: 'PAUSED', isCounted: false } });
      }
    });
    expect(paused).toBeGreaterThan(0);
  });

  it('a line of attempts stays within one replica, and no two that stand have a maker in common', () => {
    let inherited = 0;
    checkPausing((states) => {
      const last = states.at(-1);
      if (last === undefined) return;
      const makers = last.attempts.filter(isStanding).flatMap(({ lease, replica }) => {
        const line = listLine(last, lease);
        inherited += line.length - 1;
        for (const { replica: other } of line) expect(other).toBe(replica);
        return [...new Set(line.map(({ provider }) => provider))];
      });
      expect(new Set(makers).size).toBe(makers.length);
    });
    expect(inherited).toBeGreaterThan(0);
  });

  it('the history alone gives the state back', () => {
    checkPausing((states, taken) => {
      const [initial] = states;
      if (initial !== undefined) expect(replay(initial, taken)).toEqual(states.at(-1));
    });
  });

  it('what is gone on from is of the same replica, ended well, was not refused before, and may be leased', () => {
    let chosen = 0;
    checkPausing((states) => {
      const last = states.at(-1);
      if (last === undefined || isEnded(last) || last.desired !== 'run') return;
      const points = last.attempts.map((attempt, index): HeldPoint => describePoint(attempt.lease, index));
      for (const replica of listOpenReplicas(last)) {
        const provider = 'fresh' as PeerKey;
        const point = chooseResumePoint(last, { replica, provider }, points);
        if (point === undefined) continue;
        chosen += 1;
        const made = last.attempts.find(({ lease }) => lease === point.lease);
        expect(made).toMatchObject({ replica, isAccepted: true });
        expect(['PAUSED', 'EXECUTOR_CRASHED', 'INPUT_UNAVAILABLE']).toContain(made?.end?.code);
        const refused = last.attempts.filter(
          ({ resumedFrom, end }) =>
            resumedFrom?.lease === point.lease && resumedFrom.step <= point.step && end?.code === 'STATE_MISMATCH',
        );
        expect(refused).toEqual([]);
        const lease: JobMachineEvent = {
          kind: 'lease-issued',
          atMs,
          lease: 'next' as LeaseId,
          provider,
          replica,
          attempt: countAttempts(last, replica).total,
          instrumenter: 'i',
          leaseEndsAtMs: UnixMs(5_000),
          resumedFrom: { lease: point.lease, step: point.step },
        };
        const next = transition(last, lease);
        if (isRejection(next)) expect(['RETRIES_EXHAUSTED', 'SET_FIXED']).toContain(next.code);
      }
    });
    expect(chosen).toBeGreaterThan(0);
  });
});

function describePoint(lease: LeaseId, step: number): HeldPoint {
  const hash = new Uint8Array(32);
  return {
    lease,
    index: step,
    step,
    fuel: step,
    head: hash,
    stateRoot: hash,
    snapshot: { blob: 'b' as never, sizeBytes: 1 },
  };
}

describe('what cannot be', () => {
  const lease = (name: string): LeaseId => name as LeaseId;
  const leaseEndsAtMs = UnixMs(5_000);
  const give = (name: string, change: object = {}): JobMachineEvent =>
    ({
      kind: 'lease-issued',
      atMs,
      lease: lease(name),
      provider: `peer-${name}` as PeerKey,
      replica: 0,
      attempt: 0,
      instrumenter: 'i',
      leaseEndsAtMs,
      ...change,
    }) as JobMachineEvent;
  const accept = (name: string): JobMachineEvent => ({ kind: 'accepted', atMs, lease: lease(name), leaseEndsAtMs });
  const halt = (name: string): JobMachineEvent => ({ kind: 'attempt-paused', atMs, lease: lease(name), reason: 'r' });
  const fail = (name: string): JobMachineEvent =>
    ({ kind: 'attempt-failed', atMs, lease: lease(name), code: 'X', reason: 'x', isCounted: true }) as const;
  const pause: JobMachineEvent = { kind: 'pause-requested', atMs };
  const resume: JobMachineEvent = { kind: 'resume-requested', atMs };
  const cancel: JobMachineEvent = { kind: 'cancel-requested', atMs };
  const from = (name: string, attempt = 1) => ({ resumedFrom: { lease: lease(name), step: 1 }, attempt });

  it('a provider that has its hand in a replica is not asked for another', () => {
    let state: JobMachineState = createInitialState({
      job: 'job' as JobId,
      replicas: 2,
      quorum: 2,
      retries: 9,
      deadlineMs: UnixMs(1_000_000),
      commitReveal: true,
      hasCheckpoints: true,
      comparesOutputs: false,
    });
    const crashed = { ...fail('a'), code: 'EXECUTOR_CRASHED' } as JobMachineEvent;
    for (const event of [give('a'), accept('a'), crashed]) {
      const next = transition(state, event);
      if (!isRejection(next)) state = next;
    }
    expect(isProviderExcluded(state, 'peer-a' as PeerKey, atMs)).toBe(false);
    const next = transition(state, give('b', from('a')));
    if (isRejection(next)) throw new Error(next.code);
    expect(isProviderExcluded(next, 'peer-a' as PeerKey, atMs)).toBe(true);
    expect(isProviderExcluded(next, 'peer-c' as PeerKey, atMs)).toBe(false);
  });

  it('a provider that had its chances rests, longer after each further one, and is asked again', () => {
    const facts = {
      replicas: 1,
      quorum: 1,
      retries: 9,
      commitReveal: false,
      hasCheckpoints: false,
      comparesOutputs: false,
    };
    let state: JobMachineState = createInitialState({ ...facts, job: 'job' as JobId, deadlineMs: UnixMs(1e9) });
    const provider = 'peer-a' as PeerKey;
    const run = (attempt: number): void => {
      const lost = { kind: 'lease-expired', atMs: leaseEndsAtMs, lease: lease(`a${attempt}`) } as JobMachineEvent;
      for (const event of [give(`a${attempt}`, { provider, attempt }), accept(`a${attempt}`), lost]) {
        const next = transition(state, event);
        if (isRejection(next)) throw new Error(next.code);
        state = next;
      }
    };
    for (let attempt = 0; attempt < ATTEMPTS_PER_PROVIDER; attempt += 1) {
      expect(isProviderExcluded(state, provider, leaseEndsAtMs)).toBe(false);
      run(attempt);
    }
    for (const restMs of [PROVIDER_REST_MS.first, 2 * PROVIDER_REST_MS.first]) {
      expect(isProviderExcluded(state, provider, leaseEndsAtMs + restMs - 1)).toBe(true);
      expect(isProviderExcluded(state, provider, leaseEndsAtMs + restMs)).toBe(false);
      run(countAttempts(state, 0).total);
    }
  });

  function last(change: Partial<JobFacts>, events: readonly JobMachineEvent[]): string {
    const facts: JobFacts = {
      job: 'job' as JobId,
      replicas: 1,
      quorum: 1,
      retries: 9,
      deadlineMs: UnixMs(1_000_000),
      commitReveal: false,
      hasCheckpoints: true,
      comparesOutputs: false,
      ...change,
    };
    let state: JobMachineState = createInitialState(facts);
    let outcome: string = state.kind;
    for (const event of events) {
      const next = transition(state, event);
      outcome = isRejection(next) ? next.code : next.kind;
      if (!isRejection(next)) state = next;
    }
    return outcome;
  }
  const two: Partial<JobFacts> = { replicas: 2, quorum: 2, commitReveal: true };

  it.each<[string, string, Partial<JobFacts>, readonly JobMachineEvent[]]>([
    ['a pause without checkpoints', 'NOT_PAUSABLE', { hasCheckpoints: false }, [pause]],
    ['a pause of what is cancelled', 'NOT_DESIRED', {}, [cancel, pause]],
    ['a second pause', 'NOT_DESIRED', {}, [pause, pause]],
    ['a resume of what runs', 'NOT_PAUSED', {}, [resume]],
    ['a resume of what is cancelled', 'NOT_PAUSED', {}, [pause, cancel, resume]],
    ['a lease while it is paused', 'NOT_DESIRED', {}, [pause, give('a')]],
    ['an attempt that stops by itself', 'NOT_PAUSING', {}, [give('a'), accept('a'), halt('a')]],
    ['an attempt that stops before it was accepted', 'NOT_PAUSING', {}, [give('a'), pause, halt('a')]],
    ['an attempt that stops twice', 'ATTEMPT_OVER', {}, [give('a'), accept('a'), pause, halt('a'), halt('a')]],
    ['going on from nothing', 'BAD_RESUME', {}, [give('a', from('z', 0))]],
    ['going on from what never began', 'BAD_RESUME', {}, [give('a'), fail('a'), give('b', from('a'))]],
    [
      'going on from another replica',
      'BAD_RESUME',
      two,
      [give('a'), accept('a'), fail('a'), give('b', { replica: 1, ...from('a', 0) })],
    ],
    [
      'a provider whose state another replica went on from',
      'PROVIDER_OCCUPIED',
      two,
      [give('a'), accept('a'), fail('a'), give('b', from('a')), give('c', { replica: 1, provider: 'peer-a' })],
    ],
    [
      'going on from a provider that has another replica',
      'PROVIDER_OCCUPIED',
      two,
      [give('a'), accept('a'), fail('a'), give('c', { replica: 1, provider: 'peer-a' }), give('b', from('a'))],
    ],
  ])('%s', (_, code, facts, events) => expect(last(facts, events)).toBe(code));

  it('and what can', () => {
    expect(last({}, [pause])).toBe('paused');
    expect(last({}, [give('a'), accept('a'), pause])).toBe('running');
    expect(last({}, [give('a'), accept('a'), pause, halt('a')])).toBe('paused');
    expect(last({}, [give('a'), accept('a'), pause, resume, halt('a')])).toBe('seeking');
    expect(last({}, [give('a'), accept('a'), pause, halt('a'), resume, give('b', from('a'))])).toBe('running');
    expect(last({}, [pause, { kind: 'deadline-passed', atMs: UnixMs(1_000_000) }])).toBe('expired');
    expect(last({}, [pause, cancel, { kind: 'job-cancelled', atMs }])).toBe('cancelled');
  });
});
