import { LRUCache } from 'lru-cache';
import type { PeerKey } from '../../domain/ids.ts';
import type { Clock } from '../../lib/clock.ts';
import { describeError } from '../../lib/errors.ts';
import type { Random } from '../../lib/random.ts';
import type { Logger } from '../../telemetry/interface.ts';
import { MAX_RELAY_CANDIDATES, RELAY_RETRY_MS, RELAYS_HELD } from './constants.ts';

export interface RelayKeeperModules {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly places: { list(): readonly string[]; take(relay: PeerKey): Promise<void> };
  /** Connects to a relay that the operator names. */
  readonly dial: (address: string) => Promise<PeerKey>;
  /** Looks for more relays; they come in through `noteRelay` once they are connected. */
  readonly seek: () => Promise<void>;
  /** What tells two relays behind one address group apart, such as `192.0.2.0/24`; null if nothing is known. */
  readonly groupOf: (relay: PeerKey) => string | null;
}

interface Refusal {
  readonly attempts: number;
  readonly notBeforeMs: number;
}

/** Holds places at a few relays of different address groups, the operator's first. */
export class RelayKeeper {
  readonly #modules: RelayKeeperModules;
  readonly #through: readonly string[];
  readonly #connected = new Set<PeerKey>();
  readonly #refused = new LRUCache<string, Refusal>({ max: MAX_RELAY_CANDIDATES });
  #isBusy = false;

  constructor(modules: RelayKeeperModules, options: { readonly through: readonly string[] }) {
    this.#modules = modules;
    this.#through = options.through;
  }

  /** A connected peer relays. */
  noteRelay(peer: PeerKey): void {
    if (this.#connected.size < MAX_RELAY_CANDIDATES) this.#connected.add(peer);
  }

  noteGone(peer: PeerKey): void {
    this.#connected.delete(peer);
  }

  /** One attempt at each relay that is due, until enough places are held. */
  async fill(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    try {
      for (const address of this.#through) {
        if (this.#isFull()) return;
        if (this.#isDue(address)) await this.#try(address, () => this.#modules.dial(address));
      }
      for (const relay of this.#candidates()) {
        if (this.#isFull()) return;
        if (this.#isSpread(relay)) await this.#try(relay, () => Promise.resolve(relay));
      }
      if (!this.#isFull() && this.#isDue('seek')) await this.#seek();
    } finally {
      this.#isBusy = false;
    }
  }

  #isFull(): boolean {
    return this.#modules.places.list().length >= RELAYS_HELD;
  }

  /** Connected relays that are due, in an order of chance. */
  #candidates(): readonly PeerKey[] {
    const held = new Set(this.#modules.places.list());
    const due = [...this.#connected].filter((relay) => !held.has(relay) && this.#isDue(relay));
    const [byte = 0] = this.#modules.random.bytes(1);
    const start = byte % Math.max(1, due.length);
    return [...due.slice(start), ...due.slice(0, start)];
  }

  /** No second relay of one group, as long as another could be had. */
  #isSpread(relay: PeerKey): boolean {
    const { places, groupOf } = this.#modules;
    const group = groupOf(relay);
    const taken = new Set(places.list().map((held) => groupOf(held as PeerKey)));
    if (group === null || !taken.has(group)) return true;
    return this.#candidates().every((other) => groupOf(other) === group);
  }

  #isDue(key: string): boolean {
    const refusal = this.#refused.get(key);
    return refusal === undefined || this.#modules.clock.monotonicMs() >= refusal.notBeforeMs;
  }

  async #seek(): Promise<void> {
    this.#defer('seek');
    await this.#modules.seek();
  }

  async #try(key: string, find: () => Promise<PeerKey>): Promise<void> {
    const { places, logger } = this.#modules;
    try {
      const relay = await find();
      if (!places.list().includes(relay)) await places.take(relay);
      this.#refused.delete(key);
      logger.info({ relay }, 'peers can reach this node through a relay');
    } catch (error) {
      this.#defer(key);
      logger.debug({ relay: key, reason: describeError(error) }, 'a relay gave no place');
    }
  }

  #defer(key: string): void {
    const attempts = (this.#refused.get(key)?.attempts ?? 0) + 1;
    const waitMs = Math.min(RELAY_RETRY_MS.longest, RELAY_RETRY_MS.first * 2 ** (attempts - 1));
    this.#refused.set(key, { attempts, notBeforeMs: this.#modules.clock.monotonicMs() + waitMs });
  }
}
