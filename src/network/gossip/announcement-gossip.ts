import type { GossipSub, Message } from '@libp2p/gossipsub';
import type { Announcement } from '../../domain/announcement.ts';
import type { CapabilityClass } from '../../domain/capability.ts';
import type { Signed } from '../../domain/signed.ts';
import { describeError } from '../../lib/errors.ts';
import type { Verdict } from '../../lib/verdict.ts';
import type { Logger } from '../../telemetry/interface.ts';
import { CLOCK_SKEW_MS, MAX_SEEN_ANNOUNCEMENTS } from '../constants.ts';
import { NetworkError } from '../errors.ts';
import type { JobAnnouncements } from '../interface.ts';
import { judgeAnnouncement, refuseAnnouncement } from './announcement-rules.ts';
import { encodeAnnouncementWire, openAnnouncement } from './announcement-wire.ts';
import { SeenUntil } from './seen-until.ts';
import { type GatedMessage, TopicGate, type TopicGateModules } from './topic-gate.ts';
import { TopicMesh } from './topic-mesh.ts';
import { JOB_TOPICS, type JobTopicName, jobTopic, TOPICS, topicId } from './topics.ts';

export interface AnnouncementGossipModules extends TopicGateModules {
  readonly logger: Logger;
}

/** There only while the network runs. */
export interface AnnouncementOutlets {
  readonly pubsub: GossipSub;
  /** Connects to some who take jobs of the class. Bounded in time; never rejects. */
  readonly seekTakers: (capabilityClass: CapabilityClass, models: readonly string[]) => Promise<void>;
}

interface Listener {
  readonly classes: readonly CapabilityClass[];
  readonly onAnnouncement: (announcement: Signed<Announcement>) => void;
}

/** The topics `jobs/<class>`: judges what comes in before it is passed on, and publishes what this node looks for. */
export class AnnouncementGossip implements JobAnnouncements {
  readonly #modules: AnnouncementGossipModules;
  readonly #networkId: string;
  readonly #listeners = new Set<Listener>();
  readonly #seen = new SeenUntil({ capacity: MAX_SEEN_ANNOUNCEMENTS });
  readonly #gates: ReadonlyMap<CapabilityClass, TopicGate>;
  readonly #mesh: TopicMesh;
  #outlets: AnnouncementOutlets | null = null;

