import { CAPABILITY_CLASSES, type CapabilityClass } from '../../domain/capability.ts';
import { OBSERVATION_RULES, type ObservationRuleCode } from '../../domain/observation-rules.ts';
import { MAX_GOSSIP_BYTES } from '../constants.ts';
import { RECORD_RULES, type RecordRuleCode } from '../peers/record-rules.ts';
import { ANNOUNCEMENT_RULES, type AnnouncementRuleCode } from './announcement-rules.ts';
import { MAX_ANNOUNCEMENT_WIRE_BYTES } from './announcement-wire.ts';

/** Messages a second on average, and at once. */
export interface MessageRate {
  readonly perSecond: number;
  readonly burst: number;
}

export interface TopicSpec {
  readonly version: number;
  readonly purpose: string;
  readonly maxBytes: number;
  /** That one neighbour may pass on. */
  readonly neighbourRate: MessageRate;
  /** That one peer may publish; null where only the neighbour's counts. */
  readonly publisherRate: MessageRate | null;
  readonly rules: readonly (RecordRuleCode | AnnouncementRuleCode | ObservationRuleCode)[];
}

/** A full window of a batch of 10,000 jobs is 40 announcements; who announces keeps to half of this rate. */
export const ANNOUNCEMENT_RATE = { perSecond: 2, burst: 32 } as const satisfies MessageRate;

function describeJobTopic(capabilityClass: CapabilityClass): TopicSpec {
  return {
    version: 1,
    purpose: `announcements of jobs of class ${capabilityClass}, for those who take such jobs`,
    maxBytes: MAX_ANNOUNCEMENT_WIRE_BYTES,
    neighbourRate: { perSecond: 50, burst: 400 },
    publisherRate: ANNOUNCEMENT_RATE,
    rules: Object.keys(ANNOUNCEMENT_RULES) as AnnouncementRuleCode[],
  };
}

/** Every gossip topic; docs/protocols.md is generated from this table. */
export const TOPICS = {
  records: {
    version: 1,
    purpose: 'node records as their makers renew them',
    maxBytes: MAX_GOSSIP_BYTES,
    neighbourRate: { perSecond: 100, burst: 1000 },
    publisherRate: null,
    rules: Object.keys(RECORD_RULES) as RecordRuleCode[],
  },
  observations: {
    version: 1,
    purpose: 'observations of finished attempts, many of one observer at once',
    maxBytes: MAX_GOSSIP_BYTES,
    neighbourRate: { perSecond: 20, burst: 200 },
    publisherRate: { perSecond: 0.2, burst: 32 },
    rules: Object.keys(OBSERVATION_RULES) as ObservationRuleCode[],
  },
  'jobs/cpu': describeJobTopic('cpu'),
  'jobs/gpu-consumer': describeJobTopic('gpu-consumer'),
  'jobs/gpu-datacentre': describeJobTopic('gpu-datacentre'),
  'jobs/tee': describeJobTopic('tee'),
} as const satisfies { readonly records: TopicSpec; readonly observations: TopicSpec } & {
  readonly [Class in CapabilityClass as `jobs/${Class}`]: TopicSpec;
};
export type TopicName = keyof typeof TOPICS;
export type JobTopicName = Exclude<TopicName, 'records' | 'observations'>;

export const TOPIC_NAMES = Object.keys(TOPICS) as TopicName[];

/** Where jobs of a class are announced (design section 4). */
export function jobTopic(capabilityClass: CapabilityClass): JobTopicName {
  return `jobs/${capabilityClass}`;
}

export const JOB_TOPICS: readonly { readonly name: JobTopicName; readonly capabilityClass: CapabilityClass }[] =
  CAPABILITY_CLASSES.map((capabilityClass) => ({ name: jobTopic(capabilityClass), capabilityClass }));

/** Topic id of the design, section 4: `/fogproof/<network>/<topic>/<version>`. */
export function topicId(networkId: string, topic: TopicName): string {
  return `/fogproof/${networkId}/${topic}/${TOPICS[topic].version}`;
}
