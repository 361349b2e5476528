import { ByteCursor } from './byte-cursor.ts';
import { decodeKey, type StoredChange } from './stored-change.ts';

/** The changes of one record of a log (db/write_batch.cc of LevelDB); undefined if it is no batch. */
export function decodeWriteBatch(record: Uint8Array): readonly StoredChange[] | undefined {
  const cursor = new ByteCursor(record);
  const first = Number(cursor.uint64());
  const count = cursor.uint32();
  const changes: StoredChange[] = [];
  for (let place = 0; place < count && !cursor.isBad; place += 1) {
    const kind = cursor.uint8();
    const key = decodeKey(cursor.string());
    const value = kind === 1 ? cursor.string() : null;
    if (kind > 1 || key === undefined || cursor.isBad) return undefined;
    changes.push({ key, sequence: first + place, value });
  }
  return cursor.isBad || !cursor.isAtEnd ? undefined : changes;
}
