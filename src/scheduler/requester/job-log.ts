import type { JobId, LeaseId, UnixMs } from '../../domain/ids.ts';
import type { Counter } from '../../telemetry/interface.ts';
import { JOB_LOG_BYTES, JOB_LOG_ENTRIES } from '../constants.ts';
import type { JobEvent } from '../interface.ts';
import type { LogEntry } from '../job-records.ts';
import type { JobStore, LogWrite } from '../job-store.ts';
import type { JobEventHub } from './event-hub.ts';

/** Cost of an entry beside its texts: key, times and CBOR heads. */
const ENTRY_OVERHEAD_BYTES = 200;

export interface JobLogModules {
  readonly store: Pick<JobStore, 'appendLogs'>;
  readonly hub: Pick<JobEventHub, 'publish'>;
  readonly dropped: Counter;
}

/** Logs and metrics of one job, bounded; written in groups, then shown to followers. */
export class JobLog {
  readonly #modules: JobLogModules;
  readonly #job: JobId;
  #entries: number;
  #sizeBytes: number;
  #pending: LogWrite[] = [];
  #writing: Promise<void> | undefined;

  constructor(
    modules: JobLogModules,
    options: { readonly job: JobId; readonly entries: number; readonly sizeBytes: number },
  ) {
    this.#modules = modules;
    this.#job = options.job;
    this.#entries = options.entries;
    this.#sizeBytes = options.sizeBytes;
  }

  append(lease: LeaseId, sequence: number, entry: LogEntry): void {
    const { event } = entry;
    const texts = event.kind === 'log' ? event.text.length : event.name.length + event.value.length;
    this.#entries += 1;
    this.#sizeBytes += texts + ENTRY_OVERHEAD_BYTES;
    if (this.#entries > JOB_LOG_ENTRIES || this.#sizeBytes > JOB_LOG_BYTES) {
      this.#modules.dropped.increment();
      return;
    }
    this.#pending.push({ job: this.#job, lease, sequence, entry });
  }

  /** Writes what is pending; resolves when it can be read back. */
  flush(): Promise<void> {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #write(): Promise<void> {
    while (this.#pending.length > 0) {
      const writes = this.#pending;
      this.#pending = [];
      await this.#modules.store.appendLogs(writes);
      for (const { lease, sequence, entry } of writes) {
        this.#modules.hub.publish(this.#job, { event: toJobEvent(this.#job, lease, entry), sequence });
      }
    }
  }
}

export function toJobEvent(job: JobId, lease: LeaseId, entry: LogEntry): JobEvent {
  const atMs: UnixMs = entry.atMs;
  return { ...entry.event, job, lease, replica: entry.replica, atMs };
}
