import type { PeerKey } from '../../domain/ids.ts';
import type { NeighbourRequest, NeighbourResponse } from '../../domain/messages.ts';
import type { AbortOptions } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import { describeError } from '../../lib/errors.ts';
import type { Random } from '../../lib/random.ts';
import type { Logger } from '../../telemetry/interface.ts';
import type { NeighbourCheck, NeighbourDirection, NeighbourStatus, Neighbours } from '../interface.ts';
import { deriveDensityKeys, estimateAround, SizeEstimator } from './candidates/size-estimator.ts';
import { describeStatus } from './describe-status.ts';
import { EpochTurns, type Turn } from './epochs/epoch-turns.ts';
import { Epochs } from './epochs/epochs.ts';
import { ClaimChecker } from './inbound/claim-checker.ts';
import { InboundDesk } from './inbound/inbound-desk.ts';
import type { NeighbourMetrics } from './metrics.ts';
import type { NeighbourOptions } from './options.ts';
import { NeighbourKeeper } from './outbound/neighbour-keeper.ts';
import type {
  CandidateSource,
  EpochBeacon,
  NeighbourLinks,
  NodeFacts,
  NodeOpener,
  SlotStore,
  VrfSuite,
} from './ports.ts';
import { SlotVerifier } from './slot-verifier.ts';
import { TimerSet } from './timer-set.ts';

export interface VrfNeighboursModules {
  readonly clock: Clock;
  readonly random: Random;
  readonly beacon: EpochBeacon;
  readonly vrf: VrfSuite;
  readonly table: CandidateSource;
  readonly links: NeighbourLinks;
  readonly openNode: NodeOpener;
  /** Absent: nothing survives. */
  readonly store?: SlotStore;
  readonly logger: Logger;
  readonly metrics: NeighbourMetrics;
  /** After the turn of each epoch. */
  readonly onTurn?: (epoch: number) => Promise<void>;
}

/** Candidates that arrive one by one are waited for so long before free slots are tried again, ms. */
const FILL_DELAY_MS = 500;

/** What exists from a start to a stop. */
interface Parts {
  readonly controller: AbortController;
  readonly timers: TimerSet;
  readonly keeper: NeighbourKeeper;
  readonly desk: InboundDesk;
  readonly turns: EpochTurns;
}

/**
 * The neighbours of one node. Whoever drives it tells it of connections and of valid node records, and hands it the
 * requests of others; all else goes through its ports.
 */
export class VrfNeighbours implements Neighbours {
  readonly #modules: VrfNeighboursModules;
  readonly #options: NeighbourOptions;
  readonly #epochs: Epochs;
  readonly #checker: ClaimChecker;
  readonly #sizes = new SizeEstimator();
  readonly #listeners = new Set<() => void>();
  readonly #background = new Set<Promise<void>>();
  #parts: Parts;
  #isRunning = false;
  #isFillPlanned = false;
  #isSaving = false;
  #isSaveWanted = false;

  constructor(modules: VrfNeighboursModules, options: NeighbourOptions) {
    this.#modules = modules;
    this.#options = options;
    this.#epochs = new Epochs(modules, options);
    this.#checker = new ClaimChecker(
      { ...modules, epochs: this.#epochs, networkSize: () => this.#sizes.size },
      options,
    );
    this.#parts = this.#createParts();
  }

