import type { GossipSub } from '@libp2p/gossipsub';

/** Who is in the own mesh of some topics: gossipsub tells of grafts and prunes, but not of those who leave altogether. */
export class TopicMesh {
  readonly #topics = new Map<string, Set<string>>();

  constructor(topics: readonly string[]) {
    for (const topic of topics) this.#topics.set(topic, new Set());
  }

  attach(pubsub: GossipSub): void {
    for (const peers of this.#topics.values()) peers.clear();
    pubsub.addEventListener('gossipsub:graft', ({ detail }) => this.#topics.get(detail.topic)?.add(detail.peerId));
    pubsub.addEventListener('gossipsub:prune', ({ detail }) => this.#topics.get(detail.topic)?.delete(detail.peerId));
  }

  noteDisconnected(peer: string): void {
    for (const peers of this.#topics.values()) peers.delete(peer);
  }

  size(topic: string): number {
    return this.#topics.get(topic)?.size ?? 0;
  }
}
