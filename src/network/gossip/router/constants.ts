import { BAN_PENALTY } from '../../constants.ts';

/** Messages of all topics together that one neighbour may send before their signatures are verified: at 90 µs each that is less than 5 % of a core. */
export const ROUTER_RATE = { perSecond: 500, burst: 2_000 } as const;

/** Longest gossipsub RPC, bytes: a frame of the design, section 12. One RPC may answer for several messages of 64 KiB. */
export const MAX_ROUTER_FRAME_BYTES = 1024 * 1024;
/**
 * Entries of one RPC. gossipsub itself tells of up to 5,000 ids in one IHAVE (about 46 bytes each) and asks for as many;
 * there are six topics, and no honest frame of 1 MiB has more messages.
 */
export const RPC_LIMITS = {
  maxSubscriptions: 64,
  maxMessages: 2_000,
  maxIhaveMessageIDs: 5_000,
  maxIwantMessageIDs: 5_000,
  maxControlMessages: 64,
  maxIdontwantMessageIDs: 512,
  maxPeerInfos: 16,
} as const;
/** Gossip streams of one connection: one, and what overlaps while one takes another's place. */
export const MAX_ROUTER_STREAMS = 4;

/**
 * Scores at which a peer is treated worse (gossipsub v1.1, "Score Thresholds"). An honest peer has between 0 and 20.
 * Two invalid messages cost 140, and no more than 20 can be earned: the second leads to the graylist.
 */
export const SCORE_THRESHOLDS = {
  /** Below: nothing is told to it by IHAVE or taken from its IHAVE. Reached by no honest peer. */
  gossipThreshold: -10,
  /** Below: own messages are not sent to it. */
  publishThreshold: -40,
  /** Below: it is not heard, and disconnected if its own deeds led there. Penalties alone lead to a ban first. */
  graylistThreshold: -BAN_PENALTY,
  /** Peers named in a PRUNE are never taken: no score reaches this. Whom we know comes from records and the DHT alone. */
  acceptPXThreshold: 1_000,
  /** Median score of a mesh below which better ones are grafted. Time in the mesh of six topics alone (1.8) stays below. */
  opportunisticGraftThreshold: 2,
} as const;

/** What all topics together can earn. */
export const TOPIC_SCORE_CAP = 10;
/** For a neighbour that the own VRF chose: above those who came by themselves, and less than one invalid message costs. */
export const NEIGHBOUR_BONUS = 5;
/** For a reputation of 1 (lower bound of its credible interval); somebody unknown has about 0 and is not punished. */
export const REPUTATION_BONUS = 5;

/** P1: time in the mesh. Little, for it is earned by who does nothing: at most 0.3 a topic, after five minutes. */
export const MESH_TIME = { weight: 0.001, quantumMs: 1_000, cap: 300 } as const;
/** P2: first deliveries, each 0.1 up to 1.5 a topic. They halve in 7 s, so that what was earned is not kept for an attack. */
export const FIRST_DELIVERIES = { weight: 0.1, decay: 0.9, cap: 15 } as const;
/**
 * P4: invalid messages, by the square of their number. They halve in 69 s. Nobody passes on an invalid message in good
 * faith: every rule that depends on time, rate or what else is known ignores, and costs nothing.
 */
export const INVALID_MESSAGES = { weight: -35, decay: 0.99 } as const;
/**
 * P7: GRAFT before the backoff has passed, IWANT that is not answered. Six are forgiven, since a loaded peer may be late;
 * from the ninth in a few seconds on the graylist follows.
 */
export const BEHAVIOUR_THRESHOLD = 6;
export const BEHAVIOUR = { weight: -10, decay: 0.9 } as const;

/** P6: peers of one address that cost nothing: a household, an office, a rack. The weight is the preset's. */
export const COLOCATION_THRESHOLD = 8;
/** How often scores decay, ms. */
export const SCORE_DECAY_MS = 1_000;
/** A counter below this is forgotten. */
export const SCORE_DECAY_TO_ZERO = 0.01;
/**
 * How long the score of who left is kept, ms. It does not outlast a reconnection, at which gossipsub 17.1.1 begins anew:
 * what outlasts it are the penalties, which are kept here.
 */
export const SCORE_KEPT_MS = 20 * 60_000;
