import type { z } from 'zod';
import { UsageError } from '../../lib/errors.ts';
import { type OptionSpec, toFlag } from './option-specs.ts';

/** Commander's raw values (text) as the command's typed options. @throws UsageError naming the flag */
export function parseOptions<Options extends z.ZodObject>(
  schema: Options,
  specs: readonly OptionSpec[],
  raw: Readonly<Record<string, unknown>>,
): z.output<Options> {
  const entries = specs.flatMap(({ key, isNumber }) => {
    const value = raw[key];
    return value === undefined ? [] : [[key, isNumber ? toNumbers(value) : value] as const];
  });
  const result = schema.safeParse(Object.fromEntries(entries));
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const flag = toFlag(String(issue?.path[0] ?? ''));
  const message = issue === undefined ? 'invalid value' : describeIssue(issue);
  throw new UsageError(`option ${flag}: ${message}`, 'Run the command with --help for its options.', {
    cause: result.error,
  });
}

/** Zod's own words for a number with a fraction are `expected int, received number`. */
function describeIssue(issue: z.core.$ZodIssue): string {
  return issue.message
    .replace(/^Invalid input: /, '')
    .replace(/^expected int, received .*$/, 'expected a whole number')
    .replace(/^expected number, received .*$/, 'expected a number');
}

/** Text that is no number stays text, for the schema to refuse. */
function toNumbers(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toNumbers);
  if (typeof value !== 'string' || value.trim() === '') return value;
  const number = Number(value);
  return Number.isNaN(number) ? value : number;
}
