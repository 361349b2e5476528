import type { SnapshotEntry } from '../../../blob/interface.ts';
import type { LeaseId } from '../../../domain/ids.ts';
import type { Clock } from '../../../lib/clock.ts';
import { describeError, isDaemonError } from '../../../lib/errors.ts';
import type { CheckpointOrder, StateCheckpoint } from '../../../sandbox/interface.ts';
import type { Logger } from '../../../telemetry/interface.ts';
import type { SnapshotMaker, SnapshotTask } from '../../snapshots/snapshot-maker.ts';
import type { ProviderMetrics } from '../metrics.ts';
import { SnapshotPacer } from './snapshot-pacer.ts';

export interface SnapshotOrdersModules {
  /** Null where no snapshots are made. */
  readonly maker: Pick<SnapshotMaker, 'begin'> | null;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: ProviderMetrics;
}

export interface SnapshotOrdersOptions {
  readonly lease: LeaseId;
  readonly share: number;
}

/** What is to be done once the pieces of a snapshot have come, or it was given up. */
export interface SnapshotAfter {
  readonly next: CheckpointOrder['then'];
  readonly track: <T>(work: () => Promise<T>) => Promise<T>;
  readonly publish: (entry: SnapshotEntry | null) => Promise<void>;
}

/** An order that wants nothing of the program. */
export function createPlainOrder(next: CheckpointOrder['then']): CheckpointOrder {
  return {
    wanted: [],
    receive: () => Promise.resolve(),
    complete: () => Promise.resolve(),
    // oxlint-disable-next-line unicorn/no-thenable
    then: next,
  };
}

/** Makes the snapshots of one attempt as long as they take no more than their share. What goes wrong costs the snapshot. */
export class SnapshotOrders implements AsyncDisposable {
  readonly #modules: SnapshotOrdersModules;
  readonly #lease: LeaseId;
  readonly #pacer: SnapshotPacer;
  #task: SnapshotTask | null = null;
  #checkpointAtMs: number;
  #intervalMs = 0;

  constructor(modules: SnapshotOrdersModules, { lease, share }: SnapshotOrdersOptions) {
    this.#modules = modules;
    this.#lease = lease;
    this.#checkpointAtMs = modules.clock.monotonicMs();
    this.#pacer = new SnapshotPacer({ share, beganAtMs: this.#checkpointAtMs });
  }

  /** Called once at each checkpoint. */
  takesOne(): boolean {
    const nowMs = this.#modules.clock.monotonicMs();
    this.#intervalMs = nowMs - this.#checkpointAtMs;
    this.#checkpointAtMs = nowMs;
    return this.#modules.maker !== null && this.#pacer.isDue(nowMs);
  }

  /** Null if there will be none. */
  async begin(state: StateCheckpoint, options: { readonly keptUntilMs: number }): Promise<SnapshotTask | null> {
    const { maker } = this.#modules;
    if (maker === null) return null;
    try {
      this.#task = await maker.begin(state, options);
      return this.#task;
    } catch (error) {
      this.#giveUp(error);
      return null;
    }
  }

  order(task: SnapshotTask, { next, track, publish }: SnapshotAfter): CheckpointOrder {
    const { clock } = this.#modules;
    const beganAtMs = clock.monotonicMs();
    let handedOverMs = 0;
    let hasFailed = false;
    const attempting = async <T>(work: () => Promise<T>): Promise<T | null> => {
      if (hasFailed) return null;
      try {
        return await work();
      } catch (error) {
        hasFailed = true;
        this.#giveUp(error);
        return null;
      }
    };
    const finish = async (): Promise<void> => {
      const entry = await attempting(() => task.complete());
      await this[Symbol.asyncDispose]();
      this.#count(entry, { handedOverMs, durationMs: clock.monotonicMs() - beganAtMs });
      await publish(entry);
    };
    return {
      wanted: task.wanted,
      receive: (place, bytes) =>
        track(async () => {
          await attempting(() => task.receive(place, bytes));
          handedOverMs = clock.monotonicMs() - beganAtMs;
        }),
      complete: () => track(finish),
      // oxlint-disable-next-line unicorn/no-thenable
      then: next,
    };
  }

  /** Gives up the one that is being made. */
  async [Symbol.asyncDispose](): Promise<void> {
    const task = this.#task;
    this.#task = null;
    await task?.[Symbol.asyncDispose]();
  }

  /** The program runs on once its pieces are handed over, and waits again only where it comes to its next checkpoint. */
  #count(entry: SnapshotEntry | null, times: { readonly handedOverMs: number; readonly durationMs: number }): void {
    const { metrics } = this.#modules;
    const { handedOverMs, durationMs } = times;
    this.#pacer.spend(handedOverMs + Math.max(0, durationMs - handedOverMs - this.#intervalMs));
    metrics.snapshotSeconds.observe(durationMs / 1000);
    if (entry === null) return;
    metrics.snapshots.increment({ result: 'made' });
    metrics.snapshotBytes.increment({}, entry.addedBytes);
  }

  #giveUp(error: unknown): void {
    const { metrics, logger } = this.#modules;
    metrics.snapshots.increment({ result: 'failed' });
    const reason = isDaemonError(error) ? `${error.code}: ${error.message}` : describeError(error);
    logger.warn({ lease: this.#lease, reason }, 'a checkpoint has no snapshot');
  }
}
