import type { GossipSub, Message, TopicValidatorResult } from '@libp2p/gossipsub';
import type { PeerId } from '@libp2p/interface';
import { LRUCache } from 'lru-cache';
import type { Announcement } from '../../domain/announcement.ts';
import type { CapabilityClass } from '../../domain/capability.ts';
import { PeerKey } from '../../domain/ids.ts';
import type { Signed } from '../../domain/signed.ts';
import type { Clock } from '../../lib/clock.ts';
import { DaemonError, describeError } from '../../lib/errors.ts';
import type { Verdict } from '../../lib/verdict.ts';
import type { Logger } from '../../telemetry/interface.ts';
import { CLOCK_SKEW_MS, MAX_KNOWN_PEERS, MAX_SEEN_ANNOUNCEMENTS } from '../constants.ts';
import { NetworkError } from '../errors.ts';
import type { JobAnnouncements } from '../interface.ts';
import type { NetworkMetrics } from '../metrics.ts';
import type { PeerPenalties } from '../peers/peer-penalties.ts';
import { TokenBucket } from '../reqresp/token-bucket.ts';
import { judgeAnnouncement, refuseAnnouncement } from './announcement-rules.ts';
import { encodeAnnouncementWire, openAnnouncement } from './announcement-wire.ts';
import { SeenUntil } from './seen-until.ts';
import { TopicMesh } from './topic-mesh.ts';
import { JOB_TOPICS, type JobTopicName, jobTopic, type MessageRate, TOPICS, topicId } from './topics.ts';

export interface AnnouncementGossipModules {
  readonly penalties: PeerPenalties;
  readonly clock: Clock;
  readonly metrics: NetworkMetrics;
  readonly logger: Logger;
  /** Penalties were added: it is disconnected if they are too many. */
  readonly onPenalty: (peer: PeerKey) => void;
}

/** There only while the network runs. */
export interface AnnouncementOutlets {
  readonly pubsub: GossipSub;
  /** Connects to some who take jobs of the class. Bounded in time; never rejects. */
  readonly seekTakers: (capabilityClass: CapabilityClass) => Promise<void>;
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
  readonly #neighbours = new LRUCache<string, TokenBucket>({ max: MAX_KNOWN_PEERS });
  readonly #publishers = new LRUCache<string, TokenBucket>({ max: MAX_KNOWN_PEERS });
  readonly #mesh: TopicMesh;
  #outlets: AnnouncementOutlets | null = null;

  constructor(modules: AnnouncementGossipModules, options: { readonly networkId: string }) {
    this.#modules = modules;
    this.#networkId = options.networkId;
    this.#mesh = new TopicMesh(JOB_TOPICS.map(({ name }) => topicId(options.networkId, name)));
  }

  /** The network runs: validators stand before anything is subscribed to. */
  attach(outlets: AnnouncementOutlets): void {
    const { pubsub } = outlets;
    this.#outlets = outlets;
    this.#mesh.attach(pubsub);
    // Also on topics that are not subscribed to: gossipsub keeps, and tells of, what it was sent unasked.
    for (const { name, capabilityClass } of JOB_TOPICS) {
      pubsub.topicValidators.set(topicId(this.#networkId, name), (source, message) =>
        this.#validate(source, message, capabilityClass),
      );
    }
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
    if (pubsub.getSubscribers(topic).length === 0) await seekTakers(value.capabilityClass);
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

  /** gossipsub v1.1, topic validators: accept forwards, ignore drops, reject drops and costs the neighbour. */
  async judge(source: string, message: Message, capabilityClass: CapabilityClass): Promise<Verdict> {
    const { neighbourRate, publisherRate, maxBytes } = TOPICS[jobTopic(capabilityClass)];
    if (!this.#isHeard(capabilityClass)) return refuseAnnouncement('NETWORK_ANNOUNCEMENT_UNSERVED');
    if (!this.#bucketOf(this.#neighbours, source, neighbourRate).take()) {
      return refuseAnnouncement('NETWORK_ANNOUNCEMENT_RATE');
    }
    if (message.data.length > maxBytes) return refuseAnnouncement('NETWORK_ANNOUNCEMENT_TOO_LARGE');
    const publisher = message.type === 'signed' ? parsePublisher(message.from) : null;
    if (publisher === null) return refuseAnnouncement('NETWORK_ANNOUNCEMENT_MALFORMED');
    // The publisher is authenticated by gossipsub, so its rate is judged before another signature is verified.
    if (publisherRate !== null && !this.#bucketOf(this.#publishers, publisher, publisherRate).take()) {
      return refuseAnnouncement(
        source === publisher ? 'NETWORK_ANNOUNCEMENT_FLOOD' : 'NETWORK_ANNOUNCEMENT_REQUESTER_RATE',
      );
    }
    return this.#open(message.data, { publisher, capabilityClass });
  }

  async #open(
    data: Uint8Array,
    from: { readonly publisher: PeerKey; readonly capabilityClass: CapabilityClass },
  ): Promise<Verdict> {
    const opened = await openAnnouncement(data);
    if (opened.kind === 'refused') return refuseAnnouncement(opened.code);
    const { announcement } = opened;
    const nowMs = this.#modules.clock.nowMs();
    const verdict = judgeAnnouncement(announcement, { ...from, networkId: this.#networkId, nowMs });
    if (verdict.kind !== 'accept') return verdict;
    // Past this time it is refused as expired, so nothing older needs to be remembered.
    const untilMs = announcement.value.expiresAtMs + CLOCK_SKEW_MS + 1;
    if (!this.#seen.add(announcement.id, { untilMs, nowMs })) return refuseAnnouncement('NETWORK_ANNOUNCEMENT_SEEN');
    this.#tell(announcement);
    return verdict;
  }

  async #validate(source: PeerId, message: Message, capabilityClass: CapabilityClass): Promise<TopicValidatorResult> {
    const verdict = await this.judge(source.toString(), message, capabilityClass);
    const code = verdict.kind === 'accept' ? '' : verdict.code;
    const { metrics, penalties, onPenalty } = this.#modules;
    metrics.gossipVerdicts.increment({ topic: jobTopic(capabilityClass), verdict: verdict.kind, code });
    if (verdict.kind === 'reject') {
      const neighbour = parsePublisher(source);
      penalties.add(source.toString(), verdict.penalty);
      if (neighbour !== null) onPenalty(neighbour);
    }
    // The enum's members are these strings; importing it by value would load gossipsub before it is needed.
    return verdict.kind as TopicValidatorResult;
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

  #bucketOf(buckets: LRUCache<string, TokenBucket>, peer: string, rate: MessageRate): TokenBucket {
    let bucket = buckets.get(peer);
    if (bucket === undefined) {
      bucket = new TokenBucket(this.#modules.clock, rate);
      buckets.set(peer, bucket);
    }
    return bucket;
  }

  #assertRunning(): AnnouncementOutlets {
    if (this.#outlets === null) throw new NetworkError({ code: 'NETWORK_NOT_RUNNING' });
    return this.#outlets;
  }
}

/** Null where its key is of another kind than ours may be. */
function parsePublisher(peer: PeerId): PeerKey | null {
  try {
    return PeerKey(peer.toString());
  } catch (error) {
    if (error instanceof DaemonError) return null;
    throw error;
  }
}
