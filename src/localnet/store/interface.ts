/** Where a local chain is kept: sorted keys, atomic writes in the order they were asked for. */
export interface StoreChange {
  readonly key: string;
  /** Null deletes. */
  readonly value: Uint8Array | null;
}

export interface StoreRange {
  readonly gte: string;
  readonly lt: string;
  readonly reverse?: boolean;
  readonly limit?: number;
}

export interface ChainStore extends AsyncDisposable {
  get(key: string): Promise<Uint8Array | undefined>;
  range(range: StoreRange): AsyncIterable<readonly [key: string, value: Uint8Array]>;
  /**
   * All or nothing, after everything asked for before; with `durable` it has reached the disk when the promise resolves.
   * @throws LocalnetError LOCALNET_DISK
   */
  write(changes: readonly StoreChange[], options?: { readonly durable?: boolean }): Promise<void>;
}
