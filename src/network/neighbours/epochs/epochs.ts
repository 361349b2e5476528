import { raceSignal } from '../../../lib/abort.ts';
import type { Clock } from '../../../lib/clock.ts';
import { isDaemonError } from '../../../lib/errors.ts';
import { type ClaimedEpoch, classifyEpoch } from '../../../vrf/claimed-epoch.ts';
import { encodeSelectionInput } from '../../../vrf/selection.ts';
import type { EpochBeacon } from '../ports.ts';
import { createClockDeadline } from './clock-deadline.ts';

export type EpochInput =
  | { readonly kind: 'known'; readonly input: Uint8Array; readonly isPredictable: boolean }
  | { readonly kind: 'unknown'; readonly code: string; readonly message: string };

/** Epochs kept: those whose claims are accepted, and one on each side for clocks that differ. */
const KEPT_EPOCHS = 4;

export interface EpochsOptions {
  readonly networkId: string;
  readonly skewMs: number;
}

/** Which epoch it is, which are accepted, and what the VRF of each is computed over. */
export class Epochs {
  readonly #beacon: EpochBeacon;
  readonly #clock: Clock;
  readonly #options: EpochsOptions;
  readonly #known = new Map<number, Extract<EpochInput, { kind: 'known' }>>();

  constructor(modules: { readonly beacon: EpochBeacon; readonly clock: Clock }, options: EpochsOptions) {
    this.#beacon = modules.beacon;
    this.#clock = modules.clock;
    this.#options = options;
  }

  get current(): number {
    return this.at(this.#clock.nowMs());
  }

  at(timeMs: number): number {
    return this.#beacon.epochOfRound(this.#beacon.roundAt(timeMs));
  }

  startOf(epoch: number): number {
    return this.#beacon.startOfRound(this.#beacon.firstRoundOfEpoch(epoch));
  }

  get lengthMs(): number {
    const { current } = this;
    return this.startOf(current + 1) - this.startOf(current);
  }

  /** `ms`, but no more than a part of an epoch: test networks have epochs of seconds. */
  within(ms: number, part: number): number {
    return Math.min(ms, this.lengthMs / part);
  }

  /** Whether a claim may be of that epoch, by clocks that differ by the tolerated skew. */
  classify(epoch: number): ClaimedEpoch {
    const skewMs = this.within(this.#options.skewMs, 4);
    return classifyEpoch({ epoch, nowMs: this.#clock.nowMs(), schedule: this.#beacon, skewMs });
  }

  async inputOf(
    epoch: number,
    options: { readonly waitMs: number; readonly signal: AbortSignal },
  ): Promise<EpochInput> {
    const known = this.#known.get(epoch);
    if (known !== undefined) return known;
    using deadline = createClockDeadline(this.#clock, options.waitMs, options.signal);
    try {
      const round = this.#beacon.firstRoundOfEpoch(epoch);
      const { value, isPredictable } = await raceSignal(
        this.#beacon.value(round, { signal: deadline.signal }),
        deadline.signal,
      );
      const input = encodeSelectionInput({ network: this.#options.networkId, epoch, beacon: value });
      return this.#remember(epoch, { kind: 'known', input, isPredictable });
    } catch (error) {
      options.signal.throwIfAborted();
      if (deadline.signal.aborted) {
        return { kind: 'unknown', code: 'BEACON_SLOW', message: `no value of the beacon within ${options.waitMs} ms` };
      }
      if (!isDaemonError(error)) throw error;
      return { kind: 'unknown', code: error.code, message: error.message };
    }
  }

  #remember(epoch: number, known: Extract<EpochInput, { kind: 'known' }>): EpochInput {
    this.#known.set(epoch, known);
    for (const old of this.#known.keys()) {
      if (this.#known.size <= KEPT_EPOCHS) break;
      this.#known.delete(old);
    }
    return known;
  }
}
