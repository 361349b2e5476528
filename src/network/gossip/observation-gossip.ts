import type { GossipSub, Message, TopicValidatorResult } from '@libp2p/gossipsub';
import type { PeerId } from '@libp2p/interface';
import { LRUCache } from 'lru-cache';
import { PeerKey } from '../../domain/ids.ts';
import type { ObservationItem } from '../../domain/observation.ts';
import { refuseObservation } from '../../domain/observation-rules.ts';
import type { Clock } from '../../lib/clock.ts';
import { isDaemonError } from '../../lib/errors.ts';
import { ACCEPT, type Verdict } from '../../lib/verdict.ts';
import type { ObservationSource } from '../../reputation/interface.ts';
import { MAX_KNOWN_PEERS } from '../constants.ts';
import { NetworkError } from '../errors.ts';
import type { NetworkMetrics } from '../metrics.ts';
import type { PeerPenalties } from '../peers/peer-penalties.ts';
import { TokenBucket } from '../reqresp/token-bucket.ts';
import { decodeObservationMessage, encodeObservationMessage } from './observation-wire.ts';
import { TopicMesh } from './topic-mesh.ts';
import { type MessageRate, TOPICS, topicId } from './topics.ts';

export interface ObservationGossipModules {
  readonly penalties: PeerPenalties;
  readonly clock: Clock;
  readonly metrics: NetworkMetrics;
  /** Penalties were added: it is disconnected if they are too many. */
  readonly onPenalty: (peer: PeerKey) => void;
  /** Who judges the observations; null while nobody does. */
  readonly source: () => ObservationSource | null;
}

/** The topic `observations`: judges what comes in before it is passed on, and publishes what this node has observed. */
export class ObservationGossip {
  readonly #modules: ObservationGossipModules;
  readonly #topic: string;
  readonly #neighbours = new LRUCache<string, TokenBucket>({ max: MAX_KNOWN_PEERS });
  readonly #observers = new LRUCache<string, TokenBucket>({ max: MAX_KNOWN_PEERS });
  readonly #mesh: TopicMesh;
  #pubsub: GossipSub | null = null;

  constructor(modules: ObservationGossipModules, options: { readonly networkId: string }) {
    this.#modules = modules;
    this.#topic = topicId(options.networkId, 'observations');
    this.#mesh = new TopicMesh([this.#topic]);
  }

  /** The network runs: the validator stands before anything is subscribed to. */
  attach(pubsub: GossipSub): void {
    this.#pubsub = pubsub;
    this.#mesh.attach(pubsub);
    pubsub.topicValidators.set(this.#topic, (source, message) => this.#validate(source, message));
    this.update();
  }

  detach(): void {
    this.#pubsub = null;
  }

  /** Who keeps observations listens for them. */
  update(): void {
    if (this.#modules.source() === null) this.#pubsub?.unsubscribe(this.#topic);
    else this.#pubsub?.subscribe(this.#topic);
  }

  noteDisconnected(peer: string): void {
    this.#mesh.noteDisconnected(peer);
  }

  get meshPeers(): number {
    return this.#mesh.size(this.#topic);
  }

  /** @throws NetworkError NETWORK_TOO_LARGE, NETWORK_NOT_RUNNING */
  async publish(items: readonly ObservationItem[]): Promise<{ readonly recipients: number }> {
    const data = encodeObservationMessage(items);
    const { maxBytes } = TOPICS.observations;
    if (data.length > maxBytes) {
      throw new NetworkError({
        code: 'NETWORK_TOO_LARGE',
        protocol: 'observations',
        sizeBytes: data.length,
        maxBytes,
      });
    }
    if (this.#pubsub === null) throw new NetworkError({ code: 'NETWORK_NOT_RUNNING' });
    const { recipients } = await this.#pubsub.publish(this.#topic, data);
    return { recipients: recipients.length };
  }

  /** gossipsub v1.1, topic validators: accept forwards, ignore drops, reject drops and costs the neighbour. */
  async judge(source: string, message: Message): Promise<Verdict> {
    const judge = this.#modules.source();
    if (judge === null) return refuseObservation('OBSERVATION_UNSERVED');
    const { neighbourRate, publisherRate, maxBytes } = TOPICS.observations;
    if (!this.#bucketOf(this.#neighbours, source, neighbourRate).take()) return refuseObservation('OBSERVATION_RATE');
    if (message.data.length > maxBytes) return refuseObservation('OBSERVATION_TOO_LARGE');
    const publisher = message.type === 'signed' ? parsePeer(message.from) : null;
    if (publisher === null) return refuseObservation('OBSERVATION_MALFORMED');
    // The publisher is authenticated by gossipsub, so its rate is judged before other signatures are verified.
    if (!this.#bucketOf(this.#observers, publisher, publisherRate).take()) {
      return refuseObservation(source === publisher ? 'OBSERVATION_FLOOD' : 'OBSERVATION_OBSERVER_RATE');
    }
    const items = decodeObservationMessage(message.data);
    return items === null ? refuseObservation('OBSERVATION_MALFORMED') : judgeAll(judge, items, publisher);
  }

  async #validate(source: PeerId, message: Message): Promise<TopicValidatorResult> {
    const verdict = await this.judge(source.toString(), message);
    const code = verdict.kind === 'accept' ? '' : verdict.code;
    const { metrics, penalties, onPenalty } = this.#modules;
    metrics.gossipVerdicts.increment({ topic: 'observations', verdict: verdict.kind, code });
    if (verdict.kind === 'reject') {
      const neighbour = parsePeer(source);
      penalties.add(source.toString(), verdict.penalty);
      if (neighbour !== null) onPenalty(neighbour);
    }
    // The enum's members are these strings; importing it by value would load gossipsub before it is needed.
    return verdict.kind as TopicValidatorResult;
  }

  #bucketOf(buckets: LRUCache<string, TokenBucket>, peer: string, rate: MessageRate): TokenBucket {
    let bucket = buckets.get(peer);
    if (bucket === undefined) {
      bucket = new TokenBucket(this.#modules.clock, rate);
      buckets.set(peer, bucket);
    }
    return bucket;
  }
}

/** Nothing after the first that is rejected is looked at; a message is passed on if it holds one that counts. */
async function judgeAll(
  source: ObservationSource,
  items: readonly ObservationItem[],
  publisher: PeerKey,
): Promise<Verdict> {
  let verdict: Verdict | null = null;
  for (const item of items) {
    const judged = await source.take(item, publisher);
    if (judged.kind === 'reject') return judged;
    if (verdict === null || judged.kind === 'accept') verdict = judged;
  }
  return verdict ?? ACCEPT;
}

function parsePeer(peer: PeerId): PeerKey | null {
  try {
    return PeerKey(peer.toString());
  } catch (error) {
    if (isDaemonError(error)) return null;
    throw error;
  }
}
