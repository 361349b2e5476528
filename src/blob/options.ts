import { HOT_BYTES, MAX_BLOBS } from './constants.ts';

export interface FileBlobStoreOptions {
  /** Folder of the files; made with mode 0700. */
  readonly directory: string;
  /** Disk that blobs may take. */
  readonly maxBytes: number;
  /** Memory for blobs in use. */
  readonly hotBytes?: number;
  readonly maxBlobs?: number;
  /** 32 bytes, from the node's identity: wraps the keys of private blobs. Without it, private blobs are refused. */
  readonly storeKey?: Uint8Array | null;
}

export const FILE_BLOB_STORE_DEFAULTS = { hotBytes: HOT_BYTES, maxBlobs: MAX_BLOBS, storeKey: null } as const;
