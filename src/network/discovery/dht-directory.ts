import type { PeerInfo } from '@libp2p/interface';
import { EventTypes, type KadDHT } from '@libp2p/kad-dht';
import type { CID } from 'multiformats/cid';
import type { CapabilityClass } from '../../domain/capability.ts';
import type { PeerKey } from '../../domain/ids.ts';
import type { SignedWire } from '../../domain/signed.ts';
import { type AbortOptions, createDeadline } from '../../lib/abort.ts';
import { encodeUtf8 } from '../../lib/bytes.ts';
import { computeRawCid } from '../../lib/cid.ts';
import { describeError } from '../../lib/errors.ts';
import type { Logger } from '../../telemetry/interface.ts';
import { DHT_QUERY_TIMEOUT_MS } from '../constants.ts';
import { decodeRecordWire, encodeRecordWire } from '../peers/record-wire.ts';
import { dhtRecordKey } from './dht-record-rules.ts';

/** What providers announce: a capability class, or a model of GPU that they lend. */
export type CapabilityName = CapabilityClass | `gpu:${string}`;

/** CID under which providers of a capability announce themselves (design section 4). */
export function capabilityCid(name: CapabilityName): CID {
  return computeRawCid(encodeUtf8(`fogproof/capability/${name}`));
}

/** Node records and capability providers in the DHT. Every query has a deadline; a failed one is logged and over. */
export class DhtDirectory {
  readonly #dht: KadDHT;
  readonly #logger: Logger;
  readonly #signal: AbortSignal;
  #provided: readonly CapabilityName[] = [];

  constructor(modules: { readonly dht: KadDHT; readonly logger: Logger; readonly signal: AbortSignal }) {
    this.#dht = modules.dht;
    this.#logger = modules.logger;
    this.#signal = modules.signal;
  }

  async putRecord(peer: PeerKey, wire: SignedWire): Promise<void> {
    await this.#query('put', undefined, async (signal) => {
      for await (const _event of this.#dht.put(dhtRecordKey(peer), encodeRecordWire(wire), { signal }));
    });
  }

  /** The newest record that the DHT has of a peer, its signature and age checked by the validator. */
  async findRecord(peer: PeerKey): Promise<SignedWire | null> {
    let found: SignedWire | null = null;
    await this.#query('get', undefined, async (signal) => {
      for await (const event of this.#dht.get(dhtRecordKey(peer), { signal })) {
        if (event.type === EventTypes.VALUE) found = decodeRecordWire(event.value);
      }
    });
    return found;
  }

  /** Announces what is offered now and stops announcing the rest. */
  async provide(classes: readonly CapabilityName[]): Promise<void> {
    for (const gone of this.#provided.filter((name) => !classes.includes(name))) {
      await this.#query('cancel', undefined, (signal) => this.#dht.cancelReprovide(capabilityCid(gone), { signal }));
    }
    this.#provided = classes;
    for (const name of classes) {
      await this.#query('provide', undefined, async (signal) => {
        for await (const _event of this.#dht.provide(capabilityCid(name), { signal }));
      });
    }
  }

  /** Who says that it has a capability; no more than `limit` of them, where it is given. */
  async findProviders(
    name: CapabilityName,
    { limit = Number.POSITIVE_INFINITY, signal: stop }: AbortOptions & { readonly limit?: number } = {},
  ): Promise<readonly PeerInfo[]> {
    const found = new Map<string, PeerInfo>();
    await this.#query('providers', stop, async (signal) => {
      for await (const event of this.#dht.findProviders(capabilityCid(name), { signal })) {
        if (event.type !== EventTypes.PROVIDER) continue;
        for (const provider of event.providers) found.set(provider.id.toString(), provider);
        if (found.size >= limit) return;
      }
    });
    return [...found.values()];
  }

  /** The peers closest to SHA-256 of a key that answered, as multihash bytes. */
  async findClosest(key: Uint8Array, stop: AbortSignal): Promise<readonly Uint8Array[]> {
    const found: Uint8Array[] = [];
    await this.#query('closest', stop, async (signal) => {
      for await (const event of this.#dht.getClosestPeers(key, { signal })) {
        if (event.type === EventTypes.FINAL_PEER) found.push(event.peer.id.toMultihash().bytes);
      }
    });
    return found;
  }

  async #query(
    kind: string,
    stop: AbortSignal | undefined,
    run: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    using running = createDeadline(DHT_QUERY_TIMEOUT_MS, this.#signal);
    using wanted = createDeadline(DHT_QUERY_TIMEOUT_MS, stop);
    try {
      await run(stop === undefined ? running.signal : AbortSignal.any([running.signal, wanted.signal]));
    } catch (error) {
      if (this.#signal.aborted || stop?.aborted === true) return;
      this.#logger.debug({ kind, reason: describeError(error) }, 'a DHT query failed');
    }
  }
}
