/**
 * What travels on the request protocols. A request is one frame; the answer is one frame or a stream of them.
 * Limits, deadlines and rates stand beside these schemas in network/reqresp/protocols.ts.
 */
import { z } from 'zod';
import { MAX_CHECKPOINTS } from './checkpoint.ts';
import { commitmentSetSchema } from './commitment.ts';
import {
  blobLink,
  boundedBytesSchema,
  bytesSchema,
  integerSchema,
  leaseLink,
  objectLink,
  peerKeySchema,
  unixMsSchema,
} from './ids.ts';
import { MAX_LISTED_OBSERVATIONS, observationItemSchema } from './observation.ts';
import { jobTermsSchema } from './offer.ts';
import { refusalSchema } from './refusal.ts';
import { signedManyWireSchema, signedWireSchema } from './signed.ts';
import { MAX_SNAPSHOT_PIECES, SEAL_TAG_BYTES, SNAPSHOT_PIECE_BYTES } from './snapshot.ts';

/** Most blob bytes that ride inside one message rather than being fetched. */
export const MAX_INLINE_BYTES = 256 * 1024;
/** Largest chunk of a blob in one answer. */
export const MAX_BLOB_CHUNK_BYTES = 512 * 1024;

const inlineBlobsSchema = z
  .array(z.strictObject({ blob: blobLink, bytes: boundedBytesSchema(MAX_INLINE_BYTES) }))
  .max(4096);
export type InlineBlob = z.output<typeof inlineBlobsSchema>[number];

// offer/1: one request, one response
export const offerRequestSchema = z.discriminatedUnion('op', [
  /** From a requester to a provider. Answered by `offer` or `refused`. */
  z.strictObject({
    op: z.literal('ask'),
    subject: objectLink,
    terms: jobTermsSchema,
    attempts: integerSchema(1, 4096),
  }),
  /** From a provider to a requester whose announcement it heard: its signed offer. Answered by `noted`. */
  z.strictObject({ op: z.literal('give'), offer: signedWireSchema }),
]);
export const offerResponseSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('offer'), offer: signedWireSchema }),
  z.strictObject({ kind: z.literal('refused'), refusal: refusalSchema }),
  /** `isWanted`: it may still be taken until it expires. Else the provider may let go of what it reserved at once. */
  z.strictObject({ kind: z.literal('noted'), isWanted: z.boolean() }),
]);
export type OfferRequest = z.output<typeof offerRequestSchema>;
export type OfferAsk = Extract<OfferRequest, { op: 'ask' }>;
export type OfferGive = Extract<OfferRequest, { op: 'give' }>;
export type OfferResponse = z.output<typeof offerResponseSchema>;

// job/1: `lease` and `attach` are answered by a stream, the rest by one response
export const jobRequestSchema = z.discriminatedUnion('op', [
  /** Takes the offer. Answered by `leased` (or `refused`), then by the attempts' events until all have ended. */
  z.strictObject({
    op: z.literal('lease'),
    jobs: signedManyWireSchema,
    leases: signedManyWireSchema,
    inlineBlobs: inlineBlobsSchema,
    /** Of jobs whose snapshots are sealed. */
    snapshotKeys: z
      .array(z.strictObject({ lease: leaseLink, key: bytesSchema(32) }))
      .max(4096)
      .optional(),
  }),
  /** Follows attempts again after a lost connection: events with a sequence above `fromSequence`. */
  z.strictObject({
    op: z.literal('attach'),
    leases: z
      .array(z.strictObject({ lease: leaseLink, fromSequence: integerSchema() }))
      .min(1)
      .max(4096),
  }),
  z.strictObject({ op: z.literal('cancel'), leases: z.array(leaseLink).min(1).max(4096), reason: z.string().max(200) }),
  /** Ends the attempts at their next checkpoint, with a snapshot; they conclude with PAUSED. Answered by `done`. */
  z.strictObject({ op: z.literal('pause'), leases: z.array(leaseLink).min(1).max(4096), reason: z.string().max(200) }),
  /**
   * From a provider to the holder that its lease names: there is a snapshot to be fetched from me. Answered by `done` once
   * the holder has it, or by `refused`.
   */
  z.strictObject({ op: z.literal('hold'), lease: signedWireSchema, checkpoint: signedWireSchema }),
  /** From a provider to the holder that its lease names in `resume`: let me read that snapshot. Answered by `done`. */
  z.strictObject({ op: z.literal('claim'), lease: signedWireSchema }),
  /** Shows all commitments of the replicas; answered by `set-signed`. */
  z.strictObject({
    op: z.literal('sign-set'),
    lease: leaseLink,
    set: commitmentSetSchema,
    commitments: z.array(signedWireSchema).min(1).max(16),
  }),
  /** Shows every replica's signature over the set; answered by `revealed`. */
  z.strictObject({
    op: z.literal('reveal'),
    lease: leaseLink,
    setSignatures: z.array(signedWireSchema).min(1).max(16),
  }),
  /** The requester has what it needs; the provider may drop the attempt's blobs. */
  z.strictObject({ op: z.literal('close'), leases: z.array(leaseLink).min(1).max(4096) }),
]);
export type JobRequest = z.output<typeof jobRequestSchema>;

