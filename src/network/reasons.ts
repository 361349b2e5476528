import { describeError } from '../lib/errors.ts';

/** What libp2p and the system say, and what it means for a person; anything else stays as it is. */
const MEANINGS: readonly (readonly [RegExp, string])[] = [
  [/EADDRINUSE/, 'the port is in use: is another daemon running?'],
  [/EADDRNOTAVAIL/, 'this machine has no such address'],
  [/EACCES/, 'this user may not open that port'],
  [/ECONNREFUSED/, 'nobody listens there'],
  [/EHOSTUNREACH|ENETUNREACH/, 'no route leads there'],
  [/dial self/i, 'the address names this node itself'],
  [/Message length too long|lengthPrefix/i, 'it speaks another protocol; the two may have different pre-shared keys'],
];

/** The reason of a failed dial or listen, in one line. */
export function describeReason(error: unknown): string {
  if (error instanceof AggregateError) return [...new Set(error.errors.map(describeReason))].join('; ');
  const text = describeError(error);
  const meaning = MEANINGS.find(([pattern]) => pattern.test(text))?.[1];
  return meaning ?? (text.split('\n')[0]?.trim() || 'no reason given');
}
