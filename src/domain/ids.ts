import { peerIdFromString } from '@libp2p/peer-id';
import { CID } from 'multiformats/cid';
import { z } from 'zod';
import type { Brand } from '../lib/brand.ts';
import { DAG_CBOR_CODE, DAG_PB_CODE, RAW_CODE } from '../lib/cid.ts';
import { isLinkText } from '../lib/link.ts';
import { registerLink } from './compiled-schema.ts';
import { DomainError } from './errors.ts';

/** CIDv1 (dag-cbor, sha2-256) of a canonical job, as a base32 string. */
export type JobId = Brand<string, 'JobId'>;
/** CIDv1 of a lease's payload. */
export type LeaseId = Brand<string, 'LeaseId'>;
/** CIDv1 of an offer's payload. */
export type OfferId = Brand<string, 'OfferId'>;
/** CIDv1 of any other signed object's payload. */
export type ObjectId = Brand<string, 'ObjectId'>;
/** CIDv1 (sha2-256) of a blob: raw up to BLOB_LEAF_BYTES, else the dag-pb root of its UnixFS file (docs/blobs.md). */
export type BlobId = Brand<string, 'BlobId'>;
/** libp2p PeerId of an Ed25519 key, base58btc (`12D3Koo…`). */
export type PeerKey = Brand<string, 'PeerKey'>;
/** Unix time in whole ms. */
export type UnixMs = Brand<number, 'UnixMs'>;

function parseCid(text: string, kind: string, codec: number): string {
  if (isLinkText(codec, text)) return text;
  let cid: CID;
  try {
    cid = CID.parse(text);
  } catch (error) {
    throw new DomainError({ code: 'DOMAIN_BAD_ID', kind, text: text.slice(0, 80) }, { cause: error });
  }
  if (cid.version !== 1 || cid.code !== codec || cid.toString() !== text) {
    throw new DomainError({ code: 'DOMAIN_BAD_ID', kind, text: text.slice(0, 80) });
  }
  return text;
}

export const JobId = (text: string): JobId => parseCid(text, 'job id', DAG_CBOR_CODE) as JobId;
export const LeaseId = (text: string): LeaseId => parseCid(text, 'lease id', DAG_CBOR_CODE) as LeaseId;
export const OfferId = (text: string): OfferId => parseCid(text, 'offer id', DAG_CBOR_CODE) as OfferId;
export const ObjectId = (text: string): ObjectId => parseCid(text, 'object id', DAG_CBOR_CODE) as ObjectId;
export const BlobId = (text: string): BlobId =>
  (isLinkText(DAG_PB_CODE, text) ? text : parseCid(text, 'blob id', RAW_CODE)) as BlobId;

/** @throws DomainError DOMAIN_BAD_ID unless `text` is the PeerId of an Ed25519 key */
export function PeerKey(text: string): PeerKey {
  try {
    const peer = peerIdFromString(text);
    if (peer.type === 'Ed25519' && peer.toString() === text) return text as PeerKey;
  } catch (error) {
    throw new DomainError({ code: 'DOMAIN_BAD_ID', kind: 'peer id', text: text.slice(0, 80) }, { cause: error });
  }
  throw new DomainError({ code: 'DOMAIN_BAD_ID', kind: 'peer id', text: text.slice(0, 80) });
}

/** The last time that a Date can hold (ECMA-262, section 21.4.1.1): whoever prints a later one throws. */
const MAX_UNIX_MS = 8.64e15;

function isUnixMs(value: unknown): value is UnixMs {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= MAX_UNIX_MS;
}

/** @throws DomainError DOMAIN_BAD_TIME unless `value` is a whole, non-negative number of ms that a Date can hold */
export function UnixMs(value: number): UnixMs {
  if (!isUnixMs(value)) throw new DomainError({ code: 'DOMAIN_BAD_TIME', value });
  return value;
}

function isCid(value: unknown): value is CID {
  return CID.asCID(value) !== null;
}