export const LOG_STREAMS = ['stdout', 'stderr', 'log'] as const;
export const attemptEventSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('phase'), phase: z.enum(['queued', 'fetching', 'running', 'finished']) }),
  z.strictObject({
    kind: z.literal('log'),
    stream: z.enum(LOG_STREAMS),
    text: z.string().max(65_536),
    /** Place among the program's own events, from 1: who goes on from a snapshot gives some of them again. */
    ordinal: integerSchema(1).optional(),
  }),
  /** `value` as the shortest decimal that gives the same 64-bit float, or NaN, Infinity, -Infinity. */
  z.strictObject({
    kind: z.literal('metric'),
    name: z.string().max(128),
    value: z.string().max(32),
    step: integerSchema(),
    ordinal: integerSchema(1).optional(),
  }),
  /** A log line or metric of a confidential job: that event, sealed (docs/confidential.md), with its number in the nonce. */
  z.strictObject({ kind: z.literal('sealed'), index: integerSchema(1), bytes: boundedBytesSchema(72 * 1024) }),
  z.strictObject({ kind: z.literal('checkpoint'), checkpoint: signedWireSchema }),
  /**
   * Where the lease names a third party as holder: it has answered that it has the snapshot of checkpoint `index`. Not
   * signed: a provider that lies gains a claim that fails, and its successor begins earlier.
   */
  z.strictObject({ kind: z.literal('held'), index: integerSchema(0, MAX_CHECKPOINTS) }),
  z.strictObject({ kind: z.literal('progress'), progress: signedWireSchema }),
  z.strictObject({ kind: z.literal('committed'), commitment: signedWireSchema }),
  /** Without commit and reveal, or for an attempt that failed: the receipt at once. Last event of its lease. */
  z.strictObject({ kind: z.literal('receipt'), receipt: signedWireSchema, inlineBlobs: inlineBlobsSchema }),
]);
export type AttemptEvent = z.output<typeof attemptEventSchema>;

const sequencedEventSchema = z.strictObject({
  lease: leaseLink,
  /** Counts up from 1 for each lease. */
  sequence: integerSchema(1),
  atMs: unixMsSchema,
  event: attemptEventSchema,
});
export type SequencedEvent = z.output<typeof sequencedEventSchema>;

export const jobResponseSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('refused'), refusal: refusalSchema }),
  z.strictObject({ kind: z.literal('leased'), acceptances: signedManyWireSchema }),
  z.strictObject({ kind: z.literal('events'), events: z.array(sequencedEventSchema).min(1).max(1024) }),
  /** Receipts of a batch of leases, signed together. `events` of kind `receipt` do not follow for these. */
  z.strictObject({ kind: z.literal('receipts'), receipts: signedManyWireSchema, inlineBlobs: inlineBlobsSchema }),
  z.strictObject({ kind: z.literal('set-signed'), signature: signedWireSchema }),
  z.strictObject({ kind: z.literal('revealed'), receipt: signedWireSchema, inlineBlobs: inlineBlobsSchema }),
  z.strictObject({ kind: z.literal('done') }),
  z.strictObject({ kind: z.literal('unknown-lease'), lease: leaseLink }),
]);
export type JobResponse = z.output<typeof jobResponseSchema>;

