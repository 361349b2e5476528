import { BYTES_CODEC } from '../codecs.ts';
import { ENTRY_CHECKSUMS_KEY } from '../constants.ts';
import type { Database, WriteOperation } from '../interface.ts';
import { NAMESPACES, type NamespaceName } from '../namespaces.ts';
import { sealValue } from '../sealed-value.ts';
import type { MigrationLimits, MigrationStep } from './migration.ts';

const NAMES = (Object.keys(NAMESPACES) as NamespaceName[]).filter((name) => name !== 'meta').sort();

/**
 * From schema 1 to 2. While it runs the database stores values as they are given: those that it writes carry their
 * checksum, and the mark that all do comes with the last of them. The cursor is the last whole key that was done; without
 * it nothing is sealed twice, since a database without the mark reads both forms.
 */
export async function addChecksums(
  database: Database,
  cursor: string | null,
  { maxEntries, maxBytes }: MigrationLimits,
): Promise<MigrationStep> {
  const operations: WriteOperation[] = [];
  let sizeBytes = 0;
  const [current = '', ...rest] = cursor === null ? [''] : cursor.split('/');
  const done = rest.join('/');
  for (const namespace of NAMES) {
    if (namespace < current) continue;
    const range = namespace === current ? { gt: done } : {};
    for await (const [key, value] of database.repository(namespace, BYTES_CODEC).entries(range)) {
      const where = `${namespace}/${key}`;
      operations.push({ kind: 'put', namespace, key, value: sealValue(where, value) });
      sizeBytes += value.length;
      if (operations.length >= maxEntries || sizeBytes >= maxBytes) return { operations, cursor: where };
    }
  }
  const mark: WriteOperation = {
    kind: 'put',
    namespace: 'meta',
    key: ENTRY_CHECKSUMS_KEY,
    value: new TextEncoder().encode('all'),
  };
  return { operations: [...operations, mark], cursor: null };
}
