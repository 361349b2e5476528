import { computeCrc32c } from '../../lib/crc32c.ts';

const MASK_DELTA = 0xa282ead8;

/** LevelDB stores checksums rotated and shifted (util/crc32c.h), so that those of data with checksums in it are good ones. */
export function isMaskedCrc(stored: number, crc: number): boolean {
  return stored === (((crc >>> 15) | (crc << 17)) + MASK_DELTA) >>> 0;
}

/** Of a block or a record: its kind is behind the bytes in tables, and before them in logs. */
export function computeCrcWithKind(
  bytes: Uint8Array,
  kind: { readonly value: number; readonly isFirst: boolean },
): number {
  const one = Uint8Array.of(kind.value);
  return kind.isFirst ? computeCrc32c(bytes, computeCrc32c(one)) : computeCrc32c(one, computeCrc32c(bytes));
}
