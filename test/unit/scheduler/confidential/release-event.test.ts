import { describe, expect, it } from 'vitest';
import { type JobId, type LeaseId, type PeerKey, UnixMs } from '../../../../src/domain/ids.ts';
import { transition } from '../../../../src/scheduler/job-machine.ts';
import type { JobMachineEvent } from '../../../../src/scheduler/job-machine-events.ts';
import { createInitialState, type JobMachineState } from '../../../../src/scheduler/job-machine-state.ts';
import { viewAttempt } from '../../../../src/scheduler/requester/job-view.ts';

const at = { atMs: UnixMs(5_000) };
const lease = 'lease' as LeaseId;
const issued: JobMachineEvent = {
  kind: 'lease-issued',
  ...at,
  lease,
  provider: 'peer' as PeerKey,
  replica: 0,
  attempt: 0,
  instrumenter: 'i/1',
  leaseEndsAtMs: UnixMs(9_000),
};
const accepted: JobMachineEvent = { kind: 'accepted', ...at, lease, leaseEndsAtMs: UnixMs(9_000) };
const evidence = {
  kind: 'simulated',
  measurement: 'ab',
  gpus: false,
  blob: 'blob',
  sizeBytes: 9,
  signingKey: new Uint8Array(32),
  nonce: new Uint8Array(32),
} as const;
const released: JobMachineEvent = { kind: 'released', ...at, lease, evidence };
const revealed: JobMachineEvent = { kind: 'revealed', ...at, lease, outputRoot: 'root' };

function run(...events: readonly JobMachineEvent[]) {
  let state: JobMachineState = createInitialState({
    job: 'job' as JobId,
    replicas: 1,
    quorum: 1,
    retries: 3,
    deadlineMs: UnixMs(100_000),
    commitReveal: false,
    hasCheckpoints: false,
    comparesOutputs: false,
  });
  for (const event of events) {
    const next = transition(state, event);
    if (next.kind === 'rejected') return next.code;
    state = next;
  }
  return state;
}

describe('a release in the history of a job', () => {
  it('is of an attempt that was accepted and still runs, and there is one', () => {
    expect(run(issued, released)).toBe('NOT_ACCEPTED');
    expect(run(issued, accepted, released, released)).toBe('ALREADY_RELEASED');
    expect(run(issued, accepted, revealed, released)).toBe('ATTEMPT_OVER');
    expect(run(released)).toBe('UNKNOWN_LEASE');
  });

  it('tells which evidence it was made on, to the end', () => {
    const state = run(issued, accepted, released, revealed);
    if (typeof state === 'string') throw new TypeError(state);
    const [attempt] = state.attempts;
    if (attempt === undefined) throw new TypeError('no attempt');
    const { kind, measurement, gpus, blob } = evidence;
    expect(viewAttempt(attempt).evidence).toEqual({ kind, measurement, gpus, blob, judgedAtMs: at.atMs });
  });
});
