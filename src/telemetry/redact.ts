import { encodeHex } from '../lib/bytes.ts';
import { MAX_FIELD_DEPTH, MAX_FIELD_ITEMS, MAX_FIELD_LENGTH } from './constants.ts';
import type { LogFields } from './interface.ts';

/** Names of fields whose values are never written, at any depth; compared without case, `-` and `_`. */
export const REDACTED_FIELDS: ReadonlySet<string> = new Set([
  'passphrase',
  'password',
  'secret',
  'secretkey',
  'seed',
  'privatekey',
  'presharedkey',
  'psk',
  'contentkey',
  'mnemonic',
  'token',
  'authorization',
  'cookie',
  'invite',
]);

const REDACTED = '[redacted]';

/** Plain, bounded fields of a log line: secrets by name replaced, errors and bytes in readable form, long ones cut. */
export function toPlainFields(fields: LogFields): Record<string, unknown> {
  return plainRecord(fields, MAX_FIELD_DEPTH);
}

function plainRecord(record: object, depth: number): Record<string, unknown> {
  const plain: Record<string, unknown> = {};
  let items = 0;
  for (const [key, value] of Object.entries(record)) {
    items += 1;
    if (items > MAX_FIELD_ITEMS) break;
    plain[key] = isSecret(key) ? REDACTED : plainValue(value, depth - 1);
  }
  return plain;
}

function isSecret(key: string): boolean {
  return REDACTED_FIELDS.has(key.replace(/[-_]/g, '').toLowerCase());
}

function plainValue(value: unknown, depth: number): unknown {
  if (typeof value === 'string')
    return value.length > MAX_FIELD_LENGTH ? `${value.slice(0, MAX_FIELD_LENGTH)}…` : value;
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return typeof value === 'function' ? '[function]' : value;
  if (depth < 0) return '…';
  if (value instanceof Uint8Array) return `${encodeHex(value.subarray(0, 16))}${value.length > 16 ? '…' : ''}`;
  if (value instanceof Error) return plainError(value, depth);
  if (Array.isArray(value)) return value.slice(0, MAX_FIELD_ITEMS).map((item: unknown) => plainValue(item, depth - 1));
  if (value instanceof Map || value instanceof Set) return plainValue([...value], depth);
  return plainRecord(value, depth);
}

function plainError(error: Error, depth: number): Record<string, unknown> {
  const { info } = error as { info?: unknown };
  return {
    name: error.name,
    message: plainValue(error.message, depth),
    ...(typeof info === 'object' && info !== null ? { info: plainRecord(info, depth - 1) } : {}),
    // A coded error is expected: its stack says nothing that its code does not.
    ...(info === undefined && error.stack !== undefined ? { stack: plainValue(error.stack, depth) } : {}),
    ...(error.cause === undefined ? {} : { cause: plainValue(error.cause, depth - 1) }),
  };
}
