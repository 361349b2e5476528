import { ENTRY_READERS } from '../../../src/node/repair/entry-readers.ts';
import { NAMESPACES, type NamespaceName } from '../../../src/storage/namespaces.ts';
import { type OpenedNode, readRange } from '../open-node.ts';
import type { Tally } from '../tally.ts';

/** Reads every entry of every namespace once. What is damaged is named here and passed over everywhere else. */
export async function checkEntries(node: OpenedNode, tally: Tally): Promise<void> {
  for (const namespace of Object.keys(NAMESPACES) as NamespaceName[]) {
    const read = ENTRY_READERS[namespace];
    for await (const [key, bytes] of readRange(node.database, namespace, {})) {
      const subject = { node: node.name, key: `${namespace}/${key}` };
      if (read === undefined) {
        tally.blame('entries-parse', subject, 'the checker does not know the form of this namespace');
        continue;
      }
      tally.check('entries-parse', subject, [describe(() => read(key, bytes))]);
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
