/** What the job store keeps, in the form in which it keeps it: canonical dag-cbor, checked when it is read. */
import { z } from 'zod';
import { teeKindSchema } from '../domain/capability.ts';
import { commitmentSetSchema } from '../domain/commitment.ts';
import { boundedBytesSchema, bytesSchema, integerSchema, type LeaseId, unixMsSchema } from '../domain/ids.ts';
import { inferenceReportSchema } from '../domain/inference-workload.ts';
import { LOG_STREAMS } from '../domain/messages.ts';
import { outcomeSchema, outputFileSchema } from '../domain/receipt.ts';
import { refusalSchema } from '../domain/refusal.ts';
import { type SignedWire, signedWireSchema } from '../domain/signed.ts';
import { decodeCanonical, encodeCanonical } from '../lib/canonical-cbor.ts';
import { describeError } from '../lib/errors.ts';
import { SchedulerError } from './errors.ts';
import { type AnnouncementsView, ATTEMPT_STATES, JOB_STATES, type JobExplanation, type JobView } from './interface.ts';
import { type JobMachineEvent, jobMachineEventSchema } from './job-machine-events.ts';

/** Largest stored entry: a receipt with its envelope, or a job's view with all outputs. */
const MAX_ENTRY_BYTES = 2 * 1024 * 1024;

/** `fogproof/released-secrets@1` (16 KiB at most) with nonce and tag. */
const MAX_SEALED_SECRETS_BYTES = 17 * 1024;

const id = z.string().min(1).max(128);
const integer = integerSchema();

export const jobRecordSchema = z.strictObject({
  job: signedWireSchema,
  name: z.string(),
  createdAtMs: unixMsSchema,
  /** Seals the snapshots of this job; absent where they are not sealed. Never told to anybody but its providers. */
  snapshotKey: bytesSchema(32).optional(),
  /** Of a confidential job: content key and salts, encrypted with a key of this node. */
  sealedSecrets: boundedBytesSchema(MAX_SEALED_SECRETS_BYTES).optional(),
});
export type JobRecord = z.output<typeof jobRecordSchema>;

const attemptViewSchema = z.strictObject({
  lease: id,
  provider: id,
  replica: integer,
  attempt: integer,
  state: z.enum(ATTEMPT_STATES),
  leasedAtMs: unixMsSchema,
  leaseEndsAtMs: unixMsSchema,
  resultsKeptForMs: integer.optional(),
  progress: z.strictObject({ fuel: integer.nullable(), step: integer, cpuTimeMs: integer }).nullable(),
  reason: z.string().nullable(),
  checkpoint: z.strictObject({ step: integer, head: z.string(), heldStep: integer.nullable() }).optional(),
  resumedFrom: z.strictObject({ lease: id, step: integer }).optional(),
  evidence: z
    .strictObject({
      kind: teeKindSchema,
      measurement: z.string(),
      gpus: z.boolean(),
      blob: id,
      judgedAtMs: unixMsSchema,
    })
    .optional(),
});

const failureSchema = z.strictObject({ code: z.string(), message: z.string() });

/** Output files with their blob as a string, as every id of a stored entry. */
const storedOutputSchema = outputFileSchema.extend({ blob: id });

const jobViewSchema = z.strictObject({
  job: id,
  name: z.string(),
  state: z.enum(JOB_STATES),
  desired: z.enum(['run', 'pause', 'cancel']),
  createdAtMs: unixMsSchema,
  deadlineMs: unixMsSchema,
  endedAtMs: unixMsSchema.nullable(),
  replicas: integer,
  quorum: integer,
  attempts: z.array(attemptViewSchema),
  result: z
    .strictObject({
      outcome: outcomeSchema,
      outputs: z.array(storedOutputSchema),
      outputRoot: id,
      fuel: integer.nullable(),
      steps: integer,
      inference: inferenceReportSchema.optional(),
      agreeing: z.array(id),
      dissenting: z.array(id),
      withinTolerance: z
        .strictObject({
          leases: z.array(id),
          largest: z
            .strictObject({ path: z.string(), index: integer, a: z.string(), b: z.string(), share: z.string() })
            .nullable(),
        })
        .optional(),
    })
    .nullable(),
  failure: failureSchema.nullable(),
});

