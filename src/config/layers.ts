import { parseDocument } from 'yaml';
import { OTHER_VARIABLES } from './constants.ts';
import { ConfigError } from './errors.ts';
import type { Environment } from './paths.ts';
import {
  findSetting,
  findSettingOfVariable,
  nearestSetting,
  nearestVariable,
  parseSettingText,
  SECTIONS,
} from './settings.ts';

/** Where a value comes from. */
export interface Origin {
  readonly kind: 'flag' | 'environment' | 'file' | 'preset' | 'default';
  /** The flag, the variable, the file or the preset; for a default, `default`. */
  readonly source: string;
}

export interface LayerValue {
  readonly value: unknown;
  readonly origin: Origin;
}

/** Values of one layer by the path of their setting. */
export type Layer = ReadonlyMap<string, LayerValue>;

export function describeOrigin(origin: Origin): string {
  return origin.kind === 'default' ? 'default' : `${origin.kind} ${origin.source}`;
}

/** The home and the socket must be found by commands that read no file. */
const NOT_IN_FILE: Readonly<Record<string, string>> = {
  home: '--home or FOGPROOF_HOME',
  socket: '--socket or FOGPROOF_SOCKET',
};

/** @throws ConfigError CONFIG_UNKNOWN_KEY for any other FOGPROOF_ variable: a misspelt one must not be passed over */
export function readEnvironmentLayer(environment: Environment): Layer {
  const layer = new Map<string, LayerValue>();
  for (const [name, text] of Object.entries(environment)) {
    if (!name.startsWith('FOGPROOF_') || OTHER_VARIABLES.has(name) || text === undefined || text === '') continue;
    const setting = findSettingOfVariable(name);
    if (setting === undefined) {
      const nearest = nearestVariable(name);
      throw new ConfigError({ code: 'CONFIG_UNKNOWN_KEY', key: name, origin: 'environment', nearest });
    }
    const value = parseSettingText(setting.schema, text);
    layer.set(setting.path, { value, origin: { kind: 'environment', source: name } });
  }
  return layer;
}

/** Flags by the path of their setting; text is read as in the environment. @throws ConfigError CONFIG_UNKNOWN_KEY */
export function readFlagLayer(flags: Readonly<Record<string, unknown>>): Layer {
  const layer = new Map<string, LayerValue>();
  for (const [path, given] of Object.entries(flags)) {
    if (given === undefined) continue;
    const setting = findSetting(path);
    if (setting === undefined) throw unknownKey(path, 'flag');
    const value = typeof given === 'string' ? parseSettingText(setting.schema, given) : given;
    layer.set(path, { value, origin: { kind: 'flag', source: path } });
  }
  return layer;
}

/** Settings of a YAML (or JSON) text. @throws ConfigError CONFIG_UNREADABLE, CONFIG_UNKNOWN_KEY, CONFIG_NOT_IN_FILE */
export function readFileLayer(text: string, path: string): Layer {
  const document = parseDocument(text, { uniqueKeys: true, prettyErrors: true });
  const [problem] = document.errors;
  if (problem !== undefined) {
    const reason = problem.message.split('\n')[0] ?? problem.message;
    throw new ConfigError({ code: 'CONFIG_UNREADABLE', path, reason }, { cause: problem });
  }
  let content: unknown;
  try {
    content = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    throw new ConfigError({ code: 'CONFIG_UNREADABLE', path, reason: 'its aliases are too many' }, { cause: error });
  }
  const layer = readTreeLayer(content ?? {}, { kind: 'file', source: path });
  for (const [key, instead] of Object.entries(NOT_IN_FILE)) {
    if (layer.has(key)) throw new ConfigError({ code: 'CONFIG_NOT_IN_FILE', key, origin: `file ${path}`, instead });
  }
  return layer;
}

/** Settings of nested values. @throws ConfigError CONFIG_UNKNOWN_KEY, CONFIG_INVALID */
export function readTreeLayer(tree: unknown, origin: Origin): Layer {
  const layer = new Map<string, LayerValue>();
  collect(tree, '');
  return layer;

  function collect(node: unknown, prefix: string): void {
    if (typeof node !== 'object' || node === null || Array.isArray(node)) {
      const key = prefix === '' ? '(all of it)' : prefix;
      const reason = 'expected a section of settings';
      throw new ConfigError({ code: 'CONFIG_INVALID', key, origin: describeOrigin(origin), reason });
    }
    for (const [key, value] of Object.entries(node)) {
      const path = prefix === '' ? key : `${prefix}.${key}`;
      // A section whose lines are all commented out is null in YAML.
      if (SECTIONS.has(path)) collect(value ?? {}, path);
      else if (findSetting(path) !== undefined) layer.set(path, { value, origin });
      else throw unknownKey(path, describeOrigin(origin));
    }
  }
}

function unknownKey(key: string, origin: string): ConfigError {
  return new ConfigError({ code: 'CONFIG_UNKNOWN_KEY', key: key.slice(0, 200), origin, nearest: nearestSetting(key) });
}