/** Ids come again and again in the messages of one job: their two forms are kept, up to a bound. */
const MAX_CACHED_LINKS = 4096;
/** A CIDv1 with a 32-byte hash has 36; longer ones are not worth keeping. */
const MAX_CACHED_LINK_BYTES = 64;
const textByBytes = new Map<string, string>();
const cidByText = new Map<string, CID>();

function remember<Value>(cache: Map<string, Value>, key: string, value: Value): Value {
  if (cache.size >= MAX_CACHED_LINKS) cache.clear();
  cache.set(key, value);
  return value;
}

/** CID.toString() of a CIDv1 is its base32 form, which is what the branded constructors accept. */
function writeLink(cid: CID): string {
  if (cid.bytes.length > MAX_CACHED_LINK_BYTES) return cid.toString();
  const key = String.fromCharCode(...cid.bytes);
  return textByBytes.get(key) ?? remember(textByBytes, key, cid.toString());
}

function readLink(text: string): CID {
  const known = cidByText.get(text);
  if (known !== undefined) return known;
  const cid = CID.parse(text);
  return cid.bytes.length > MAX_CACHED_LINK_BYTES ? cid : remember(cidByText, text, cid);
}

/** A dag-cbor link on the wire, a branded base32 string in memory. */
function linkSchema<Id extends string>(codecs: readonly number[], name: string) {
  const wire = z.custom<CID>((value) => isCid(value) && value.version === 1 && codecs.includes(value.code), {
    error: `expected a CIDv1 link to ${name}`,
  });
  const memory = z.custom<Id>((value) => typeof value === 'string', { error: `expected ${name}` });
  const link = z.codec(wire, memory, { decode: (cid) => writeLink(cid) as Id, encode: readLink });
  return registerLink(link, codecs);
}

export const jobLink = linkSchema<JobId>([DAG_CBOR_CODE], 'a job id');
export const leaseLink = linkSchema<LeaseId>([DAG_CBOR_CODE], 'a lease id');
export const offerLink = linkSchema<OfferId>([DAG_CBOR_CODE], 'an offer id');
export const objectLink = linkSchema<ObjectId>([DAG_CBOR_CODE], 'an object id');
export const blobLink = linkSchema<BlobId>([RAW_CODE, DAG_PB_CODE], 'a blob id');

/** The same few peers are named in nearly every object; a key that was once found good stays so. */
const MAX_CACHED_PEERS = 4096;
const knownPeers = new Set<string>();

function isPeerKey(value: unknown): boolean {
  if (typeof value !== 'string' || value.length > 64) return false;
  if (knownPeers.has(value)) return true;
  try {
    PeerKey(value);
  } catch {
    return false;
  }
  if (knownPeers.size >= MAX_CACHED_PEERS) knownPeers.clear();
  knownPeers.add(value);
  return true;
}

/** A PeerId string, checked to be an Ed25519 key's. */
export const peerKeySchema = z.custom<PeerKey>(isPeerKey, { error: 'expected the PeerId of an Ed25519 key' });

export const unixMsSchema = z.custom<UnixMs>(isUnixMs, { error: 'expected Unix time in whole ms' });

/** Byte string of exactly `length` bytes. */
export const bytesSchema = (length: number) =>
  z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length === length, {
    error: `expected ${length} bytes`,
  });

/** Byte string of at most `maxLength` bytes. */
export const boundedBytesSchema = (maxLength: number) =>
  z.custom<Uint8Array>((value) => value instanceof Uint8Array && value.length <= maxLength, {
    error: `expected at most ${maxLength} bytes`,
  });

/** A whole number from `min` to `max` (by default to 2^53 - 1). */
export const integerSchema = (min = 0, max: number = Number.MAX_SAFE_INTEGER) => z.int().min(min).max(max);

/** A non-negative integer of any size as a decimal string without leading zeros: money, in base units. */
export const decimalSchema = z.string().regex(/^(0|[1-9][0-9]{0,38})$/, 'expected a non-negative decimal integer');
