import { listProgramBlobs } from '../../../domain/workload.ts';
import type { Clock } from '../../../lib/clock.ts';
import { BLOCKED_PATIENCE_MS, MAX_REMEMBERED_USE } from '../constants.ts';
import type { ProviderMetrics } from '../metrics.ts';
import type { OfferBook } from '../offers/offer-book.ts';
import { FairQueue, type QueuedWork } from '../queue/fair-queue.ts';
import {
  addFootprint,
  computeFootprint,
  countFitting,
  type Footprint,
  type HostGauge,
  NO_FOOTPRINT,
} from '../queue/host-gauge.ts';
import type { ServiceSubject, ServiceTimes } from '../queue/service-times.ts';
import type { Attempt } from './attempt.ts';
import type { Run } from './run.ts';

export interface DispatcherModules {
  readonly offers: OfferBook;
  readonly gauge: HostGauge;
  readonly services: ServiceTimes;
  readonly clock: Clock;
  /** Runs one attempt until its lane is free again. Never rejects. */
  readonly execute: (attempt: Attempt) => Promise<void>;
  readonly metrics: Pick<ProviderMetrics, 'usedSlots' | 'queuedAttempts' | 'waitSeconds'>;
}

export interface SlotUse {
  readonly total: number;
  readonly reserved: number;
  readonly running: number;
}

/** One attempt in its slot. */
interface Lane {
  readonly startedAtMs: number;
  readonly expectedMs: number;
  /** Slot time that its requester has been charged for it. */
  chargedMs: number;
  readonly footprint: Footprint;
}

/**
 * Gives slots to attempts in the order of the queue. What is in use is recomputed each time from the live offers and the
 * attempts that are there, so that no count can drift (design section 6). What runs is never preempted.
 */
export class Dispatcher {
  readonly #modules: DispatcherModules;
  readonly #slots: number;
  readonly #runs = new Set<Run>();
  /** Runs that have not begun: they hold what their offers held. */
  readonly #arriving = new Set<Run>();
  readonly #queue = new FairQueue<Run>({ maxDebts: MAX_REMEMBERED_USE });
  readonly #lanes = new Map<Attempt, Lane>();
  /** The first in the queue, if it does not fit what the host has left. */
  #blocked: { readonly run: Run; readonly sinceMs: number } | null = null;

  constructor(modules: DispatcherModules, options: { readonly slots: number }) {
    this.#modules = modules;
    this.#slots = options.slots;
  }

  get runs(): ReadonlySet<Run> {
    return this.#runs;
  }

  /** Runs with attempts that wait for a slot. */
  get queue(): Pick<FairQueue<Run>, 'size' | 'entries' | 'estimateAhead'> {
    return this.#queue;
  }

  get slots(): number {
    return this.#slots;
  }

