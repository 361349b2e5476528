import { decodeUtf8, encodeUtf8 } from '../../lib/bytes.ts';

export type StoredEntry = readonly [key: string, value: Uint8Array];

/** Entries of the database, as stored: the length of the key and of the value (u32), then both, one behind the other. */
export function encodeChunk(entries: readonly StoredEntry[]): Uint8Array {
  const keys = entries.map(([key]) => encodeUtf8(key));
  const sizeBytes = entries.reduce((sum, [, value], index) => sum + 8 + (keys[index]?.length ?? 0) + value.length, 0);
  const chunk = new Uint8Array(sizeBytes);
  const view = new DataView(chunk.buffer);
  let offset = 0;
  for (const [index, [, value]] of entries.entries()) {
    const key = keys[index] as Uint8Array;
    view.setUint32(offset, key.length);
    view.setUint32(offset + 4, value.length);
    chunk.set(key, offset + 8);
    chunk.set(value, offset + 8 + key.length);
    offset += 8 + key.length + value.length;
  }
  return chunk;
}

/** Undefined if it is not that. */
export function decodeChunk(chunk: Uint8Array): readonly StoredEntry[] | undefined {
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  const entries: StoredEntry[] = [];
  let offset = 0;
  while (offset < chunk.length) {
    if (offset + 8 > chunk.length) return undefined;
    const keyEnd = offset + 8 + view.getUint32(offset);
    const end = keyEnd + view.getUint32(offset + 4);
    if (end > chunk.length) return undefined;
    const key = readKey(chunk.subarray(offset + 8, keyEnd));
    if (key === undefined) return undefined;
    entries.push([key, chunk.subarray(keyEnd, end)]);
    offset = end;
  }
  return entries;
}

function readKey(bytes: Uint8Array): string | undefined {
  try {
    return decodeUtf8(bytes);
  } catch {
    return undefined;
  }
}
