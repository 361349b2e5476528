/** One change as LevelDB stores it: the one with the highest sequence of a key counts. */
export interface StoredChange {
  readonly key: string;
  readonly sequence: number;
  /** Null where it was deleted. */
  readonly value: Uint8Array | null;
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });

/** Undefined if it is not UTF-8: the program writes no such key. */
export function decodeKey(bytes: Uint8Array): string | undefined {
  try {
    return UTF8.decode(bytes);
  } catch {
    return undefined;
  }
}
