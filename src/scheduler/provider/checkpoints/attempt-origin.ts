import * as dagCbor from '@ipld/dag-cbor';
import { z } from 'zod';
import { MAX_CHECKPOINTS } from '../../../domain/checkpoint.ts';
import { bytesSchema, integerSchema, unixMsSchema } from '../../../domain/ids.ts';
import { signedWireSchema } from '../../../domain/signed.ts';
import { encodeCanonical } from '../../../lib/canonical-cbor.ts';
import { createCborCodec } from '../../../storage/codecs.ts';
import type { Codec } from '../../../storage/interface.ts';

/** How often one attempt may be taken up after a restart. */
export const MAX_GENERATIONS = 99;
/**
 * Events of each generation are numbered from a multiple of this on, so that no number is told twice: more than a
 * program's log limit lets it give. All together stay below 10^10, the digits that requesters order events by.
 */
export const SEQUENCES_PER_GENERATION = 100_000_000;

const originSchema = z.strictObject({
  version: z.literal(1),
  job: signedWireSchema,
  lease: signedWireSchema,
  /** Of sealed snapshots. */
  snapshotKey: bytesSchema(32).nullable(),
});

/** What it takes to go on with an attempt, written once before it starts. */
export type AttemptOrigin = z.output<typeof originSchema>;

/** Encoding skips the schema: the values were parsed when they came in. */
export const ATTEMPT_ORIGIN_CODEC: Codec<AttemptOrigin> = {
  encode: (origin) => encodeCanonical(origin),
  decode: (bytes) => originSchema.parse(dagCbor.decode(bytes)),
};

const signSchema = z.strictObject({
  version: z.literal(1),
  /** How often the attempt was taken up. */
  generation: integerSchema(0, MAX_GENERATIONS),
  /** When it was last seen to live: begun, renewed by signed progress, at a checkpoint, or stopped with the daemon. */
  atMs: unixMsSchema,
  /** Links that stood when this generation began: a process that journalled another was no victim of the job. */
  linksBefore: integerSchema(0, MAX_CHECKPOINTS),
  /** How long the program has run and the CPU time that it took, in all generations, as far as it was written down. */
  wallTimeMs: integerSchema(),
  cpuTimeMs: integerSchema(),
  /** Newest link of which a third party has said that it holds the snapshot; null before the first. */
  heldIndex: integerSchema(0, MAX_CHECKPOINTS).nullable(),
  /** The last progress that was signed. Absent: none was. */
  lastProgress: signedWireSchema.optional(),
});
export type AttemptSign = z.output<typeof signSchema>;
export const ATTEMPT_SIGN_CODEC: Codec<AttemptSign> = createCborCodec(signSchema);
