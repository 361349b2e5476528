import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type JobId, type LeaseId, type PeerKey, UnixMs } from '../../../src/domain/ids.ts';
import { decide } from '../../../src/scheduler/job-decision.ts';
import { isRejection, transition } from '../../../src/scheduler/job-machine.ts';
import type { JobMachineEvent } from '../../../src/scheduler/job-machine-events.ts';
import {
  createInitialState,
  isEnded,
  isStanding,
  type JobFacts,
  type JobMachineState,
  mayReturn,
} from '../../../src/scheduler/job-machine-state.ts';
import { replay } from '../../../src/scheduler/requester/job-view.ts';

const DEADLINE = UnixMs(1_000_000);

const factsArbitrary: fc.Arbitrary<JobFacts> = fc
  .record({
    replicas: fc.integer({ min: 1, max: 4 }),
    retries: fc.integer({ min: 0, max: 2 }),
    hasCheckpoints: fc.boolean(),
    comparesOutputs: fc.boolean(),
  })
  .map(({ replicas, retries, hasCheckpoints, comparesOutputs }) => ({
    job: 'job' as JobId,
    replicas,
    quorum: Math.floor(replicas / 2) + 1,
    retries,
    deadlineMs: DEADLINE,
    commitReveal: replicas > 1,
    hasCheckpoints,
    comparesOutputs,
  }));

const leaseArbitrary = fc.constantFrom('a', 'b', 'c', 'd', 'e').map((name) => name as LeaseId);
const providerArbitrary = fc.constantFrom('p', 'q', 'r', 's').map((name) => name as PeerKey);
const replicaArbitrary = fc.integer({ min: 0, max: 4 });
const atArbitrary = fc.integer({ min: 0, max: 1_200_000 }).map(UnixMs);
const leaseEndsAtMs = fc.integer({ min: 0, max: 5_000 }).map(UnixMs);
const reason = fc.constant('r');
const rootArbitrary = fc.constantFrom('x', 'y');

const kinds: readonly fc.Arbitrary<object>[] = [
  fc.record({
    kind: fc.constant('lease-issued'),
    lease: leaseArbitrary,
    provider: providerArbitrary,
    replica: replicaArbitrary,
    attempt: fc.integer({ min: 0, max: 2 }),
    instrumenter: fc.constantFrom('i', 'i', 'i', 'j'),
    leaseEndsAtMs,
  }),
  fc.record({
    kind: fc.constant('lease-issued'),
    lease: leaseArbitrary,
    provider: providerArbitrary,
    replica: replicaArbitrary,
    attempt: fc.integer({ min: 0, max: 3 }),
    instrumenter: fc.constant('i'),
    leaseEndsAtMs,
    resumedFrom: fc.record({ lease: leaseArbitrary, step: fc.nat() }),
  }),
  fc.record({ kind: fc.constant('attempt-paused'), lease: leaseArbitrary, reason }),
  fc.record({ kind: fc.constant('accepted'), lease: leaseArbitrary, leaseEndsAtMs }),
  fc.record({ kind: fc.constant('phase'), lease: leaseArbitrary, phase: fc.constantFrom('queued', 'running') }),
  fc.record({
    kind: fc.constant('progress'),
    lease: leaseArbitrary,
    sequence: fc.integer({ min: 1, max: 5 }),
    fuel: fc.nat(),
    step: fc.nat(),
    cpuTimeMs: fc.nat(),
    leaseEndsAtMs,
  }),
  fc.record({ kind: fc.constant('unreachable'), lease: leaseArbitrary, reason }),
  fc.record({ kind: fc.constant('reattached'), lease: leaseArbitrary }),
  fc.record({ kind: fc.constant('lease-expired'), lease: leaseArbitrary }),
  fc.record({
    kind: fc.constant('returned'),
    lease: leaseArbitrary,
    leaseEndsAtMs,
    replaces: fc.option(leaseArbitrary),
  }),
  fc.record({ kind: fc.constant('committed'), lease: leaseArbitrary }),
  fc.record({ kind: fc.constant('set-fixed'), leases: fc.uniqueArray(leaseArbitrary, { minLength: 1 }) }),
  fc.record({ kind: fc.constant('reveal-begun') }),
  fc.record({ kind: fc.constant('revealed'), lease: leaseArbitrary, outputRoot: rootArbitrary }),
  fc.record({
    kind: fc.constant('attempt-failed'),
    lease: leaseArbitrary,
    code: reason,
    reason,
    isCounted: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('replica-abandoned'), replica: replicaArbitrary, reason }),
  fc.record({ kind: fc.constant('attempt-cancelled'), lease: leaseArbitrary, reason }),
  fc.record({ kind: fc.constant('concluded'), outputRoot: rootArbitrary, programFailure: fc.constant(null) }),
  fc.record({
    kind: fc.constant('concluded'),
    outputRoot: rootArbitrary,
    programFailure: fc.constant(null),
    agreeing: fc.array(leaseArbitrary, { minLength: 1, maxLength: 3 }),
  }),
];
const pauseKinds: readonly fc.Arbitrary<object>[] = [
  fc.record({ kind: fc.constant('pause-requested') }),
  fc.record({ kind: fc.constant('resume-requested') }),
];
const rareKinds: readonly fc.Arbitrary<object>[] = [
  fc.record({ kind: fc.constant('cancel-requested') }),
  fc.record({ kind: fc.constant('job-failed'), code: reason, message: reason }),
  fc.record({ kind: fc.constant('job-cancelled') }),
  fc.record({ kind: fc.constant('deadline-passed') }),
];
const eventArbitrary = fc
  .tuple(
    fc.oneof(
      ...kinds.map((arbitrary) => ({ arbitrary, weight: 20 })),
      ...pauseKinds.map((arbitrary) => ({ arbitrary, weight: 10 })),
      ...rareKinds.map((arbitrary) => ({ arbitrary, weight: 1 })),
    ),
    atArbitrary,
  )
  .map(([event, atMs]) => ({ ...event, atMs }) as JobMachineEvent);
