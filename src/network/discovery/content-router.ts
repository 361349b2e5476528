import type { PeerInfo } from '@libp2p/interface';
import { EventTypes, type KadDHT } from '@libp2p/kad-dht';
import { CID } from 'multiformats/cid';
import { type BlobId, PeerKey } from '../../domain/ids.ts';
import { type AbortOptions, createDeadline } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import { describeError } from '../../lib/errors.ts';
import type { Logger } from '../../telemetry/interface.ts';
import { DHT_QUERY_TIMEOUT_MS, PROVIDE_REFRESH_MS, PROVIDE_RETRY_MS } from '../constants.ts';
import type { ContentRouting } from '../interface.ts';

export interface ContentRouterModules {
  readonly self: PeerKey;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What there is only while the network runs. */
export interface ContentOutlets {
  readonly dht: Pick<KadDHT, 'provide' | 'findProviders' | 'cancelReprovide'>;
  /** Remembers where a peer can be reached. */
  readonly noteAddresses: (info: PeerInfo) => Promise<void>;
  readonly signal: AbortSignal;
}

interface Provided {
  readonly cid: CID;
  users: number;
  failures: number;
  dueAtMs: number;
}

/**
 * Provider records of public blobs in the DHT. What is provided is told when the network runs, one blob after the other, and
 * again long before its record expires; what failed is tried again. Records are kept by multihash, so any other tool that
 * reads this DHT finds them by the blob's CID.
 */
export class ContentRouter implements ContentRouting {
  readonly #modules: ContentRouterModules;
  readonly #provided = new Map<BlobId, Provided>();
  #outlets: ContentOutlets | null = null;
  #timer: Disposable | null = null;
  #isTelling = false;

  constructor(modules: ContentRouterModules) {
    this.#modules = modules;
  }

  attach(outlets: ContentOutlets): void {
    this.#outlets = outlets;
    const nowMs = this.#modules.clock.monotonicMs();
    for (const provided of this.#provided.values()) provided.dueAtMs = nowMs;
    this.#schedule(0);
  }

  detach(): void {
    this.#outlets = null;
    this.#timer?.[Symbol.dispose]();
    this.#timer = null;
  }

  provide(blob: BlobId): Disposable {
    const { clock } = this.#modules;
    const known = this.#provided.get(blob);
    const provided = known ?? { cid: CID.parse(blob), users: 0, failures: 0, dueAtMs: clock.monotonicMs() };
    provided.users += 1;
    this.#provided.set(blob, provided);
    if (known === undefined) this.#schedule(0);
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        provided.users -= 1;
        if (provided.users === 0) this.#cancel(blob, provided);
      },
    };
  }

  async *findProviders(
    blob: BlobId,
    { limit, signal }: AbortOptions & { readonly limit: number },
  ): AsyncGenerator<PeerKey> {
    const outlets = this.#outlets;
    if (outlets === null || limit <= 0) return;
    using running = createDeadline(DHT_QUERY_TIMEOUT_MS, outlets.signal);
    const stop = new AbortController();
    const onAbort = (): void => stop.abort();
    running.signal.addEventListener('abort', onAbort, { once: true });
    signal?.addEventListener('abort', onAbort, { once: true });
    if (running.signal.aborted || signal?.aborted === true) onAbort();
    const found = new Set<PeerKey>([this.#modules.self]);
    try {
      for await (const event of outlets.dht.findProviders(CID.parse(blob), { signal: stop.signal })) {
        if (event.type !== EventTypes.PROVIDER) continue;
        for (const info of event.providers) {
          const peer = parsePeer(info);
          if (peer === null || found.has(peer)) continue;
          found.add(peer);
          await outlets.noteAddresses(info);
          yield peer;
          if (found.size > limit) return;
        }
      }
    } catch (error) {
      // A search that breaks off has found whom it has found.
      if (!stop.signal.aborted) this.#log('providers', error);
    } finally {
      stop.abort();
      running.signal.removeEventListener('abort', onAbort);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  #cancel(blob: BlobId, provided: Provided): void {
    if (this.#provided.get(blob) === provided) this.#provided.delete(blob);
    const outlets = this.#outlets;
    outlets?.dht.cancelReprovide(provided.cid, { signal: outlets.signal }).catch((error: unknown) => {
      this.#log('cancel', error);
    });
  }

  #schedule(delayMs: number): void {
    if (this.#outlets === null) return;
    this.#timer?.[Symbol.dispose]();
    this.#timer = this.#modules.clock.schedule(delayMs, () => {
      this.#timer = null;
      void this.#tellDue();
    });
  }

  /** One at a time: ten thousand blobs must not crowd out other queries. */
  async #tellDue(): Promise<void> {
    if (this.#isTelling) return;
    this.#isTelling = true;
    try {
      for (let due = this.#nextDue(); due !== undefined; due = this.#nextDue()) await this.#tell(due);
    } finally {
      this.#isTelling = false;
    }
    const next = Math.min(...[...this.#provided.values()].map(({ dueAtMs }) => dueAtMs));
    if (Number.isFinite(next)) this.#schedule(Math.max(0, next - this.#modules.clock.monotonicMs()));
  }

  #nextDue(): Provided | undefined {
    if (this.#outlets === null) return undefined;
    const nowMs = this.#modules.clock.monotonicMs();
    for (const provided of this.#provided.values()) if (provided.dueAtMs <= nowMs) return provided;
    return undefined;
  }

  async #tell(provided: Provided): Promise<void> {
    const outlets = this.#outlets;
    if (outlets === null) return;
    let told = 0;
    using deadline = createDeadline(DHT_QUERY_TIMEOUT_MS, outlets.signal);
    try {
      for await (const event of outlets.dht.provide(provided.cid, { signal: deadline.signal })) {
        if (event.type === EventTypes.PEER_RESPONSE && event.messageName === 'ADD_PROVIDER') told += 1;
      }
    } catch (error) {
      if (!outlets.signal.aborted) this.#log('provide', error);
    }
    provided.failures = told > 0 ? 0 : provided.failures + 1;
    const { first, longest } = PROVIDE_RETRY_MS;
    const retryMs = Math.min(longest, first * 2 ** Math.min(16, provided.failures - 1));
    provided.dueAtMs = this.#modules.clock.monotonicMs() + (told > 0 ? PROVIDE_REFRESH_MS : retryMs);
  }

  #log(kind: string, error: unknown): void {
    this.#modules.logger.debug({ kind, reason: describeError(error) }, 'a DHT query failed');
  }
}

function parsePeer(info: PeerInfo): PeerKey | null {
  try {
    return PeerKey(info.id.toString());
  } catch {
    return null;
  }
}
