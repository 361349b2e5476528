/**
 * Schemas of objects as plain functions. Zod walks a schema anew for each value, twice to encode one, and took a sixth of
 * the time of a batch and a third of its garbage. What is compiled here accepts nothing that zod refuses and gives what
 * zod gives; whatever it does not know or does not take is left to zod, which says what is wrong with it.
 * test/unit/domain/compiled-schema.test.ts holds the two against each other.
 */
import type { core, z } from 'zod';
import { decodeLinks } from '../lib/canonical-cbor.ts';
import { NOT_READ } from '../lib/canonical-read.ts';
import { writeCanonical } from '../lib/canonical-write.ts';
import { isLinkText, Link } from '../lib/link.ts';

/** Left to zod: undefined, which no part of a schema that is compiled may be. */
type Run = (value: unknown) => unknown;

interface Compiled {
  readonly decode: Run;
  readonly encode: Run;
}

/** Codecs of the CIDs that a link schema takes; `linkSchema` enters its schemas here. */
const linkCodecs = new WeakMap<z.ZodType, readonly number[]>();
const compiledSchemas = new WeakMap<z.ZodType, Compiled | null>();

export function registerLink<Schema extends z.ZodType>(schema: Schema, codecs: readonly number[]): Schema {
  linkCodecs.set(schema, codecs);
  return schema;
}

/** The value of canonical bytes, or undefined: then the general way decides. */
export function decodeFast<Value>(schema: z.ZodType<Value>, bytes: Uint8Array, maxBytes: number): Value | undefined {
  const compiled = compile(schema);
  if (compiled === null) return undefined;
  const wire = decodeLinks(bytes, maxBytes);
  return wire === NOT_READ ? undefined : (compiled.decode(wire) as Value | undefined);
}

/** Canonical bytes of a value, or undefined: then the general way decides. */
export function encodeFast<Value>(schema: z.ZodType<Value>, value: Value): Uint8Array | undefined {
  const wire = compile(schema)?.encode(value);
  return wire === undefined ? undefined : (writeCanonical(wire) ?? undefined);
}

function compile(schema: z.ZodType): Compiled | null {
  const known = compiledSchemas.get(schema);
  if (known !== undefined) return known;
  const compiled = compileAnew(schema);
  compiledSchemas.set(schema, compiled);
  return compiled;
}

type Definition = core.$ZodTypes['_zod']['def'];

function compileAnew(schema: z.ZodType): Compiled | null {
  const def = (schema as unknown as core.$ZodTypes)._zod.def;
  const isBounded = compileChecks(def);
  if (isBounded === null || ('coerce' in def && def.coerce === true)) return null;
  switch (def.type) {
    case 'string':
      // An address or a date is a string with a format of its own.
      if ('format' in def) return null;
      return both((value) => (typeof value === 'string' && isBounded(value) ? value : undefined));
    case 'number':
      if (!('format' in def) || def.format !== 'safeint') return null;
      return both((value) => (Number.isSafeInteger(value) && isBounded(value) ? value : undefined));
    case 'boolean':
      return both((value) => (typeof value === 'boolean' ? value : undefined));
    case 'literal':
      return compileSet(def.values);
    case 'enum':
      return compileSet(Object.values(def.entries));
    case 'custom':
      return compileCustom(def);
    case 'nullable':
      return compileNullable(def.innerType as z.ZodType);
    case 'array':
      return compileArray(def.element as z.ZodType, isBounded);
    case 'record':
      return compileRecord(def.keyType as unknown as z.ZodType, def.valueType as z.ZodType);
    case 'object':
      return compileObject(def);
    case 'union':
      return compileUnion(def);
    case 'pipe':
      return compileLink(schema);
    default:
      return null;
  }
}

const both = (run: Run): Compiled => ({ decode: run, encode: run });

const BOUNDED_TYPES: ReadonlySet<Definition['type']> = new Set(['string', 'number', 'array']);

/** Bounds on numbers and lengths, and patterns; null if there is another check, or one on another type. */
function compileChecks(def: Definition): ((value: unknown) => boolean) | null {
  const checks: ((value: unknown) => boolean)[] = [];
  if ((def.checks ?? []).length > 0 && !BOUNDED_TYPES.has(def.type)) return null;
  for (const { _zod } of (def.checks ?? []) as unknown as readonly core.$ZodChecks[]) {
    const check = compileCheck(_zod.def);
    if (check === null) return null;
    checks.push(check);
  }
  const [first, second] = checks;
  if (first === undefined) return () => true;
  if (second === undefined) return first;
  if (checks.length === 2) return (value) => first(value) && second(value);
  return (value) => checks.every((check) => check(value));
}

function compileCheck(def: core.$ZodChecks['_zod']['def']): ((value: unknown) => boolean) | null {
  const lengthOf = (value: unknown): number => (value as { readonly length: number }).length;
  switch (def.check) {
    case 'greater_than': {
      const { value: bound, inclusive } = def;
      if (typeof bound !== 'number' || !inclusive) return null;
      return (value) => (value as number) >= bound;
    }
    case 'less_than': {
      const { value: bound, inclusive } = def;
      if (typeof bound !== 'number' || !inclusive) return null;
      return (value) => (value as number) <= bound;
    }
    case 'min_length':
      return (value) => lengthOf(value) >= def.minimum;
    case 'max_length':
      return (value) => lengthOf(value) <= def.maximum;
    case 'string_format':
      return compilePattern(def);
    default:
      return null;
  }
}

function compilePattern(def: core.$ZodCheckStringFormatDef): ((value: unknown) => boolean) | null {
  const { format, pattern } = def;
  // A global or sticky pattern remembers where it stopped.
  if (format !== 'regex' || pattern === undefined || pattern.global || pattern.sticky) return null;
  return (value) => pattern.test(value as string);
}

