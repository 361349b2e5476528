import type { GossipSub } from '@libp2p/gossipsub';
import type { Connection, PeerId, Stream } from '@libp2p/interface';
import { LRUCache } from 'lru-cache';
import type { PeerKey } from '../../../domain/ids.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { Logger } from '../../../telemetry/interface.ts';
import { MAX_KNOWN_PEERS } from '../../constants.ts';
import type { NetworkMetrics } from '../../metrics.ts';
import type { PeerPenalties } from '../../peers/peer-penalties.ts';
import { TokenBucket } from '../../reqresp/token-bucket.ts';
import { parsePeer } from '../topic-gate.ts';
import { BEHAVIOUR_THRESHOLD, ROUTER_RATE, SCORE_THRESHOLDS } from './constants.ts';
import { ROUTER_RULES, type RouterRuleCode } from './router-rules.ts';

export interface RouterGuardModules {
  readonly penalties: PeerPenalties;
  readonly clock: Clock;
  readonly metrics: NetworkMetrics;
  readonly logger: Logger;
  /** Penalties were added: it is disconnected if they are too many. */
  readonly onPenalty: (peer: PeerKey) => void;
}

interface Rpc {
  readonly messages: readonly unknown[];
}

/** What the class has and its exported interface does not. gossipsub calls all of these on itself by name. */
export interface RouterInternals {
  decodeRpc(bytes: Uint8Array): Rpc;
  handleReceivedRpc(from: PeerId, rpc: Rpc): Promise<void>;
  validateReceivedMessage(from: PeerId, message: unknown): Promise<{ readonly code: string; readonly reason?: string }>;
  handlePeerReadStreamError(error: Error, from: PeerId): void;
  createOutboundStream(peer: PeerId, connection: Connection): Promise<void>;
  getScore(peer: string): number;
  dumpPeerScoreStats(): Readonly<Record<string, PeerScoreStats>>;
  readonly streamsOutbound: ReadonlyMap<string, { readonly rawStream: Stream }>;
}

interface PeerScoreStats {
  readonly behaviourPenalty: number;
  readonly topics: Readonly<Record<string, { readonly invalidMessageDeliveries: number }>>;
}

/** Stands for a frame that could not be decoded, on its way to where its sender is known. */
const UNDECODABLE: Rpc = { messages: [] };

/**
 * What gossipsub leaves open: it counts frames and messages that are no good without saying whose they are, verifies
 * the signatures of any number of messages, opens its streams one after the other, so that one peer that does not
 * answer keeps those of all others waiting, and keeps who cannot be sent to any more in its mesh.
 */
export class RouterGuard {
  readonly #modules: RouterGuardModules;
  readonly #buckets = new LRUCache<string, TokenBucket>({ max: MAX_KNOWN_PEERS });

  constructor(modules: RouterGuardModules) {
    this.#modules = modules;
  }

  /** Before the router is started. */
  attach(router: GossipSub, hangUp: (peer: PeerId) => Promise<void>): void {
    // The class declares these private or not at all; a test holds every one of them to what is relied on here.
    const internals = router as unknown as RouterInternals;
    this.#guardFrames(internals);
    this.#guardMessages(internals);
    this.#guardStreams(internals, hangUp);
    router.addEventListener('gossipsub:heartbeat', () => this.#banGraylisted(router, internals));
  }

  #guardFrames(internals: RouterInternals): void {
    const decode = internals.decodeRpc.bind(internals);
    const fail = internals.handlePeerReadStreamError.bind(internals);
    internals.decodeRpc = (bytes) => {
      try {
        return decode(bytes);
      } catch {
        return UNDECODABLE;
      }
    };
    internals.handlePeerReadStreamError = (error, from) => {
      if (error.name === 'InvalidDataLengthError') this.#refuse(from, 'GOSSIP_FRAME_TOO_LARGE');
      fail(error, from);
    };
  }

