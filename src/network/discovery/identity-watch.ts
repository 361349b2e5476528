import type { PeerKey } from '../../domain/ids.ts';
import type { NodeRecord } from '../../domain/node-record.ts';
import type { Signed } from '../../domain/signed.ts';
import { areBytesEqual } from '../../lib/bytes.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../telemetry/interface.ts';
import type { NetworkMetrics } from '../metrics.ts';
import { compareInstances } from '../peers/instance.ts';

export interface IdentityWatchModules {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: NetworkMetrics;
  /** The own addresses, to tell a sight of oneself from a sight of another. */
  readonly ownAddresses: () => readonly string[];
  /** Connects without naming a peer; resolves when the handshake is over, whatever came of it. */
  readonly probe: (address: string) => Promise<void>;
  /** The other daemon is later: shows it a newer record, so that it sees that this one lives. */
  readonly answerLaterInstance: (record: Signed<NodeRecord>) => void;
}

export interface IdentityWatchOptions {
  readonly self: PeerKey;
  readonly instance: Uint8Array;
  readonly startedAtMs: number;
}

/** After a handshake with ourselves, the time in ms in which the other end of it must have shown up here. */
const ECHO_WAIT_MS = 300;
/** Most addresses that are looked at for one foreign record or hint. */
const MAX_PROBES = 8;

/**
 * Finds another daemon under the same identity. The later one must give way, so only its promise resolves. Proof is
 * a record signed by our key with another instance: issued after our start it shows that its maker lives; issued before
 * it may be our own from an earlier run, so its addresses are dialled, and proof is our own key answering there.
 */
export class IdentityWatch {
  readonly #modules: IdentityWatchModules;
  readonly #options: IdentityWatchOptions;
  readonly #detected = Promise.withResolvers<readonly string[]>();
  readonly #probed = new Set<string>();
  #addresses: readonly string[] | null = null;
  #inboundSelves = 0;
  #outboundSelves = 0;

  constructor(modules: IdentityWatchModules, options: IdentityWatchOptions) {
    this.#modules = modules;
    this.#options = options;
  }

  get detected(): Promise<readonly string[]> {
    return this.#detected.promise;
  }

  get addresses(): readonly string[] | null {
    return this.#addresses;
  }

  /** A valid record of our identity that came from outside. */
  noteRecord(record: Signed<NodeRecord>): void {
    const { instance, issuedAtMs, addresses } = record.value;
    if (areBytesEqual(instance, this.#options.instance)) return;
    const isFresh = issuedAtMs > this.#options.startedAtMs;
    if (!isFresh) {
      this.#probeAll(addresses);
      return;
    }
    this.#modules.metrics.ownIdentitySeen.increment({ sign: 'record' });
    if (compareInstances(instance, this.#options.instance) < 0) {
      this.#conclude(addresses);
      return;
    }
    this.#addresses = addresses;
    this.#modules.logger.warn({ addresses }, 'another daemon started with the identity of this one');
    this.#modules.answerLaterInstance(record);
  }

  /** Somebody names our identity at addresses that are not ours: mDNS, a bootstrap list. */
  noteAddresses(addresses: readonly string[]): void {
    this.#probeAll(addresses);
  }

  /** A handshake in which the other end proved our own identity. */
  noteOwnHandshake(direction: 'inbound' | 'outbound'): void {
    if (direction === 'inbound') this.#inboundSelves += 1;
    else this.#outboundSelves += 1;
  }

  #probeAll(addresses: readonly string[]): void {
    const own = new Set(this.#modules.ownAddresses().map(withoutPeer));
    const targets = addresses.map(withoutPeer).filter((address) => !own.has(address) && !this.#probed.has(address));
    for (const address of targets.slice(0, MAX_PROBES)) {
      if (this.#probed.size >= 64) this.#probed.clear();
      this.#probed.add(address);
      void this.#probe(address);
    }
  }

  /** Our key answers at an address. If no handshake with ourselves came in meanwhile, it was not us who answered. */
  async #probe(address: string): Promise<void> {
    const inboundBefore = this.#inboundSelves;
    const outboundBefore = this.#outboundSelves;
    await this.#modules.probe(address);
    if (this.#outboundSelves === outboundBefore) return;
    await new Promise<void>((resolve) => {
      this.#modules.clock.schedule(ECHO_WAIT_MS, resolve);
    });
    if (this.#inboundSelves !== inboundBefore) return;
    this.#modules.metrics.ownIdentitySeen.increment({ sign: 'handshake' });
    this.#conclude([address]);
  }

  #conclude(addresses: readonly string[]): void {
    if (this.#addresses === null) {
      this.#modules.logger.error({ addresses }, 'another daemon runs with the identity of this one');
    }
    this.#addresses = addresses;
    this.#detected.resolve(addresses);
  }
}

function withoutPeer(address: string): string {
  return address.replace(/\/p2p\/[^/]+$/, '');
}
