/** The first file of a backup. */
export interface BackupHead {
  readonly type: 'fogproof/backup@1';
  readonly peer: string;
  readonly createdAtMs: number;
  readonly software: string;
  readonly schemaVersion: number;
  readonly hasBlobs: boolean;
}

/** The last but one; the last is the signature of the node over it. */
export interface BackupEnd {
  readonly type: 'fogproof/backup-end@1';
  readonly files: number;
  readonly bytes: number;
  readonly entries: number;
  readonly missing: number;
  /** SHA-256 over all lists of hashes, in hex. */
  readonly hashes: string;
}
