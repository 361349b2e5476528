import { type GossipSub, gossipsub, type Message, TopicValidatorResult } from '@libp2p/gossipsub';
import { RPC } from '@libp2p/gossipsub/message';
import { identify } from '@libp2p/identify';
import type { Libp2p, Stream, StreamMuxerFactory } from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { tcp } from '@libp2p/tcp';
import { tls } from '@libp2p/tls';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import type { Identity } from '../../src/identity/interface.ts';
import { concatBytes, encodeUtf8 } from '../../src/lib/bytes.ts';
import { SystemRandom } from '../../src/lib/random.ts';
import { dialSurely, type GossipNode, JOB_TOPIC, whenever } from './gossip-node.ts';
import { createTestIdentity } from './network.ts';

const random = new SystemRandom();
const PROTOCOL = '/meshsub/1.1.0';
/** Signed together with the message (pubsub specification, "Message Signing"). */
const SIGN_PREFIX = 'libp2p-pubsub:';

/** Whether, and after how long, a message of others is passed on. */
export type PassOn = (message: Message) => boolean | Promise<boolean>;

/** A peer that takes part in gossip, keeps its place in the mesh, and passes on what it likes. */
export class GossipAttacker implements AsyncDisposable {
  readonly identity: Identity;
  /** May be changed while it runs: a covert attacker. */
  passOn: PassOn;
  readonly #host: Libp2p<{ readonly pubsub: GossipSub }>;

  private constructor(identity: Identity, host: Libp2p<{ readonly pubsub: GossipSub }>, passOn: PassOn) {
    this.identity = identity;
    this.#host = host;
    this.passOn = passOn;
  }

  static async start(passOn: PassOn = () => false): Promise<GossipAttacker> {
    const identity = await createTestIdentity();
    const host = await createLibp2p({
      privateKey: identity.privateKey,
      addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
      transports: [tcp()],
      connectionEncrypters: [tls()],
      streamMuxers: [yamux()],
      connectionManager: { inboundConnectionThreshold: 500 },
      services: {
        identify: identify(),
        pubsub: gossipsub({
          allowPublishToZeroTopicPeers: true,
          ignoreDuplicatePublishError: true,
          scoreParams: { IPColocationFactorWeight: 0, behaviourPenaltyWeight: 0 },
        }),
      },
    });
    const attacker = new GossipAttacker(identity, host, passOn);
    const { pubsub } = host.services;
    pubsub.topicValidators.set(JOB_TOPIC, async (_source, message) =>
      (await attacker.passOn(message)) ? TopicValidatorResult.Accept : TopicValidatorResult.Ignore,
    );
    pubsub.subscribe(JOB_TOPIC);
    return attacker;
  }

  /** Connected, and each told the other that it listens. */
  async connect(node: GossipNode): Promise<void> {
    await dialSurely(() => this.#host.dial(multiaddr(node.address)));
    const self = this.identity.peer;
    await whenever('an attacker is in', () =>
      node.host.services.pubsub.getSubscribers(JOB_TOPIC).some((peer) => peer.toString() === self),
    );
  }

  async publish(data: Uint8Array): Promise<void> {
    await this.#host.services.pubsub.publish(JOB_TOPIC, data);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#host.stop();
  }
}

export interface RawMessageOptions {
  readonly data: Uint8Array;
  readonly topic?: string;
  readonly seqno?: Uint8Array;
}

export interface RawBehaviour {
  /** What it does with the gossip stream that the node opens towards it. */
  readonly onInbound?: (stream: Stream) => void;
  /** Answers no stream that is opened towards it. */
  readonly isHalfOpen?: boolean;
}

/** A peer that writes what it likes on a gossip stream, and answers only what it is told to. */
export class RawGossip implements AsyncDisposable {
  readonly identity: Identity;
  readonly stream: Stream;
  readonly #host: Libp2p;

  private constructor(identity: Identity, host: Libp2p, stream: Stream) {
    this.identity = identity;
    this.#host = host;
    this.stream = stream;
  }

  static async dial(node: Pick<GossipNode, 'address'>, behaviour: RawBehaviour = {}): Promise<RawGossip> {
    const identity = await createTestIdentity();
    const host = await createLibp2p({
      privateKey: identity.privateKey,
      addresses: { listen: [] },
      transports: [tcp()],
      connectionEncrypters: [tls()],
      streamMuxers: [behaviour.isHalfOpen === true ? createSilentMuxer : yamux()],
    });
    await host.handle(PROTOCOL, (stream) => behaviour.onInbound?.(stream));
    const connection = await host.dial(multiaddr(node.address));
    const stream = await connection.newStream(PROTOCOL);
    return new RawGossip(identity, host, stream);
  }

  send(rpc: Partial<RPC>): void {
    this.sendFrame(RPC.encode({ subscriptions: [], messages: [], ...rpc }));
  }

  sendFrame(bytes: Uint8Array): void {
    this.stream.send(concatBytes(encodeVarint(bytes.length), bytes));
  }

  /** A validly signed pubsub message of its own. */
  signMessage(options: RawMessageOptions): Promise<RPC.Message> {
    return signMessage(this.identity, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#host.stop();
  }
}

export async function signMessage(
  author: Identity,
  { data, topic = JOB_TOPIC, seqno = random.bytes(8) }: RawMessageOptions,
): Promise<RPC.Message> {
  const message: RPC.Message = { from: peerIdFromString(author.peer).toMultihash().bytes, data, seqno, topic };
  const signature = await author.sign(concatBytes(encodeUtf8(SIGN_PREFIX), RPC.Message.encode(message)));
  return { ...message, signature };
}

/** Never tells its host of a stream that the other side opens. */
function createSilentMuxer(): StreamMuxerFactory {
  const factory = yamux()();
  return {
    protocol: factory.protocol,
    createStreamMuxer: (connection) => {
      const muxer = factory.createStreamMuxer(connection);
      const listen = muxer.addEventListener.bind(muxer);
      muxer.addEventListener = (...listening: Parameters<typeof listen>) => {
        if (listening[0] !== 'stream') listen(...listening);
      };
      return muxer;
    },
  };
}

function encodeVarint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>>= 7;
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}
