/**
 * The state of an attempt after a step, so that another machine can go on from it (docs/stepping.md sections 3 and 6).
 * A snapshot is one small object and its items: pieces of at most 64 KiB, content-addressed, stored and moved once
 * however many snapshots hold them.
 */
import { z } from 'zod';
import { boundedBytesSchema, bytesSchema, integerSchema, jobLink } from './ids.ts';
import { jobPathSchema, MAX_JOB_INPUTS } from './job.ts';
import type { ObjectType } from './object-type.ts';

/** Bytes of one page of memory, and most bytes of an output's or a file's piece (core specification, section 4.2.8). */
export const SNAPSHOT_PIECE_BYTES = 65_536;
/** What sealing adds to an item: the tag of AES-256-GCM. */
export const SEAL_TAG_BYTES = 16;
/** Most pieces of one snapshot: 4 GiB of memory and as much output or files. */
export const MAX_SNAPSHOT_PIECES = 131_072;
const MAX_DIGEST_BYTES = MAX_SNAPSHOT_PIECES * 32;
/** Mutable globals of one module, 9 bytes each. */
export const MAX_GLOBALS_BYTES = 9 * 65_536;
/** Fixed size of the host state (docs/stepping.md section 3.1). */
export const HOST_STATE_BYTES = 108;

/** Digests are SHA-256 over each piece, one after the other. */
const digestsSchema = boundedBytesSchema(MAX_DIGEST_BYTES);

export const snapshotBodySchema = z.strictObject({
  type: z.literal('fogproof/snapshot-body@1'),
  job: jobLink,
  step: integerSchema(),
  stateRoot: bytesSchema(32),
  state: z.discriminatedUnion('kind', [
    /** A stepping module. */
    z.strictObject({
      kind: z.literal('memory'),
      host: bytesSchema(HOST_STATE_BYTES),
      globals: boundedBytesSchema(MAX_GLOBALS_BYTES),
      /** Every logical page, in order. */
      pages: digestsSchema,
      /** The output so far, in pieces of 64 KiB, the last one shorter. */
      output: digestsSchema,
    }),
    /** A training job that is not a stepping module: its checkpoint files, in ascending order of path. */
    z.strictObject({
      kind: z.literal('files'),
      files: z
        .array(z.strictObject({ path: jobPathSchema, sizeBytes: integerSchema(), pieces: digestsSchema }))
        .max(MAX_JOB_INPUTS),
    }),
  ]),
});
export type SnapshotBody = z.output<typeof snapshotBodySchema>;
export type SnapshotState = SnapshotBody['state'];
export const SNAPSHOT_BODY: ObjectType<SnapshotBody> = {
  type: 'fogproof/snapshot-body@1',
  schema: snapshotBodySchema,
  maxBytes: 9 * 1024 * 1024,
};

/**
 * What is stored and moved. Anybody who holds it can check that all items are there; who can read the body can check
 * that they are the state (`stateRoot`).
 */
export const snapshotSchema = z.strictObject({
  type: z.literal('fogproof/snapshot@1'),
  job: jobLink,
  step: integerSchema(),
  /** True if body and items are sealed with the job's snapshot key (docs/stepping.md section 6.3). */
  sealed: z.boolean(),
  /** SHA-256 of each item as it is stored, in order: the distinct pieces of the state but for the page of zeros. */
  items: digestsSchema,
  /** Canonical `fogproof/snapshot-body@1`, or that sealed. */
  body: boundedBytesSchema(9 * 1024 * 1024 + SEAL_TAG_BYTES),
});
export type Snapshot = z.output<typeof snapshotSchema>;
export const SNAPSHOT: ObjectType<Snapshot> = {
  type: 'fogproof/snapshot@1',
  schema: snapshotSchema,
  maxBytes: 14 * 1024 * 1024,
};
