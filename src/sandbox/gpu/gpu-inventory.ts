import type { AbortOptions } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import { isAbortError } from '../../lib/errors.ts';
import type { Logger } from '../../telemetry/interface.ts';
import { createPlan } from './create-plan.ts';
import { type DetectOptions, detectGpus } from './detect-gpus.ts';
import type { GpuPlan, GpuSnapshot, GpuSource, GpuUnit } from './interface.ts';
import { listUnits, type UnitRules } from './list-units.ts';
import type { GpuPlaces } from './places.ts';
import { DriverTools } from './run-tool.ts';

export interface GpuInventoryModules {
  readonly places: GpuPlaces;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface GpuInventoryOptions extends UnitRules {
  /** How long nvidia-smi may take, ms. */
  readonly timeoutMs?: number;
}

const NOTHING: GpuSnapshot = {
  source: 'none',
  tool: 'absent',
  reason: null,
  driver: null,
  cuda: null,
  confidential: null,
  devices: [],
  untold: [],
};

/** GPUs of this host as last seen. One look at a time, which all who want one share. */
export class GpuInventory implements GpuSource, Disposable {
  readonly #modules: GpuInventoryModules;
  readonly #options: GpuInventoryOptions;
  readonly #tools = new DriverTools();
  readonly #closing = new AbortController();
  #snapshot = NOTHING;
  #units: readonly GpuUnit[] = [];
  #seenAtMs = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> | null = null;

  constructor(modules: GpuInventoryModules, options: GpuInventoryOptions) {
    this.#modules = modules;
    this.#options = options;
  }

  get snapshot(): GpuSnapshot {
    return this.#snapshot;
  }

  get units(): readonly GpuUnit[] {
    return this.#units;
  }

  /** Never rejects; whoever waits no longer leaves the others to. */
  async refresh(maxAgeMs: number, { signal }: AbortOptions = {}): Promise<void> {
    const { clock } = this.#modules;
    if (this.#closing.signal.aborted || clock.monotonicMs() - this.#seenAtMs <= maxAgeMs) return;
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
    });
    if (signal === undefined) return await this.#looking;
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = (): void => resolve();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    await Promise.race([this.#looking, promise]);
    signal.removeEventListener('abort', stop);
  }

  async plan(units: readonly GpuUnit[], options: AbortOptions = {}): Promise<GpuPlan> {
    return await createPlan({ places: this.#modules.places, tools: this.#tools }, units, options);
  }

  async #look(): Promise<void> {
    const { places, clock, logger } = this.#modules;
    const { timeoutMs } = this.#options;
    const options: DetectOptions = {
      signal: this.#closing.signal,
      // It does not change while the driver is loaded.
      asksConfidential: this.#seenAtMs === Number.NEGATIVE_INFINITY,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    };
    try {
      const found = await detectGpus({ places, tools: this.#tools }, options);
      const before = this.#snapshot;
      this.#snapshot = { ...found, confidential: found.confidential ?? before.confidential };
      this.#units = listUnits(this.#snapshot, this.#options);
      if (found.tool !== before.tool && found.tool !== 'absent' && found.tool !== 'answered') {
        logger.warn({ tool: found.tool, reason: found.reason }, 'GPUs cannot be asked; none are lent until they can');
      }
    } catch (error) {
      if (!isAbortError(error)) logger.error({ error }, 'GPUs could not be looked for');
    }
    this.#seenAtMs = clock.monotonicMs();
  }

  [Symbol.dispose](): void {
    this.#closing.abort(new DOMException('the node is stopping', 'AbortError'));
  }
}
