import type { GossipSub, Message, TopicValidatorResult } from '@libp2p/gossipsub';
import type { PeerId } from '@libp2p/interface';
import { LRUCache } from 'lru-cache';
import { PeerKey } from '../../domain/ids.ts';
import type { Clock } from '../../lib/clock.ts';
import { isDaemonError } from '../../lib/errors.ts';
import type { Verdict } from '../../lib/verdict.ts';
import { MAX_KNOWN_PEERS } from '../constants.ts';
import type { NetworkMetrics } from '../metrics.ts';
import type { PeerPenalties } from '../peers/peer-penalties.ts';
import { TokenBucket } from '../reqresp/token-bucket.ts';
import { type MessageRate, TOPICS, type TopicName, type TopicSpec, topicId } from './topics.ts';
import { refuseBy } from './verdict-rule.ts';

export interface TopicGateModules {
  readonly penalties: PeerPenalties;
  readonly clock: Clock;
  readonly metrics: NetworkMetrics;
  /** Penalties were added: it is disconnected if they are too many. */
  readonly onPenalty: (peer: PeerKey) => void;
}

/** What is known of a message once it is in: whose it is, and who passed it on. */
export interface GatedMessage {
  readonly data: Uint8Array;
  /** Authenticated by gossipsub. */
  readonly publisher: PeerKey;
  readonly source: string;
}

export interface TopicGateOptions {
  readonly networkId: string;
  readonly topic: TopicName;
  /** False while this node has no use for the topic: nothing is judged then, and nothing passed on. Absent: always. */
  readonly isServed?: () => boolean;
  /** Decodes, verifies and judges what the message says. */
  readonly judge: (message: GatedMessage) => Promise<Verdict>;
}

/**
 * The way in of one topic, the same for all: rate of the neighbour, size, author, rate of the author; only then is
 * anything decoded. Verdicts are counted, and what is rejected counts against who passed it on.
 */
export class TopicGate {
  readonly #modules: TopicGateModules;
  readonly #options: TopicGateOptions;
  readonly #spec: TopicSpec;
  /** Of each topic its own, so that a flood of one does not silence a neighbour on the others. */
  readonly #neighbours = new LRUCache<string, TokenBucket>({ max: MAX_KNOWN_PEERS });
  readonly #publishers = new LRUCache<string, TokenBucket>({ max: MAX_KNOWN_PEERS });

  constructor(modules: TopicGateModules, options: TopicGateOptions) {
    this.#modules = modules;
    this.#options = options;
    this.#spec = TOPICS[options.topic];
  }

  /** Stands before anything is subscribed to, and where nothing is: gossipsub keeps what it was sent unasked. */
  attach(pubsub: GossipSub): void {
    const { networkId, topic } = this.#options;
    pubsub.topicValidators.set(topicId(networkId, topic), (source, message) => this.#validate(source, message));
  }

  /** gossipsub v1.1, topic validators: accept forwards, ignore drops, reject drops and costs the neighbour. */
  async judge(source: string, message: Message): Promise<Verdict> {
    const { isServed, judge } = this.#options;
    const { neighbourRate, publisherRate, maxBytes, verdicts, gate } = this.#spec;
    if (isServed?.() === false && gate.unserved !== null) return refuseBy(verdicts, gate.unserved);
    if (!this.#bucketOf(this.#neighbours, source, neighbourRate).take()) {
      return refuseBy(verdicts, gate.neighbourRate);
    }
    if (message.data.length > maxBytes) return refuseBy(verdicts, gate.tooLarge);
    const publisher = message.type === 'signed' ? parsePeer(message.from) : null;
    if (publisher === null) return refuseBy(verdicts, gate.malformed);
    if (!this.#bucketOf(this.#publishers, publisher, publisherRate).take()) {
      return refuseBy(verdicts, source === publisher ? gate.flood : gate.publisherRate);
    }
    return judge({ data: message.data, publisher, source });
  }

  async #validate(source: PeerId, message: Message): Promise<TopicValidatorResult> {
    const verdict = await this.judge(source.toString(), message);
    const code = verdict.kind === 'accept' ? '' : verdict.code;
    const { metrics, penalties, onPenalty } = this.#modules;
    metrics.gossipVerdicts.increment({ topic: this.#options.topic, verdict: verdict.kind, code });
    if (verdict.kind === 'reject') {
      const neighbour = parsePeer(source);
      penalties.add(source.toString(), verdict.penalty);
      if (neighbour !== null) onPenalty(neighbour);
    }
    // Of what is invalid gossipsub counts the square; who is only too fast pays its penalty, and nothing beside.
    const told = code === this.#spec.gate.flood ? 'ignore' : verdict.kind;
    // The enum's members are these strings; importing it by value would load gossipsub before it is needed.
    return told as TopicValidatorResult;
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

/** Null where its key is of another kind than ours may be. */
export function parsePeer(peer: PeerId): PeerKey | null {
  try {
    return PeerKey(peer.toString());
  } catch (error) {
    if (isDaemonError(error)) return null;
    throw error;
  }
}
