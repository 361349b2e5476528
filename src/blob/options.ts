import { HOT_BYTES, MAX_BLOBS } from './constants.ts';

export interface FileBlobStoreOptions {
  /** Folder of the files; made with mode 0700. */
  readonly directory: string;
  /** Disk that blobs may take. */
  readonly maxBytes: number;
  /** Memory for blobs in use. */
  readonly hotBytes?: number;
  readonly maxBlobs?: number;
}

export const FILE_BLOB_STORE_DEFAULTS = { hotBytes: HOT_BYTES, maxBlobs: MAX_BLOBS } as const;
