import type { VerdictTable } from '../verdict-rule.ts';

/** What is refused before any topic's validator is asked, whichever topic it is on. */
export const ROUTER_RULES = {
  GOSSIP_FRAME_TOO_LARGE: {
    kind: 'reject',
    penalty: 25,
    meaning: 'a frame is longer than 1 MiB; its stream is ended',
  },
  GOSSIP_UNDECODABLE: {
    kind: 'reject',
    penalty: 10,
    meaning: 'a frame is no gossipsub RPC, or has more entries than one may have',
  },
  GOSSIP_FORGED: {
    kind: 'reject',
    penalty: 20,
    meaning: "a message's signature, key, author or sequence number is missing or does not fit (StrictSign)",
  },
  GOSSIP_FLOOD: {
    kind: 'reject',
    penalty: 1,
    meaning: 'more messages than one neighbour may send; the excess is dropped before its signatures are verified',
  },
  GOSSIP_BANNED: { kind: 'ignore', penalty: 0, meaning: 'it came from a peer that is being disconnected' },
  GOSSIP_GRAYLISTED: {
    kind: 'reject',
    penalty: 200,
    meaning: 'invalid messages or broken promises took its score below the graylist threshold; it is disconnected',
  },
  GOSSIP_SLOW_READER: {
    kind: 'reject',
    penalty: 5,
    meaning: 'it took messages so slowly that the queue towards it was full; it is disconnected',
  },
  GOSSIP_HALF_OPEN: {
    kind: 'reject',
    penalty: 5,
    meaning: 'it connected and did not let a gossip stream be opened in time; it is disconnected',
  },
} as const satisfies VerdictTable;
export type RouterRuleCode = keyof typeof ROUTER_RULES;
