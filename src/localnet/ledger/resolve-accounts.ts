import { encodeBase58 } from '../../domain/chain.ts';
import type { AccountState } from '../svm/interface.ts';
import { isStaticWritable, type WireMessage } from '../svm/wire-transaction.ts';
import type { ResolvedAccounts } from './interface.ts';

/** Bytes before the addresses of a lookup table account. */
const LOOKUP_TABLE_HEADER_BYTES = 56;

/** The accounts of a message with those of its lookup tables, in the order of their indexes. */
export function resolveAccounts(
  message: WireMessage,
  read: (address: string) => AccountState | undefined,
): ResolvedAccounts {
  const tables = message.lookups.map((lookup) => ({ ...lookup, data: read(lookup.table)?.data ?? new Uint8Array() }));
  const writable = tables.flatMap(({ data, writable: indexes }) => indexes.map((index) => addressAt(data, index)));
  const readonly = tables.flatMap(({ data, readonly: indexes }) => indexes.map((index) => addressAt(data, index)));
  const isWritable = [
    ...message.accountKeys.map((_, index) => isStaticWritable(message, index)),
    ...writable.map(() => true),
    ...readonly.map(() => false),
  ];
  return { keys: [...message.accountKeys, ...writable, ...readonly], isWritable, loaded: { writable, readonly } };
}

/** A table that is too short fails in the machine: what stands here is not used then. */
function addressAt(data: Uint8Array, index: number): string {
  const offset = LOOKUP_TABLE_HEADER_BYTES + index * 32;
  const address = new Uint8Array(32);
  address.set(data.subarray(offset, offset + 32));
  return encodeBase58(address);
}
