import { crc32 } from 'node:zlib';

const CHECKSUM_BYTES = 4;

/**
 * A value as it is stored: behind it a CRC-32 over its whole key and itself. LevelDB checks nothing when it reads, and so
 * gives what a disk changed, or what was stored under another key, as if it were right.
 */
export function sealValue(key: string, value: Uint8Array): Uint8Array {
  const sealed = new Uint8Array(value.length + CHECKSUM_BYTES);
  sealed.set(value);
  new DataView(sealed.buffer).setUint32(value.length, computeChecksum(key, value), true);
  return sealed;
}

/** Undefined if its checksum is another. */
export function openSealedValue(key: string, sealed: Uint8Array): Uint8Array | undefined {
  const length = sealed.length - CHECKSUM_BYTES;
  if (length < 0) return undefined;
  const value = sealed.subarray(0, length);
  const stored = new DataView(sealed.buffer, sealed.byteOffset + length, CHECKSUM_BYTES).getUint32(0, true);
  return stored === computeChecksum(key, value) ? value : undefined;
}

function computeChecksum(key: string, value: Uint8Array): number {
  return crc32(value, crc32(key));
}
