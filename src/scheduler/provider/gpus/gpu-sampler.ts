import type { Clock } from '../../../lib/clock.ts';
import type { GpuSource, GpuUnit } from '../../../sandbox/gpu/interface.ts';
import { GPU_SAMPLE_MS } from '../constants.ts';
import type { ProviderMetrics } from '../metrics.ts';

export interface GpuSamplerModules {
  readonly source: GpuSource;
  readonly clock: Clock;
  readonly metrics: Pick<ProviderMetrics, 'gpuUtilisation' | 'gpuMemory' | 'leasedGpus'>;
}

/** Told to a requester: a name and a value as the `metric` event has them (domain/messages.ts). */
export type TellSample = (name: 'gpu.utilisation' | 'gpu.memoryBytes', value: string) => void;

/** Watches GPUs while programs run on them, and no longer: each look starts a program and wakes the GPU. */
export class GpuSampler {
  readonly #modules: GpuSamplerModules;
  #leased = 0;

  constructor(modules: GpuSamplerModules) {
    this.#modules = modules;
  }

  /** Tells of these units every few seconds until it is disposed of. */
  watch(units: readonly GpuUnit[], tell: TellSample): Disposable {
    const uuids = new Set(units.map(({ uuid }) => uuid));
    this.#count(units.length);
    let isOver = false;
    let timer: Disposable | undefined;
    const schedule = (): void => {
      timer = this.#modules.clock.schedule(GPU_SAMPLE_MS, () => void sample());
    };
    const sample = async (): Promise<void> => {
      await this.#modules.source.refresh(GPU_SAMPLE_MS / 2);
      if (isOver) return;
      this.#tell(
        this.#modules.source.units.filter(({ uuid }) => uuids.has(uuid)),
        tell,
      );
      schedule();
    };
    schedule();
    return {
      [Symbol.dispose]: () => {
        if (isOver) return;
        isOver = true;
        timer?.[Symbol.dispose]();
        this.#count(-units.length);
        for (const { device } of units) {
          this.#modules.metrics.gpuUtilisation.set(0, { gpu: device.bus });
          this.#modules.metrics.gpuMemory.set(0, { gpu: device.bus });
        }
      },
    };
  }

  /** Of several GPUs the mean utilisation and the sum of memory; the driver tells no utilisation of slices. */
  #tell(units: readonly GpuUnit[], tell: TellSample): void {
    const { gpuUtilisation, gpuMemory } = this.#modules.metrics;
    for (const { device } of units) {
      if (device.utilisation !== null) gpuUtilisation.set(device.utilisation, { gpu: device.bus });
      if (device.usedBytes !== null) gpuMemory.set(device.usedBytes, { gpu: device.bus });
    }
    const shares = units.flatMap(({ slice, device }) => (slice === null ? (device.utilisation ?? []) : []));
    const used = units.flatMap(({ slice, device }) => (slice ?? device).usedBytes ?? []);
    if (shares.length > 0) {
      const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
      tell('gpu.utilisation', String(Math.round(mean * 1000) / 1000));
    }
    if (used.length > 0) tell('gpu.memoryBytes', String(used.reduce((sum, bytes) => sum + bytes, 0)));
  }

  #count(change: number): void {
    this.#leased += change;
    this.#modules.metrics.leasedGpus.set(this.#leased);
  }
}
