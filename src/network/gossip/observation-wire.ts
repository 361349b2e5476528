import { type ObservationItem, observationMessageSchema } from '../../domain/observation.ts';
import { decodeCanonical, encodeCanonical } from '../../lib/canonical-cbor.ts';
import { isDaemonError } from '../../lib/errors.ts';
import { MAX_GOSSIP_BYTES } from '../constants.ts';

/** Bytes of one gossip message. */
export function encodeObservationMessage(items: readonly ObservationItem[]): Uint8Array {
  return encodeCanonical({ items });
}

/** Null: it is not canonical dag-cbor of the known form. Nothing is verified. */
export function decodeObservationMessage(bytes: Uint8Array): readonly ObservationItem[] | null {
  let wire: unknown;
  try {
    wire = decodeCanonical(bytes, { maxBytes: MAX_GOSSIP_BYTES });
  } catch (error) {
    if (isDaemonError(error)) return null;
    throw error;
  }
  const result = observationMessageSchema.safeParse(wire);
  return result.success ? result.data.items : null;
}
