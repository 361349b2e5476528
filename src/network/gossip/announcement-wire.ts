import { z } from 'zod';
import { ANNOUNCEMENT, type Announcement } from '../../domain/announcement.ts';
import { type Signed, type SignedWire, signedWireSchema } from '../../domain/signed.ts';
import { decodeCanonical, encodeCanonical } from '../../lib/canonical-cbor.ts';
import { DaemonError } from '../../lib/errors.ts';
import { openSigned } from '../../proofs/signed-object.ts';
import { NetworkError } from '../errors.ts';
import type { AnnouncementRuleCode } from './announcement-rules.ts';

/** Room for the envelope, or for an inclusion path and the envelope of its root, around an announcement. */
export const MAX_ANNOUNCEMENT_WIRE_BYTES = ANNOUNCEMENT.maxBytes + 6 * 1024;

export function encodeAnnouncementWire(wire: SignedWire): Uint8Array {
  return encodeCanonical(wire);
}

/** @throws NetworkError NETWORK_BAD_MESSAGE, CborError */
export function decodeAnnouncementWire(bytes: Uint8Array): SignedWire {
  const result = signedWireSchema.safeParse(decodeCanonical(bytes, { maxBytes: MAX_ANNOUNCEMENT_WIRE_BYTES }));
  if (result.success) return result.data;
  throw new NetworkError(
    { code: 'NETWORK_BAD_MESSAGE', protocol: 'jobs', path: '', reason: z.prettifyError(result.error) },
    { cause: result.error },
  );
}

export type OpenedAnnouncement =
  | { readonly kind: 'opened'; readonly announcement: Signed<Announcement> }
  | { readonly kind: 'refused'; readonly code: AnnouncementRuleCode };

/** Decodes and verifies a gossiped announcement; what it says is judged by `judgeAnnouncement`. */
export async function openAnnouncement(bytes: Uint8Array): Promise<OpenedAnnouncement> {
  try {
    return { kind: 'opened', announcement: await openSigned(ANNOUNCEMENT, decodeAnnouncementWire(bytes)) };
  } catch (error) {
    if (!(error instanceof DaemonError)) throw error;
    return { kind: 'refused', code: 'NETWORK_ANNOUNCEMENT_MALFORMED' };
  }
}