const eventsArbitrary = fc.array(eventArbitrary, { maxLength: 120, size: 'max' });

/** All states passed through, and the events that were taken. */
function walk(facts: JobFacts, events: readonly JobMachineEvent[]) {
  const states: JobMachineState[] = [createInitialState(facts)];
  const taken: JobMachineEvent[] = [];
  for (const event of events) {
    const last = states.at(-1);
    if (last === undefined) break;
    const next = transition(last, event);
    if (isRejection(next)) continue;
    states.push(next);
    taken.push(event);
  }
  return { states, taken };
}

function check(property: (states: readonly JobMachineState[], taken: readonly JobMachineEvent[]) => void): void {
  fc.assert(
    fc.property(factsArbitrary, eventsArbitrary, (facts, events) => {
      const { states, taken } = walk(facts, events);
      property(states, taken);
    }),
    { numRuns: 300 },
  );
}

describe('whatever happens', () => {
  it('an ended job stays as it is', () => {
    check((states, taken) => {
      const index = states.findIndex(isEnded);
      if (index < 0) return;
      expect(index).toBe(states.length - 1);
      expect(taken).toHaveLength(index);
    });
  });

  it('every job can end, by its deadline and by a cancel', () => {
    check((states) => {
      const last = states.at(-1);
      if (last === undefined || isEnded(last)) return;
      expect(transition(last, { kind: 'deadline-passed', atMs: DEADLINE })).toMatchObject({ kind: 'expired' });
      const rest = last.attempts.filter(isStanding).map(({ lease }) => lease);
      const { states: cancelled } = walkFrom(last, [
        { kind: 'cancel-requested', atMs: DEADLINE },
        ...rest.map((lease) => ({ kind: 'attempt-cancelled', atMs: DEADLINE, lease, reason: 'r' }) as const),
        { kind: 'job-cancelled', atMs: DEADLINE },
      ]);
      expect(cancelled.at(-1)?.kind).toBe('cancelled');
    });
  });

  it('at most one result is accepted, and a quorum gave it', () => {
    check((states, taken) => {
      expect(taken.filter(({ kind }) => kind === 'concluded').length).toBeLessThanOrEqual(1);
      const last = states.at(-1);
      if (last === undefined || !isEnded(last) || last.acceptedRoot === null) return;
      const agreeing = last.attempts.filter(({ lease, outputRoot }) =>
        last.agreeing === undefined ? outputRoot === last.acceptedRoot : last.agreeing.includes(lease),
      );
      if (last.agreeing !== undefined) expect(last.facts.comparesOutputs).toBe(true);
      expect(agreeing.map(({ outputRoot }) => outputRoot)).toContain(last.acceptedRoot);
      expect(agreeing.length).toBeGreaterThanOrEqual(last.facts.quorum);
      expect(new Set(agreeing.map(({ replica }) => replica)).size).toBe(agreeing.length);
      expect(new Set(agreeing.map(({ provider }) => provider)).size).toBe(agreeing.length);
    });
  });

  it('an attempt belongs to one lease and a replica has one attempt that stands', () => {
    check((states) => {
      for (const { attempts, facts } of states) {
        expect(new Set(attempts.map(({ lease }) => lease)).size).toBe(attempts.length);
        const standing = attempts.filter(isStanding);
        expect(new Set(standing.map(({ replica }) => replica)).size).toBe(standing.length);
        expect(new Set(standing.map(({ provider }) => provider)).size).toBe(standing.length);
        expect(new Set(standing.map(({ instrumenter }) => instrumenter)).size).toBeLessThanOrEqual(1);
        for (const { replica } of attempts) expect(replica).toBeLessThan(facts.replicas);
      }
    });
  });

  it('an attempt that ended never changes unless it counted as lost and is back, and no replica is tried more often than allowed', () => {
    check((states) => {
      for (const [index, state] of states.entries()) {
        const before = states[index - 1];
        before?.attempts.forEach((attempt, position) => {
          if (!isStanding(attempt) && !mayReturn(attempt)) expect(state.attempts[position]).toEqual(attempt);
        });
        const counted = Map.groupBy(
          state.attempts.filter(({ end }) => end?.isCounted === true),
          ({ replica }) => replica,
        );
        for (const group of counted.values()) expect(group.length).toBeLessThanOrEqual(state.facts.retries + 1);
      }
    });
  });

  it('nothing is revealed before a set of commitments is fixed, and nobody joins it afterwards', () => {
    check((states) => {
      for (const [index, state] of states.entries()) {
        if (!state.facts.commitReveal) continue;
        const revealed = state.attempts.filter((attempt) => attempt.outputRoot !== null && isStanding(attempt));
        for (const { lease } of revealed) expect(state.set).toContain(lease);
        const before = states[index - 1];
        if (before?.kind === 'revealing') expect(state.set).toEqual(before.set);
      }
    });
  });

  it('the history alone gives the state back', () => {
    check((states, taken) => {
      const [initial] = states;
      if (initial !== undefined) expect(replay(initial, taken)).toEqual(states.at(-1));
    });
  });

  it('there is always a decision, and only an ended job needs none', () => {
    check((states) => {
      for (const state of states) expect(decide(state).kind === 'ended').toBe(isEnded(state));
    });
  });
});

function walkFrom(state: JobMachineState, events: readonly JobMachineEvent[]) {
  const states = [state];
  for (const event of events) {
    const next = transition(states.at(-1) ?? state, event);
    if (!isRejection(next)) states.push(next);
  }
  return { states };
}
