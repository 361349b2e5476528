import { UsageError } from '../../lib/errors.ts';
import { parseDuration } from '../../lib/quantity.ts';

/** Milliseconds of an option's value. @throws UsageError */
export function readDuration(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const durationMs = parseDuration(text);
  if (durationMs !== undefined) return durationMs;
  throw new UsageError(`${flag}: '${text}' is not a duration`, 'Write a number with its unit, such as 30s or 2m.');
}
