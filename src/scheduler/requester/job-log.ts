import type { JobId, LeaseId, UnixMs } from '../../domain/ids.ts';
import type { Job } from '../../domain/job.ts';
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
  /**
   * Writes what came before and is kept elsewhere. The highest sequence among the logs on disk says, after a restart, from
   * where events are asked for again: no log may be on disk before an earlier event is.
   */
  readonly flushEarlier?: () => Promise<void>;
}

/** Longest text of one event (domain/messages.ts): a longer line comes in parts of this many. */
const MAX_LOG_CHARS = 65_536;
/** Parts of one line that wait for its last one at most. */
const MAX_PARTS = 64;

/** What is stored of a job's logs. */
export interface StoredLogs {
  readonly entries: number;
  readonly sizeBytes: number;
  /** Highest ordinal of each replica. */
  readonly ordinals: ReadonlyMap<number, number>;
}

export const NO_LOGS: StoredLogs = { entries: 0, sizeBytes: 0, ordinals: new Map() };

/** True where a program that goes on from a state gives the same events under the same ordinals again. */
export function countsOrdinals({ checkpoints }: Pick<Job, 'checkpoints'>): boolean {
  return checkpoints !== undefined && checkpoints.schedule.kind !== 'rounds';
}

/** Logs and metrics of one job, bounded; written in groups, then shown to followers. */
export class JobLog {
  readonly #modules: JobLogModules;
  readonly #job: JobId;
  readonly #countsOrdinals: boolean;
  readonly #ordinals: Map<number, number>;
  readonly #parts = new Map<LeaseId, readonly { readonly sequence: number; readonly entry: LogEntry }[]>();
  #entries: number;
  #sizeBytes: number;
  #pending: LogWrite[] = [];
  #writing: Promise<void> | undefined;

  constructor(modules: JobLogModules, options: StoredLogs & { readonly job: JobId; readonly countsOrdinals: boolean }) {
    this.#modules = modules;
    this.#job = options.job;
    this.#entries = options.entries;
    this.#sizeBytes = options.sizeBytes;
    this.#ordinals = new Map(options.ordinals);
    this.#countsOrdinals = options.countsOrdinals;
  }

  /** Highest ordinal seen of each replica. */
  get ordinals(): ReadonlyMap<number, number> {
    return this.#ordinals;
  }

  /** What a replica gave before, in this attempt or an earlier one, it gives again after it went back: seen once. */
  append(lease: LeaseId, sequence: number, entry: LogEntry): void {
    if (!this.#countsOrdinals) return this.#add(lease, sequence, dropOrdinal(entry));
    const { ordinal } = entry.event;
    const parts = this.#parts.get(lease) ?? [];
    if (ordinal === undefined) {
      // Of a line in parts the last one carries the ordinal; what else has none is the provider's own remark.
      if (!isPart(entry)) return this.#add(lease, sequence, entry);
      return void this.#parts.set(lease, [...parts, { sequence, entry }].slice(-MAX_PARTS));
    }
    this.#parts.delete(lease);
    if (ordinal <= (this.#ordinals.get(entry.replica) ?? 0)) return;
    this.#ordinals.set(entry.replica, ordinal);
    for (const part of parts) this.#add(lease, part.sequence, part.entry);
    this.#add(lease, sequence, entry);
  }

  #add(lease: LeaseId, sequence: number, entry: LogEntry): void {
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

  /** Writes what is pending, and what came before it and is kept elsewhere; resolves when it can be read back. */
  flush(): Promise<void> {
    this.#writing ??= this.#write();
    return this.#writing;
  }

  async #write(): Promise<void> {
    try {
      do await this.#writePending();
      while (this.#pending.length > 0);
    } finally {
      // In the same turn as the last look at what is pending: a line that comes now is for the next call to write.
      this.#writing = undefined;
    }
  }

  async #writePending(): Promise<void> {
    const writes = this.#pending;
    this.#pending = [];
    await this.#modules.flushEarlier?.();
    if (writes.length === 0) return;
    await this.#modules.store.appendLogs(writes);
    for (const { lease, sequence, entry } of writes) {
      this.#modules.hub.publish(this.#job, { event: toJobEvent(this.#job, lease, entry), sequence });
    }
  }
}

const isPart = ({ event }: LogEntry): boolean => event.kind === 'log' && event.text.length >= MAX_LOG_CHARS;

function dropOrdinal({ event, ...entry }: LogEntry): LogEntry {
  const { ordinal: _, ...rest } = event;
  return { ...entry, event: rest };
}

export function toJobEvent(job: JobId, lease: LeaseId, entry: LogEntry): JobEvent {
  const atMs: UnixMs = entry.atMs;
  return { ...entry.event, job, lease, replica: entry.replica, atMs };
}
