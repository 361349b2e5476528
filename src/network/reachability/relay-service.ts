import type { CircuitRelayServerComponents, CircuitRelayService } from '@libp2p/circuit-relay-v2';
import type { Startable } from '@libp2p/interface';
import { MAX_HOP_STREAMS, MAX_STOP_STREAMS, RESERVATION_TTL_MS } from './constants.ts';
import type { ReachabilityOptions } from './options.ts';

/** Relays connections of others while it is on; its code is loaded when it first is. */
export class RelayService {
  readonly #options: ReachabilityOptions['relay'];
  #components: CircuitRelayServerComponents | null = null;
  #server: (CircuitRelayService & Startable) | null = null;
  #isWanted = false;

  constructor(options: ReachabilityOptions['relay']) {
    this.#options = options;
  }

  /** For the host's list of services; nothing is begun by that. */
  readonly create = (components: CircuitRelayServerComponents): Startable => {
    this.#components = components;
    return { start: () => undefined, stop: () => this.stop() };
  };

  get isRunning(): boolean {
    return this.#server !== null;
  }

  get places(): { readonly taken: number; readonly of: number } {
    return { taken: this.#server?.reservations.size ?? 0, of: this.#options.maxReservations };
  }

  async start(): Promise<void> {
    const components = this.#components;
    if (this.#isWanted || components === null) return;
    this.#isWanted = true;
    const { circuitRelayServer } = await import('@libp2p/circuit-relay-v2');
    const { maxReservations, maxBytes, maxDurationMs } = this.#options;
    const server = circuitRelayServer({
      maxInboundHopStreams: MAX_HOP_STREAMS,
      maxOutboundHopStreams: MAX_HOP_STREAMS,
      maxOutboundStopStreams: MAX_STOP_STREAMS,
      reservations: {
        maxReservations,
        reservationTtl: RESERVATION_TTL_MS,
        defaultDataLimit: BigInt(maxBytes),
        defaultDurationLimit: maxDurationMs,
      },
    })(components) as CircuitRelayService & Startable;
    if (!this.#isWanted) return;
    this.#server = server;
    await server.start();
  }

  /** Ends every relayed connection and forgets the places. */
  async stop(): Promise<void> {
    this.#isWanted = false;
    const server = this.#server;
    this.#server = null;
    await server?.stop();
  }
}
