import { ENTRY_READERS } from '../../../src/node/repair/entry-readers.ts';
import type { StorageError } from '../../../src/storage/errors.ts';
import { NAMESPACES, type NamespaceName } from '../../../src/storage/namespaces.ts';
import type { OpenedNode } from '../open-node.ts';
import type { Tally } from '../tally.ts';

/** Reads every entry of every namespace once. What is damaged is named here and passed over everywhere else. */
export async function checkEntries(node: OpenedNode, tally: Tally): Promise<void> {
  for (const namespace of Object.keys(NAMESPACES) as NamespaceName[]) {
    const subjectOf = (key: string) => ({ node: node.name, key: `${namespace}/${key}` });
    const onDamaged = (key: string, error: StorageError): void =>
      tally.blame('entries-parse', subjectOf(key), error.message.slice(0, 300));
    for await (const [key, bytes] of node.database.byteEntries(namespace, {}, { onDamaged })) {
      tally.check('entries-parse', subjectOf(key), [describe(() => ENTRY_READERS[namespace](key, bytes))]);
    }
  }
}

function describe(read: () => unknown): readonly [boolean, string] {
  try {
    read();
    return [true, ''];
  } catch (error) {
    return [false, error instanceof Error ? error.message.slice(0, 300) : String(error)];
  }
}
