import type { Resources } from '../../../domain/job.ts';
import type { Clock } from '../../../lib/clock.ts';
import { describeError } from '../../../lib/errors.ts';
import type { HostCapacity, HostMeasure } from '../../../sandbox/interface.ts';
import type { Logger } from '../../../telemetry/interface.ts';
import { ATTEMPT_OVERHEAD_BYTES, HOST_MEASURE_MS } from '../constants.ts';

export interface HostGaugeModules {
  /** Absent: the host is not measured, and slots are the only limit. */
  readonly host?: HostCapacity | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface HostLimits {
  /** Memory that attempts leave to the rest of the host, bytes. */
  readonly reserveMemoryBytes: number;
  readonly reserveDiskBytes: number;
  /** Mean delay of the event loop above which no new work is taken, ms. */
  readonly maxLoopDelayMs: number;
  /** Share of time in which something on the host waited for a processor, percent; 100 is no limit. */
  readonly maxCpuPressurePercent: number;
}

/** What attempts hold, or may hold, of the host. */
export interface Footprint {
  readonly memoryBytes: number;
  readonly diskBytes: number;
}

export const NO_FOOTPRINT: Footprint = { memoryBytes: 0, diskBytes: 0 };

/** What one attempt may come to hold: all that its limits allow, and the program that runs it. */
export function computeFootprint({ memoryBytes, outputBytes }: Resources): Footprint {
  return { memoryBytes: memoryBytes + ATTEMPT_OVERHEAD_BYTES, diskBytes: outputBytes };
}

export function addFootprint(sum: Footprint, one: Footprint, times = 1): Footprint {
  return {
    memoryBytes: sum.memoryBytes + one.memoryBytes * times,
    diskBytes: sum.diskBytes + one.diskBytes * times,
  };
}

/** What the host has for attempts, as last measured. */
export class HostGauge {
  readonly #modules: HostGaugeModules;
  readonly #limits: HostLimits;
  #measure: HostMeasure | null = null;
  #measuredAtMs = Number.NEGATIVE_INFINITY;
  #underWay: Promise<void> | null = null;

  constructor(modules: HostGaugeModules, limits: HostLimits) {
    this.#modules = modules;
    this.#limits = limits;
  }

  /** Null while it is not measured. */
  get measure(): HostMeasure | null {
    return this.#measure;
  }

  get limits(): HostLimits {
    return this.#limits;
  }

  /** Measures anew if the last measure is old. Never rejects: then the last one stands. */
  async refresh(): Promise<void> {
    const { host, clock } = this.#modules;
    if (host === undefined || clock.monotonicMs() - this.#measuredAtMs < HOST_MEASURE_MS) return;
    this.#underWay ??= this.#take(host).finally(() => {
      this.#underWay = null;
    });
    await this.#underWay;
  }

  /** All that attempts may hold together; what they hold now is part of it. */
  get room(): Footprint {
    if (this.#measure === null) return { memoryBytes: Number.POSITIVE_INFINITY, diskBytes: Number.POSITIVE_INFINITY };
    const { availableBytes, childrenBytes } = this.#measure.memory;
    return {
      memoryBytes: Math.max(0, availableBytes + childrenBytes - this.#limits.reserveMemoryBytes),
      diskBytes: Math.max(0, this.#measure.diskFreeBytes - this.#limits.reserveDiskBytes),
    };
  }

  /** What the daemon has too much of to take more, with the figure; undefined while it keeps up. */
  describeOverload(): string | undefined {
    if (this.#measure === null) return undefined;
    const { loopDelayMs, cpuPressure } = this.#measure;
    const { maxLoopDelayMs, maxCpuPressurePercent } = this.#limits;
    if (loopDelayMs > maxLoopDelayMs) {
      return `its event loop is ${Math.round(loopDelayMs)} ms late, at most ${maxLoopDelayMs} ms are allowed`;
    }
    if (cpuPressure !== null && cpuPressure > maxCpuPressurePercent) {
      return `programs wait for a processor ${Math.round(cpuPressure)} % of the time, at most ${maxCpuPressurePercent} % are allowed`;
    }
    return undefined;
  }

  async #take(host: HostCapacity): Promise<void> {
    const { clock, logger } = this.#modules;
    try {
      this.#measure = await host.measure();
    } catch (error) {
      logger.warn({ reason: describeError(error) }, 'the capacity of the host could not be measured');
    }
    this.#measuredAtMs = clock.monotonicMs();
  }
}

/** How often `one` fits beside what is held. */
export function countFitting(room: Footprint, held: Footprint, one: Footprint): number {
  const byMemory = countIn(room.memoryBytes - held.memoryBytes, one.memoryBytes);
  return Math.min(byMemory, countIn(room.diskBytes - held.diskBytes, one.diskBytes));
}

function countIn(room: number, one: number): number {
  return one === 0 ? Number.POSITIVE_INFINITY : Math.max(0, Math.floor(room / one));
}
