import type { z } from 'zod';
import { attestRequestSchema, attestResponseSchema, MAX_EVIDENCE_BYTES } from '../../domain/confidential.ts';
import {
  blobRequestSchema,
  blobResponseSchema,
  jobRequestSchema,
  jobResponseSchema,
  MAX_BLOB_CHUNK_BYTES,
  neighbourRequestSchema,
  neighbourResponseSchema,
  offerRequestSchema,
  offerResponseSchema,
  recordsRequestSchema,
  recordsResponseSchema,
} from '../../domain/messages.ts';
import { MAX_FRAME_BYTES } from '../constants.ts';
import type { ProtocolMessages, ProtocolName } from '../interface.ts';

/** The numbers of one request protocol: what each side enforces on the other. */
export interface ProtocolLimits {
  /** Largest request and response frame in bytes, without the length before it. */
  readonly maxRequestBytes: number;
  readonly maxResponseBytes: number;
  /** Wait for the first response, in ms, unless the caller names another. */
  readonly firstResponseMs: number;
  /** Requests of one peer that are answered at the same time. */
  readonly maxInFlight: number;
  /** Token bucket of each peer. */
  readonly requestsPerSecond: number;
  readonly burst: number;
  /** How long a requester may take nothing of a response that is ready, in ms, before it is given up; null: for ever. */
  readonly takeWithinMs: number | null;
  /** Response bytes that may be under way to a requester that has not taken them yet. */
  readonly windowBytes: number;
}

export interface ProtocolSpec<Name extends ProtocolName> extends ProtocolLimits {
  readonly major: number;
  readonly purpose: string;
  readonly answer: 'one response' | 'one or many responses';
  readonly request: z.ZodType<ProtocolMessages[Name]['request']>;
  readonly response: z.ZodType<ProtocolMessages[Name]['response']>;
}

export type ProtocolTable = { readonly [Name in ProtocolName]: ProtocolSpec<Name> };

/** Every request protocol; docs/protocols.md is generated from this table. */
export const PROTOCOLS = {
  offer: {
    major: 1,
    purpose: 'asks a provider for a signed offer on the terms of a job',
    answer: 'one response',
    maxRequestBytes: 64 * 1024,
    maxResponseBytes: 64 * 1024,
    firstResponseMs: 5_000,
    maxInFlight: 256,
    requestsPerSecond: 512,
    burst: 1024,
    takeWithinMs: null,
    windowBytes: 64 * 1024,
    request: offerRequestSchema,
    response: offerResponseSchema,
  },
  job: {
    major: 1,
    purpose: 'leases, events, commitments, receipts and control of attempts',
    answer: 'one or many responses',
    maxRequestBytes: MAX_FRAME_BYTES,
    maxResponseBytes: MAX_FRAME_BYTES,
    firstResponseMs: 15_000,
    maxInFlight: 512,
    requestsPerSecond: 4096,
    burst: 8192,
    // As long as a lease by default: after that its requester takes the attempt for lost, and attaches when it is back.
    takeWithinMs: 120_000,
    windowBytes: 512 * 1024,
    request: jobRequestSchema,
    response: jobResponseSchema,
  },
  blob: {
    major: 1,
    purpose: 'a piece of a content-addressed blob, or items of a snapshot',
    answer: 'one or many responses',
    maxRequestBytes: 1024,
    maxResponseBytes: MAX_BLOB_CHUNK_BYTES + 4096,
    firstResponseMs: 15_000,
    maxInFlight: 64,
    requestsPerSecond: 4096,
    burst: 8192,
    takeWithinMs: 30_000,
    windowBytes: 256 * 1024,
    request: blobRequestSchema,
    response: blobResponseSchema,
  },
  records: {
    major: 1,
    purpose: 'node records of named peers, or a sample of those known; observations that the other side lacks',
    answer: 'one response',
    maxRequestBytes: 8 * 1024,
    maxResponseBytes: MAX_FRAME_BYTES,
    firstResponseMs: 5_000,
    maxInFlight: 8,
    requestsPerSecond: 16,
    burst: 64,
    takeWithinMs: null,
    windowBytes: 64 * 1024,
    request: recordsRequestSchema,
    response: recordsResponseSchema,
  },
  attest: {
    major: 1,
    purpose: 'evidence of confidential hardware for one lease, and the release of secrets to it (docs/confidential.md)',
    answer: 'one response',
    maxRequestBytes: 32 * 1024,
    maxResponseBytes: MAX_EVIDENCE_BYTES + 4096,
    // The hardware takes up to a second, and a vendor's collateral may have to be fetched.
    firstResponseMs: 30_000,
    maxInFlight: 4,
    requestsPerSecond: 8,
    burst: 32,
    takeWithinMs: 30_000,
    windowBytes: 256 * 1024,
    request: attestRequestSchema,
    response: attestResponseSchema,
  },
  neighbour: {
    major: 1,
    purpose:
      'claims a slot as a neighbour with a VRF proof, leaves it, asks since when a pair of peer and key is known',
    answer: 'one response',
    maxRequestBytes: 32 * 1024,
    maxResponseBytes: 4 * 1024,
    firstResponseMs: 10_000,
    // An honest peer claims once an epoch and asks a few times; checking a proof takes milliseconds.
    maxInFlight: 4,
    requestsPerSecond: 2,
    burst: 16,
    takeWithinMs: null,
    windowBytes: 16 * 1024,
    request: neighbourRequestSchema,
    response: neighbourResponseSchema,
  },
} as const satisfies ProtocolTable;

export const PROTOCOL_NAMES = Object.keys(PROTOCOLS) as ProtocolName[];

/** Limits that a node sets differently from the table: tests, benchmarks, small machines. */
export type LimitOverrides = { readonly [Name in ProtocolName]?: Partial<ProtocolLimits> };

/** Protocol id of the design, section 4: `/fogproof/<network>/<name>/<major>`. */
export function protocolId(networkId: string, name: ProtocolName): string {
  return `/fogproof/${networkId}/${name}/${PROTOCOLS[name].major}`;
}

/** What breaks a protocol, and what it costs the peer's score. A reset ends the stream, never the daemon. */
export const VIOLATIONS = {
  oversize: { penalty: 25, resets: true, meaning: 'a frame is longer than the protocol allows' },
  malformed: { penalty: 25, resets: true, meaning: 'a frame is not canonical dag-cbor of the known form' },
  slow: { penalty: 5, resets: true, meaning: 'a frame was begun and not finished in time' },
  'unknown-id': { penalty: 10, resets: true, meaning: 'a frame names a request that was never made' },
  'duplicate-id': { penalty: 10, resets: true, meaning: 'a request reuses or lowers a request id' },
  'over-window': { penalty: 25, resets: true, meaning: 'responses exceed the credit that was given' },
  'no-confirmation': { penalty: 5, resets: true, meaning: 'a cancelled request was not confirmed in time' },
  'too-many': { penalty: 1, resets: false, meaning: 'more requests at once than the protocol allows' },
  'rate-limited': { penalty: 1, resets: false, meaning: 'requests come faster than the protocol allows' },
  'bad-message': { penalty: 5, resets: false, meaning: 'a message does not fit its schema' },
} as const satisfies Record<string, { penalty: number; resets: boolean; meaning: string }>;
export type Violation = keyof typeof VIOLATIONS;
