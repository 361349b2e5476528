/** Fields that stand in several parts of a job file: quantities with their units, and where files come from. */
import { z } from 'zod';
import {
  COUNT_PATTERN,
  DURATION_PATTERN,
  formatDuration,
  formatSize,
  parseCount,
  parseDuration,
  parseSize,
  SIZE_PATTERN,
} from '../lib/quantity.ts';
import { type ResourceAmount, resourcesSchema } from './job.ts';

interface QuantityOptions {
  readonly noun: string;
  readonly pattern: RegExp;
  readonly parse: (text: string) => number | undefined;
  readonly format: (value: number) => string;
  readonly minimum: number;
  readonly maximum: number;
  readonly plainNumbers: 'accept' | 'refuse';
}

/** A quantity as text with a unit (or a plain number, where that is clear), as a whole number in memory. */
export function quantitySchema(options: QuantityOptions) {
  const { noun, pattern, parse, format, minimum, maximum } = options;
  const error = `expected ${noun}`;
  const text = z.string({ error }).regex(pattern, error);
  const wire: z.ZodType<string | number> =
    options.plainNumbers === 'accept' ? z.union([z.int().min(0), text], { error }) : text;
  return wire.transform((given, context) => {
    const value = typeof given === 'number' ? given : parse(given);
    if (value !== undefined && value >= minimum && value <= maximum) return value;
    const message =
      value === undefined ? `expected ${noun} that is whole` : `expected from ${format(minimum)} to ${format(maximum)}`;
    context.issues.push({ code: 'custom', message, input: given });
    return z.NEVER;
  });
}

export function boundsOf(name: ResourceAmount): { minimum: number; maximum: number } {
  const shape = resourcesSchema.shape[name];
  const { minValue, maxValue } = 'unwrap' in shape ? shape.unwrap() : shape;
  return { minimum: minValue ?? 0, maximum: maxValue ?? Number.MAX_SAFE_INTEGER };
}

export const sizeSchema = (bounds: { readonly minimum: number; readonly maximum: number }) =>
  quantitySchema({
    noun: 'a size such as 64MiB',
    pattern: SIZE_PATTERN,
    parse: parseSize,
    format: formatSize,
    ...bounds,
    plainNumbers: 'accept',
  });

export const durationSchema = (minimum: number, maximum: number) =>
  quantitySchema({
    noun: 'a duration with a unit such as 30s',
    pattern: DURATION_PATTERN,
    parse: parseDuration,
    format: formatDuration,
    minimum,
    maximum,
    plainNumbers: 'refuse',
  });

export const countSchema = quantitySchema({
  noun: 'a count such as 2e9',
  pattern: COUNT_PATTERN,
  parse: parseCount,
  format: String,
  ...boundsOf('fuel'),
  plainNumbers: 'accept',
});

const BLOB_ID_PATTERN = /^baf(krei|ybei)[a-z2-7]{52}$/;
const FOLDER_ID_PATTERN = /^bafybei[a-z2-7]{52}$/;
export const pathSourceSchema = z.string().min(1).max(4096);
export const blobSourceSchema = z.strictObject({
  blob: z
    .string()
    .regex(BLOB_ID_PATTERN, 'expected the CID of a blob')
    .describe('CID of a blob that the node has, as blob ids are printed: bafkrei or bafybei and 52 more characters.'),
  size: z.int().min(0).describe('Size of the blob in bytes.'),
});
const folderSourceSchema = z.strictObject({
  folder: z
    .string()
    .regex(FOLDER_ID_PATTERN, 'expected the CID of a folder')
    .describe(
      'CID of a folder that the node has, as `fogproof blob add FOLDER` prints it: bafybei and 52 more characters.',
    ),
});
export const fileSourceSchema = z.union([pathSourceSchema, blobSourceSchema], {
  error: 'expected a path, or { blob, size } of a blob that the node already has',
});
export const inputSourceSchema = z.union([pathSourceSchema, blobSourceSchema, folderSourceSchema], {
  error: 'expected a path, or { blob, size } of a blob or { folder } of a folder that the node already has',
});
export type InputSource = z.output<typeof inputSourceSchema>;

export const argumentsFileSchema = z
  .array(z.string().max(4096))
  .max(256)
  .default([])
  .describe('Command-line arguments after the program name: a list of text; put numbers in quotes.');
export const environmentFileSchema = z
  .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/), z.string().max(4096))
  .default({})
  .describe('Environment variables: names to text; put numbers and true or false in quotes.');
