import type { GpuRequest } from '../../../domain/gpu.ts';
import type { Refusal } from '../../../domain/refusal.ts';
import type { Clock } from '../../../lib/clock.ts';
import { pause } from '../../../lib/pause.ts';
import type { GpuPlan, GpuSource, GpuUnit } from '../../../sandbox/gpu/interface.ts';
import type { Attempt } from '../attempts/attempt.ts';
import { AttemptStopped } from '../attempts/attempt-stopped.ts';
import type { Run } from '../attempts/run.ts';
import { GPU_LOOKS, GPU_MAX_AGE_MS, GPU_RETRY_MS, GPU_SETTLE_MS } from '../constants.ts';
import type { OfferBook } from '../offers/offer-book.ts';
import { createRefusal } from '../offers/refusals.ts';
import { chooseUnits, describeLack, isHeld } from './choose-units.ts';

export interface GpuDeskModules {
  readonly source: GpuSource;
  readonly offers: Pick<OfferBook, 'holding' | 'queued'>;
  /** Runs that have not ended. */
  readonly runs: () => Iterable<Pick<Run, 'gpus'>>;
  readonly clock: Clock;
}

export type GpuChoice =
  | { readonly kind: 'chosen'; readonly units: readonly GpuUnit[] }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

/**
 * Gives GPUs to attempts. Who holds which is recomputed each time from the live offers and the runs that are there (design
 * section 6): nothing is counted, so nothing stays leased to nobody after a crash, and nothing is leased twice. What else
 * runs on a GPU, the remains of an earlier process among it, is seen by looking at the GPU.
 */
export class GpuDesk {
  readonly #modules: GpuDeskModules;

  constructor(modules: GpuDeskModules) {
    this.#modules = modules;
  }

  get units(): readonly GpuUnit[] {
    return this.#modules.source.units;
  }

  /** UUIDs that are promised or leased. @param except whose own do not count */
  listHeld(except?: Pick<Run, 'gpus'>): ReadonlySet<string> {
    const { offers, runs } = this.#modules;
    const held = new Set<string>();
    const add = (units: readonly GpuUnit[]): void => {
      for (const { uuid } of units) held.add(uuid);
    };
    for (const { gpus } of offers.holding()) add(gpus);
    for (const { gpus } of offers.queued()) add(gpus);
    for (const run of runs()) if (run !== except) add(run.gpus);
    return held;
  }

  /** Looks at the GPUs before a request for some is judged. */
  async refresh(request: GpuRequest | undefined): Promise<void> {
    if (request !== undefined) await this.#modules.source.refresh(GPU_MAX_AGE_MS);
  }

  /** Nothing is awaited from here until what was chosen is held. */
  choose(request: GpuRequest): GpuChoice {
    const held = this.listHeld();
    const units = chooseUnits(request, this.units, held);
    if (units !== null) return { kind: 'chosen', units };
    const detail = describeLack(request, this.units, held);
    return { kind: 'refused', refusal: createRefusal('GPU_UNAVAILABLE', detail, GPU_RETRY_MS) };
  }

  /**
   * What the sandbox of an attempt is given, null if its job asks for no GPU. What was promised is looked at once more: if
   * others use it meanwhile, equal ones take its place. @throws AttemptStopped EXECUTOR_UNAVAILABLE; SandboxError; AbortError
   */
  async prepare({ job, run, signal }: Pick<Attempt, 'job' | 'run' | 'signal'>): Promise<GpuPlan | null> {
    const request = job.value.resources.gpus;
    if (request === undefined) return null;
    const { source, clock } = this.#modules;
    for (let look = 1; ; look += 1) {
      await source.refresh(0, { signal });
      signal.throwIfAborted();
      const units = this.#assign(request, run);
      if (units !== null) return await source.plan(units, { signal });
      if (look >= GPU_LOOKS) break;
      // A process that has just ended is listed a moment longer.
      await pause(clock, GPU_SETTLE_MS, signal);
    }
    const detail = describeLack(request, this.units, this.listHeld(run));
    throw new AttemptStopped({ code: 'EXECUTOR_UNAVAILABLE', detail: `its GPUs cannot be had: ${detail}` });
  }

  /** Holds them for the run from now on. */
  #assign(request: GpuRequest, run: Run): readonly GpuUnit[] | null {
    const held = this.listHeld(run);
    const own = new Set(run.gpus.map(({ uuid }) => uuid));
    const kept = this.units.filter((unit) => own.has(unit.uuid) && unit.obstacle === null && !isHeld(unit, held));
    const units = kept.length === request.count ? kept : chooseUnits(request, this.units, held);
    if (units !== null) run.gpus = units;
    return units;
  }
}
