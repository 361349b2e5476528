import type { CheckpointSchedule } from '../../domain/job.ts';
import { MAX_LINKS } from './constants.ts';

/** At which steps checkpoints fall, and which of those are made (docs/stepping.md section 2). */
export class CheckpointPlan {
  private readonly schedule: CheckpointSchedule;
  private threshold: number;
  /** The start is the first link. */
  private links = 1;

  constructor(schedule: CheckpointSchedule) {
    this.schedule = schedule;
    this.threshold = schedule.kind === 'fuel' ? schedule.every : 0;
  }

  /** Fuel at or above which the next checkpoint falls; 0 where the schedule is not by fuel. */
  get nextFuel(): number {
    return this.threshold;
  }

  /** Goes on from a state's `nextFuel`. */
  restore(nextFuel: number): void {
    this.threshold = nextFuel;
  }

  /** Whether one is made behind a step that has ended; asked once for each step. */
  advance(step: number, fuelUsed: number): boolean {
    if (!this.isDue(step, fuelUsed) || this.links >= MAX_LINKS) return false;
    this.links++;
    return true;
  }

  /** The threshold moves on whether a link is made or not: states must not depend on how many links an attempt has. */
  private isDue(step: number, fuelUsed: number): boolean {
    const { kind, every } = this.schedule;
    if (kind === 'steps') return step % every === 0;
    if (kind === 'rounds' || fuelUsed < this.threshold) return false;
    this.threshold = computeThreshold(every, fuelUsed);
    return true;
  }
}

/** (⌊used / every⌋ + 1) · every; no run reaches 2^53 - 1. */
function computeThreshold(every: number, fuelUsed: number): number {
  return Math.min((Math.floor(fuelUsed / every) + 1) * every, Number.MAX_SAFE_INTEGER);
}

/** Why a state's `nextFuel` cannot be under a schedule; null where it can. */
export function findThresholdFault(schedule: CheckpointSchedule, nextFuel: number, fuelUsed: number): string | null {
  if (schedule.kind !== 'fuel') return nextFuel === 0 ? null : 'it is of a schedule by fuel';
  // Until a checkpoint fell the threshold is the first one, however much the start took.
  const isFirst = nextFuel === schedule.every;
  return isFirst || nextFuel === computeThreshold(schedule.every, fuelUsed) ? null : 'it is of another schedule';
}
