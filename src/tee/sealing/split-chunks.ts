export interface Chunk {
  /** Valid until the next chunk is asked for. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly index: number;
  readonly isFinal: boolean;
}

/** The same bytes in chunks of one size; the last is smaller or of that size, and empty only where there are none at all. */
export async function* splitChunks(source: AsyncIterable<Uint8Array>, chunkBytes: number): AsyncGenerator<Chunk> {
  const held = new Uint8Array(chunkBytes);
  let filled = 0;
  let index = 0;
  try {
    for await (const part of source) {
      for (let offset = 0; offset < part.length; ) {
        if (filled === chunkBytes) {
          yield { bytes: held, index: index++, isFinal: false };
          filled = 0;
        }
        const piece = part.subarray(offset, offset + chunkBytes - filled);
        held.set(piece, filled);
        filled += piece.length;
        offset += piece.length;
      }
    }
    yield { bytes: held.subarray(0, filled), index, isFinal: true };
  } finally {
    held.fill(0);
  }
}
