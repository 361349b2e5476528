import type { CommitmentSet } from '../../domain/commitment.ts';
import type { JobId } from '../../domain/ids.ts';
import type { JobEvent } from '../interface.ts';
import { type Rejection, transition } from '../job-machine.ts';
import type { JobMachineEvent } from '../job-machine-events.ts';
import { type EndedJob, isEnded, type JobMachineState } from '../job-machine-state.ts';
import type { AttemptObject, EndRecord } from '../job-records.ts';
import type { JobStore, JobWrite } from '../job-store.ts';
import type { JobEventHub } from './event-hub.ts';
import { describeTransition, type SummarizeCheckpoints } from './job-view.ts';

/**
 * Which events are on disk before anything follows from them. The others are lost with power, not with the process,
 * and are found out again: by attaching to the attempt, or by judging the same receipts again.
 */
const IS_DURABLE = {
  'lease-issued': true,
  accepted: false,
  released: true,
  phase: false,
  progress: false,
  unreachable: false,
  reattached: false,
  'lease-expired': false,
  returned: true,
  committed: true,
  'set-fixed': true,
  'reveal-begun': true,
  revealed: true,
  'attempt-failed': false,
  'attempt-paused': false,
  'replica-abandoned': true,
  'pause-requested': true,
  'resume-requested': true,
  'cancel-requested': true,
  'attempt-cancelled': false,
  concluded: false,
  'job-failed': true,
  'job-cancelled': true,
  'deadline-passed': true,
} as const satisfies Record<JobMachineEvent['kind'], boolean>;

export interface LedgerExtras {
  readonly objects?: readonly AttemptObject[];
  readonly set?: CommitmentSet;
}

export type Applied = { readonly kind: 'applied'; readonly persisted: Promise<void> } | Rejection;

export interface Prepared {
  readonly kind: 'prepared';
  readonly write: JobWrite;
  readonly publish: () => void;
}

export interface JobLedgerModules {
  readonly store: Pick<JobStore, 'append'>;
  readonly hub: Pick<JobEventHub, 'publish' | 'isFollowed'>;
  /** Makes the record that is written with the event that ends the job. */
  readonly describeEnd: (state: EndedJob) => EndRecord;
  /** What followers are told of an attempt's checkpoints. Absent: nothing. */
  readonly summarize?: SummarizeCheckpoints;
}

/** One job's machine and its history: an event changes the state and is written; followers see it once it is. */
export class JobLedger {
  readonly #modules: JobLedgerModules;
  readonly job: JobId;
  #state: JobMachineState;
  #shown: JobMachineState;
  #sequence: number;

  constructor(modules: JobLedgerModules, options: { readonly state: JobMachineState; readonly sequence: number }) {
    this.#modules = modules;
    this.job = options.state.facts.job;
    this.#state = options.state;
    this.#shown = options.state;
    this.#sequence = options.sequence;
  }

  get state(): JobMachineState {
    return this.#state;
  }

  /**
   * What may be told: an end only once it is written, by whoever loads it then. Until that a crash takes it back, and the
   * job that was said to have ended would go on.
   */
  get shown(): JobMachineState {
    return this.#shown;
  }

  get sequence(): number {
    return this.#sequence;
  }

  /** Synchronous but for the write: effects outside this process wait for `persisted`. */
  apply(event: JobMachineEvent, extras: LedgerExtras = {}): Applied {
    return this.applyAll([event], extras);
  }

  /** Takes all events or none, as one entry of the history. */
  applyAll(events: readonly JobMachineEvent[], extras: LedgerExtras = {}): Applied {
    const prepared = this.prepare(events, extras);
    if (prepared.kind === 'rejected') return prepared;
    const durable = events.some(({ kind }) => IS_DURABLE[kind]);
    const persisted = this.#modules.store.append([prepared.write], { durable });
    return { kind: 'applied', persisted: persisted.then(prepared.publish) };
  }

  /** Objects that change nothing of the job: evidence. Durable when it resolves. */
  async keep(objects: readonly AttemptObject[]): Promise<void> {
    const write = { job: this.job, sequence: this.#sequence, events: [], objects };
    await this.#modules.store.append([write], { durable: true });
  }

  /**
   * Takes all events or none, as one entry of the history. The caller writes it, together with those of other jobs,
   * and then publishes.
   */
  prepare(events: readonly JobMachineEvent[], extras: LedgerExtras = {}): Prepared | Rejection {
    const states: JobMachineState[] = [this.#state];
    for (const event of events) {
      const next = transition(states.at(-1) ?? this.#state, event);
      if (next.kind === 'rejected') return next;
      states.push(next);
    }
    const sequence = this.#sequence;
    const after = states.at(-1) ?? this.#state;
    this.#state = after;
    if (!isEnded(after)) this.#shown = after;
    this.#sequence += events.length;
    const end = isEnded(after) ? { end: this.#modules.describeEnd(after) } : {};
    return {
      kind: 'prepared',
      write: { job: this.job, sequence, events, ...extras, ...end },
      publish: () => {
        if (!this.#modules.hub.isFollowed(this.job)) return;
        for (const [index, event] of events.entries()) {
          const [before, next] = [states[index], states[index + 1]];
          if (!before || !next) continue;
          this.#publish(describeTransition(before, next, event.atMs, this.#modules.summarize), sequence + index);
        }
      },
    };
  }

  #publish(events: readonly JobEvent[], sequence: number): void {
    for (const event of events) this.#modules.hub.publish(this.job, { event, sequence });
  }
}
