import type { BlobId } from '../domain/ids.ts';

/** A blob's file is either its bytes, or those encrypted leaf by leaf. */
export interface BlobFileName {
  readonly blob: BlobId;
  readonly isSealed: boolean;
}

export interface StoredFile extends BlobFileName {
  readonly sizeBytes: number;
}

/** A file being written from its start; what is not accepted is deleted. */
export interface IncomingFile extends AsyncDisposable {
  write(piece: Uint8Array): Promise<void>;
  /** What was written survives a power cut when it resolves. */
  sync(): Promise<void>;
}

/** A file in its place that is filled in any order. */
export interface PartialFile {
  /** Its length before it was opened; 0 if it was not there. */
  readonly foundBytes: number;
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** What was written before, and the file's name, survive a power cut when it resolves. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** The folder of blobs. */
export interface BlobDisk extends AsyncDisposable {
  /**
   * Makes the folder if need be, and deletes what was on its way in or out. `finishRemovals` is told first which files were
   * out of their place already when the process was killed.
   */
  start(finishRemovals: (leaving: readonly BlobFileName[]) => Promise<void>): Promise<void>;
  createIncoming(): Promise<IncomingFile>;
  /** Puts a complete, synced file in its place, over one that is there; durable when it resolves. */
  accept(incoming: IncomingFile, name: BlobFileName): Promise<void>;
  /** Opens a file in its place, or makes it, and gives it its full length; what was not written reads as zeros. */
  openPartial(name: BlobFileName, sizeBytes: number): Promise<PartialFile>;
  /** At most `length` bytes from `position`; undefined if it is not there. */
  read(name: BlobFileName, position: number, length: number): Promise<Uint8Array | undefined>;
  /** Takes it out of its place at once; the returned task frees the disk. */
  remove(name: BlobFileName): () => Promise<void>;
  /** Every file in its place, also those that no index knows. */
  list(): AsyncIterable<StoredFile>;
}
