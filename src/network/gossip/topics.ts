import { MAX_GOSSIP_BYTES } from '../constants.ts';
import { RECORD_RULES, type RecordRuleCode } from '../peers/record-rules.ts';

export interface TopicSpec {
  readonly version: number;
  readonly purpose: string;
  readonly maxBytes: number;
  /** Messages a second that one neighbour may pass on, on average and at once. */
  readonly messagesPerSecond: number;
  readonly burst: number;
  readonly rules: readonly RecordRuleCode[];
}

/** Every gossip topic; docs/protocols.md is generated from this table. */
export const TOPICS = {
  records: {
    version: 1,
    purpose: 'node records as their makers renew them',
    maxBytes: MAX_GOSSIP_BYTES,
    messagesPerSecond: 100,
    burst: 1000,
    rules: Object.keys(RECORD_RULES) as RecordRuleCode[],
  },
} as const satisfies Record<string, TopicSpec>;
export type TopicName = keyof typeof TOPICS;

/** Topic id of the design, section 4: `/fogproof/<network>/<topic>/<version>`. */
export function topicId(networkId: string, topic: TopicName): string {
  return `/fogproof/${networkId}/${topic}/${TOPICS[topic].version}`;
}