const askedSchema = z.array(
  z.strictObject({
    provider: id,
    atMs: unixMsSchema,
    answer: z.discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('offered') }),
      z.strictObject({ kind: z.literal('refused'), refusal: refusalSchema }),
      z.strictObject({ kind: z.literal('unreachable'), reason: z.string() }),
    ]),
  }),
);

const announcedSchema = z.strictObject({
  count: integer,
  lastAtMs: unixMsSchema.nullable(),
  lastRecipients: integer,
  given: z.strictObject({ wanted: integer, unwanted: integer, invalid: integer }),
  failure: z.string().nullable(),
});

const endRecordSchema = z.strictObject({
  view: jobViewSchema,
  asked: askedSchema,
  announced: announcedSchema.optional(),
  missingReplicas: z.array(z.strictObject({ replica: integer, reason: z.string() })),
});

export type Asked = JobExplanation['asked'][number];
export type MissingReplica = { readonly replica: number; readonly reason: string };

/** Written once, with the event that ends the job. */
export interface EndRecord {
  readonly view: JobView;
  readonly asked: readonly Asked[];
  readonly announced?: AnnouncementsView;
  readonly missingReplicas: readonly MissingReplica[];
}

const logEntrySchema = z.strictObject({
  atMs: unixMsSchema,
  replica: integer,
  event: z.discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('log'),
      stream: z.enum(LOG_STREAMS),
      text: z.string(),
      ordinal: integer.optional(),
    }),
    z.strictObject({
      kind: z.literal('metric'),
      name: z.string(),
      value: z.string(),
      step: integer,
      ordinal: integer.optional(),
    }),
  ]),
});
export type LogEntry = z.output<typeof logEntrySchema>;

/** The kinds of signed object that an attempt may have. */
export const ATTEMPT_OBJECTS = [
  'lease',
  'acceptance',
  'progress',
  'commitment',
  'set-signature',
  'receipt',
  /** Of secrets to a confidential attempt. */
  'release',
  /** A commitment or receipt that came too late to count: evidence of what its provider did, and never paid. */
  'late',
] as const;
export type AttemptObjectKind = (typeof ATTEMPT_OBJECTS)[number];
export interface AttemptObject {
  readonly lease: LeaseId;
  readonly kind: AttemptObjectKind;
  readonly wire: SignedWire;
}

const historySchema = z.array(jobMachineEventSchema).min(1);

export const encodeEntry = encodeCanonical;

/** @throws SchedulerError SCHEDULER_STORE_CORRUPT naming `key` */
export function decodeEntry<Value>(schema: z.ZodType<Value>, key: string, bytes: Uint8Array): Value {
  try {
    return z.decode(schema, decodeCanonical(bytes, { maxBytes: MAX_ENTRY_BYTES }) as never);
  } catch (error) {
    const reason = error instanceof z.ZodError ? describeIssue(error) : describeError(error);
    throw new SchedulerError({ code: 'SCHEDULER_STORE_CORRUPT', key, reason }, { cause: error });
  }
}

function describeIssue(error: z.ZodError): string {
  const issue = error.issues[0];
  return `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`;
}

export const decodeJobRecord = (key: string, bytes: Uint8Array): JobRecord => decodeEntry(jobRecordSchema, key, bytes);
export const decodeLogEntry = (key: string, bytes: Uint8Array): LogEntry => decodeEntry(logEntrySchema, key, bytes);
export const decodeSignedWire = (key: string, bytes: Uint8Array): SignedWire =>
  decodeEntry(signedWireSchema, key, bytes);
export const decodeHistoryEntry = (key: string, bytes: Uint8Array): JobMachineEvent[] =>
  decodeEntry(historySchema, key, bytes);
export const decodeCommitmentSet = (key: string, bytes: Uint8Array) => decodeEntry(commitmentSetSchema, key, bytes);
export const encodeCommitmentSet = (set: z.output<typeof commitmentSetSchema>): Uint8Array =>
  encodeEntry(z.encode(commitmentSetSchema, set));

export function decodeEndRecord(key: string, bytes: Uint8Array): EndRecord {
  // The ids inside were branded when they were written and the entry's key names the job: strings suffice here.
  return decodeEntry(endRecordSchema, key, bytes) as unknown as EndRecord;
}
