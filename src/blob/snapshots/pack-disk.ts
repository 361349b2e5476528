/** A file that is being written. */
export interface PackOutput {
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** What was written survives a power cut when it resolves. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** The folder of packs. Names are relative to it. */
export interface PackDisk extends AsyncDisposable {
  /** Makes the folder if need be. */
  start(): Promise<void>;
  list(): Promise<readonly string[]>;
  /** Of a file that is there. */
  measure(name: string): Promise<number>;
  /** At most `length` bytes from `position`; undefined if the file is not there. */
  read(name: string, position: number, length: number): Promise<Uint8Array | undefined>;
  create(name: string): Promise<PackOutput>;
  rename(from: string, to: string): Promise<void>;
  /** As good as done if it is not there. */
  remove(name: string): Promise<void>;
  /** Names that were made, changed or removed stay so over a power cut when it resolves. */
  sync(): Promise<void>;
}
