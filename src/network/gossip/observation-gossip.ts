import type { GossipSub, Message } from '@libp2p/gossipsub';
import type { PeerKey } from '../../domain/ids.ts';
import type { ObservationItem } from '../../domain/observation.ts';
import { refuseObservation } from '../../domain/observation-rules.ts';
import { ACCEPT, type Verdict } from '../../lib/verdict.ts';
import type { ObservationSource } from '../../reputation/interface.ts';
import { NetworkError } from '../errors.ts';
import { TokenBucket } from '../reqresp/token-bucket.ts';
import { decodeObservationMessage, encodeObservationMessage } from './observation-wire.ts';
import { type GatedMessage, TopicGate, type TopicGateModules } from './topic-gate.ts';
import { TopicMesh } from './topic-mesh.ts';
import { TOPICS, topicId } from './topics.ts';

export interface ObservationGossipModules extends TopicGateModules {
  /** Who judges the observations; null while nobody does. */
  readonly source: () => ObservationSource | null;
}

/** Half of what peers let pass, so that a message that was held up and its successor do not look like a flood. */
const PUBLISH_PACE = {
  perSecond: TOPICS.observations.publisherRate.perSecond / 2,
  burst: TOPICS.observations.publisherRate.burst / 2,
} as const;

/** The topic `observations`: judges what comes in before it is passed on, and publishes what this node has observed. */
export class ObservationGossip {
  readonly #modules: ObservationGossipModules;
  readonly #topic: string;
  readonly #gate: TopicGate;
  readonly #mesh: TopicMesh;
  readonly #pace: TokenBucket;
  #pubsub: GossipSub | null = null;

  constructor(modules: ObservationGossipModules, options: { readonly networkId: string }) {
    this.#modules = modules;
    this.#topic = topicId(options.networkId, 'observations');
    this.#mesh = new TopicMesh([this.#topic]);
    this.#pace = new TokenBucket(modules.clock, PUBLISH_PACE);
    this.#gate = new TopicGate(modules, {
      networkId: options.networkId,
      topic: 'observations',
      isServed: () => modules.source() !== null,
      judge: (message) => this.#judge(message),
    });
  }

  /** The network runs: the validator stands before anything is subscribed to. */
  attach(pubsub: GossipSub): void {
    this.#pubsub = pubsub;
    this.#mesh.attach(pubsub);
    this.#gate.attach(pubsub);
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

  /**
   * Reaches nobody while it would be more than peers let pass: to be tried again later, with more at once.
   * @throws NetworkError NETWORK_TOO_LARGE, NETWORK_NOT_RUNNING
   */
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
    if (!this.#pace.take()) return { recipients: 0 };
    const { recipients } = await this.#pubsub.publish(this.#topic, data);
    return { recipients: recipients.length };
  }

  judge(source: string, message: Message): Promise<Verdict> {
    return this.#gate.judge(source, message);
  }

  async #judge({ data, publisher }: GatedMessage): Promise<Verdict> {
    const judge = this.#modules.source();
    if (judge === null) return refuseObservation('OBSERVATION_UNSERVED');
    const items = decodeObservationMessage(data);
    return items === null ? refuseObservation('OBSERVATION_MALFORMED') : judgeAll(judge, items, publisher);
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