  #guardMessages(internals: RouterInternals): void {
    const receive = internals.handleReceivedRpc.bind(internals);
    const validate = internals.validateReceivedMessage.bind(internals);
    internals.handleReceivedRpc = async (from, rpc) => {
      if (rpc === UNDECODABLE) return this.#refuse(from, 'GOSSIP_UNDECODABLE');
      if (this.#modules.penalties.isBanned(from.toString())) return this.#count('GOSSIP_BANNED');
      const bucket = this.#bucketOf(from.toString());
      const messages = rpc.messages.filter(() => bucket.take());
      const isFlood = messages.length < rpc.messages.length;
      if (isFlood) this.#refuse(from, 'GOSSIP_FLOOD');
      await receive(from, isFlood ? { ...rpc, messages } : rpc);
    };
    internals.validateReceivedMessage = async (from, message) => {
      const result = await validate(from, message);
      if (result.code === 'invalid' && result.reason === 'error') this.#refuse(from, 'GOSSIP_FORGED');
      return result;
    };
  }

  #guardStreams(internals: RouterInternals, hangUp: (peer: PeerId) => Promise<void>): void {
    const open = internals.createOutboundStream.bind(internals);
    const opening = new Map<string, Promise<void>>();
    const watched = new WeakSet<Stream>();
    const drop = (peer: PeerId, code: RouterRuleCode): void => {
      this.#refuse(peer, code);
      hangUp(peer).catch((error: unknown) => this.#modules.logger.debug({ error }, 'a peer could not be disconnected'));
    };
    const openOne = async (peer: PeerId, connection: Connection): Promise<void> => {
      await open(peer, connection);
      const stream = internals.streamsOutbound.get(peer.toString())?.rawStream;
      if (stream === undefined) {
        if (connection.status === 'open') drop(peer, 'GOSSIP_HALF_OPEN');
        return;
      }
      if (watched.has(stream)) return;
      watched.add(stream);
      stream.addEventListener('close', ({ error }) => {
        if (error?.name === 'StreamBufferError') drop(peer, 'GOSSIP_SLOW_READER');
      });
    };
    // Of one peer in turn, since gossipsub looks for a stream before it opens one; of different peers side by side.
    internals.createOutboundStream = async (peer, connection) => {
      const id = peer.toString();
      const opened = (opening.get(id) ?? Promise.resolve()).then(() => openOne(peer, connection));
      opening.set(id, opened);
      void opened.finally(() => {
        if (opening.get(id) === opened) opening.delete(id);
      });
    };
  }

  /** gossipsub does not hear them, but still reads and decodes what they send. */
  #banGraylisted(router: GossipSub, internals: RouterInternals): void {
    const { penalties } = this.#modules;
    for (const peer of router.getPeers()) {
      const id = peer.toString();
      if (internals.getScore(id) >= SCORE_THRESHOLDS.graylistThreshold || penalties.isBanned(id)) continue;
      const stats = internals.dumpPeerScoreStats()[id];
      // Sharing an address with many lowers the score too, and is no misdeed.
      if (stats !== undefined && hasMisbehaved(stats)) this.#refuse(peer, 'GOSSIP_GRAYLISTED');
    }
  }

  #refuse(peer: PeerId, code: RouterRuleCode): void {
    const { penalties, onPenalty, logger } = this.#modules;
    this.#count(code);
    logger.debug({ peer: peer.toString(), code }, 'gossip of a peer was refused');
    penalties.add(peer.toString(), ROUTER_RULES[code].penalty);
    const key = parsePeer(peer);
    if (key !== null) onPenalty(key);
  }

  #count(code: RouterRuleCode): void {
    const { kind } = ROUTER_RULES[code];
    this.#modules.metrics.gossipVerdicts.increment({ topic: 'router', verdict: kind, code });
  }

  #bucketOf(peer: string): TokenBucket {
    let bucket = this.#buckets.get(peer);
    if (bucket === undefined) {
      bucket = new TokenBucket(this.#modules.clock, ROUTER_RATE);
      this.#buckets.set(peer, bucket);
    }
    return bucket;
  }
}

function hasMisbehaved({ behaviourPenalty, topics }: PeerScoreStats): boolean {
  const isInvalid = Object.values(topics).some(({ invalidMessageDeliveries }) => invalidMessageDeliveries > 0);
  return isInvalid || behaviourPenalty > BEHAVIOUR_THRESHOLD;
}
