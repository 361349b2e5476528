import type { Counter, Gauge, Histogram, MetricsRegistry } from '../telemetry/interface.ts';

export interface RequesterMetrics {
  readonly jobsSubmitted: Counter;
  readonly jobsEnded: Counter;
  readonly jobsActive: Gauge;
  readonly jobSeconds: Histogram;
  readonly offersAsked: Counter;
  readonly announcements: Counter;
  readonly offersGiven: Counter;
  readonly attemptsIssued: Counter;
  readonly attemptsFailed: Counter;
  readonly peerFaults: Counter;
  readonly logsDropped: Counter;
  readonly attemptsResumed: Counter;
  readonly checkpointsReceived: Counter;
  readonly snapshotsHeld: Counter;
}

/** From a trivial job on a warm neighbour to hours. */
const JOB_SECONDS_BUCKETS = [0.005, 0.015, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1_800, 7_200];

export function createRequesterMetrics(registry: MetricsRegistry): RequesterMetrics {
  const name = (text: string): string => `fogproof_requester_${text}`;
  return {
    jobsSubmitted: registry.counter(name('jobs_submitted_total'), 'Jobs submitted on this node'),
    jobsEnded: registry.counter(name('jobs_ended_total'), 'Jobs that ended, by terminal state', ['state']),
    jobsActive: registry.gauge(name('jobs_active'), 'Jobs that have not ended'),
    jobSeconds: registry.histogram(
      name('job_seconds'),
      'Time from submission to a verified result',
      [],
      JOB_SECONDS_BUCKETS,
    ),
    offersAsked: registry.counter(name('offers_asked_total'), 'Offer requests by answer', ['answer']),
    announcements: registry.counter(
      name('announcements_total'),
      'Announcements of jobs: sent, sent to nobody (unheard), held back by the own pace, or failed',
      ['result'],
    ),
    offersGiven: registry.counter(name('offers_given_total'), 'Offers that came on announcements, by answer', [
      'answer',
    ]),
    attemptsIssued: registry.counter(name('attempts_issued_total'), 'Leases signed'),
    attemptsFailed: registry.counter(name('attempts_failed_total'), 'Attempts that gave no result, by reason', [
      'code',
    ]),
    peerFaults: registry.counter(name('peer_faults_total'), 'What providers sent and was refused, by reason', ['code']),
    attemptsResumed: registry.counter(name('attempts_resumed_total'), 'Leases that go on from a snapshot'),
    checkpointsReceived: registry.counter(name('checkpoints_received_total'), 'Checkpoints verified'),
    snapshotsHeld: registry.counter(name('snapshots_held_total'), 'Snapshots that their holder has'),
    logsDropped: registry.counter(name('logs_dropped_total'), 'Log lines and metrics of jobs over their storage limit'),
  };
}