// blob/1: `leaves` and `items` are answered by a stream, the rest by one response
/** Most leaves that one request may ask for: 16 MiB. */
export const MAX_LEAVES_PER_REQUEST = 16;
/** Largest node of a blob's tree: 1,024 links of 45 to 50 bytes, and as many sizes. */
export const MAX_BLOB_NODE_BYTES = 64 * 1024;
/** Most items that one request may ask for: 4 MiB of pages. */
export const MAX_ITEMS_PER_REQUEST = 64;
export const blobRequestSchema = z.discriminatedUnion('op', [
  z.strictObject({
    op: z.literal('read'),
    blob: blobLink,
    offset: integerSchema(),
    maxBytes: integerSchema(1, MAX_BLOB_CHUNK_BYTES),
  }),
  /** What is here of a blob. Answered by `stat` or `not-found`. */
  z.strictObject({ op: z.literal('stat'), blob: blobLink }),
  /** One node of a blob's tree: level 0 is that above the leaves. Answered by `node` or `not-found`. */
  z.strictObject({
    op: z.literal('node'),
    blob: blobLink,
    level: integerSchema(0, 3),
    index: integerSchema(0, 1_048_575),
  }),
  /** Leaves of a blob, in order; each comes in parts. Answered by `leaf-part`s. */
  z.strictObject({
    op: z.literal('leaves'),
    blob: blobLink,
    first: integerSchema(0, 1_073_741_823),
    count: integerSchema(1, MAX_LEAVES_PER_REQUEST),
  }),
  /** Items of a snapshot by their place in its list, in this order. */
  z.strictObject({
    op: z.literal('items'),
    snapshot: blobLink,
    items: z
      .array(integerSchema(0, MAX_SNAPSHOT_PIECES - 1))
      .min(1)
      .max(MAX_ITEMS_PER_REQUEST),
  }),
]);
export const blobResponseSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('chunk'),
    sizeBytes: integerSchema(),
    bytes: boundedBytesSchema(MAX_BLOB_CHUNK_BYTES),
  }),
  z.strictObject({
    kind: z.literal('stat'),
    sizeBytes: integerSchema(),
    /** Leaves that are here, a bit each, the first in the lowest bit of the first byte; absent: all. */
    leaves: boundedBytesSchema(MAX_BLOB_CHUNK_BYTES).optional(),
  }),
  z.strictObject({ kind: z.literal('node'), bytes: boundedBytesSchema(MAX_BLOB_NODE_BYTES) }),
  /** The next bytes of the leaves that were asked for; no part has bytes of two leaves. */
  z.strictObject({
    kind: z.literal('leaf-part'),
    leaf: integerSchema(),
    bytes: boundedBytesSchema(MAX_BLOB_CHUNK_BYTES),
  }),
  /** The next items that were asked for, at least one. */
  z.strictObject({
    kind: z.literal('items'),
    items: z
      .array(boundedBytesSchema(SNAPSHOT_PIECE_BYTES + SEAL_TAG_BYTES))
      .min(1)
      .max(8),
  }),
  z.strictObject({ kind: z.literal('not-found') }),
]);
export type BlobRequest = z.output<typeof blobRequestSchema>;
export type BlobResponse = z.output<typeof blobResponseSchema>;

