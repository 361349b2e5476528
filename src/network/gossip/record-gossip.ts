import type { GossipSub, Message, TopicValidatorResult } from '@libp2p/gossipsub';
import type { PeerId } from '@libp2p/interface';
import { LRUCache } from 'lru-cache';
import { PeerKey } from '../../domain/ids.ts';
import type { SignedWire } from '../../domain/signed.ts';
import type { Clock } from '../../lib/clock.ts';
import { DaemonError } from '../../lib/errors.ts';
import type { Verdict } from '../../lib/verdict.ts';
import type { BackgroundTasks } from '../background-tasks.ts';
import { MAX_KNOWN_PEERS } from '../constants.ts';
import type { NetworkMetrics } from '../metrics.ts';
import type { PeerPenalties } from '../peers/peer-penalties.ts';
import type { RecordIntake } from '../peers/record-intake.ts';
import { createVerdict } from '../peers/record-rules.ts';
import { decodeRecordWire, encodeRecordWire } from '../peers/record-wire.ts';
import { TokenBucket } from '../reqresp/token-bucket.ts';
import { TOPICS, topicId } from './topics.ts';

export interface RecordGossipModules {
  readonly pubsub: GossipSub;
  readonly intake: RecordIntake;
  readonly penalties: PeerPenalties;
  readonly clock: Clock;
  readonly metrics: NetworkMetrics;
  readonly background: BackgroundTasks;
}

/** The topic `records/1`: judges what comes in before it is passed on, and publishes the own record. */
export class RecordGossip {
  readonly #modules: RecordGossipModules;
  readonly #topic: string;
  readonly #buckets = new LRUCache<string, TokenBucket>({ max: MAX_KNOWN_PEERS });
  /** gossipsub tells of grafts and prunes, but not of those who leave altogether. */
  readonly #mesh = new Set<string>();
  /** Published when nobody listened; the first that subscribes is told. */
  #unheard: SignedWire | null = null;

  constructor(modules: RecordGossipModules, options: { readonly networkId: string }) {
    this.#modules = modules;
    this.#topic = topicId(options.networkId, 'records');
  }

  start(): void {
    const { pubsub } = this.#modules;
    pubsub.topicValidators.set(this.#topic, (source, message) => this.#validate(source, message));
    pubsub.addEventListener('gossipsub:graft', ({ detail }) => {
      if (detail.topic === this.#topic) this.#mesh.add(detail.peerId);
    });
    pubsub.addEventListener('gossipsub:prune', ({ detail }) => {
      if (detail.topic === this.#topic) this.#mesh.delete(detail.peerId);
    });
    pubsub.addEventListener('subscription-change', ({ detail }) => {
      const isNew = detail.subscriptions.some((change) => change.subscribe && change.topic === this.#topic);
      const wire = this.#unheard;
      if (isNew && wire !== null) this.#modules.background.run(() => this.publish(wire));
    });
    pubsub.subscribe(this.#topic);
  }

  noteDisconnected(peer: string): void {
    this.#mesh.delete(peer);
  }

  get meshPeers(): number {
    return this.#mesh.size;
  }

  async publish(wire: SignedWire): Promise<void> {
    this.#unheard = null;
    const { recipients } = await this.#modules.pubsub.publish(this.#topic, encodeRecordWire(wire));
    if (recipients.length === 0) this.#unheard = wire;
  }

  async #validate(source: PeerId, message: Message): Promise<TopicValidatorResult> {
    const verdict = await this.judge(source.toString(), message);
    const code = verdict.kind === 'accept' ? '' : verdict.code;
    this.#modules.metrics.gossipVerdicts.increment({ topic: 'records', verdict: verdict.kind, code });
    if (verdict.kind === 'reject') this.#modules.penalties.add(source.toString(), verdict.penalty);
    // The enum's members are these strings; importing it by value would load gossipsub before it is needed.
    return verdict.kind as TopicValidatorResult;
  }

  /** gossipsub v1.1, topic validators: accept forwards, ignore drops, reject drops and costs the neighbour. */
  async judge(source: string, message: Message): Promise<Verdict> {
    if (!this.#bucketOf(source).take()) return createVerdict('NETWORK_RECORD_RATE');
    if (message.data.length > TOPICS.records.maxBytes) return createVerdict('NETWORK_RECORD_TOO_LARGE');
    if (message.type !== 'signed') return createVerdict('NETWORK_RECORD_MALFORMED');
    let wire: SignedWire;
    let publisher: PeerKey;
    try {
      publisher = PeerKey(message.from.toString());
      wire = decodeRecordWire(message.data);
    } catch (error) {
      if (error instanceof DaemonError) return createVerdict('NETWORK_RECORD_MALFORMED');
      throw error;
    }
    return this.#modules.intake.take(wire, 'gossip', publisher, source);
  }

  #bucketOf(source: string): TokenBucket {
    let bucket = this.#buckets.get(source);
    if (bucket === undefined) {
      bucket = new TokenBucket(this.#modules.clock, TOPICS.records.neighbourRate);
      this.#buckets.set(source, bucket);
    }
    return bucket;
  }
}
