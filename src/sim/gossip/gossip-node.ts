import type { Message } from '@libp2p/gossipsub';
import type { Verdict } from '../../lib/verdict.ts';
import { AnnouncementGossip } from '../../network/gossip/announcement-gossip.ts';
import { createNetworkMetrics } from '../../network/metrics.ts';
import { PeerPenalties } from '../../network/peers/peer-penalties.ts';
import { NoopLogger } from '../../telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../telemetry/noop-metrics.ts';
import type { VirtualClock } from '../clock/virtual-clock.ts';
import { SIMULATED_NETWORK } from './announce.ts';

/** A gossiped message on its way; its number stands for gossipsub's message id. */
export interface Parcel {
  readonly number: number;
  readonly message: Message;
  readonly isHonest: boolean;
  readonly sentAtMs: number;
}

/**
 * What a message costs its receiver, ms: the upper bound that the design allows a delivery, and a sixth of it (assumed)
 * where it is refused before its signature is looked at.
 */
const COST_MS = { opened: 0.6, refused: 0.1 } as const;
/** Refused before anything was verified. */
const CHEAP_CODES: ReadonlySet<string> = new Set([
  'NETWORK_ANNOUNCEMENT_RATE',
  'NETWORK_ANNOUNCEMENT_FLOOD',
  'NETWORK_ANNOUNCEMENT_REQUESTER_RATE',
  'NETWORK_ANNOUNCEMENT_TOO_LARGE',
]);

/** One honest node's judgement of announcements: the daemon's validator and penalties, one message at a time. */
export class GossipNode {
  readonly #clock: VirtualClock;
  readonly #penalties: PeerPenalties;
  readonly #gossip: AnnouncementGossip;
  readonly #seen = new Set<number>();
  #busyUntilMs = 0;
  #workMs = 0;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
    this.#penalties = new PeerPenalties(clock);
    this.#gossip = new AnnouncementGossip(
      {
        penalties: this.#penalties,
        clock,
        metrics: createNetworkMetrics(new NoopMetricsRegistry()),
        logger: new NoopLogger(),
        onPenalty: () => {},
      },
      { networkId: SIMULATED_NETWORK },
    );
    this.#gossip.listen(['cpu'], () => {});
  }

  /** What judging took so far, ms. */
  get workMs(): number {
    return this.#workMs;
  }

  /** gossipsub's cache of message ids: false if it came before. */
  note(parcel: Parcel): boolean {
    if (this.#seen.has(parcel.number)) return false;
    this.#seen.add(parcel.number);
    return true;
  }

  /** Judges it when the messages before it are done. Rejections count against who passed it on. */
  async judge(source: string, parcel: Parcel): Promise<Verdict> {
    const verdict = await this.#gossip.judge(source, parcel.message, 'cpu');
    if (verdict.kind === 'reject') this.#penalties.add(source, verdict.penalty);
    const isCheap = verdict.kind !== 'accept' && CHEAP_CODES.has(verdict.code);
    const costMs = isCheap ? COST_MS.refused : COST_MS.opened;
    this.#workMs += costMs;
    this.#busyUntilMs = Math.max(this.#busyUntilMs, this.#clock.monotonicMs()) + costMs;
    await this.#clock.wait(this.#busyUntilMs - this.#clock.monotonicMs());
    return verdict;
  }

  isBanned(source: string): boolean {
    return this.#penalties.isBanned(source);
  }
}