// records/1: one request, one response
export const recordsRequestSchema = z.discriminatedUnion('op', [
  z.strictObject({ op: z.literal('get'), peers: z.array(peerKeySchema).max(64) }),
  z.strictObject({ op: z.literal('sample'), limit: integerSchema(1, 64) }),
  /** Of which epochs do you keep observations, and which? Answered by `digests`. */
  z.strictObject({ op: z.literal('observation-digests') }),
  /** Answered by `ids`, in order, from the first after `after` on. */
  z.strictObject({ op: z.literal('observation-ids'), epoch: integerSchema(), after: objectLink.nullable() }),
  /** Answered by `observations`: those that are there, as many as a frame holds. */
  z.strictObject({ op: z.literal('observations'), ids: z.array(objectLink).min(1).max(MAX_LISTED_OBSERVATIONS) }),
]);
/** Most epochs, and ids of one epoch, in one answer. */
export const MAX_OBSERVATION_DIGESTS = 256;
export const MAX_OBSERVATION_IDS = 1_024;
export const recordsResponseSchema = z.union([
  z.strictObject({ records: z.array(signedWireSchema).max(64) }),
  z.strictObject({
    digests: z
      .array(z.strictObject({ epoch: integerSchema(), count: integerSchema(1), hash: bytesSchema(32) }))
      .max(MAX_OBSERVATION_DIGESTS),
  }),
  z.strictObject({ ids: z.array(objectLink).max(MAX_OBSERVATION_IDS) }),
  z.strictObject({ observations: z.array(observationItemSchema).max(MAX_LISTED_OBSERVATIONS) }),
]);
export type RecordsRequest = z.output<typeof recordsRequestSchema>;
export type ObservationsRequest = Exclude<RecordsRequest, { op: 'get' | 'sample' }>;
export type RecordsResponse = z.output<typeof recordsResponseSchema>;

// neighbour/1: one request, one response
/** Most pairs that one question about what is known may name. */
export const MAX_KNOWN_PAIRS = 64;
/** Why a claim on a neighbour's slot is refused; meanings and penalties stand in network/neighbours/claim-rules.ts. */
export const CLAIM_REFUSALS = [
  'wrong-epoch',
  'no-beacon',
  'bad-record',
  'key-mismatch',
  'bad-proof',
  'too-young',
  'above-bound',
  'full',
  'busy',
  'stopping',
] as const;
export type ClaimRefusal = (typeof CLAIM_REFUSALS)[number];

const epochSchema = integerSchema();
export const neighbourRequestSchema = z.discriminatedUnion('op', [
  /** The VRF chose you for me: be my neighbour. Answered by `accepted` or `refused`. */
  z.strictObject({
    op: z.literal('claim'),
    epoch: epochSchema,
    vrfPublicKey: bytesSchema(32),
    proof: bytesSchema(80),
    /** Node record of whoever claims. */
    record: signedWireSchema,
  }),
  /**
   * The slot that was claimed for `epoch` is over. `mine`: I claimed it and need it no more; `yours`: you did, and I let
   * you go. Answered by `done`.
   */
  z.strictObject({ op: z.literal('leave'), epoch: epochSchema, claim: z.enum(['mine', 'yours']) }),
  /** Since which epoch do you know these? Answered by `known`. */
  z.strictObject({
    op: z.literal('known'),
    pairs: z
      .array(z.strictObject({ peer: peerKeySchema, vrfPublicKey: bytesSchema(32) }))
      .min(1)
      .max(MAX_KNOWN_PAIRS),
  }),
]);
export const neighbourResponseSchema = z.discriminatedUnion('kind', [
  /** `networkSize`: how many nodes there are, as this one estimates it. */
  z.strictObject({ kind: z.literal('accepted'), networkSize: integerSchema(1) }),
  z.strictObject({ kind: z.literal('refused'), code: z.enum(CLAIM_REFUSALS), detail: z.string().max(200) }),
  z.strictObject({ kind: z.literal('done') }),
  /** In the order of the pairs; null: never seen. */
  z.strictObject({ kind: z.literal('known'), since: z.array(epochSchema.nullable()).max(MAX_KNOWN_PAIRS) }),
]);
export type NeighbourRequest = z.output<typeof neighbourRequestSchema>;
export type NeighbourClaim = Extract<NeighbourRequest, { op: 'claim' }>;
export type NeighbourResponse = z.output<typeof neighbourResponseSchema>;
