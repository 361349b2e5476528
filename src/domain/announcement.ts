import { z } from 'zod';
import { capabilityClassSchema } from './capability.ts';
import { bytesSchema, integerSchema, objectLink, peerKeySchema, unixMsSchema } from './ids.ts';
import type { ObjectType } from './object-type.ts';
import { jobTermsSchema } from './offer.ts';

/** Longest life of an announcement, ms: whoever still looks announces anew. */
export const MAX_ANNOUNCEMENT_MS = 60_000;

/**
 * Signed by the requester and gossiped on the topic of its capability class: there is work. It never holds the job's
 * inputs, module or arguments. Providers that fit answer with an offer on a direct stream (`offer/1`, op `give`).
 */
export const announcementSchema = z.strictObject({
  type: z.literal('fogproof/announcement@1'),
  network: z.string().min(1).max(64),
  /** The job, or for jobs submitted together the batch statement that signs them: what an offer names. */
  subject: objectLink,
  requester: peerKeySchema,
  capabilityClass: capabilityClassSchema,
  terms: jobTermsSchema,
  /** As in an offer: attempts that one offer covers. */
  attempts: integerSchema(1, 4096),
  /** Offers that are wanted: replicas that have no provider yet. */
  wanted: integerSchema(1, 64),
  /** Makes announcing the same work again another message. */
  nonce: bytesSchema(16),
  issuedAtMs: unixMsSchema,
  expiresAtMs: unixMsSchema,
});
export type Announcement = z.output<typeof announcementSchema>;
export const ANNOUNCEMENT: ObjectType<Announcement> = {
  type: 'fogproof/announcement@1',
  schema: announcementSchema,
  maxBytes: 4 * 1024,
};
