import type { Checkpoint } from '../../domain/checkpoint.ts';
import type { JobId, LeaseId, PeerKey, UnixMs } from '../../domain/ids.ts';
import type { Signed, SignedWire } from '../../domain/signed.ts';
import { encodeHex } from '../../lib/bytes.ts';
import type { CheckpointStore, CheckpointWrite, StoredCheckpoint } from '../checkpoint-store.ts';
import { SNAPSHOTS_HELD_PER_REPLICA } from '../constants.ts';
import type { AttemptView, CheckpointView, JobEvent } from '../interface.ts';
import type { HeldPoint } from '../job-resume.ts';
import type { JobEventHub } from './event-hub.ts';

export interface CheckpointBookModules {
  readonly store: Pick<CheckpointStore, 'append' | 'appendConflict' | 'find' | 'saveHeld'>;
  readonly hub: Pick<JobEventHub, 'publish' | 'isFollowed'>;
  /** Writes the logs and metrics that came so far: a run that goes on from a held point does not give earlier ones again. */
  readonly flushLogs: () => Promise<void>;
}

export interface CheckpointBookOptions {
  readonly job: JobId;
  /** In the order in which they were held. */
  readonly held: readonly HeldPoint[];
  /** The newest checkpoint of each attempt, after a restart. */
  readonly newest: ReadonlyMap<LeaseId, Checkpoint>;
}

/** Whose checkpoint it is. */
export interface CheckpointOwner {
  readonly lease: LeaseId;
  readonly replica: number;
}

/**
 * The verified checkpoints of one job. In memory are the newest of each attempt and the few points that can be gone on
 * from; the rest is on disk, under its own keys, so that a long job's history stays short.
 */
export class CheckpointBook {
  readonly #modules: CheckpointBookModules;
  readonly #job: JobId;
  readonly #newest: Map<LeaseId, Checkpoint>;
  #held: readonly HeldPoint[];
  #pending: CheckpointWrite[] = [];
  #writing: Promise<void> | undefined;

  constructor(modules: CheckpointBookModules, options: CheckpointBookOptions) {
    this.#modules = modules;
    this.#job = options.job;
    this.#held = options.held;
    this.#newest = new Map(options.newest);
  }

  newest(lease: LeaseId): Checkpoint | null {
    return this.#newest.get(lease) ?? null;
  }

  /** In the order in which they were held. */
  get held(): readonly HeldPoint[] {
    return this.#held;
  }

  /** The held points, and the newest that a provider made itself: it has those, should their holder not. Oldest attempt first. */
  listReachable(provider: PeerKey): readonly HeldPoint[] {
    const own = [...this.#newest].flatMap(([lease, value]) =>
      value.provider === provider && !this.#isHeld(lease, value.index) ? describePoint(lease, value) : [],
    );
    const order = [...this.#newest.keys()];
    return [...this.#held, ...own].toSorted((a, b) => order.indexOf(a.lease) - order.indexOf(b.lease));
  }

  #isHeld(lease: LeaseId, index: number): boolean {
    return this.#held.some((point) => point.lease === lease && point.index === index);
  }

  /** What an attempt's view says of its checkpoints. */
  summarize(lease: LeaseId): Pick<AttemptView, 'checkpoint'> {
    const newest = this.#newest.get(lease);
    if (newest === undefined) return {};
    const heldStep = this.#held.findLast((point) => point.lease === lease)?.step ?? null;
    return { checkpoint: { step: newest.step, head: encodeHex(newest.head), heldStep } };
  }

  /** An earlier checkpoint of the attempt; undefined if it is not known. */
  async find(lease: LeaseId, index: number): Promise<Checkpoint | undefined> {
    const pending = this.#pending.find((write) => write.lease === lease && write.checkpoint.value.index === index);
    if (pending !== undefined) return pending.checkpoint.value;
    await this.#writing;
    return (await this.#modules.store.find(this.#job, lease, index))?.value;
  }

  /** Takes the next checkpoint of an attempt. It is written with those that come meanwhile; see `flush`. */
  add({ lease, replica }: CheckpointOwner, checkpoint: Signed<Checkpoint>): void {
    const { value, wire } = checkpoint;
    this.#newest.set(lease, value);
    this.#pending.push({ lease, checkpoint: { value, wire } });
    const snapshot = value.snapshot === null ? 'none' : 'announced';
    this.#publish(describeCheckpointEvent({ lease, replica }, value, snapshot), value.index);
  }

  async addConflict(lease: LeaseId, wire: SignedWire): Promise<void> {
    await this.#modules.store.appendConflict(this.#job, lease, wire);
  }

  /** Resolves when all that was added is on disk. */
  flush(): Promise<void> {
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #write(): Promise<void> {
    while (this.#pending.length > 0) {
      const writes = [...this.#pending];
      await this.#modules.store.append(this.#job, writes);
      this.#pending = this.#pending.slice(writes.length);
    }
  }

  /**
   * All of a checkpoint's snapshot is with the holder. Durable when it resolves; gives the points that are not needed
   * any more, since newer ones of the replica are held.
   */
  async hold(owner: CheckpointOwner, value: Checkpoint, siblings: ReadonlySet<LeaseId>): Promise<HeldPoint[]> {
    const [point] = describePoint(owner.lease, value);
    if (point === undefined || this.#isHeld(owner.lease, value.index)) return [];
    const own = [...this.#held.filter(({ lease }) => siblings.has(lease)), point];
    const dropped = own.slice(0, Math.max(0, own.length - SNAPSHOTS_HELD_PER_REPLICA));
    this.#held = [...this.#held, point].filter((entry) => !dropped.includes(entry));
    await this.flush();
    await this.#modules.flushLogs();
    await this.#modules.store.saveHeld(this.#job, this.#held);
    this.#publish(describeCheckpointEvent(owner, value, 'held'), value.index);
    return dropped;
  }

  #publish(event: JobEvent, sequence: number): void {
    if (this.#modules.hub.isFollowed(this.#job)) this.#modules.hub.publish(this.#job, { event, sequence });
  }
}

/** None where no snapshot was made. */
function describePoint(
  lease: LeaseId,
  { index, step, fuel, head, stateRoot, snapshot }: Checkpoint,
): readonly HeldPoint[] {
  return snapshot === null ? [] : [{ lease, index, step, fuel, head, stateRoot, snapshot }];
}

export function describeCheckpointEvent(
  { lease, replica }: CheckpointOwner,
  { job, atMs, step, stateRoot }: Checkpoint,
  snapshot: CheckpointView['snapshot'],
): JobEvent {
  return { kind: 'checkpoint', job, lease, replica, atMs, step, stateRoot: encodeHex(stateRoot), snapshot };
}

export function viewCheckpoint(
  { value }: StoredCheckpoint,
  replica: number,
  snapshot: CheckpointView['snapshot'],
): CheckpointView {
  const { lease, provider, step, fuel, head, stateRoot } = value;
  const atMs: UnixMs = value.atMs;
  return {
    lease,
    provider,
    replica,
    step,
    fuel,
    atMs,
    head: encodeHex(head),
    stateRoot: encodeHex(stateRoot),
    snapshot,
  };
}
