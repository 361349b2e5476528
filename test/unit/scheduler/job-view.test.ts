import { describe, expect, it } from 'vitest';
import { type JobId, type LeaseId, type PeerKey, UnixMs } from '../../../src/domain/ids.ts';
import type { Job } from '../../../src/domain/job.ts';
import type { JobResultView } from '../../../src/scheduler/interface.ts';
import { isRejection } from '../../../src/scheduler/job-machine.ts';
import type { JobMachineEvent } from '../../../src/scheduler/job-machine-events.ts';
import { createInitialState } from '../../../src/scheduler/job-machine-state.ts';
import { replay, viewJob } from '../../../src/scheduler/requester/job-view.ts';

const atMs = UnixMs(1_000);
const lease = 'lease' as LeaseId;
const JOB = {
  name: 'job',
  createdAtMs: atMs,
  deadlineMs: UnixMs(9_000),
  replication: { replicas: 1, quorum: 1, diversity: 'peer' },
} as Job;
const REVEALED: readonly JobMachineEvent[] = [
  {
    kind: 'lease-issued',
    atMs,
    lease,
    provider: 'peer' as PeerKey,
    replica: 0,
    attempt: 0,
    instrumenter: 'i/1',
    leaseEndsAtMs: UnixMs(5_000),
  },
  { kind: 'accepted', atMs, lease, leaseEndsAtMs: UnixMs(5_000) },
  { kind: 'revealed', atMs, lease, outputRoot: 'root' },
];
const RESULT = { outcome: { kind: 'completed' }, outputRoot: 'root' } as JobResultView;

/** The view after such a history, with a result that has been judged. */
function view(events: readonly JobMachineEvent[]) {
  const facts = {
    job: 'job' as JobId,
    replicas: 1,
    quorum: 1,
    retries: 1,
    deadlineMs: JOB.deadlineMs,
    commitReveal: false,
    hasCheckpoints: false,
    comparesOutputs: false,
  };
  const state = replay(createInitialState(facts), events);
  if (isRejection(state)) throw new Error(state.code);
  return viewJob(JOB, state, { result: RESULT });
}

describe('viewJob', () => {
  it('shows the result that the job accepted', () => {
    const concluded: JobMachineEvent = { kind: 'concluded', atMs, outputRoot: 'root', programFailure: null };
    expect(view([...REVEALED, concluded])).toMatchObject({ state: 'completed', result: RESULT });
  });

  it('shows no result of a job that was cancelled while it was being judged', () => {
    const cancelled = view([
      ...REVEALED,
      { kind: 'cancel-requested', atMs },
      { kind: 'attempt-cancelled', atMs, lease, reason: 'the provider confirmed' },
      { kind: 'job-cancelled', atMs },
    ]);
    expect(cancelled).toMatchObject({ state: 'cancelled', result: null, failure: { code: 'JOB_CANCELLED' } });
  });
});
