import { NetworkStore, parseNetwork } from '../../config/network-store.ts';
import { readSmallFile } from '../../config/small-file.ts';
import type { NetworkDefinition } from '../../domain/network-definition.ts';
import { isDaemonError, UsageError } from '../../lib/errors.ts';

/** What a file says of the network that is about to go; null if it says nothing that can be read. */
export interface ReplacedNetwork {
  readonly path: string;
  readonly network: NetworkDefinition | null;
}

/** The network of that id in the data folder; undefined if there is none. @throws ConfigError CONFIG_UNREADABLE */
export async function findInStore(home: string, id: string): Promise<ReplacedNetwork | undefined> {
  const path = new NetworkStore({ home }).pathOf(id);
  const text = await readSmallFile(path);
  return text === undefined ? undefined : { path, network: tryParse(text, path) };
}

/** The file of that network; undefined if there is none. Another file is never written over. @throws UsageError */
export async function findFile(path: string, id: string): Promise<ReplacedNetwork | undefined> {
  const text = await readSmallFile(path);
  if (text === undefined) return undefined;
  const network = tryParse(text, path);
  if (network?.id === id) return { path, network };
  throw new UsageError(
    `the file ${path} exists and does not define the network '${id}': it is not replaced`,
    'Name another with --output, or remove it first.',
  );
}

function tryParse(text: string, path: string): NetworkDefinition | null {
  try {
    return parseNetwork(text, path);
  } catch (error) {
    if (isDaemonError(error)) return null;
    throw error;
  }
}

/** One line for a person: where it was and which it was. */
export function describeReplaced({ path, network }: ReplacedNetwork): string {
  if (network === null) return `${path} (it could not be read)`;
  const { chain, preSharedKey } = network;
  const where = chain.kind === 'none' ? 'no chain' : `genesis ${chain.genesis}`;
  return `${path} (${where}${preSharedKey === null ? '' : ', private'})`;
}
