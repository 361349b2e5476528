import { open } from 'node:fs/promises';
import { describeError } from '../../lib/errors.ts';
import { BYTES_CODEC } from '../../storage/codecs.ts';
import { StorageError } from '../../storage/errors.ts';
import type { Database, WriteOperation } from '../../storage/interface.ts';
import type { LevelDatabase } from '../../storage/level-database.ts';
import { NAMESPACES, type NamespaceName } from '../../storage/namespaces.ts';
import { CONSEQUENCES } from './consequences.ts';
import { ENTRY_READERS } from './entry-readers.ts';
import type { EntryLoss } from './interface.ts';

export interface EntryCheck {
  readonly entries: number;
  readonly damaged: readonly EntryLoss[];
}

const MAX_REASON_CHARS = 300;

/** Reads every entry with the form of its namespace. */
export async function checkEntries(database: Database): Promise<EntryCheck> {
  const damaged: EntryLoss[] = [];
  let entries = 0;
  for (const namespace of Object.keys(NAMESPACES) as NamespaceName[]) {
    const blame = (key: string, error: unknown): void => {
      const reason = describeDamage(error).slice(0, MAX_REASON_CHARS);
      const consequence = CONSEQUENCES[namespace];
      damaged.push({ namespace, key, meaning: NAMESPACES[namespace], reason, consequence });
    };
    const onDamaged = (key: string, error: unknown): void => {
      entries += 1;
      blame(key, error);
    };
    for await (const [key, bytes] of database.repository(namespace, BYTES_CODEC).entries({}, { onDamaged })) {
      entries += 1;
      try {
        ENTRY_READERS[namespace](key, bytes);
      } catch (error) {
        blame(key, error);
      }
    }
  }
  return { entries, damaged };
}

function describeDamage(error: unknown): string {
  if (error instanceof StorageError && error.info.code === 'STORAGE_CORRUPT') return error.info.reason;
  return describeError(error);
}

/** Writes damaged entries to a file of their own, one JSON object a line, and takes them out of the database. */
export async function quarantineEntries(
  database: LevelDatabase,
  damaged: readonly EntryLoss[],
  path: string,
): Promise<void> {
  await using file = await open(path, 'wx', 0o600);
  const operations: WriteOperation[] = [];
  for (const { namespace, key, reason } of damaged) {
    const value = await database.readStored(`${namespace}/${key}`);
    const stored = value === undefined ? null : Buffer.from(value).toString('base64');
    await file.write(`${JSON.stringify({ namespace, key, reason, stored })}\n`);
    operations.push({ kind: 'delete', namespace: namespace as NamespaceName, key });
  }
  await file.sync();
  await database.write(operations, { durable: true });
}