  constructor(modules: AnnouncementGossipModules, options: { readonly networkId: string }) {
    this.#modules = modules;
    this.#networkId = options.networkId;
    this.#mesh = new TopicMesh(JOB_TOPICS.map(({ name }) => topicId(options.networkId, name)));
    this.#gates = new Map(
      JOB_TOPICS.map(({ name, capabilityClass }) => {
        const isServed = (): boolean => this.#isHeard(capabilityClass);
        const judge = (message: GatedMessage): Promise<Verdict> => this.#judge(message, capabilityClass);
        return [
          capabilityClass,
          new TopicGate(modules, { networkId: options.networkId, topic: name, isServed, judge }),
        ];
      }),
    );
  }

  /** The network runs: validators stand before anything is subscribed to. */
  attach(outlets: AnnouncementOutlets): void {
    const { pubsub } = outlets;
    this.#outlets = outlets;
    this.#mesh.attach(pubsub);
    for (const gate of this.#gates.values()) gate.attach(pubsub);
    for (const listener of this.#listeners) this.#subscribe(listener.classes);
  }

  detach(): void {
    this.#outlets = null;
  }

  noteDisconnected(peer: string): void {
    this.#mesh.noteDisconnected(peer);
  }

  /** Peers in the mesh of each topic that is listened to. */
  get meshPeers(): Readonly<Partial<Record<JobTopicName, { readonly meshPeers: number }>>> {
    const heard = JOB_TOPICS.filter(({ capabilityClass }) => this.#isHeard(capabilityClass));
    return Object.fromEntries(
      heard.map(({ name }) => [name, { meshPeers: this.#mesh.size(topicId(this.#networkId, name)) }]),
    );
  }

  async announce({ value, wire }: Signed<Announcement>): Promise<{ readonly recipients: number }> {
    const name = jobTopic(value.capabilityClass);
    const data = encodeAnnouncementWire(wire);
    const { maxBytes } = TOPICS[name];
    if (data.length > maxBytes) {
      throw new NetworkError({ code: 'NETWORK_TOO_LARGE', protocol: name, sizeBytes: data.length, maxBytes });
    }
    const topic = topicId(this.#networkId, name);
    const { pubsub, seekTakers } = this.#assertRunning();
    if (pubsub.getSubscribers(topic).length === 0)
      await seekTakers(value.capabilityClass, value.terms.resources.gpus?.models ?? []);
    // The network may have been stopped, and started anew, meanwhile.
    const { recipients } = await this.#assertRunning().pubsub.publish(topic, data);
    this.#modules.metrics.announcementsPublished.increment({ topic: name });
    return { recipients: recipients.length };
  }

  listen(
    classes: readonly CapabilityClass[],
    onAnnouncement: (announcement: Signed<Announcement>) => void,
  ): Disposable {
    const listener: Listener = { classes: [...classes], onAnnouncement };
    this.#listeners.add(listener);
    this.#subscribe(classes);
    return { [Symbol.dispose]: () => this.#leave(listener) };
  }

  judge(source: string, message: Message, capabilityClass: CapabilityClass): Promise<Verdict> {
    const gate = this.#gates.get(capabilityClass);
    if (gate === undefined) throw new TypeError(`no topic of class ${capabilityClass}`);
    return gate.judge(source, message);
  }

  async #judge({ data, publisher }: GatedMessage, capabilityClass: CapabilityClass): Promise<Verdict> {
    const opened = await openAnnouncement(data);
    if (opened.kind === 'refused') return refuseAnnouncement(opened.code);
    const { announcement } = opened;
    const nowMs = this.#modules.clock.nowMs();
    const context = { publisher, capabilityClass, networkId: this.#networkId, nowMs };
    const verdict = judgeAnnouncement(announcement, context);
    if (verdict.kind !== 'accept') return verdict;
    // Past this time it is refused as expired, so nothing older needs to be remembered.
    const untilMs = announcement.value.expiresAtMs + CLOCK_SKEW_MS + 1;
    if (!this.#seen.add(announcement.id, { untilMs, nowMs })) return refuseAnnouncement('NETWORK_ANNOUNCEMENT_SEEN');
    this.#tell(announcement);
    return verdict;
  }

  #tell(announcement: Signed<Announcement>): void {
    for (const { classes, onAnnouncement } of this.#listeners) {
      if (!classes.includes(announcement.value.capabilityClass)) continue;
      try {
        onAnnouncement(announcement);
      } catch (error) {
        this.#modules.logger.error({ reason: describeError(error) }, 'a listener of announcements threw');
      }
    }
  }

  #isHeard(capabilityClass: CapabilityClass): boolean {
    return [...this.#listeners].some(({ classes }) => classes.includes(capabilityClass));
  }

  #subscribe(classes: readonly CapabilityClass[]): void {
    for (const name of classes.map(jobTopic)) this.#outlets?.pubsub.subscribe(topicId(this.#networkId, name));
  }

  #leave(listener: Listener): void {
    if (!this.#listeners.delete(listener)) return;
    for (const capabilityClass of listener.classes) {
      if (this.#isHeard(capabilityClass)) continue;
      this.#outlets?.pubsub.unsubscribe(topicId(this.#networkId, jobTopic(capabilityClass)));
    }
  }

  #assertRunning(): AnnouncementOutlets {
    if (this.#outlets === null) throw new NetworkError({ code: 'NETWORK_NOT_RUNNING' });
    return this.#outlets;
  }
}
