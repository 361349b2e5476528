import type { Clock } from '../lib/clock.ts';
import { BeaconError } from './errors.ts';
import type { Beacon } from './interface.ts';
import type { RoundOptions } from './options.ts';

/** Which round and epoch a time belongs to: the same for every source. Rounds and epochs are counted from Unix time 0. */
export class RoundSchedule implements Pick<Beacon, 'roundAt' | 'startOfRound' | 'epochOfRound' | 'firstRoundOfEpoch'> {
  readonly #options: RoundOptions;

  constructor(options: RoundOptions) {
    this.#options = options;
  }

  roundAt(timeMs: number): number {
    return Math.floor(timeMs / this.#options.roundMs);
  }

  startOfRound(round: number): number {
    return round * this.#options.roundMs;
  }

  epochOfRound(round: number): number {
    return Math.floor(round / this.#options.epochRounds);
  }

  firstRoundOfEpoch(epoch: number): number {
    return epoch * this.#options.epochRounds;
  }

  /** @throws BeaconError BEACON_BAD_ROUND, BEACON_NOT_YET */
  assertBegun(round: number, clock: Clock): void {
    if (!Number.isSafeInteger(round) || round < 0) throw new BeaconError({ code: 'BEACON_BAD_ROUND', round });
    const startsInMs = this.startOfRound(round) - clock.nowMs();
    if (startsInMs > 0) throw new BeaconError({ code: 'BEACON_NOT_YET', round, startsInMs });
  }

  /** What a status says of every source. */
  describe(clock: Clock): { roundMs: number; epochRounds: number; currentRound: number; currentEpoch: number } {
    const { roundMs, epochRounds } = this.#options;
    const currentRound = this.roundAt(clock.nowMs());
    return { roundMs, epochRounds, currentRound, currentEpoch: this.epochOfRound(currentRound) };
  }
}
