import type { JobEvent } from '../../../scheduler/interface.ts';

type MetricEvent = Extract<JobEvent, { kind: 'metric' }>;

export interface CurvePoint {
  readonly step: number;
  readonly value: number;
}

export interface Curve {
  readonly name: string;
  /** In ascending order of step. */
  readonly points: readonly CurvePoint[];
}

/** Gathers the metrics of one replica of a job into a curve for each name, in the order in which the names came. */
export class CurveBook {
  readonly #names: readonly string[];
  readonly #replica: number | undefined;
  readonly #curves = new Map<string, Map<number, number>>();
  #shown: number | undefined;

  /** Without names all metrics are taken; without a replica the first that measures something. */
  constructor({ names, replica }: { readonly names: readonly string[]; readonly replica: number | undefined }) {
    this.#names = names;
    this.#replica = replica;
  }

  /**
   * The point that is new, or undefined. An attempt that went on from a checkpoint gives some steps again: the last word on a
   * step counts, since that is the run which goes on.
   */
  add({
    name,
    value,
    step,
    replica,
  }: Pick<MetricEvent, 'name' | 'value' | 'step' | 'replica'>): CurvePoint | undefined {
    if (this.#names.length > 0 && !this.#names.includes(name)) return undefined;
    this.#shown ??= this.#replica ?? replica;
    if (replica !== this.#shown) return undefined;
    const curve = this.#curves.get(name) ?? new Map<number, number>();
    this.#curves.set(name, curve);
    const point = { step, value: Number(value) };
    curve.set(step, point.value);
    return point;
  }

  get curves(): readonly Curve[] {
    return [...this.#curves].map(([name, values]) => ({
      name,
      points: [...values].map(([step, value]) => ({ step, value })).toSorted((a, b) => a.step - b.step),
    }));
  }
}
