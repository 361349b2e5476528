import * as dagCbor from '@ipld/dag-cbor';
import { findFormFault } from './canonical-form.ts';
import { NOT_READ, readCanonical, readCanonicalLinks } from './canonical-read.ts';
import { writeCanonical } from './canonical-write.ts';
import { DaemonError, describeError, type ErrorTable } from './errors.ts';

export type CborErrorInfo =
  | { readonly code: 'CBOR_TOO_LARGE'; readonly sizeBytes: number; readonly maxBytes: number }
  | { readonly code: 'CBOR_MALFORMED'; readonly reason: string }
  | { readonly code: 'CBOR_NOT_CANONICAL' }
  | { readonly code: 'CBOR_FLOAT' };

const CBOR_ERRORS: ErrorTable<CborErrorInfo> = {
  CBOR_TOO_LARGE: {
    retryable: false,
    message: (info) => `the object has ${info.sizeBytes} bytes; at most ${info.maxBytes} are accepted`,
    hint: () => 'Send a smaller object; put bulk data into blobs.',
  },
  CBOR_MALFORMED: {
    retryable: false,
    message: (info) => `the bytes are not dag-cbor: ${info.reason}`,
    hint: () => 'Encode the object as canonical dag-cbor.',
  },
  CBOR_NOT_CANONICAL: {
    retryable: false,
    message: () => 'the bytes are dag-cbor but not in canonical form',
    hint: () => 'Encode with sorted keys, shortest integers and no trailing bytes.',
  },
  CBOR_FLOAT: {
    retryable: false,
    message: () => 'the object holds a floating-point number',
    hint: () => 'Use integers in base units, or decimal strings.',
  },
};

export class CborError extends DaemonError<CborErrorInfo> {
  constructor(info: CborErrorInfo, options?: ErrorOptions) {
    super(CBOR_ERRORS, info, options);
  }
}

export interface DecodeOptions {
  readonly maxBytes: number;
  /** Floats have no place in signed or hashed objects; frames that are neither may allow them. */
  readonly floats?: 'refuse' | 'allow';
}

/** Canonical dag-cbor of a plain value (maps, arrays, strings, bytes, integers, booleans, null, CIDs). */
export function encodeCanonical(value: unknown): Uint8Array {
  const written = writeCanonical(value);
  if (written !== null) return written;
  const { buffer, byteOffset, byteLength } = dagCbor.encode(value);
  // In Node.js the encoder gives a Buffer, which comparisons and encoders treat unlike what a decoder gives.
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/**
 * Decodes dag-cbor and refuses every encoding that is not the canonical one, so that one value has one hash.
 * @throws CborError
 */
export function decodeCanonical(bytes: Uint8Array, options: DecodeOptions): unknown {
  if (bytes.length > options.maxBytes) {
    throw new CborError({ code: 'CBOR_TOO_LARGE', sizeBytes: bytes.length, maxBytes: options.maxBytes });
  }
  const isCanonical = findFormFault(bytes) === null;
  let value: unknown = NOT_READ;
  try {
    if (isCanonical) value = readCanonical(bytes);
    if (value === NOT_READ) value = dagCbor.decode(bytes);
  } catch (error) {
    throw new CborError({ code: 'CBOR_MALFORMED', reason: describeError(error) }, { cause: error });
  }
  if (!isCanonical) throw new CborError({ code: 'CBOR_NOT_CANONICAL' });
  if (options.floats !== 'allow') assertNoFloats(value);
  return value;
}

/**
 * The value of canonical bytes with a `Link` for each CID; NOT_READ for what is rare and for all that `decodeCanonical`
 * refuses, which is for it to read or to refuse.
 */
export function decodeLinks(bytes: Uint8Array, maxBytes: number): unknown {
  if (bytes.length > maxBytes || findFormFault(bytes) !== null) return NOT_READ;
  return readCanonicalLinks(bytes);
}

function assertNoFloats(value: unknown): void {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) throw new CborError({ code: 'CBOR_FLOAT' });
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return;
  for (const child of Object.values(value)) assertNoFloats(child);
}
