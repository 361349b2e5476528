import { ByteCursor } from './byte-cursor.ts';
import { readLogFile } from './log-file.ts';

/** Tags of db/version_edit.cc of LevelDB. */
const TAGS = {
  comparator: 1,
  logNumber: 2,
  nextFile: 3,
  lastSequence: 4,
  compactPointer: 5,
  deletedFile: 6,
  newFile: 7,
  previousLog: 9,
} as const;

export interface ManifestContent {
  /** Numbers of the tables that hold what is stored. */
  readonly tables: ReadonlySet<number>;
  /** Logs with a lower number are not needed any more; 0 before the first. */
  readonly logNumber: number;
}

interface Draft {
  readonly tables: Set<number>;
  logNumber: number;
  isComplete: boolean;
}

/** Undefined if any of it is not whole. */
export function readManifestFile(file: Uint8Array): ManifestContent | undefined {
  const { records, damaged } = readLogFile(file);
  const draft: Draft = { tables: new Set(), logNumber: 0, isComplete: false };
  if (damaged.length > 0 || records.length === 0) return undefined;
  for (const record of records) {
    const cursor = new ByteCursor(record);
    while (!cursor.isAtEnd) if (!applyField(cursor, draft)) return undefined;
    if (cursor.isBad) return undefined;
  }
  return draft.isComplete ? draft : undefined;
}

function applyField(cursor: ByteCursor, draft: Draft): boolean {
  const tag = cursor.varint();
  switch (tag) {
    case TAGS.comparator:
      cursor.string();
      return true;
    case TAGS.logNumber:
      draft.logNumber = cursor.varint();
      return true;
    case TAGS.nextFile:
      draft.isComplete = true;
      cursor.varint();
      return true;
    case TAGS.lastSequence:
    case TAGS.previousLog:
      cursor.varint();
      return true;
    case TAGS.compactPointer:
      cursor.varint();
      cursor.string();
      return true;
    case TAGS.deletedFile:
      cursor.varint();
      draft.tables.delete(cursor.varint());
      return true;
    case TAGS.newFile: {
      cursor.varint();
      draft.tables.add(cursor.varint());
      cursor.varint();
      cursor.string();
      cursor.string();
      return true;
    }
    default:
      return false;
  }
}
