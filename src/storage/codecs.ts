import * as dagCbor from '@ipld/dag-cbor';
import { z } from 'zod';
import { decodeObject, encodeObject, type ObjectType } from '../domain/object-type.ts';
import { decodeUtf8, encodeUtf8 } from '../lib/bytes.ts';
import { encodeCanonical } from '../lib/canonical-cbor.ts';
import type { Codec } from './interface.ts';

/** Bytes as they are. */
export const BYTES_CODEC: Codec<Uint8Array> = { encode: (value) => value, decode: (bytes) => bytes };

export const STRING_CODEC: Codec<string> = { encode: encodeUtf8, decode: decodeUtf8 };

/** JSON: for values of strings, numbers, booleans, arrays and objects. What does not fit `schema` is refused both ways. */
export function createJsonCodec<Value>(schema: z.ZodType<Value>): Codec<Value> {
  return {
    encode: (value) => encodeUtf8(JSON.stringify(z.encode(schema, value))),
    decode: (bytes) => z.decode(schema, JSON.parse(decodeUtf8(bytes))),
  };
}

/** dag-cbor: for values with bytes, links or large integers. What does not fit `schema` is refused both ways. */
export function createCborCodec<Value>(schema: z.ZodType<Value>): Codec<Value> {
  return {
    encode: (value) => encodeCanonical(z.encode(schema, value)),
    decode: (bytes) => z.decode(schema, dagCbor.decode(bytes)),
  };
}

/** The canonical form of a domain object. */
export function createObjectCodec<Value extends { readonly type: string }>(type: ObjectType<Value>): Codec<Value> {
  return { encode: (value) => encodeObject(type, value), decode: (bytes) => decodeObject(type, bytes) };
}
