import type { Clock } from '../../../lib/clock.ts';
import { describeError, InternalError } from '../../../lib/errors.ts';
import type { Random } from '../../../lib/random.ts';
import type { NeighbourOptions } from '../options.ts';
import type { VrfSuite } from '../ports.ts';
import type { Epochs } from './epochs.ts';

/** One epoch's draw of this node. */
export interface Turn {
  readonly epoch: number;
  readonly proof: Uint8Array;
  readonly output: Uint8Array;
  readonly isPredictable: boolean;
}

export interface TurnProblem {
  readonly code: string;
  readonly message: string;
}

export interface EpochTurnsModules {
  readonly epochs: Epochs;
  readonly clock: Clock;
  readonly random: Random;
  readonly vrf: VrfSuite;
  readonly onTurn: (turn: Turn) => void;
  readonly inBackground: (task: () => Promise<void>) => void;
  readonly signal: AbortSignal;
}

type EpochTurnsOptions = Pick<NeighbourOptions, 'vrfPublicKey' | 'jitterMs' | 'upkeepMs' | 'beaconWaitMs'>;

/**
 * Computes the VRF once an epoch, as soon as the beacon gives the value of the epoch's first round. Until it does the last
 * turn stands: nothing is made up (design section 5).
 */
export class EpochTurns {
  readonly #modules: EpochTurnsModules;
  readonly #options: EpochTurnsOptions;
  #timer: Disposable | null = null;
  #turn: Turn | null = null;
  #problem: TurnProblem | null = null;

  constructor(modules: EpochTurnsModules, options: EpochTurnsOptions) {
    this.#modules = modules;
    this.#options = options;
  }

  get turn(): Turn | null {
    return this.#turn;
  }

  /** Why there is no turn for this epoch; null if there is one, or if it is about to come. */
  get problem(): TurnProblem | null {
    return this.#problem;
  }

  start(): void {
    this.#modules.inBackground(() => this.#draw());
  }

  stop(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
  }

  async #draw(): Promise<void> {
    const { epochs, signal } = this.#modules;
    try {
      await this.#drawNow(epochs.current);
    } catch (error) {
      if (signal.aborted) return;
      this.#problem = { code: 'INTERNAL', message: describeError(error) };
      this.#schedule(epochs.within(this.#options.upkeepMs, 8));
      throw error;
    }
  }

  async #drawNow(epoch: number): Promise<void> {
    const { epochs, signal, onTurn } = this.#modules;
    // A timer may fire a little early.
    if (this.#turn?.epoch === epoch) return this.#scheduleNext(epoch);
    const input = await epochs.inputOf(epoch, { waitMs: this.#options.beaconWaitMs, signal });
    if (signal.aborted) return;
    if (input.kind === 'unknown') {
      this.#problem = { code: input.code, message: input.message };
      this.#schedule(epochs.within(this.#options.upkeepMs, 8));
      return;
    }
    const turn = { epoch, isPredictable: input.isPredictable, ...(await this.#prove(input.input)) };
    if (signal.aborted) return;
    this.#problem = null;
    this.#turn = turn;
    this.#scheduleNext(epoch);
    onTurn(turn);
  }

  async #prove(input: Uint8Array): Promise<Pick<Turn, 'proof' | 'output'>> {
    const { vrf } = this.#modules;
    const proof = await vrf.prove(input);
    const verdict = vrf.verify(this.#options.vrfPublicKey, input, proof);
    if (verdict.kind === 'invalid') throw new InternalError(`the own VRF proof is not valid: ${verdict.reason}`);
    return { proof, output: verdict.output };
  }

  #scheduleNext(epoch: number): void {
    const { epochs, clock, random } = this.#modules;
    const [high = 0, low = 0] = random.bytes(2);
    const jitterMs = ((high * 256 + low) / 65_536) * epochs.within(this.#options.jitterMs, 16);
    this.#schedule(epochs.startOf(epoch + 1) - clock.nowMs() + jitterMs);
  }

  #schedule(delayMs: number): void {
    this.stop();
    this.#timer = this.#modules.clock.schedule(Math.max(1, delayMs), () => {
      this.#modules.inBackground(() => this.#draw());
    });
  }
}