  use(): SlotUse {
    let reserved = 0;
    for (const offer of this.#modules.offers.holding()) reserved += offer.slots;
    for (const run of this.#arriving) reserved += run.claimedSlots;
    return { total: this.#slots, reserved, running: this.#lanes.size };
  }

  freeSlots(): number {
    const { total, reserved, running } = this.use();
    return total - reserved - running;
  }

  /** What may be taken of the host by what runs, and by what was promised to start at once. */
  computeHeld(): Footprint {
    let held = NO_FOOTPRINT;
    for (const { footprint } of this.#lanes.values()) held = addFootprint(held, footprint);
    for (const offer of this.#modules.offers.holding()) held = addFootprint(held, offer.footprint, offer.slots);
    for (const run of this.#arriving) held = addFootprint(held, run.options.footprint, run.claimedSlots);
    return held;
  }

  /** When a slot, and room for this in it, is expected to come free, ms from now; 0 if it is there. */
  estimateNextFree(footprint: Footprint): number {
    const nowMs = this.#modules.clock.monotonicMs();
    const ends = [...this.#lanes].map(([attempt, lane]) => {
      const { wallTimeMs } = attempt.job.value.resources;
      return { lane, leftMs: estimateLeft(nowMs - lane.startedAtMs, lane.expectedMs, wallTimeMs) };
    });
    ends.sort((a, b) => a.leftMs - b.leftMs);
    let held = this.computeHeld();
    let free = this.freeSlots();
    let waitMs = 0;
    for (const { lane, leftMs } of ends) {
      if (free > 0 && countFitting(this.#modules.gauge.room, held, footprint) > 0) return waitMs;
      waitMs = leftMs;
      free += 1;
      held = addFootprint(held, lane.footprint, -1);
    }
    return waitMs;
  }

  /** What waits of a run. */
  estimateWork(run: Run): QueuedWork {
    const next = run.peekNext();
    if (next === undefined) return { attempts: 0, eachMs: 0 };
    return { attempts: run.waiting, eachMs: this.#modules.services.estimate(describeService(next)) };
  }

  /** Holds what the offer of a run held, from now on. */
  add(run: Run): void {
    this.#runs.add(run);
    this.#arriving.add(run);
  }

  /** Its attempts may run: those that were promised a slot start, the others queue. */
  begin(run: Run): void {
    const promised = run.claimedSlots;
    this.#arriving.delete(run);
    run.isStarted = true;
    if (run.waiting === 0) return;
    this.#queue.add(run, this.#modules.clock.monotonicMs());
    for (let slot = 0; slot < promised && this.#fits(run, this.computeHeld()); slot += 1) this.#start(run);
    this.pump();
  }

  /** Forgets a run that never started. */
  drop(run: Run): void {
    this.#forget(run);
    this.pump();
  }

  /** Forgets an attempt that has ended, and its run with the last one. */
  end(attempt: Attempt): void {
    const { run } = attempt;
    run.live.delete(attempt);
    run.withdraw(attempt);
    if (run.waiting === 0) this.#queue.remove(run);
    if (run.isOver) this.drop(run);
  }

  /** Called every now and then while anything is live: what waits grows more urgent, and what runs long is charged for it. */
  beat(): void {
    const nowMs = this.#modules.clock.monotonicMs();
    for (const [{ run }, lane] of this.#lanes) {
      const excessMs = nowMs - lane.startedAtMs - lane.chargedMs;
      if (excessMs <= 0) continue;
      lane.chargedMs += excessMs;
      this.#queue.charge(run, excessMs);
    }
    this.#queue.age(nowMs);
    void this.#modules.gauge.refresh().then(() => this.pump());
    this.#modules.metrics.queuedAttempts.set(this.countWaiting());
    this.pump();
  }

  /** Attempts that wait for a slot. */
  countWaiting(): number {
    let waiting = 0;
    for (const run of this.#runs) waiting += run.waiting;
    return waiting;
  }

  /** Starts what has a slot. */
  pump(): void {
    if (this.#queue.size > 0) this.#startWaiting();
    this.#modules.metrics.usedSlots.set(this.#slots - this.freeSlots());
  }

  #startWaiting(): void {
    let held = this.computeHeld();
    for (let free = this.freeSlots(); free > 0; free -= 1) {
      const run = this.#choose(held);
      const lane = run === undefined ? undefined : this.#start(run);
      if (lane === undefined) return;
      held = addFootprint(held, lane.footprint);
    }
  }

  /**
   * The first whose next attempt fits what the host has left. One that does not is passed for a while; then nothing starts
   * before it, if it can fit at all.
   */
  #choose(held: Footprint): Run | undefined {
    const nowMs = this.#modules.clock.monotonicMs();
    let first: Run | undefined;
    for (const run of this.#queue.inOrder()) {
      if (this.#fits(run, held)) {
        if (first === undefined) this.#blocked = null;
        return run;
      }
      first ??= run;
      if (first !== run) continue;
      if (this.#blocked?.run !== run) this.#blocked = { run, sinceMs: nowMs };
      const isPatient = nowMs - this.#blocked.sinceMs < BLOCKED_PATIENCE_MS;
      if (!isPatient && this.#fits(run, NO_FOOTPRINT)) return undefined;
    }
    return undefined;
  }

  #fits(run: Run, held: Footprint): boolean {
    const next = run.peekNext();
    return next === undefined || countFitting(this.#modules.gauge.room, held, footprintOf(next)) > 0;
  }

  #start(run: Run): Lane | undefined {
    const attempt = run.peekNext();
    if (attempt !== undefined) run.withdraw(attempt);
    const lane = attempt === undefined ? undefined : this.#createLane(attempt);
    if (lane !== undefined) this.#queue.serve(run, lane.expectedMs, lane.startedAtMs);
    if (run.waiting === 0) this.#queue.remove(run);
    if (attempt === undefined || lane === undefined) return undefined;
    this.#lanes.set(attempt, lane);
    run.lanes.add(attempt);
    this.#modules.metrics.waitSeconds.observe((lane.startedAtMs - run.sinceMs) / 1000);
    void this.#modules.execute(attempt).finally(() => this.#free(attempt, lane));
    return lane;
  }

  #createLane(attempt: Attempt): Lane {
    const expectedMs = this.#modules.services.estimate(describeService(attempt));
    const startedAtMs = this.#modules.clock.monotonicMs();
    return { startedAtMs, expectedMs, chargedMs: expectedMs, footprint: footprintOf(attempt) };
  }

  #free(attempt: Attempt, lane: Lane): void {
    const { run } = attempt;
    const heldMs = Math.max(0, this.#modules.clock.monotonicMs() - lane.startedAtMs);
    this.#lanes.delete(attempt);
    run.lanes.delete(attempt);
    this.#queue.settle(run, lane.expectedMs, heldMs - lane.chargedMs);
    // One that was stopped says nothing of how long such programs take.
    if (attempt.stopReason === null && !attempt.isSuspended) {
      this.#modules.services.observe(describeService(attempt), heldMs);
    }
    if (run.isOver) this.#forget(run);
    this.pump();
  }

  #forget(run: Run): void {
    this.#runs.delete(run);
    this.#arriving.delete(run);
    this.#queue.remove(run);
    if (this.#blocked?.run === run) this.#blocked = null;
  }
}

function footprintOf({ job }: Attempt): Footprint {
  return computeFootprint(job.value.resources);
}

function describeService({ requester, job }: Attempt): ServiceSubject {
  const { workload, resources } = job.value;
  const [program] = listProgramBlobs(workload);
  const subject = { requester, kind: workload.kind, wallTimeMs: resources.wallTimeMs };
  return program === undefined ? subject : { ...subject, module: program.blob };
}

/** One that has taken longer than expected is expected to take half as long again as it has, within its limit. */
function estimateLeft(heldMs: number, expectedMs: number, wallTimeMs: number): number {
  const leftMs = heldMs < expectedMs ? expectedMs - heldMs : heldMs / 2;
  return Math.max(1, Math.min(leftMs, wallTimeMs - heldMs));
}