  /** Takes up the slots of before; the first choice follows in the background once peers were listened to for a while. */
  async start(): Promise<void> {
    if (this.#isRunning) return;
    if (this.#parts.controller.signal.aborted) this.#parts = this.#createParts();
    this.#isRunning = true;
    const { keeper, desk, turns, timers } = this.#parts;
    const stored = await this.#modules.store?.load();
    if (stored !== undefined) {
      this.#sizes.restore(stored.networkSize);
      desk.restore(stored.inbound);
      keeper.restore(stored.outbound);
    }
    this.#sizes.noteKnown(this.#modules.table.size);
    timers.after(this.#epochs.within(this.#options.gatherMs, 8), () => turns.start());
    this.#planUpkeep();
  }

  async stop(): Promise<void> {
    if (!this.#isRunning) return;
    this.#isRunning = false;
    const { controller, turns, timers } = this.#parts;
    controller.abort(new DOMException('the network is stopping', 'AbortError'));
    turns.stop();
    timers.stop();
    while (this.#background.size > 0) await Promise.all(this.#background);
    await this.#save();
  }

  answer(peer: PeerKey, request: NeighbourRequest): Promise<NeighbourResponse> {
    return this.#parts.desk.answer(peer, request);
  }

  /** A valid node record of another peer, and who told. */
  noteNode(node: NodeFacts, teller: string): void {
    const { table } = this.#modules;
    const before = table.version;
    table.note({ node, teller, epoch: this.#epochs.current });
    // Who has had no turn yet says how many it knows: a report of 1 would sink the estimates of all who claim it.
    this.#sizes.noteKnown(table.size);
    if (table.version !== before) this.#planFill();
  }

  noteConnection(peer: PeerKey, isConnected: boolean): void {
    if (!this.#isRunning) return;
    const { table, links } = this.#modules;
    const hasRoom = !isConnected || table.noteObserved(peer, links.observedAddresses(peer));
    if (hasRoom) this.#parts.keeper.noteConnection(peer, isConnected);
    else this.#parts.keeper.noteCrowded(peer);
    this.#parts.desk.noteConnection(peer, isConnected);
  }

  status(): NeighbourStatus {
    const { table, clock, links } = this.#modules;
    const { keeper, desk, turns } = this.#parts;
    return describeStatus(
      { table, clock, links, keeper, desk, turns, epochs: this.#epochs, networkSize: this.#sizes.size },
      this.#options,
    );
  }

  async verify(peer: PeerKey, { signal }: AbortOptions): Promise<readonly NeighbourCheck[]> {
    const { keeper, desk, controller } = this.#parts;
    const verifier = new SlotVerifier(
      { ...this.#modules, epochs: this.#epochs, checker: this.#checker },
      this.#options,
    );
    const slots = { outbound: keeper.slots.get(peer), inbound: desk.slots.get(peer) };
    return verifier.verify(peer, slots, signal ?? controller.signal);
  }

  isNeighbour(peer: PeerKey): NeighbourDirection | 'both' | null {
    const isInbound = this.#parts.desk.slots.get(peer) !== undefined;
    if (this.#parts.keeper.slots.get(peer) === undefined) return isInbound ? 'inbound' : null;
    return isInbound ? 'both' : 'outbound';
  }

  onChange(listener: () => void): Disposable {
    // Two registrations of one function are two listeners.
    const own = (): void => listener();
    this.#listeners.add(own);
    return { [Symbol.dispose]: () => void this.#listeners.delete(own) };
  }

  #createParts(): Parts {
    const controller = new AbortController();
    const { signal } = controller;
    const timers = new TimerSet(this.#modules.clock);
    const common = {
      ...this.#modules,
      timers,
      signal,
      epochs: this.#epochs,
      inBackground: (task: () => Promise<void>) => this.#inBackground(task),
      onChange: (peer: PeerKey) => this.#changed(peer),
    };
    const keeper = new NeighbourKeeper({ ...common, sizes: this.#sizes }, this.#options);
    const desk = new InboundDesk(
      {
        ...common,
        checker: this.#checker,
        networkSize: () => this.#sizes.size,
        isGenesis: () => keeper.isGenesis,
        onLeft: (peer, epoch) => keeper.noteLeft(peer, epoch),
      },
      this.#options,
    );
    const turns = new EpochTurns({ ...common, onTurn: (turn) => this.#onTurn(turn) }, this.#options);
    return { controller, timers, keeper, desk, turns };
  }

  #onTurn(turn: Turn): void {
    const { table, metrics, clock, onTurn } = this.#modules;
    const { keeper, desk } = this.#parts;
    table.sweep(turn.epoch);
    desk.begin(turn.epoch);
    const { isGenesis } = keeper;
    let known = 0;
    for (const _candidate of table.eligible({ epoch: turn.epoch, nowMs: clock.nowMs(), isGenesis })) known += 1;
    this.#sizes.begin(turn.epoch, { known, neighbours: keeper.slots.peers() });
    keeper.begin(turn);
    metrics.turns.increment();
    metrics.candidates.set(table.size);
    metrics.networkSize.set(this.#sizes.size);
    this.#saveSoon();
    this.#inBackground(() => this.#measureDensity(turn));
    if (onTurn !== undefined) this.#inBackground(() => onTurn(turn.epoch));
  }

  async #measureDensity(turn: Turn): Promise<void> {
    const { links, metrics } = this.#modules;
    const keys = deriveDensityKeys(turn.output);
    const found = await links.findClosest?.(keys, { signal: this.#parts.controller.signal });
    if (found === undefined) return;
    this.#sizes.noteDensity(
      turn.epoch,
      keys.map((key, index) => estimateAround(key, found[index] ?? [])),
    );
    metrics.networkSize.set(this.#sizes.size);
  }

  #planUpkeep(): void {
    const { timers, keeper } = this.#parts;
    timers.after(this.#epochs.within(this.#options.upkeepMs, 8), () => {
      this.#sizes.noteKnown(this.#modules.table.size);
      keeper.upkeep();
      this.#planUpkeep();
    });
  }

  #planFill(): void {
    const { timers, keeper } = this.#parts;
    if (!this.#isRunning || this.#isFillPlanned || keeper.slots.free <= 0) return;
    this.#isFillPlanned = true;
    timers.after(this.#epochs.within(FILL_DELAY_MS, 16), () => {
      this.#isFillPlanned = false;
      keeper.fill();
    });
  }

  #changed(peer: PeerKey): void {
    const { links, metrics, logger } = this.#modules;
    const { keeper, desk } = this.#parts;
    const direction = this.isNeighbour(peer);
    links.keep(peer, direction === 'both' ? 'outbound' : direction);
    metrics.neighbours.set(keeper.slots.size, { direction: 'outbound' });
    metrics.neighbours.set(desk.slots.size, { direction: 'inbound' });
    this.#saveSoon();
    for (const listener of this.#listeners) {
      try {
        listener();
      } catch (error) {
        logger.error({ reason: describeError(error) }, 'a listener of the neighbours threw');
      }
    }
  }

  /** Changes that come while one is written are written together. */
  #saveSoon(): void {
    this.#isSaveWanted = true;
    if (this.#isSaving || this.#modules.store === undefined) return;
    this.#isSaving = true;
    this.#inBackground(async () => {
      try {
        while (this.#isSaveWanted) {
          this.#isSaveWanted = false;
          await this.#save();
        }
      } finally {
        this.#isSaving = false;
      }
    });
  }

  async #save(): Promise<void> {
    const { keeper, desk } = this.#parts;
    const networkSize = this.#sizes.last;
    await this.#modules.store?.save({ outbound: keeper.slots.list(), inbound: desk.slots.list(), networkSize });
  }

  #inBackground(task: () => Promise<void>): void {
    const { signal } = this.#parts.controller;
    const running = task()
      .catch((error: unknown) => {
        if (signal.aborted) return;
        this.#modules.logger.warn({ reason: describeError(error) }, 'work on neighbours failed');
      })
      .finally(() => this.#background.delete(running));
    this.#background.add(running);
  }
}
