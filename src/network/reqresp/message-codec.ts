import { z } from 'zod';
import { decodeFast, encodeFast } from '../../domain/compiled-schema.ts';
import { CborError, decodeCanonical, encodeCanonical } from '../../lib/canonical-cbor.ts';
import { NetworkError } from '../errors.ts';

interface MessageKind<Value> {
  readonly protocol: string;
  readonly schema: z.ZodType<Value>;
  readonly maxBytes: number;
}

/** @throws NetworkError NETWORK_BAD_MESSAGE, NETWORK_TOO_LARGE: our own caller's mistake */
export function encodeMessage<Value>(kind: MessageKind<Value>, value: Value): Uint8Array {
  const bytes = encodeFast(kind.schema, value) ?? encodeByZod(kind, value);
  if (bytes.length > kind.maxBytes) {
    const { protocol, maxBytes } = kind;
    throw new NetworkError({ code: 'NETWORK_TOO_LARGE', protocol, sizeBytes: bytes.length, maxBytes });
  }
  return bytes;
}

function encodeByZod<Value>(kind: MessageKind<Value>, value: Value): Uint8Array {
  const result = z.safeEncode(kind.schema, value);
  if (!result.success) throw badMessage(kind.protocol, result.error);
  return encodeCanonical(result.data);
}

/**
 * A message as a peer sent it. Frames are neither signed nor hashed, so floats are a matter of the schema.
 * @throws NetworkError NETWORK_BAD_FRAME (not canonical dag-cbor), NETWORK_BAD_MESSAGE (not the schema)
 */
export function decodeMessage<Value>(kind: MessageKind<Value>, bytes: Uint8Array): Value {
  const value = decodeFast(kind.schema, bytes, kind.maxBytes);
  if (value !== undefined) return value;
  const wire = decodeBody(bytes, kind.maxBytes);
  const result = z.safeDecode(kind.schema, wire as never);
  if (!result.success) throw badMessage(kind.protocol, result.error);
  return result.data;
}

/** @throws NetworkError NETWORK_BAD_FRAME */
export function decodeBody(bytes: Uint8Array, maxBytes: number): unknown {
  try {
    return decodeCanonical(bytes, { maxBytes, floats: 'allow' });
  } catch (error) {
    if (!(error instanceof CborError)) throw error;
    throw new NetworkError({ code: 'NETWORK_BAD_FRAME', reason: error.message }, { cause: error });
  }
}

function badMessage(protocol: string, error: z.ZodError): NetworkError {
  const issue = error.issues[0];
  return new NetworkError(
    {
      code: 'NETWORK_BAD_MESSAGE',
      protocol,
      path: issue?.path.join('.') ?? '',
      reason: issue?.message ?? 'it does not fit the schema',
    },
    { cause: error },
  );
}
