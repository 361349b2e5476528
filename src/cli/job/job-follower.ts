import { formatDuration } from '../../lib/quantity.ts';
import type { AttemptView, JobEvent } from '../../scheduler/interface.ts';
import { formatCount, shortPeer } from '../format.ts';
import type { CliOutput } from '../interface.ts';

export interface FollowOptions {
  /** Of replicas that print the same, each line once (from whichever is first), or of each its own. */
  readonly replicas: 'merged' | 'each';
  readonly shows: readonly JobEvent['kind'][];
}

type JobEventOf<Kind extends JobEvent['kind']> = Extract<JobEvent, { kind: Kind }>;

const ENDED = ['revealed', 'failed', 'lost', 'cancelled', 'paused'];

/** Turns the events of a job into lines for a person, and a progress line while it runs. */
export class JobFollower {
  readonly #output: Pick<CliOutput, 'item' | 'progress' | 'isJson'>;
  readonly #options: FollowOptions;
  readonly #attempts = new Map<number, AttemptView>();
  readonly #metrics = new Map<string, string>();
  /** How many lines of a kind a lease has given, and the most that any has. */
  readonly #counts = new Map<string, number>();
  readonly #most = new Map<string, number>();
  #lastOrdinal = 0;
  #state = '';

  constructor(modules: { readonly output: Pick<CliOutput, 'item' | 'progress' | 'isJson'> }, options: FollowOptions) {
    this.#output = modules.output;
    this.#options = options;
  }

  see(event: JobEvent): void {
    const text = this.#describe(event);
    if (this.#options.shows.includes(event.kind) && (text !== undefined || this.#output.isJson)) {
      this.#output.item(event, text ?? '');
    }
    this.#output.progress(this.renderProgress());
  }

  renderProgress(): string {
    const replicas = [...this.#attempts.values()]
      .filter(({ state }) => !ENDED.includes(state))
      .toSorted((a, b) => a.replica - b.replica)
      .map(({ replica, state, progress, checkpoint }) => {
        const held = checkpoint === undefined ? '' : `, checkpoint ${checkpoint.step}`;
        return progress === null ? `#${replica} ${state}` : `#${replica} ${describeProgress(progress)}${held}`;
      });
    const metrics = [...this.#metrics].map(([name, value]) => `${name} ${value}`);
    return [this.#state, ...metrics, ...replicas].filter((part) => part !== '').join(' │ ');
  }

  /** Undefined if there is nothing new in it for a person. */
  #describe(event: JobEvent): string | undefined {
    switch (event.kind) {
      case 'state':
        this.#state = event.state;
        return `• ${event.state}`;
      case 'attempt':
        return this.#describeAttempt(event.attempt);
      case 'log':
        return this.#isNew(event, 'log') ? this.#prefix(event.replica, event.text.replace(/\n$/, '')) : undefined;
      case 'metric':
        this.#metrics.set(event.name, event.value);
        return this.#isNew(event, `metric ${event.name}`)
          ? this.#prefix(event.replica, `step ${event.step}  ${event.name} ${event.value}`)
          : undefined;
      case 'checkpoint':
        return this.#describeCheckpoint(event);
      default:
        return event satisfies never;
    }
  }

  #describeAttempt(attempt: AttemptView): string | undefined {
    const before = this.#attempts.get(attempt.replica);
    this.#attempts.set(attempt.replica, attempt);
    if (before?.lease === attempt.lease && before.state === attempt.state) return undefined;
    const { replica, provider, state, reason, resumedFrom } = attempt;
    const isFresh = before?.lease !== attempt.lease;
    if (isFresh && resumedFrom !== undefined) this.#inheritCounts(attempt.lease, resumedFrom.lease);
    const origin = isFresh && resumedFrom !== undefined ? `, from step ${resumedFrom.step}` : '';
    const retry = attempt.attempt === 0 ? '' : ` (try ${attempt.attempt + 1}${origin})`;
    return `• replica ${replica}${retry} on ${shortPeer(provider)}: ${state}${reason === null ? '' : `, ${reason}`}`;
  }

  #describeCheckpoint({ replica, step, stateRoot, snapshot }: JobEventOf<'checkpoint'>): string {
    const held = snapshot === 'held' ? ', snapshot held' : '';
    return `• replica ${replica}: checkpoint at step ${step}, state ${stateRoot.slice(0, 16)}…${held}`;
  }

  /** Replicas of a deterministic job give the same lines in the same order: the n-th of one is the n-th of all. */
  #isNew({ lease, ordinal }: JobEventOf<'log' | 'metric'>, kind: string): boolean {
    if (this.#options.replicas === 'each') return true;
    if (ordinal !== undefined) return this.#isNextOrdinal(ordinal);
    const key = `${lease} ${kind}`;
    const count = (this.#counts.get(key) ?? 0) + 1;
    this.#counts.set(key, count);
    if (count <= (this.#most.get(kind) ?? 0)) return false;
    this.#most.set(kind, count);
    return true;
  }

  /** Of a stepping job the places are told: equal for all replicas, and counted on by attempts that went on. */
  #isNextOrdinal(ordinal: number): boolean {
    if (ordinal <= this.#lastOrdinal) return false;
    this.#lastOrdinal = ordinal;
    return true;
  }

  /** An attempt that went on gives what follows, not what was given before. */
  #inheritCounts(lease: string, from: string): void {
    for (const [key, count] of this.#counts) {
      if (key.startsWith(`${from} `)) this.#counts.set(`${lease}${key.slice(from.length)}`, count);
    }
  }

  #prefix(replica: number, text: string): string {
    return this.#options.replicas === 'merged' ? text : text.replaceAll(/^/gm, `#${replica} `);
  }
}

/** A command has no fuel, and steps only if it trains: what it has used of processors shows that it lives. */
function describeProgress({ step, fuel, cpuTimeMs }: NonNullable<AttemptView['progress']>): string {
  const round = step === 0 ? '' : `step ${step}, `;
  if (fuel === null) return `${round}${formatDuration(Math.round(cpuTimeMs))} of processor time`;
  return `step ${step}, ${formatCount(fuel)} fuel`;
}
