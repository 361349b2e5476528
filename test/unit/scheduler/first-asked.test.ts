import { describe, expect, it } from 'vitest';
import { type JobId, type LeaseId, type PeerKey, UnixMs } from '../../../src/domain/ids.ts';
import type { AttemptState } from '../../../src/scheduler/interface.ts';
import { type Attempt, createInitialState, type JobMachineState } from '../../../src/scheduler/job-machine-state.ts';
import { listFirstAsked } from '../../../src/scheduler/requester/first-asked.ts';
import { ProviderStandings } from '../../../src/scheduler/requester/provider-standings.ts';

const [good, better, bad] = ['good', 'better', 'bad'] as [PeerKey, PeerKey, PeerKey];

function createStandings(): ProviderStandings {
  const standings = new ProviderStandings();
  for (const [provider, outcome] of [
    [good, 'served'],
    [bad, 'served'],
    [better, 'served'],
    [bad, 'failed'],
    [good, 'neutral'],
  ] as const) {
    standings.begin(provider);
    standings.end(provider, outcome);
  }
  return standings;
}

function stateWith(attempt: { readonly state: AttemptState; readonly isCounted: boolean } | null): JobMachineState {
  const empty = createInitialState({
    job: 'job' as JobId,
    replicas: 1,
    quorum: 1,
    retries: 3,
    deadlineMs: UnixMs(1_000_000),
    commitReveal: false,
    hasCheckpoints: true,
    comparesOutputs: false,
  });
  if (attempt === null) return empty;
  const made: Attempt = {
    lease: 'lease' as LeaseId,
    provider: bad,
    replica: 0,
    attempt: 1,
    instrumenter: 'i',
    state: attempt.state,
    isAccepted: true,
    leasedAtMs: UnixMs(1),
    leaseEndsAtMs: UnixMs(2),
    progress: null,
    resumedFrom: null,
    isPauseAsked: false,
    fixedSets: 0,
    outputRoot: null,
    end: { code: 'c', reason: 'r', isCounted: attempt.isCounted },
  };
  return { ...empty, attempts: [made] };
}

describe('who is asked first', () => {
  it('at first nobody: ranks decide', () => {
    expect(listFirstAsked(stateWith(null), createStandings())).toEqual([]);
  });

  it('after a failed attempt those that this node trusts, the latest first', () => {
    const failed = stateWith({ state: 'failed', isCounted: true });
    expect(listFirstAsked(failed, createStandings())).toEqual([good, better]);
    expect(listFirstAsked(stateWith({ state: 'lost', isCounted: true }), createStandings())).toHaveLength(2);
  });

  it('not after an attempt that was nobody’s fault', () => {
    expect(listFirstAsked(stateWith({ state: 'failed', isCounted: false }), createStandings())).toEqual([]);
  });

  it('who has the pages of a paused attempt, before all others', () => {
    expect(listFirstAsked(stateWith({ state: 'paused', isCounted: false }), createStandings())).toEqual([bad]);
  });

  it('one failure of who served often takes its place away, not its trust; four in a row do', () => {
    const standings = createStandings();
    const times = (count: number, outcome: 'served' | 'failed') => {
      for (let index = 0; index < count; index += 1) standings.end(bad, outcome);
    };
    times(20, 'served');
    expect(standings.listTrusted(9)).toEqual([bad, good, better]);
    times(1, 'failed');
    expect(standings.listTrusted(9)).toEqual([good, better, bad]);
    expect(standings.failures(bad)).toBe(1);
    times(2, 'failed');
    expect(standings.isTrusted(bad)).toBe(true);
    times(1, 'failed');
    expect(standings.isTrusted(bad)).toBe(false);
    times(1, 'served');
    expect(standings.isTrusted(bad)).toBe(true);
  });

  it('no more of them than asked for', () => {
    expect(createStandings().listTrusted(1)).toEqual([good]);
  });
});
