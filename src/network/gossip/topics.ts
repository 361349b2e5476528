import { CAPABILITY_CLASSES, type CapabilityClass } from '../../domain/capability.ts';
import { MAX_GOSSIP_BYTES } from '../constants.ts';
import { MAX_ANNOUNCEMENT_WIRE_BYTES } from './announcement-wire.ts';
import type { VerdictTable } from './verdict-rule.ts';
import { GOSSIP_VERDICTS } from './verdicts.ts';

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
  /** That one peer may publish, whoever passes it on. */
  readonly publisherRate: MessageRate;
  readonly verdicts: VerdictTable;
  readonly gate: GateCodes;
}

/** What the rules that hold for every topic are called in the topic's table. */
export interface GateCodes {
  /** Null: every node serves the topic. */
  readonly unserved: string | null;
  readonly neighbourRate: string;
  readonly tooLarge: string;
  readonly malformed: string;
  /** The neighbour itself publishes too often. */
  readonly flood: string;
  /** Another peer does, and the neighbour only passed it on. */
  readonly publisherRate: string;
}

type GateOf<Table extends VerdictTable> = Readonly<
  Record<Exclude<keyof GateCodes, 'unserved'>, keyof Table & string>
> & { readonly unserved: (keyof Table & string) | null };

const RECORD_GATE = {
  unserved: null,
  neighbourRate: 'NETWORK_RECORD_RATE',
  tooLarge: 'NETWORK_RECORD_TOO_LARGE',
  malformed: 'NETWORK_RECORD_MALFORMED',
  flood: 'NETWORK_RECORD_FLOOD',
  publisherRate: 'NETWORK_RECORD_PUBLISHER_RATE',
} as const satisfies GateOf<typeof GOSSIP_VERDICTS.records>;

const ANNOUNCEMENT_GATE = {
  unserved: 'NETWORK_ANNOUNCEMENT_UNSERVED',
  neighbourRate: 'NETWORK_ANNOUNCEMENT_RATE',
  tooLarge: 'NETWORK_ANNOUNCEMENT_TOO_LARGE',
  malformed: 'NETWORK_ANNOUNCEMENT_MALFORMED',
  flood: 'NETWORK_ANNOUNCEMENT_FLOOD',
  publisherRate: 'NETWORK_ANNOUNCEMENT_REQUESTER_RATE',
} as const satisfies GateOf<typeof GOSSIP_VERDICTS.jobs>;

const OBSERVATION_GATE = {
  unserved: 'OBSERVATION_UNSERVED',
  neighbourRate: 'OBSERVATION_RATE',
  tooLarge: 'OBSERVATION_TOO_LARGE',
  malformed: 'OBSERVATION_MALFORMED',
  flood: 'OBSERVATION_FLOOD',
  publisherRate: 'OBSERVATION_OBSERVER_RATE',
} as const satisfies GateOf<typeof GOSSIP_VERDICTS.observations>;

/** A full window of a batch of 10,000 jobs is 40 announcements; who announces keeps to half of this rate. */
export const ANNOUNCEMENT_RATE = { perSecond: 2, burst: 32 } as const satisfies MessageRate;

/** A record is renewed after a third of its life, and when its peer's addresses, prices or slots change. */
export const RECORD_RATE = { perSecond: 0.5, burst: 60 } as const satisfies MessageRate;

function describeJobTopic(capabilityClass: CapabilityClass): TopicSpec {
  return {
    version: 1,
    purpose: `announcements of jobs of class ${capabilityClass}, for those who take such jobs`,
    maxBytes: MAX_ANNOUNCEMENT_WIRE_BYTES,
    neighbourRate: { perSecond: 50, burst: 400 },
    publisherRate: ANNOUNCEMENT_RATE,
    verdicts: GOSSIP_VERDICTS.jobs,
    gate: ANNOUNCEMENT_GATE,
  };
}

/** Every gossip topic; docs/protocols.md is generated from this table. */
export const TOPICS = {
  records: {
    version: 1,
    purpose: 'node records as their makers renew them',
    maxBytes: MAX_GOSSIP_BYTES,
    neighbourRate: { perSecond: 100, burst: 1000 },
    publisherRate: RECORD_RATE,
    verdicts: GOSSIP_VERDICTS.records,
    gate: RECORD_GATE,
  },
  observations: {
    version: 1,
    purpose: 'observations of finished attempts, many of one observer at once',
    maxBytes: MAX_GOSSIP_BYTES,
    neighbourRate: { perSecond: 20, burst: 200 },
    publisherRate: { perSecond: 0.2, burst: 32 },
    verdicts: GOSSIP_VERDICTS.observations,
    gate: OBSERVATION_GATE,
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
