import { isAbsolute, resolve } from 'node:path';
import type { NetworkDefinition } from '../domain/network-definition.ts';
import { computeDefaults, type HostFacts, readHostFacts } from './defaults.ts';
import { ConfigError } from './errors.ts';
import {
  describeOrigin,
  type Layer,
  type LayerValue,
  type Origin,
  readEnvironmentLayer,
  readFileLayer,
  readFlagLayer,
  readTreeLayer,
} from './layers.ts';
import { NetworkStore } from './network-store.ts';
import { computeDataPaths, type Environment, resolveHome, resolveSocketPath } from './paths.ts';
import { type Preset, readPreset } from './presets.ts';
import { type NodeConfig, nodeConfigSchema } from './schema.ts';
import { SETTINGS } from './settings.ts';
import { readSmallFile } from './small-file.ts';

export interface ConfigSources {
  readonly environment: Environment;
  /** Relative paths of flags and variables begin here; those of the file begin at the data folder. */
  readonly workingDirectory: string;
  /** By the path of the setting: `{ home: '/srv/fog', 'provide.slots': 2, listen: '/ip4/…,/ip6/…' }`. */
  readonly flags?: Readonly<Record<string, unknown>>;
  /** Of this machine if absent. */
  readonly host?: HostFacts;
}

export interface LoadedConfig {
  /** Frozen. */
  readonly config: NodeConfig;
  /** The network that `config.network` names; its bootstrap peers are not repeated in `config.bootstrap`. */
  readonly network: NetworkDefinition;
  /** Where each setting comes from, by its path, in the order of the schema. */
  readonly origins: ReadonlyMap<string, Origin>;
}

const DEFAULT: Origin = { kind: 'default', source: 'default' };

/** Flags, then environment, file, preset and defaults: the first that has a setting wins. @throws ConfigError */
export async function loadConfig(sources: ConfigSources): Promise<LoadedConfig> {
  const { environment } = sources;
  const flags = readFlagLayer(sources.flags ?? {});
  const variables = readEnvironmentLayer(environment);
  const home = resolveHome(environment, readText(flags, 'home'));
  const socket = resolveSocketPath(environment, home, readText(flags, 'socket'));
  const path = computeDataPaths(home).config;
  const text = await readSmallFile(path);
  const file: Layer = text === undefined ? new Map() : readFileLayer(text, path);
  const host = sources.host ?? (await readHostFacts(home));
  const defaults = readTreeLayer({ ...computeDefaults(home, host), home, socket }, DEFAULT);
  const overrides = [flags, variables, file].map((layer) => resolvePaths(layer, sources.workingDirectory, home));
  const name = readText(mergeLayers([...overrides, defaults]), 'network');
  const network = await new NetworkStore({ home }).read(name ?? 'local');
  const preset = await readPreset(network.preset);
  const presetLayer = readPresetLayer(preset, network.preset, [...overrides, defaults]);
  const values = new Map(mergeLayers([...overrides, presetLayer, defaults]));
  // Resolved above, so that commands which load no configuration find the same.
  for (const [key, value] of Object.entries({ home, socket })) {
    values.set(key, { value, origin: values.get(key)?.origin ?? DEFAULT });
  }
  assertFixed({ values, presetLayer, preset, name: network.preset });
  return { config: validate(values), network, origins: collectOrigins(values) };
}

/** @param others the layers around it, strongest first, the defaults last */
function readPresetLayer(preset: Preset, name: string, others: readonly Layer[]): Layer {
  const origin: Origin = { kind: 'preset', source: name };
  const layer = readTreeLayer(preset.values, origin);
  const listen = mergeLayers([...others.slice(0, -1), layer, ...others.slice(-1)]).get('listen')?.value;
  const isOnLoopback = Array.isArray(listen) && listen.every(isLoopback);
  return isOnLoopback ? mergeLayers([layer, readTreeLayer(preset.onLoopback ?? {}, origin)]) : layer;
}

function isLoopback(address: unknown): boolean {
  return typeof address === 'string' && /^\/(ip4\/127\.|ip6\/::1\/)/.test(address);
}

function readText(layer: Layer, path: string): string | undefined {
  const value = layer.get(path)?.value;
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Settings that are paths; `network` is one if it has a slash or ends in `.json`. */
const PATH_SETTINGS = [
  'log.file',
  'keystore.passphraseFile',
  'chain.keypairFile',
  'neighbours.asnDatabase',
  'attest.policyFile',
  'attest.simulatedKeyFile',
  'network',
] as const;

function resolvePaths(layer: Layer, workingDirectory: string, home: string): Layer {
  const resolved = new Map(layer);
  for (const setting of PATH_SETTINGS) {
    const entry = layer.get(setting);
    const text = readText(layer, setting);
    if (entry === undefined || text === undefined || isAbsolute(text)) continue;
    if (setting === 'network' && !/[/\\]|\.json$/.test(text)) continue;
    const base = entry.origin.kind === 'file' ? home : workingDirectory;
    resolved.set(setting, { ...entry, value: resolve(base, text) });
  }
  return resolved;
}

/** @param layers strongest first */
function mergeLayers(layers: readonly Layer[]): Layer {
  return new Map<string, LayerValue>(layers.toReversed().flatMap((layer) => [...layer]));
}

interface FixedCheck {
  readonly values: Layer;
  readonly presetLayer: Layer;
  readonly preset: Preset;
  readonly name: string;
}

function assertFixed({ values, presetLayer, preset, name }: FixedCheck): void {
  for (const key of preset.fixed) {
    const found = values.get(key);
    const fixed = presetLayer.get(key);
    if (found === undefined || fixed === undefined || JSON.stringify(found.value) === JSON.stringify(fixed.value)) {
      continue;
    }
    const origin = describeOrigin(found.origin);
    throw new ConfigError({
      code: 'CONFIG_FIXED_BY_PRESET',
      key,
      origin,
      preset: name,
      value: JSON.stringify(fixed.value),
    });
  }
}

function validate(values: Layer): NodeConfig {
  const tree: Record<string, unknown> = {};
  for (const [path, { value }] of values) setIn(tree, path.split('.'), value);
  const result = nodeConfigSchema.safeParse(tree);
  if (result.success) return deepFreeze(result.data);
  const issue = result.error.issues[0];
  const path = issue?.path.join('.') ?? '';
  const setting = SETTINGS.find((each) => path === each.path || path.startsWith(`${each.path}.`));
  const origin = values.get(setting?.path ?? path)?.origin ?? DEFAULT;
  throw new ConfigError(
    { code: 'CONFIG_INVALID', key: path, origin: describeOrigin(origin), reason: issue?.message ?? 'invalid' },
    { cause: result.error },
  );
}

function setIn(tree: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [key = '', ...rest] = path;
  if (rest.length === 0) {
    tree[key] = value;
    return;
  }
  const child = (tree[key] ?? {}) as Record<string, unknown>;
  tree[key] = child;
  setIn(child, rest, value);
}

function collectOrigins(values: Layer): ReadonlyMap<string, Origin> {
  return new Map(SETTINGS.map(({ path }) => [path, values.get(path)?.origin ?? DEFAULT]));
}

function deepFreeze<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null) {
    for (const child of Object.values(value)) deepFreeze(child);
    Object.freeze(value);
  }
  return value;
}