function compileSet(values: readonly unknown[]): Compiled | null {
  const known = new Set(values);
  if (known.has(undefined)) return null;
  return both((value) => (known.has(value) ? value : undefined));
}

function compileCustom(def: core.$ZodCustomDef): Compiled {
  // Any truthy answer is a yes to zod; a promise of one is not known before it is kept.
  return both((value) => (def.fn(value as never) === true ? value : undefined));
}

function compileNullable(schema: z.ZodType): Compiled | null {
  const inner = compile(schema);
  if (inner === null) return null;
  return {
    decode: (value) => (value === null ? null : inner.decode(value)),
    encode: (value) => (value === null ? null : inner.encode(value)),
  };
}

function compileArray(schema: z.ZodType, isBounded: (value: unknown) => boolean): Compiled | null {
  const element = compile(schema);
  if (element === null) return null;
  const createRun = (run: Run): Run => {
    return (value) => {
      if (!Array.isArray(value) || !isBounded(value)) return undefined;
      const items: unknown[] = [];
      for (const item of value) {
        const made = run(item);
        if (made === undefined) return undefined;
        items.push(made);
      }
      return items;
    };
  };
  return { decode: createRun(element.decode), encode: createRun(element.encode) };
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

function compileRecord(keySchema: z.ZodType, valueSchema: z.ZodType): Compiled | null {
  const [keyed, inner] = [compile(keySchema), compile(valueSchema)];
  if (keyed === null || inner === null) return null;
  const createRun = (key: Run, run: Run): Run => {
    return (value) => {
      if (!isPlain(value)) return undefined;
      const record: Record<string, unknown> = {};
      for (const name of Object.keys(value)) {
        if (name === '__proto__' || key(name) !== name) return undefined;
        const made = run(value[name]);
        if (made === undefined) return undefined;
        record[name] = made;
      }
      return record;
    };
  };
  return { decode: createRun(keyed.decode, inner.decode), encode: createRun(keyed.encode, inner.encode) };
}

interface Field {
  readonly name: string;
  readonly compiled: Compiled;
  readonly isOptional: boolean;
}

type FieldRun = readonly [name: string, run: Run, isOptional: boolean];

function compileObject(def: core.$ZodObjectDef): Compiled | null {
  const catchall = def.catchall as core.$ZodTypes | undefined;
  if (catchall?._zod.def.type !== 'never') return null;
  const fields: Field[] = [];
  for (const [name, schema] of Object.entries(def.shape)) {
    const { def: fieldDef } = (schema as unknown as core.$ZodTypes)._zod;
    const isOptional = fieldDef.type === 'optional';
    const compiled = compile((isOptional ? fieldDef.innerType : schema) as unknown as z.ZodType);
    if (compiled === null || name === '__proto__') return null;
    fields.push({ name, compiled, isOptional });
  }
  // In the order of the wire, so that whoever writes it need not sort.
  const inOrder = fields.toSorted((a, b) => a.name.length - b.name.length || (a.name < b.name ? -1 : 1));
  return {
    decode: createObjectRun(fields.map(({ name, compiled, isOptional }) => [name, compiled.decode, isOptional])),
    encode: createObjectRun(inOrder.map(({ name, compiled, isOptional }) => [name, compiled.encode, isOptional])),
  };
}

/** Every field that is not optional, and no other than these: a field that is there is never undefined. */
function createObjectRun(fields: readonly FieldRun[]): Run {
  return (value) => {
    if (!isPlain(value)) return undefined;
    let unread = 0;
    for (const _ in value) unread += 1;
    const object: Record<string, unknown> = {};
    for (const [name, run, isOptional] of fields) {
      if (!Object.hasOwn(value, name)) {
        if (isOptional) continue;
        return undefined;
      }
      const made = run(value[name]);
      if (made === undefined) return undefined;
      object[name] = made;
      unread -= 1;
    }
    return unread === 0 ? object : undefined;
  };
}

function compileUnion(def: core.$ZodUnionDef): Compiled | null {
  const { discriminator } = def as core.$ZodDiscriminatedUnionDef;
  if (typeof discriminator !== 'string') return null;
  const options = new Map<unknown, Compiled>();
  for (const option of def.options as readonly core.$ZodTypes[]) {
    const compiled = compile(option as unknown as z.ZodType);
    if (compiled === null || option._zod.def.type !== 'object') return null;
    const tag = (option._zod.def.shape[discriminator] as core.$ZodTypes | undefined)?._zod.def;
    if (tag?.type !== 'literal') return null;
    for (const value of tag.values) options.set(value, compiled);
  }
  const find = (value: unknown): Compiled | undefined =>
    isPlain(value) && Object.hasOwn(value, discriminator) ? options.get(value[discriminator]) : undefined;
  return {
    decode: (value) => find(value)?.decode(value),
    encode: (value) => find(value)?.encode(value),
  };
}

function compileLink(schema: z.ZodType): Compiled | null {
  const codecs = linkCodecs.get(schema);
  if (codecs === undefined) return null;
  return {
    decode: (value) => (value instanceof Link && codecs.includes(value.codec) ? value.text : undefined),
    encode: (value) => (typeof value === 'string' ? createLink(codecs, value) : undefined),
  };
}

/** Of several codecs the one that the text has; a text that has none of them is refused when it is written. */
function createLink(codecs: readonly number[], text: string): Link {
  const codec = codecs.length === 1 ? undefined : codecs.find((candidate) => isLinkText(candidate, text));
  return new Link(codec ?? (codecs[0] as number), text);
}
