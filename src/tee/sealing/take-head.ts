export interface HeadAndRest {
  /** Shorter than asked for if the source ends in it; then nothing follows. */
  readonly head: Uint8Array<ArrayBuffer>;
  /** Ends the source when it is left early, as the source's own loop would. */
  readonly rest: AsyncIterable<Uint8Array>;
}

/** The first bytes of a source, and what follows. */
export async function takeHead(source: AsyncIterable<Uint8Array>, sizeBytes: number): Promise<HeadAndRest> {
  const iterator = source[Symbol.asyncIterator]();
  const head = new Uint8Array(sizeBytes);
  let filled = 0;
  let left: Uint8Array = new Uint8Array();
  while (filled < sizeBytes) {
    const next = await iterator.next();
    if (next.done === true) break;
    const piece = next.value.subarray(0, sizeBytes - filled);
    head.set(piece, filled);
    filled += piece.length;
    left = next.value.subarray(piece.length);
  }
  return { head: head.subarray(0, filled), rest: continueWith(left, iterator) };
}

async function* continueWith(first: Uint8Array, iterator: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield first;
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield next.value;
  } finally {
    await iterator.return?.();
  }
}
