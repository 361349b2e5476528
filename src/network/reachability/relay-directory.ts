import type { PeerInfo } from '@libp2p/interface';
import { EventTypes, type KadDHT } from '@libp2p/kad-dht';
import { createDeadline } from '../../lib/abort.ts';
import { encodeUtf8 } from '../../lib/bytes.ts';
import { computeRawCid } from '../../lib/cid.ts';
import { describeError } from '../../lib/errors.ts';
import type { Logger } from '../../telemetry/interface.ts';
import { DHT_QUERY_TIMEOUT_MS } from '../constants.ts';

/** CID under which relays say in the DHT that they are there. */
const RELAY_CID = computeRawCid(encodeUtf8('fogproof/service/relay'));

/** Relays in the DHT. */
export class RelayDirectory {
  readonly #dht: Pick<KadDHT, 'provide' | 'cancelReprovide' | 'findProviders'>;
  readonly #logger: Logger;
  readonly #signal: AbortSignal;

  constructor(modules: {
    readonly dht: Pick<KadDHT, 'provide' | 'cancelReprovide' | 'findProviders'>;
    readonly logger: Logger;
    readonly signal: AbortSignal;
  }) {
    this.#dht = modules.dht;
    this.#logger = modules.logger;
    this.#signal = modules.signal;
  }

  /** The DHT tells it again before it expires, until it is cancelled. */
  provide(): Promise<void> {
    return this.#query(async (signal) => {
      for await (const _event of this.#dht.provide(RELAY_CID, { signal }));
    });
  }

  cancel(): Promise<void> {
    return this.#query((signal) => this.#dht.cancelReprovide(RELAY_CID, { signal }));
  }

  async find(limit: number): Promise<readonly PeerInfo[]> {
    const found = new Map<string, PeerInfo>();
    await this.#query(async (signal) => {
      for await (const event of this.#dht.findProviders(RELAY_CID, { signal })) {
        if (event.type !== EventTypes.PROVIDER) continue;
        for (const provider of event.providers) found.set(provider.id.toString(), provider);
        if (found.size >= limit) return;
      }
    });
    return [...found.values()].slice(0, limit);
  }

  async #query(run: (signal: AbortSignal) => Promise<void>): Promise<void> {
    using deadline = createDeadline(DHT_QUERY_TIMEOUT_MS, this.#signal);
    try {
      await run(deadline.signal);
    } catch (error) {
      if (!this.#signal.aborted) this.#logger.debug({ reason: describeError(error) }, 'a DHT query for relays failed');
    }
  }
}
