import type { GossipSub, Message } from '@libp2p/gossipsub';
import type { SignedWire } from '../../domain/signed.ts';
import { isDaemonError } from '../../lib/errors.ts';
import type { Verdict } from '../../lib/verdict.ts';
import type { BackgroundTasks } from '../background-tasks.ts';
import type { RecordIntake } from '../peers/record-intake.ts';
import { createVerdict } from '../peers/record-rules.ts';
import { decodeRecordWire, encodeRecordWire } from '../peers/record-wire.ts';
import { type GatedMessage, TopicGate, type TopicGateModules } from './topic-gate.ts';
import { TopicMesh } from './topic-mesh.ts';
import { topicId } from './topics.ts';

export interface RecordGossipModules extends TopicGateModules {
  readonly pubsub: GossipSub;
  readonly intake: RecordIntake;
  readonly background: BackgroundTasks;
}

/** The topic `records/1`: judges what comes in before it is passed on, and publishes the own record. */
export class RecordGossip {
  readonly #modules: RecordGossipModules;
  readonly #topic: string;
  readonly #gate: TopicGate;
  readonly #mesh: TopicMesh;
  /** Published when nobody listened; the first that subscribes is told. */
  #unheard: SignedWire | null = null;

  constructor(modules: RecordGossipModules, { networkId }: { readonly networkId: string }) {
    this.#modules = modules;
    this.#topic = topicId(networkId, 'records');
    this.#mesh = new TopicMesh([this.#topic]);
    this.#gate = new TopicGate(modules, { networkId, topic: 'records', judge: (message) => this.#judge(message) });
  }

  start(): void {
    const { pubsub } = this.#modules;
    this.#gate.attach(pubsub);
    this.#mesh.attach(pubsub);
    pubsub.addEventListener('subscription-change', ({ detail }) => {
      const isNew = detail.subscriptions.some((change) => change.subscribe && change.topic === this.#topic);
      const wire = this.#unheard;
      if (isNew && wire !== null) this.#modules.background.run(() => this.publish(wire));
    });
    pubsub.subscribe(this.#topic);
  }

  noteDisconnected(peer: string): void {
    this.#mesh.noteDisconnected(peer);
  }

  get meshPeers(): number {
    return this.#mesh.size(this.#topic);
  }

  async publish(wire: SignedWire): Promise<void> {
    this.#unheard = null;
    const { recipients } = await this.#modules.pubsub.publish(this.#topic, encodeRecordWire(wire));
    if (recipients.length === 0) this.#unheard = wire;
  }

  judge(source: string, message: Message): Promise<Verdict> {
    return this.#gate.judge(source, message);
  }

  async #judge({ data, publisher, source }: GatedMessage): Promise<Verdict> {
    let wire: SignedWire;
    try {
      wire = decodeRecordWire(data);
    } catch (error) {
      if (isDaemonError(error)) return createVerdict('NETWORK_RECORD_MALFORMED');
      throw error;
    }
    return this.#modules.intake.take(wire, 'gossip', publisher, source);
  }
}
