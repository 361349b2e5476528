import { z } from 'zod';
import {
  bytesSchema,
  decimalSchema,
  integerSchema,
  jobLink,
  leaseLink,
  objectLink,
  peerKeySchema,
  unixMsSchema,
} from './ids.ts';
import type { ObjectType } from './object-type.ts';
import { type SignedWire, signedWireSchema } from './signed.ts';

/** What an observation says of an attempt, each for itself. */
export const OBSERVED_DIMENSIONS = ['completion', 'correctness', 'timeliness', 'availability'] as const;

/** `none`: the observer cannot tell. */
const observedVerdictSchema = z.enum(['success', 'failure', 'none']);
export type ObservedVerdict = z.output<typeof observedVerdictSchema>;

export const SUBJECT_ROLES = ['provider', 'requester'] as const;
export type SubjectRole = (typeof SUBJECT_ROLES)[number];

/**
 * Signed by one party of a finished attempt about the other. It counts only with the evidence that there was such an
 * attempt (docs/reputation.md): the subject's own signature.
 */
export const observationSchema = z.strictObject({
  type: z.literal('fogproof/observation@1'),
  network: z.string().min(1).max(64),
  observer: peerKeySchema,
  subject: peerKeySchema,
  /** What the subject was in the attempt. */
  role: z.enum(SUBJECT_ROLES),
  job: jobLink,
  lease: leaseLink,
  /** The provider's receipt; null where there is none. */
  receipt: objectLink.nullable(),
  outcome: z.strictObject({
    completion: observedVerdictSchema,
    correctness: observedVerdictSchema,
    timeliness: observedVerdictSchema,
    availability: observedVerdictSchema,
  }),
  /** From 1 to 5; null: not rated. A rating stands alone: no dimension says anything beside it (docs/reputation.md). */
  rating: integerSchema(1, 5).nullable(),
  /** What was paid for the attempt, and the subject's stake behind it, in base units; 0 without an escrow. */
  payment: decimalSchema,
  stake: decimalSchema,
  /** Root of the batch under which the receipt is anchored; null: it is not. */
  anchor: bytesSchema(32).nullable(),
  observedAtMs: unixMsSchema,
  /** The epoch of `observedAtMs`. */
  epoch: integerSchema(),
});
export type Observation = z.output<typeof observationSchema>;
export type ObservedOutcome = Observation['outcome'];

/** A lease has one of each by the same observer: how the attempt went, and what the observer thinks of it. */
export type ObservationKind = 'attempt' | 'rating';
export function kindOfObservation({ rating }: Pick<Observation, 'rating'>): ObservationKind {
  return rating === null ? 'attempt' : 'rating';
}

/** Says nothing in any dimension. */
export const NOTHING_OBSERVED: ObservedOutcome = {
  completion: 'none',
  correctness: 'none',
  timeliness: 'none',
  availability: 'none',
};
export const OBSERVATION: ObjectType<Observation> = {
  type: 'fogproof/observation@1',
  schema: observationSchema,
  maxBytes: 2 * 1024,
};

/** Receipt, or acceptance and lease. */
export const MAX_EVIDENCE_WIRES = 2;

/** An observation with what proves that the attempt was real. No evidence: it may be asked for. */
export const observationItemSchema = z.strictObject({
  observation: signedWireSchema,
  evidence: z.array(signedWireSchema).max(MAX_EVIDENCE_WIRES),
});
export interface ObservationItem {
  readonly observation: SignedWire;
  readonly evidence: readonly SignedWire[];
}

/** Most observations of one gossip message, and of one answer. */
export const MAX_LISTED_OBSERVATIONS = 64;

/** One gossip message: observations of its publisher, signed as one batch. */
export const observationMessageSchema = z.strictObject({
  items: z.array(observationItemSchema).min(1).max(MAX_LISTED_OBSERVATIONS),
});
