import { deflateRawSync, inflateRawSync } from 'node:zlib';
import type { NetworkDefinition } from '../domain/network-definition.ts';
import { areBytesEqual, concatBytes, decodeUtf8, encodeUtf8 } from '../lib/bytes.ts';
import { sha256 } from '../lib/cid.ts';
import { MAX_CONFIG_FILE_BYTES, MAX_INVITE_LENGTH } from './constants.ts';
import { ConfigError } from './errors.ts';
import { formatNetwork, parseNetwork } from './network-store.ts';

/** Prefix of an invite; its digit is the version of the format. */
const PREFIX = 'fogproof1';
const CHECKSUM_BYTES = 4;

/** A network definition as one word: prefix, then base64url of checksum ‖ raw-deflated JSON. As secret as the file. */
export function encodeInvite(network: NetworkDefinition): string {
  const packed = deflateRawSync(encodeUtf8(JSON.stringify(JSON.parse(formatNetwork(network)))), { level: 9 });
  return PREFIX + Buffer.from(concatBytes(computeChecksum(packed), packed)).toString('base64url');
}

export function isInvite(text: string): boolean {
  return text.startsWith(PREFIX);
}

/** @throws ConfigError CONFIG_BAD_INVITE, CONFIG_NETWORK_MALFORMED */
export function decodeInvite(text: string): NetworkDefinition {
  const bad = (reason: string, cause?: unknown): ConfigError =>
    new ConfigError({ code: 'CONFIG_BAD_INVITE', reason }, { cause });
  if (!isInvite(text)) throw bad(`it does not begin with ${PREFIX}`);
  if (text.length > MAX_INVITE_LENGTH) throw bad(`it has more than ${MAX_INVITE_LENGTH} characters`);
  const body = text.slice(PREFIX.length);
  const bytes = new Uint8Array(Buffer.from(body, 'base64url'));
  if (Buffer.from(bytes).toString('base64url') !== body) throw bad('it holds characters that do not belong there');
  const packed = bytes.subarray(CHECKSUM_BYTES);
  if (!areBytesEqual(bytes.subarray(0, CHECKSUM_BYTES), computeChecksum(packed))) {
    throw bad('its checksum is wrong: a part is missing or mistyped');
  }
  let json: string;
  try {
    json = decodeUtf8(inflateRawSync(packed, { maxOutputLength: MAX_CONFIG_FILE_BYTES }));
  } catch (error) {
    throw bad('it cannot be unpacked', error);
  }
  return parseNetwork(json, 'the invite');
}

function computeChecksum(packed: Uint8Array): Uint8Array {
  return sha256(packed).subarray(0, CHECKSUM_BYTES);
}
