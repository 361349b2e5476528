export interface SnapshotStoreOptions {
  /** Made with mode 0700. */
  readonly folder: string;
  /** Disk that snapshots may take; a compaction passes it by COMPACT_BYTES for a moment. */
  readonly maxBytes: number;
}
