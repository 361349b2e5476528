import { z } from 'zod';
import { decodeCanonical, encodeCanonical } from '../lib/canonical-cbor.ts';
import { decodeFast, encodeFast } from './compiled-schema.ts';
import { DomainError } from './errors.ts';

/** A versioned kind of object: its `type` string, its schema (wire in, memory out) and its size limit in bytes. */
export interface ObjectType<Value extends { readonly type: string }> {
  readonly type: Value['type'];
  readonly schema: z.ZodType<Value>;
  readonly maxBytes: number;
}

/** Canonical dag-cbor of a value. @throws DomainError DOMAIN_BAD_OBJECT if it does not fit its schema */
export function encodeObject<Value extends { readonly type: string }>(
  objectType: ObjectType<Value>,
  value: Value,
): Uint8Array {
  const written = encodeFast(objectType.schema, value);
  if (written !== undefined) return written;
  const result = z.safeEncode(objectType.schema, value);
  if (!result.success) throw badObject(objectType.type, result.error);
  return encodeCanonical(result.data);
}

/**
 * The value of canonical dag-cbor bytes. Unknown fields and versions are refused.
 * @throws CborError (size, form), DomainError DOMAIN_UNKNOWN_TYPE, DOMAIN_BAD_OBJECT
 */
export function decodeObject<Value extends { readonly type: string }>(
  objectType: ObjectType<Value>,
  bytes: Uint8Array,
): Value {
  const value = decodeFast(objectType.schema, bytes, objectType.maxBytes);
  if (value?.type === objectType.type) return value;
  const wire = decodeCanonical(bytes, { maxBytes: objectType.maxBytes });
  const found = typeof wire === 'object' && wire !== null && 'type' in wire ? wire.type : undefined;
  if (found !== objectType.type) {
    throw new DomainError({
      code: 'DOMAIN_UNKNOWN_TYPE',
      expected: objectType.type,
      found: String(found).slice(0, 64),
    });
  }
  const result = z.safeDecode(objectType.schema, wire as never);
  if (!result.success) throw badObject(objectType.type, result.error);
  return result.data;
}

function badObject(type: string, error: z.ZodError): DomainError {
  const issue = error.issues[0];
  return new DomainError(
    { code: 'DOMAIN_BAD_OBJECT', type, path: issue?.path.join('.') ?? '', reason: issue?.message ?? 'invalid' },
    { cause: error },
  );
}
