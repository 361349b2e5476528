import type { IsolationLevel } from '../../../domain/capability.ts';
import type { PeerKey } from '../../../domain/ids.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { Logger } from '../../../telemetry/interface.ts';
import { SandboxError } from '../../errors.ts';
import type { SandboxMetrics } from '../../metrics.ts';
import type { SandboxChild } from './sandbox-child.ts';

export interface ChildPoolModules {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: SandboxMetrics;
  readonly createChild: (isolation: IsolationLevel) => SandboxChild;
}

export interface ChildPoolOptions {
  readonly maxChildren: number;
  readonly idleExpiryMs: number;
}

export interface PooledChild {
  readonly child: SandboxChild;
  readonly requester: PeerKey;
  readonly isolation: IsolationLevel;
}

interface IdleChild extends PooledChild {
  readonly idleSinceMs: number;
}

/**
 * Warm children. One is given only to the requester that it was started for. When there are too many, the one that was
 * idle longest goes, whoever's it was.
 */
export class ChildPool implements AsyncDisposable {
  private readonly modules: ChildPoolModules;
  private readonly options: ChildPoolOptions;
  /** Longest idle first. */
  private idle: IdleChild[] = [];
  private readonly alive = new Set<SandboxChild>();
  private sweep: Disposable | null = null;
  private isClosed = false;

  constructor(modules: ChildPoolModules, options: ChildPoolOptions) {
    this.modules = modules;
    this.options = options;
  }

  get size(): number {
    return this.alive.size;
  }

  hasIdle(requester: PeerKey, isolation: IsolationLevel): boolean {
    return this.idle.some((entry) => entry.requester === requester && entry.isolation === isolation);
  }

  /** A ready child of this requester: the one idle last, or a new one. @throws SandboxError */
  async acquire(requester: PeerKey, isolation: IsolationLevel): Promise<PooledChild> {
    if (this.isClosed) throw new SandboxError({ code: 'SANDBOX_CLOSED' });
    const index = this.idle.findLastIndex((entry) => entry.requester === requester && entry.isolation === isolation);
    const [warm] = index === -1 ? [] : this.idle.splice(index, 1);
    if (warm?.child.isAlive === true) return warm;
    this.makeRoom();
    const child = await this.startChild(isolation);
    return { child, requester, isolation };
  }

  /** Takes a child back; one that was killed or ended is forgotten. */
  release(pooled: PooledChild): void {
    const { child } = pooled;
    if (this.isClosed || !child.isAlive) return this.discard(child);
    this.idle.push({ ...pooled, idleSinceMs: this.modules.clock.monotonicMs() });
    this.scheduleSweep();
  }

  private async startChild(isolation: IsolationLevel): Promise<SandboxChild> {
    const { clock, metrics } = this.modules;
    const startedAtMs = clock.monotonicMs();
    const child = this.modules.createChild(isolation);
    this.track(child);
    metrics.childStarts.increment({ isolation });
    try {
      await child.start();
    } catch (error) {
      this.discard(child);
      throw this.isClosed ? new SandboxError({ code: 'SANDBOX_CLOSED' }, { cause: error }) : error;
    }
    metrics.childStartSeconds.observe((clock.monotonicMs() - startedAtMs) / 1000, { isolation });
    return child;
  }

  private track(child: SandboxChild): void {
    this.alive.add(child);
    this.modules.metrics.children.set(this.alive.size);
  }

  private discard(child: SandboxChild): void {
    child.kill('no longer needed');
    this.alive.delete(child);
    this.modules.metrics.children.set(this.alive.size);
  }

  private makeRoom(): void {
    this.idle = this.idle.filter((entry) => {
      if (!entry.child.isAlive) this.discard(entry.child);
      return entry.child.isAlive;
    });
    while (this.alive.size >= this.options.maxChildren) {
      const oldest = this.idle.shift();
      if (oldest === undefined) return;
      this.discard(oldest.child);
    }
  }

  private scheduleSweep(): void {
    const oldest = this.idle[0];
    if (this.sweep !== null || oldest === undefined) return;
    const dueMs = oldest.idleSinceMs + this.options.idleExpiryMs - this.modules.clock.monotonicMs();
    this.sweep = this.modules.clock.schedule(Math.max(0, dueMs), () => this.expire());
  }

  private expire(): void {
    this.sweep = null;
    const deadline = this.modules.clock.monotonicMs() - this.options.idleExpiryMs;
    while (this.idle[0] !== undefined && this.idle[0].idleSinceMs <= deadline) {
      const expired = this.idle.shift();
      if (expired !== undefined) this.discard(expired.child);
    }
    this.scheduleSweep();
  }

  /** Kills every child and waits until all are gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.isClosed = true;
    this.sweep?.[Symbol.dispose]();
    this.idle = [];
    const ending = [...this.alive];
    this.alive.clear();
    await Promise.all(ending.map((child) => child.close()));
  }
}
