import { ByteCursor } from './byte-cursor.ts';

/** Far above what one LevelDB block unpacks to: a value is one block at most. */
const MAX_UNPACKED_BYTES = 1024 * 1024 * 1024;
/** Nothing packs better: a copy of 64 bytes takes at least 2. */
const MAX_RATIO = 64;

/** Snappy's raw format (google/snappy, format_description.txt). Undefined if it is not that. */
export function unpackSnappy(packed: Uint8Array): Uint8Array | undefined {
  const cursor = new ByteCursor(packed);
  const length = cursor.varint();
  if (cursor.isBad || length > MAX_UNPACKED_BYTES || length > packed.length * MAX_RATIO) return undefined;
  const output = new Uint8Array(length);
  let filled = 0;
  while (!cursor.isAtEnd) {
    const tag = cursor.uint8();
    const { size, offset } = readElement(cursor, tag);
    if (cursor.isBad || filled + size > length) return undefined;
    if (offset === 0) output.set(cursor.take(size), filled);
    else if (offset > filled) return undefined;
    else repeat(output, { from: filled - offset, to: filled, size });
    filled += size;
  }
  return cursor.isBad || filled !== length ? undefined : output;
}

/** Offset 0 is a literal. */
function readElement(cursor: ByteCursor, tag: number): { readonly size: number; readonly offset: number } {
  const upper = tag >>> 2;
  switch (tag & 3) {
    case 0: {
      if (upper < 60) return { size: upper + 1, offset: 0 };
      let size = 0;
      for (let place = 0; place < upper - 59; place += 1) size += cursor.uint8() * 2 ** (8 * place);
      return { size: size + 1, offset: 0 };
    }
    case 1:
      return checkOffset({ size: (upper & 7) + 4, offset: ((tag >>> 5) << 8) | cursor.uint8() });
    case 2:
      return checkOffset({ size: upper + 1, offset: cursor.uint8() | (cursor.uint8() << 8) });
    default:
      return checkOffset({ size: upper + 1, offset: cursor.uint32() });
  }
}

/** A copy from offset 0 is no copy; one from beyond the beginning is refused by the caller. */
function checkOffset(copy: { readonly size: number; readonly offset: number }) {
  return copy.offset === 0 ? { ...copy, offset: Number.POSITIVE_INFINITY } : copy;
}

/** Copies may overlap what they write. */
function repeat(output: Uint8Array, { from, to, size }: { from: number; to: number; size: number }): void {
  if (from + size <= to) output.copyWithin(to, from, from + size);
  else for (let index = 0; index < size; index += 1) output[to + index] = output[from + index] as number;
}
