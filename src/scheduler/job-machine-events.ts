import { z } from 'zod';
import { teeKindSchema } from '../domain/capability.ts';
import { bytesSchema, integerSchema, type LeaseId, peerKeySchema, unixMsSchema } from '../domain/ids.ts';
import { MAX_REPLICAS } from '../domain/job.ts';
import { MAX_ATTEMPT_NUMBER } from '../domain/lease.ts';
import { PROGRAM_FAILURES } from '../domain/receipt.ts';

/** Ids are kept as plain strings in the history: it is ours, and its entries are checked when they are read. */
const lease = z.custom<LeaseId>((value) => typeof value === 'string' && value.length > 0 && value.length <= 128);
const text = z.string().max(500);
const at = { atMs: unixMsSchema };

/** What its requester needs to know of an attempt's evidence afterwards. */
export const releasedEvidenceSchema = z.strictObject({
  kind: teeKindSchema,
  measurement: z.string().max(128),
  gpus: z.boolean(),
  blob: z.string().min(1).max(128),
  sizeBytes: integerSchema(1),
  /** What the attested result is signed with, and over. */
  signingKey: bytesSchema(32),
  nonce: bytesSchema(32),
});
export type ReleasedEvidence = z.output<typeof releasedEvidenceSchema>;

/** One fact about a job, as it is appended to the job's history. Each carries the time at which it was seen. */
export const jobMachineEventSchema = z.discriminatedUnion('kind', [
  /** Intent: journalled before the lease is sent. */
  z.strictObject({
    kind: z.literal('lease-issued'),
    ...at,
    lease,
    provider: peerKeySchema,
    replica: integerSchema(0, MAX_REPLICAS - 1),
    attempt: integerSchema(0, MAX_ATTEMPT_NUMBER),
    /** As the offer named it. */
    instrumenter: z.string().min(1).max(64),
    leaseEndsAtMs: unixMsSchema,
    /** The attempt and step that it goes on from. Absent: the beginning. */
    resumedFrom: z.strictObject({ lease, step: integerSchema() }).optional(),
  }),
  z.strictObject({
    kind: z.literal('accepted'),
    ...at,
    lease,
    leaseEndsAtMs: unixMsSchema,
    /** As the provider signed it. Absent: it did not say. */
    resultsKeptForMs: integerSchema().optional(),
  }),
  /** Intent: its evidence is valid, and the secrets are about to be sent to it. */
  z.strictObject({ kind: z.literal('released'), ...at, lease, evidence: releasedEvidenceSchema }),
  z.strictObject({
    kind: z.literal('phase'),
    ...at,
    lease,
    phase: z.enum(['queued', 'fetching', 'running', 'finished']),
  }),
  z.strictObject({
    kind: z.literal('progress'),
    ...at,
    lease,
    sequence: integerSchema(1),
    fuel: integerSchema().nullable(),
    step: integerSchema(),
    cpuTimeMs: integerSchema(),
    leaseEndsAtMs: unixMsSchema,
  }),
  z.strictObject({ kind: z.literal('unreachable'), ...at, lease, reason: text }),
  z.strictObject({ kind: z.literal('reattached'), ...at, lease }),
  z.strictObject({ kind: z.literal('lease-expired'), ...at, lease }),
  /**
   * One that counted as lost is back, its lease unbroken. `replaces`: the attempt that runs in its place, which is over
   * with that; null where none stands.
   */
  z.strictObject({
    kind: z.literal('returned'),
    ...at,
    lease,
    leaseEndsAtMs: unixMsSchema,
    replaces: lease.nullable(),
  }),
  z.strictObject({ kind: z.literal('committed'), ...at, lease }),
  z.strictObject({ kind: z.literal('set-fixed'), ...at, leases: z.array(lease).min(1).max(MAX_REPLICAS) }),
  /** Intent: from here on no replica joins the set. */
  z.strictObject({ kind: z.literal('reveal-begun'), ...at }),
  z.strictObject({ kind: z.literal('revealed'), ...at, lease, outputRoot: z.string().max(128) }),
  /** `isCounted`: it was the provider's fault, so it uses up one of the replica's retries. */
  z.strictObject({
    kind: z.literal('attempt-failed'),
    ...at,
    lease,
    code: z.string().max(64),
    reason: text,
    isCounted: z.boolean(),
  }),
  /** It stopped at a checkpoint because it was asked to. */
  z.strictObject({ kind: z.literal('attempt-paused'), ...at, lease, reason: text }),
  z.strictObject({
    kind: z.literal('replica-abandoned'),
    ...at,
    replica: integerSchema(0, MAX_REPLICAS - 1),
    reason: z.string().max(300),
  }),
  z.strictObject({ kind: z.literal('pause-requested'), ...at }),
  z.strictObject({ kind: z.literal('resume-requested'), ...at }),
  z.strictObject({ kind: z.literal('cancel-requested'), ...at }),
  z.strictObject({ kind: z.literal('attempt-cancelled'), ...at, lease, reason: text }),
  /** The result that the job accepts. */
  z.strictObject({
    kind: z.literal('concluded'),
    ...at,
    outputRoot: z.string().max(128),
    /** Who agrees with it, where results need not be byte-identical. Absent: whoever gave the same root. */
    agreeing: z.array(lease).min(1).max(MAX_REPLICAS).optional(),
    /** Null if the program completed. */
    programFailure: z.strictObject({ code: z.enum(PROGRAM_FAILURES), detail: z.string().max(300) }).nullable(),
  }),
  z.strictObject({ kind: z.literal('job-failed'), ...at, code: z.string().max(64), message: text }),
  z.strictObject({ kind: z.literal('job-cancelled'), ...at }),
  z.strictObject({ kind: z.literal('deadline-passed'), ...at }),
]);
export type JobMachineEvent = z.output<typeof jobMachineEventSchema>;
export type JobMachineEventOf<Kind extends JobMachineEvent['kind']> = Extract<JobMachineEvent, { kind: Kind }>;
