/**
 * A pack: items one after the other; the snapshot's object, if it has one; the footer (canonical dag-cbor: every item's
 * SHA-256 and length, and the object's); 44 bytes of trailer: SHA-256 of the footer ‖ u32 its length ‖ "FOGPACK1".
 * Whatever is needed to find an item again is in the pack itself.
 */
import { z } from 'zod';
import { boundedBytesSchema, bytesSchema, integerSchema } from '../../domain/ids.ts';
import { decodeObject, encodeObject, type ObjectType } from '../../domain/object-type.ts';
import { MAX_SNAPSHOT_PIECES, SNAPSHOT } from '../../domain/snapshot.ts';
import { areBytesEqual, encodeUtf8 } from '../../lib/bytes.ts';
import { sha256 } from '../../lib/cid.ts';
import { MAX_FOOTER_BYTES, MAX_ITEM_BYTES } from './constants.ts';

export const DIGEST_BYTES = 32;
const LENGTH_BYTES = 4;
const MAGIC = encodeUtf8('FOGPACK1');
export const TRAILER_BYTES = DIGEST_BYTES + LENGTH_BYTES + MAGIC.length;

const footerSchema = z.strictObject({
  type: z.literal('fogproof/snapshot-pack@1'),
  digests: boundedBytesSchema(MAX_SNAPSHOT_PIECES * DIGEST_BYTES),
  /** u32 each. */
  lengths: boundedBytesSchema(MAX_SNAPSHOT_PIECES * LENGTH_BYTES),
  snapshot: z
    .strictObject({ digest: bytesSchema(DIGEST_BYTES), sizeBytes: integerSchema(1, SNAPSHOT.maxBytes) })
    .nullable(),
});
type Footer = z.output<typeof footerSchema>;
const FOOTER: ObjectType<Footer> = {
  type: 'fogproof/snapshot-pack@1',
  schema: footerSchema,
  maxBytes: MAX_FOOTER_BYTES,
};

/** What a pack holds, in order. */
export interface PackContent {
  /** SHA-256 of each item, one after the other. */
  readonly digests: Uint8Array;
  readonly lengths: readonly number[];
  readonly snapshot: { readonly digest: Uint8Array; readonly sizeBytes: number } | null;
}

/** Footer and trailer. */
export function encodePackEnd(content: PackContent): Uint8Array {
  const lengths = new Uint8Array(content.lengths.length * LENGTH_BYTES);
  const view = new DataView(lengths.buffer);
  content.lengths.forEach((length, index) => view.setUint32(index * LENGTH_BYTES, length));
  const { digests, snapshot } = content;
  const footer = encodeObject(FOOTER, { type: 'fogproof/snapshot-pack@1', digests, lengths, snapshot });
  const end = new Uint8Array(footer.length + TRAILER_BYTES);
  end.set(footer);
  end.set(sha256(footer), footer.length);
  new DataView(end.buffer).setUint32(footer.length + DIGEST_BYTES, footer.length);
  end.set(MAGIC, footer.length + DIGEST_BYTES + LENGTH_BYTES);
  return end;
}

/** Length of the footer before a trailer of TRAILER_BYTES; undefined if it is none. */
export function readFooterLength(trailer: Uint8Array): number | undefined {
  if (trailer.length !== TRAILER_BYTES) return undefined;
  if (!areBytesEqual(trailer.subarray(DIGEST_BYTES + LENGTH_BYTES), MAGIC)) return undefined;
  const length = new DataView(trailer.buffer, trailer.byteOffset).getUint32(DIGEST_BYTES);
  return length <= MAX_FOOTER_BYTES ? length : undefined;
}

/** What a pack of `sizeBytes` that ends with these bytes (footer and trailer) holds; undefined if it is damaged. */
export function decodePackEnd(end: Uint8Array, sizeBytes: number): PackContent | undefined {
  const footer = end.subarray(0, Math.max(0, end.length - TRAILER_BYTES));
  const trailer = end.subarray(footer.length);
  if (readFooterLength(trailer) !== footer.length) return undefined;
  if (!areBytesEqual(sha256(footer), trailer.subarray(0, DIGEST_BYTES))) return undefined;
  const content = decodeFooter(footer);
  if (content === undefined) return undefined;
  return measurePayload(content) + end.length === sizeBytes ? content : undefined;
}

/** Bytes before the footer. */
export function measurePayload(content: PackContent): number {
  return content.lengths.reduce((sum, length) => sum + length, content.snapshot?.sizeBytes ?? 0);
}

function decodeFooter(bytes: Uint8Array): PackContent | undefined {
  let footer: Footer;
  try {
    footer = decodeObject(FOOTER, bytes);
  } catch {
    // The checksum is right and the form is not: a later version's, or a defect. Either way it cannot be used.
    return undefined;
  }
  const { digests, snapshot } = footer;
  const view = new DataView(footer.lengths.buffer, footer.lengths.byteOffset);
  const count = Math.floor(footer.lengths.length / LENGTH_BYTES);
  const lengths = Array.from({ length: count }, (_, index) => view.getUint32(index * LENGTH_BYTES));
  const isWhole = footer.lengths.length === count * LENGTH_BYTES && digests.length === count * DIGEST_BYTES;
  return isWhole && lengths.every((length) => length <= MAX_ITEM_BYTES) ? { digests, lengths, snapshot } : undefined;
}
