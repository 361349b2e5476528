import { z } from 'zod';
import { hideUrlSecrets } from '../lib/endpoint-address.ts';
import { nearestName } from '../lib/nearest-name.ts';
import { formatDuration, formatSize } from '../lib/quantity.ts';
import { nodeConfigSchema, QUANTITIES, type Quantity } from './schema.ts';

/** One setting: a leaf of the configuration's schema. */
export interface Setting {
  /** Such as `provide.maxMemoryBytes`. */
  readonly path: string;
  /** Such as `FOGPROOF_PROVIDE_MAX_MEMORY_BYTES`. */
  readonly variable: string;
  readonly schema: z.ZodType;
}

function collectSettings(schema: z.ZodObject, prefix: string): Setting[] {
  return Object.entries(schema.shape).flatMap(([key, child]): Setting[] => {
    const path = prefix === '' ? key : `${prefix}.${key}`;
    if (child instanceof z.ZodObject) return collectSettings(child, path);
    if (!(child instanceof z.ZodType)) return [];
    return [{ path, variable: toVariable(path), schema: child }];
  });
}

function toVariable(path: string): string {
  const words = path.replace(/[.-]/g, '_').replace(/([a-z0-9])([A-Z])/g, '$1_$2');
  return `FOGPROOF_${words.toUpperCase()}`;
}

/** Every setting, in the order of the schema. */
export const SETTINGS: readonly Setting[] = collectSettings(nodeConfigSchema, '');

const BY_PATH = new Map(SETTINGS.map((setting) => [setting.path, setting]));
const BY_VARIABLE = new Map(SETTINGS.map((setting) => [setting.variable, setting]));
/** Paths of the sections that hold settings: `provide`, `provide.pricesPerHour`, … */
export const SECTIONS: ReadonlySet<string> = new Set(
  SETTINGS.flatMap(({ path }) => {
    const parts = path.split('.');
    return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('.'));
  }),
);

export function findSetting(path: string): Setting | undefined {
  return BY_PATH.get(path);
}

export function findSettingOfVariable(variable: string): Setting | undefined {
  return BY_VARIABLE.get(variable);
}

/** The path that was most likely meant: another spelling (`max-memory-bytes`), the last part alone, or a near one. */
export function nearestSetting(path: string): string | null {
  const plain = (text: string): string => text.replace(/[-_.\s]/g, '').toLowerCase();
  const spelled = SETTINGS.find((setting) => plain(setting.path) === plain(path));
  if (spelled !== undefined) return spelled.path;
  const last = path.slice(path.lastIndexOf('.') + 1);
  const moved = SETTINGS.filter(
    (setting) => plain(setting.path.slice(setting.path.lastIndexOf('.') + 1)) === plain(last),
  );
  const [only] = moved;
  if (only !== undefined && moved.length === 1) return only.path;
  return nearestName(path, [...BY_PATH.keys(), ...SECTIONS]) ?? null;
}

/** The variable that was most likely meant. */
export function nearestVariable(variable: string): string | null {
  return nearestName(variable, [...BY_VARIABLE.keys()]) ?? null;
}

/** What text (of a variable or a flag) says for a setting; what it cannot say is left for the schema to refuse. */
export function parseSettingText(schema: z.ZodType, text: string): unknown {
  if (schema instanceof z.ZodNullable) {
    const inner = schema.unwrap();
    return text === 'none' || !(inner instanceof z.ZodType) ? null : parseSettingText(inner, text);
  }
  if (schema instanceof z.ZodArray)
    return readSettingMeta(schema)['text'] === 'words' ? splitWords(text) : splitList(text);
  if (schema instanceof z.ZodUnion) {
    const isWord = schema.options.some(
      (option) => (option instanceof z.ZodLiteral || option instanceof z.ZodEnum) && option.safeParse(text).success,
    );
    return isWord ? text : splitList(text);
  }
  if (schema instanceof z.ZodBoolean)
    return /^(true|1|yes|on)$/i.test(text) || (/^(false|0|no|off)$/i.test(text) ? false : text);
  if (schema instanceof z.ZodNumber) return /^-?\d+$/.test(text) ? Number(text) : text;
  // As in the file, where a number needs no unit: milliseconds, bytes or instructions.
  if (readQuantity(schema) !== undefined) return /^\d+$/.test(text) ? Number(text) : text;
  return text;
}

/** What a setting that may be written with a unit is an amount of. */
function readQuantity(schema: z.ZodType): Quantity | undefined {
  return QUANTITIES.find((quantity) => quantity === readSettingMeta(schema)['quantity']);
}

/** The value with its unit, such as `5 m`; undefined for what has none. */
export function formatWithUnit({ schema }: Pick<Setting, 'schema'>, value: unknown): string | undefined {
  if (typeof value !== 'number') return undefined;
  const quantity = readQuantity(schema);
  if (quantity === 'duration') return formatDuration(value);
  return quantity === 'size' ? formatSize(value) : undefined;
}

/**
 * What `.meta({ … })` of a setting may say besides its description: `text: 'words'` for a list that is written as the
 * words of a command, `secret: 'url'` for addresses that may hold keys, `quantity` for what may have a unit.
 */
function readSettingMeta(schema: z.ZodType): Readonly<Record<string, unknown>> {
  return schema.meta() ?? {};
}

/** A value as it may be shown to anybody. */
export function hideSecrets({ schema }: Pick<Setting, 'schema'>, value: unknown): unknown {
  if (readSettingMeta(schema)['secret'] !== 'url' || !Array.isArray(value)) return value;
  return value.map((item: unknown) => (typeof item === 'string' ? hideUrlSecrets(item) : item));
}

/** A JSON array; undefined if it is none. */
function parseJsonList(text: string): unknown {
  if (!text.trimStart().startsWith('[')) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const WORD = /"([^"]*)"|'([^']*)'|([^\s"']+)/g;
const WORDS = /^\s*((?:"[^"]*"|'[^']*'|[^\s"']+)(\s+|$))*$/;

/**
 * The words of a command: blanks part them, quotes around a whole word keep its blanks; nothing else has a meaning, as no
 * shell reads it. Or a JSON array. What is neither is left for the schema to refuse.
 */
function splitWords(text: string): unknown {
  const list = parseJsonList(text);
  if (list !== undefined) return list;
  if (!WORDS.test(text)) return text;
  return [...text.matchAll(WORD)].map(([, double, single, plain]) => double ?? single ?? plain ?? '');
}

/** Parted by commas, or a JSON array. */
function splitList(text: string): unknown {
  const list = parseJsonList(text);
  if (list !== undefined) return list;
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}
