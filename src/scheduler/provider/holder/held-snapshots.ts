import type { SnapshotEntry, SnapshotStore } from '../../../blob/interface.ts';
import { type BlobId, type LeaseId, type PeerKey, UnixMs } from '../../../domain/ids.ts';
import type { Lease } from '../../../domain/lease.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { Logger } from '../../../telemetry/interface.ts';
import type { SnapshotDuties, SnapshotDuty } from '../checkpoints/snapshot-duties.ts';
import { HELD_PER_LEASE, MAX_HELD_LEASES, MAX_HELD_MS } from '../constants.ts';
import type { HoldOptions } from '../options.ts';

export interface HeldSnapshotsModules {
  readonly store: Pick<SnapshotStore, 'list' | 'release'>;
  readonly duties: SnapshotDuties;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The snapshots that this node holds for others, counted against their requesters' share. */
export class HeldSnapshots {
  readonly #modules: HeldSnapshotsModules;
  readonly #options: HoldOptions & { readonly keepForMs: number };
  readonly #duties = new Map<LeaseId, SnapshotDuty>();

  constructor(modules: HeldSnapshotsModules, options: HoldOptions & { readonly keepForMs: number }) {
    this.#modules = modules;
    this.#options = options;
  }

  /** What is held without a duty is this node's own as a requester: a duty is taken before its snapshots, and goes after them. */
  async load(): Promise<void> {
    const { duties } = this.#modules;
    for await (const [lease, duty] of duties.entries()) this.#duties.set(lease, duty);
    await this.forgetEnded();
  }

  get isFull(): boolean {
    return this.#duties.size >= MAX_HELD_LEASES;
  }

  get isEmpty(): boolean {
    return this.#duties.size === 0;
  }

  has(lease: LeaseId): boolean {
    return this.#duties.has(lease);
  }

  /** Ascending by step. */
  list(lease: LeaseId): readonly SnapshotEntry[] {
    return this.#modules.store.list({ role: 'holder', lease });
  }

  find(lease: LeaseId, snapshot: BlobId): { readonly entry: SnapshotEntry; readonly duty: SnapshotDuty } | undefined {
    const duty = this.#duties.get(lease);
    const entry = this.list(lease).find(({ reference }) => reference.blob === snapshot);
    return duty === undefined || entry === undefined ? undefined : { entry, duty };
  }

  /**
   * Bytes that one more snapshot of a lease may have. Each snapshot counts in full, whatever it shares with others, but
   * for the one of the same lease that makes room for it.
   */
  countRoom(requester: PeerKey, lease: LeaseId): number {
    const leaving = this.list(lease).at(-HELD_PER_LEASE);
    const room = { own: this.#options.maxBytesPerRequester, all: this.#options.maxBytes };
    for (const [held, duty] of this.#duties) {
      for (const entry of this.list(held)) {
        if (entry === leaving) continue;
        const sizeBytes = entry.itemBytes + entry.reference.sizeBytes;
        room.all -= sizeBytes;
        if (duty.requester === requester) room.own -= sizeBytes;
      }
    }
    return Math.min(room.own, room.all);
  }

  keptUntilMs({ deadlineMs }: Lease): UnixMs {
    const latestMs = this.#modules.clock.nowMs() + MAX_HELD_MS;
    return UnixMs(Math.min(deadlineMs + this.#options.keepForMs, latestMs));
  }

  /** Takes the duty before the snapshot comes, so that a crash leaves none without. */
  async begin(lease: LeaseId, value: Lease): Promise<void> {
    if (this.#duties.has(lease)) return;
    const duty: SnapshotDuty = {
      version: 1,
      job: value.job,
      requester: value.requester,
      provider: value.provider,
      holder: value.snapshotHolder ?? value.requester,
      startStep: value.resume?.step ?? 0,
      keptUntilMs: this.keptUntilMs(value),
    };
    await this.#modules.duties.put(lease, duty);
    this.#duties.set(lease, duty);
  }

  /** The newest two stay. */
  async thin(lease: LeaseId): Promise<void> {
    for (const { step } of this.list(lease).slice(0, -HELD_PER_LEASE)) await this.release(lease, step);
  }

  async release(lease: LeaseId, step: number): Promise<void> {
    await this.#modules.store.release({ role: 'holder', lease, step });
  }

  /** Lets go of what was to be kept until now, and of duties that nothing came for. */
  async forgetEnded(): Promise<void> {
    const { clock, duties, logger } = this.#modules;
    const nowMs = clock.nowMs();
    for (const [lease, duty] of this.#duties) {
      if (duty.keptUntilMs > nowMs) continue;
      try {
        for (const { step } of this.list(lease)) await this.release(lease, step);
        await duties.delete(lease);
        this.#duties.delete(lease);
      } catch (error) {
        logger.warn({ lease, error }, 'held snapshots could not be released');
      }
    }
  }
}
