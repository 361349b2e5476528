import type { z } from 'zod';
import { InternalError } from '../../lib/errors.ts';

/** One option of the command line, derived from one key of a command's zod object. */
export interface OptionSpec {
  readonly key: string;
  /** `--kebab-case`. */
  readonly flag: string;
  readonly kind: 'switch' | 'switch-off' | 'value' | 'list';
  readonly isNumber: boolean;
  /** Shown in place of the value, such as `DIR`. */
  readonly placeholder: string;
  readonly short: string | undefined;
  readonly environment: string | undefined;
  readonly choices: readonly string[] | undefined;
  readonly description: string;
  readonly defaultText: string | undefined;
  readonly isRequired: boolean;
}

/** What `.meta({ … })` of an option may say besides its description. */
interface OptionMeta {
  readonly placeholder?: string;
  readonly short?: string;
  readonly environment?: string;
}

/** The part of a zod schema's definition that is read; `type` says which of the others there are. */
interface SchemaDefinition {
  readonly type: string;
  readonly innerType?: z.core.$ZodType;
  readonly in?: z.core.$ZodType;
  readonly element?: z.core.$ZodType;
  readonly entries?: Readonly<Record<string, string>>;
  readonly defaultValue?: unknown;
}

const WRAPPERS = ['optional', 'nullable', 'default', 'prefault', 'readonly', 'catch', 'nonoptional'];

export function describeOptions(options: z.ZodObject): OptionSpec[] {
  return Object.entries<z.core.$ZodType>(options.shape).flatMap(([key, schema]) => describeOption(key, schema));
}

export function toFlag(key: string): string {
  return `--${key.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function describeOption(key: string, schema: z.core.$ZodType): OptionSpec[] {
  const { layers, core } = unwrap(schema);
  const meta = Object.assign({}, ...layers.toReversed().map(readMeta)) as OptionMeta & { description?: string };
  const defaultLayer = layers.map(definitionOf).find(({ type }) => type === 'default' || type === 'prefault');
  const isRequired = layers.every((layer) => !['optional', 'default', 'prefault'].includes(definitionOf(layer).type));
  const { type, element, entries } = definitionOf(core);
  const item = element === undefined ? core : unwrap(element).core;
  const common = {
    key,
    isNumber: ['number', 'int'].includes(definitionOf(item).type),
    short: meta.short,
    environment: meta.environment,
    description: meta.description ?? '',
  };
  if (type === 'boolean') return describeSwitch(common, defaultLayer?.defaultValue, defaultLayer === undefined);
  const value = defaultLayer?.defaultValue;
  return [
    {
      ...common,
      flag: toFlag(key),
      kind: type === 'array' ? 'list' : 'value',
      placeholder: meta.placeholder ?? (common.isNumber ? 'N' : 'VALUE'),
      choices: entries === undefined ? enumChoices(item) : Object.values(entries),
      defaultText: value === undefined || (Array.isArray(value) && value.length === 0) ? undefined : showDefault(value),
      isRequired: isRequired && type !== 'array',
    },
  ];
}

function showDefault(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** A switch that is on by default is turned off with `--no-…`; one without a default has both. */
function describeSwitch(
  common: Pick<OptionSpec, 'key' | 'isNumber' | 'short' | 'environment' | 'description'>,
  value: unknown,
  hasNoDefault: boolean,
): OptionSpec[] {
  const rest = { placeholder: '', choices: undefined, defaultText: undefined, isRequired: false };
  const flag = toFlag(common.key);
  const off: OptionSpec = { ...common, ...rest, kind: 'switch-off', flag: `--no-${flag.slice(2)}`, short: undefined };
  if (value === true) return [off];
  const on: OptionSpec = { ...common, ...rest, kind: 'switch', flag };
  return hasNoDefault ? [on, { ...off, description: `the opposite of ${flag}` }] : [on];
}

function enumChoices(item: z.core.$ZodType): readonly string[] | undefined {
  const { entries } = definitionOf(item);
  return entries === undefined ? undefined : Object.values(entries);
}

/** From the outermost wrapper to what the value is in the end; of a codec or transform, what goes in. */
function unwrap(schema: z.core.$ZodType): { layers: z.core.$ZodType[]; core: z.core.$ZodType } {
  const layers = [schema];
  for (let current = schema; ; ) {
    const definition = definitionOf(current);
    const inner = definition.type === 'pipe' ? definition.in : definition.innerType;
    if (definition.type !== 'pipe' && !WRAPPERS.includes(definition.type)) return { layers, core: current };
    if (inner === undefined) throw new InternalError(`an option schema of type ${definition.type} wraps nothing`);
    layers.push(inner);
    current = inner;
  }
}

function definitionOf(schema: z.core.$ZodType): SchemaDefinition {
  // zod's own introspection surface: `def.type` discriminates, the fields named above belong to their types.
  return schema._zod.def as unknown as SchemaDefinition;
}

function readMeta(schema: z.core.$ZodType): object {
  return (schema as z.ZodType).meta?.() ?? {};
}
