import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import {
  DEFAULT_NETWORK_PARAMETERS,
  type NetworkDefinition,
  networkDefinitionSchema,
} from '../domain/network-definition.ts';
import { describeError } from '../lib/errors.ts';
import { systemErrorCode } from '../lib/system-error.ts';
import { ConfigError } from './errors.ts';
import { computeDataPaths } from './paths.ts';
import { readSmallFile, type SmallFileOptions, writeSmallFile } from './small-file.ts';

/** The network until one is joined: this machine and, through mDNS, its neighbours. */
export const LOCAL_NETWORK: NetworkDefinition = {
  type: 'fogproof/network@1',
  id: 'local',
  preset: 'local',
  bootstrap: [],
  parameters: DEFAULT_NETWORK_PARAMETERS,
  chain: { kind: 'none' },
  preSharedKey: null,
};

/** @param source what to call it in an error. @throws ConfigError CONFIG_NETWORK_MALFORMED */
export function parseNetwork(text: string, source: string): NetworkDefinition {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // The parser's message may quote the pre-shared key.
    throw new ConfigError({ code: 'CONFIG_NETWORK_MALFORMED', source, reason: 'it is not JSON' });
  }
  const result = networkDefinitionSchema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const reason = `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`;
  throw new ConfigError({ code: 'CONFIG_NETWORK_MALFORMED', source, reason });
}

export function formatNetwork(network: NetworkDefinition): string {
  return `${JSON.stringify(z.encode(networkDefinitionSchema, network), null, 2)}\n`;
}

/** Network definitions of a data folder: `networks/<id>.json`. */
export class NetworkStore {
  readonly #folder: string;

  constructor(options: { readonly home: string }) {
    this.#folder = computeDataPaths(options.home).networks;
  }

  pathOf(id: string): string {
    return join(this.#folder, `${id}.json`);
  }

  /** A joined network by id, or any by an absolute path. @throws ConfigError CONFIG_NETWORK_UNKNOWN, _MALFORMED */
  async read(nameOrPath: string): Promise<NetworkDefinition> {
    const isId = networkDefinitionSchema.shape.id.safeParse(nameOrPath).success;
    const path = isId ? this.pathOf(nameOrPath) : nameOrPath;
    const text = await readSmallFile(path);
    if (text !== undefined) {
      const network = parseNetwork(text, path);
      if (!isId || network.id === nameOrPath) return network;
      const reason = `it defines the network '${network.id}'`;
      throw new ConfigError({ code: 'CONFIG_NETWORK_MALFORMED', source: path, reason });
    }
    if (nameOrPath === LOCAL_NETWORK.id) return LOCAL_NETWORK;
    const known = (await this.listIds()).concat(LOCAL_NETWORK.id);
    throw new ConfigError({ code: 'CONFIG_NETWORK_UNKNOWN', name: nameOrPath, known });
  }

  /** Ids of the networks joined, sorted; `local` needs no file and is not among them unless it has one. */
  async listIds(): Promise<string[]> {
    try {
      const names = await readdir(this.#folder);
      return names
        .filter((name) => name.endsWith('.json') && !name.startsWith('.'))
        .map((name) => name.slice(0, -'.json'.length))
        .sort();
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return [];
      const reason = describeError(error);
      throw new ConfigError({ code: 'CONFIG_UNREADABLE', path: this.#folder, reason }, { cause: error });
    }
  }

  /**
   * Keeps a network; the same one again is no change.
   * @param options what happens to another of its id; it is kept unless told otherwise
   * @throws ConfigError CONFIG_NETWORK_EXISTS if another of its id is kept
   */
  async add(network: NetworkDefinition, options: SmallFileOptions = { existing: 'keep' }): Promise<string> {
    const path = this.pathOf(network.id);
    const text = formatNetwork(network);
    if (await writeSmallFile(path, text, options)) return path;
    const existing = await readSmallFile(path);
    if (existing !== undefined && formatNetwork(parseNetwork(existing, path)) === text) return path;
    throw new ConfigError({ code: 'CONFIG_NETWORK_EXISTS', id: network.id, path });
  }
}
