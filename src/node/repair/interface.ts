/** What a repair of a data folder found and did; nothing is removed of which there is no copy. */
export interface FileLoss {
  readonly file: string;
  /** What was in it, as far as it can be told. */
  readonly lost: string;
}

export interface EntryLoss {
  readonly namespace: string;
  readonly key: string;
  /** What the entry is for. */
  readonly meaning: string;
  readonly reason: string;
  /** What follows, and what is made again from other entries. */
  readonly consequence: string;
}

export interface RepairReport {
  readonly database: string;
  readonly schema: { readonly found: number | null; readonly current: number; readonly changes: number };
  /** What is wrong with its files. */
  readonly files: readonly { readonly file: string; readonly reason: string }[];
  readonly entries: number;
  readonly lostFiles: readonly FileLoss[];
  readonly damagedEntries: readonly EntryLoss[];
  /** Jobs and leases of which a part that others need is missing. */
  readonly incomplete: readonly string[];
  /** Without the list of files old tables cannot be told from new ones: entries that were deleted may be back. */
  readonly mayHoldDeleted: boolean;
  /** Where the damaged database was moved to, and the file with the damaged entries; null if there was no need. */
  readonly keptDatabase: string | null;
  readonly keptEntries: string | null;
}
