import { resolve } from 'node:path';
import { createConfigFile, setInConfigFile } from '../../config/config-file.ts';
import { decodeInvite, isInvite } from '../../config/invite.ts';
import { NetworkStore, parseNetwork } from '../../config/network-store.ts';
import { readSmallFile, type SmallFileOptions } from '../../config/small-file.ts';
import type { NetworkDefinition } from '../../domain/network-definition.ts';
import { UsageError } from '../../lib/errors.ts';

export interface NetworkPlaces {
  readonly home: string;
  readonly workingDirectory: string;
}

/** A network named by an invite, the path of its file, or the id of one joined before. @throws ConfigError, UsageError */
export async function readNetworkArgument(text: string, places: NetworkPlaces): Promise<NetworkDefinition> {
  const given = text.trim();
  if (isInvite(given)) return decodeInvite(given);
  const path = resolve(places.workingDirectory, given);
  const content = await readSmallFile(path);
  if (content !== undefined) return parseNetwork(content, path);
  if (/[/\\]|\.json$/.test(given)) {
    throw new UsageError(`there is no file ${path}`, 'Check the path, or give the invite or the id of a network.');
  }
  return new NetworkStore({ home: places.home }).read(given);
}

/** Keeps the network in the data folder and makes it the node's own. Gives the path of its file. @throws ConfigError */
export async function joinNetwork(
  home: string,
  network: NetworkDefinition,
  options: SmallFileOptions = { existing: 'keep' },
): Promise<string> {
  const path = await new NetworkStore({ home }).add(network, options);
  await createConfigFile(home);
  await setInConfigFile(home, 'network', network.id);
  return path;
}
