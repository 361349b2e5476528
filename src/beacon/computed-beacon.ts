import type { Clock } from '../lib/clock.ts';
import { computeFixedBeacon, computeTimeBeacon } from './compute-beacon.ts';
import type { Beacon, BeaconStatus, BeaconValue } from './interface.ts';
import type { BeaconOptions, FixedBeaconOptions } from './options.ts';
import { RoundSchedule } from './round-schedule.ts';

interface Source {
  readonly kind: 'time' | 'fixed';
  readonly compute: (round: number) => Uint8Array;
}

/** Values that need nothing but the number of the round: anybody can know them beforehand. */
class ComputedBeacon implements Beacon {
  readonly #clock: Clock;
  readonly #schedule: RoundSchedule;
  readonly #source: Source;

  constructor(modules: { readonly clock: Clock }, options: BeaconOptions & { readonly source: Source }) {
    this.#clock = modules.clock;
    this.#schedule = new RoundSchedule(options);
    this.#source = options.source;
  }

  roundAt(timeMs: number): number {
    return this.#schedule.roundAt(timeMs);
  }

  startOfRound(round: number): number {
    return this.#schedule.startOfRound(round);
  }

  epochOfRound(round: number): number {
    return this.#schedule.epochOfRound(round);
  }

  firstRoundOfEpoch(epoch: number): number {
    return this.#schedule.firstRoundOfEpoch(epoch);
  }

  async value(round: number): Promise<BeaconValue> {
    this.#schedule.assertBegun(round, this.#clock);
    return this.#compute(round);
  }

  status(): BeaconStatus {
    const rounds = this.#schedule.describe(this.#clock);
    const latestKnown = this.#compute(rounds.currentRound);
    return { source: this.#source.kind, isPredictable: true, ...rounds, latestKnown, problem: null };
  }

  #compute(round: number): BeaconValue {
    const { kind, compute } = this.#source;
    const startsAtMs = this.#schedule.startOfRound(round);
    return { round, startsAtMs, value: compute(round), source: kind, isPredictable: true, block: null };
  }
}

/** The source of a network without a chain. */
export class TimeBeacon extends ComputedBeacon {
  constructor(modules: { readonly clock: Clock }, options: BeaconOptions) {
    const { networkId } = options;
    const compute = (round: number): Uint8Array => computeTimeBeacon({ networkId, round });
    super(modules, { ...options, source: { kind: 'time', compute } });
  }
}

/** For tests and simulations: every run with the same seed draws the same. */
export class FixedBeacon extends ComputedBeacon {
  constructor(modules: { readonly clock: Clock }, options: FixedBeaconOptions) {
    const { networkId, seed } = options;
    const compute = (round: number): Uint8Array => computeFixedBeacon({ networkId, round }, seed);
    super(modules, { ...options, source: { kind: 'fixed', compute } });
  }
}
