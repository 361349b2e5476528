import type { Counter, Gauge, Histogram, MetricsRegistry } from '../../telemetry/interface.ts';

interface GpuMetrics {
  readonly gpuUtilisation: Gauge;
  readonly gpuMemory: Gauge;
  readonly leasedGpus: Gauge;
}

export interface ProviderMetrics extends GpuMetrics {
  readonly offers: Counter;
  readonly announcements: Counter;
  readonly refusals: Counter;
  readonly leases: Counter;
  readonly attempts: Counter;
  readonly attemptSeconds: Histogram;
  readonly usedSlots: Gauge;
  readonly queuedAttempts: Gauge;
  readonly waitSeconds: Histogram;
  readonly droppedEvents: Counter;
  readonly unreadAnswers: Counter;
  readonly misbehaviour: Counter;
  readonly checkpoints: Counter;
  readonly snapshots: Counter;
  readonly snapshotBytes: Counter;
  readonly snapshotSeconds: Histogram;
  readonly takenUp: Counter;
  readonly notices: Counter;
  readonly holds: Counter;
  readonly challenges: Counter;
  readonly releases: Counter;
}

export function createProviderMetrics(registry: MetricsRegistry): ProviderMetrics {
  return {
    offers: registry.counter('fogproof_provider_offers_total', 'Offers made'),
    announcements: registry.counter(
      'fogproof_provider_announcements_total',
      'Announcements heard, by what became of them',
      ['outcome'],
    ),
    refusals: registry.counter('fogproof_provider_refusals_total', 'Offer and lease requests refused', ['code']),
    leases: registry.counter('fogproof_provider_leases_total', 'Leases countersigned'),
    attempts: registry.counter('fogproof_provider_attempts_total', 'Attempts ended, by kind of outcome', ['outcome']),
    attemptSeconds: registry.histogram('fogproof_provider_attempt_seconds', 'Time from lease to end of an attempt'),
    usedSlots: registry.gauge(
      'fogproof_provider_used_slots',
      'Slots reserved or running, as of the last start or end of an attempt',
    ),
    queuedAttempts: registry.gauge('fogproof_provider_queued_attempts', 'Leased attempts that wait for a slot'),
    waitSeconds: registry.histogram('fogproof_provider_wait_seconds', 'Time from lease to start of an attempt'),
    droppedEvents: registry.counter(
      'fogproof_provider_dropped_events_total',
      'Logs, metrics and progress dropped from full buffers',
    ),
    unreadAnswers: registry.counter(
      'fogproof_provider_unread_answers_total',
      'Answers ended since they were not read and too much waited in them',
    ),
    misbehaviour: registry.counter('fogproof_provider_misbehaviour_total', 'Requests that break a rule', ['code']),
    checkpoints: registry.counter('fogproof_provider_checkpoints_total', 'Checkpoints signed'),
    snapshots: registry.counter('fogproof_provider_snapshots_total', 'Snapshots made, or given up', ['result']),
    snapshotBytes: registry.counter(
      'fogproof_provider_snapshot_bytes_total',
      'Bytes that snapshots added to the store',
    ),
    snapshotSeconds: registry.histogram(
      'fogproof_provider_snapshot_seconds',
      'Time that a program waited for a snapshot',
    ),
    takenUp: registry.counter('fogproof_provider_taken_up_total', 'Attempts gone on with after a restart'),
    notices: registry.counter('fogproof_provider_hold_notices_total', 'Holders told of a snapshot, by answer', [
      'answer',
    ]),
    holds: registry.counter('fogproof_provider_holds_total', 'Snapshots to be held for others, by answer', ['answer']),
    challenges: registry.counter(
      'fogproof_provider_challenges_total',
      'Requests for evidence of a confidential attempt, by answer',
      ['answer'],
    ),
    releases: registry.counter('fogproof_provider_releases_total', 'Releases to confidential attempts, by answer', [
      'answer',
    ]),
    ...createGpuMetrics(registry),
  };
}

function createGpuMetrics(registry: MetricsRegistry): GpuMetrics {
  return {
    gpuUtilisation: registry.gauge(
      'fogproof_gpu_utilisation_ratio',
      'Share of time in which a GPU computed, while jobs run on it, by PCI address',
      ['gpu'],
    ),
    gpuMemory: registry.gauge(
      'fogproof_gpu_memory_used_bytes',
      'Memory of a GPU in use, while jobs run on it, by PCI address',
      ['gpu'],
    ),
    leasedGpus: registry.gauge('fogproof_gpu_leased', 'GPUs and slices that programs of jobs have'),
  };
}
