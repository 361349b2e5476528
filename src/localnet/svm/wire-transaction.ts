/**
 * Transactions as they travel: compact arrays, legacy messages and version 0
 * (https://solana.com/docs/core/transactions). LiteSVM aborts the process on bytes that it cannot decode, so nothing
 * reaches it that did not pass here.
 */
import { encodeBase58 } from '../../domain/chain.ts';
import { MAX_TRANSACTION_BYTES } from '../constants.ts';
import { LocalnetError } from '../errors.ts';

export interface WireInstruction {
  readonly programIdIndex: number;
  readonly accounts: readonly number[];
  readonly data: Uint8Array;
}

export interface WireLookup {
  readonly table: string;
  readonly writable: readonly number[];
  readonly readonly: readonly number[];
}

export interface WireHeader {
  readonly numRequiredSignatures: number;
  readonly numReadonlySignedAccounts: number;
  readonly numReadonlyUnsignedAccounts: number;
}

export interface WireMessage {
  readonly version: 'legacy' | 0;
  readonly header: WireHeader;
  readonly accountKeys: readonly string[];
  readonly recentBlockhash: string;
  /** Where the 32 bytes of the block hash begin, within the message. */
  readonly blockhashOffset: number;
  readonly instructions: readonly WireInstruction[];
  readonly lookups: readonly WireLookup[];
  readonly bytes: Uint8Array;
}

export interface WireTransaction {
  readonly bytes: Uint8Array;
  readonly signatures: readonly Uint8Array[];
  /** The first signature, in base58: the name of the transaction. */
  readonly signature: string;
  /** Where the message begins. */
  readonly messageOffset: number;
  readonly message: WireMessage;
}

const MAX_ACCOUNTS = 256;

class Reader {
  readonly bytes: Uint8Array;
  offset = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  byte(what: string): number {
    const value = this.bytes[this.offset];
    if (value === undefined) throw bad(`it ends before ${what}`);
    this.offset += 1;
    return value;
  }

  take(length: number, what: string): Uint8Array {
    const end = this.offset + length;
    if (end > this.bytes.length) throw bad(`it ends within ${what}`);
    const part = this.bytes.slice(this.offset, end);
    this.offset = end;
    return part;
  }

  /** Compact u16: 7 bits a byte, at most three bytes, shortest form only. */
  length(what: string): number {
    let value = 0;
    for (let index = 0; index < 3; index += 1) {
      const byte = this.byte(what);
      value |= (byte & 0x7f) << (7 * index);
      if ((byte & 0x80) === 0) {
        if ((byte === 0 && index > 0) || value > 0xffff) break;
        return value;
      }
    }
    throw bad(`${what} is not a compact u16`);
  }

  list<Item>(what: string, read: () => Item): Item[] {
    const count = this.length(what);
    if (count > this.bytes.length) throw bad(`${what} says ${count}`);
    return Array.from({ length: count }, read);
  }
}

function bad(reason: string): LocalnetError {
  return new LocalnetError({ code: 'LOCALNET_BAD_TRANSACTION', reason });
}

/** @throws LocalnetError LOCALNET_BAD_TRANSACTION */
export function parseWireTransaction(bytes: Uint8Array): WireTransaction {
  if (bytes.length > MAX_TRANSACTION_BYTES) throw bad(`${bytes.length} bytes are more than ${MAX_TRANSACTION_BYTES}`);
  const reader = new Reader(bytes);
  const signatures = reader.list('the number of signatures', () => reader.take(64, 'a signature'));
  const messageOffset = reader.offset;
  const message = parseWireMessage(bytes.subarray(messageOffset));
  const [first] = signatures;
  if (first === undefined || signatures.length !== message.header.numRequiredSignatures) {
    throw bad(`${signatures.length} signatures, and its header asks for ${message.header.numRequiredSignatures}`);
  }
  return { bytes, signatures, signature: encodeBase58(first), messageOffset, message };
}

/** The part that is signed. @throws LocalnetError LOCALNET_BAD_TRANSACTION */
export function parseWireMessage(bytes: Uint8Array): WireMessage {
  if (bytes.length > MAX_TRANSACTION_BYTES) throw bad(`${bytes.length} bytes are more than ${MAX_TRANSACTION_BYTES}`);
  const reader = new Reader(bytes);
  const prefix = bytes[0] ?? 0;
  if (prefix > 0x80) throw bad(`version ${prefix & 0x7f} is not known`);
  const version = prefix === 0x80 ? 0 : 'legacy';
  if (version === 0) reader.byte('the version');
  const header: WireHeader = {
    numRequiredSignatures: reader.byte('the header'),
    numReadonlySignedAccounts: reader.byte('the header'),
    numReadonlyUnsignedAccounts: reader.byte('the header'),
  };
  const accountKeys = reader.list('the number of accounts', () => encodeBase58(reader.take(32, 'an account')));
  const blockhashOffset = reader.offset;
  const recentBlockhash = encodeBase58(reader.take(32, 'the block hash'));
  const instructions = reader.list('the number of instructions', () => ({
    programIdIndex: reader.byte('an instruction'),
    accounts: [...reader.take(reader.length('an instruction'), 'an instruction')],
    data: reader.take(reader.length('an instruction'), 'an instruction'),
  }));
  const lookups =
    version === 'legacy'
      ? []
      : reader.list('the number of lookup tables', () => ({
          table: encodeBase58(reader.take(32, 'a lookup table')),
          writable: [...reader.take(reader.length('a lookup table'), 'a lookup table')],
          readonly: [...reader.take(reader.length('a lookup table'), 'a lookup table')],
        }));
  if (reader.offset !== bytes.length) throw bad(`${bytes.length - reader.offset} bytes follow it`);
  const message = {
    version,
    header,
    accountKeys,
    recentBlockhash,
    blockhashOffset,
    instructions,
    lookups,
    bytes,
  } as const;
  assertSane(message);
  return message;
}

/** The rules of `Message::sanitize`. */
function assertSane({ header, accountKeys, instructions, lookups, version }: WireMessage): void {
  const { numRequiredSignatures, numReadonlySignedAccounts, numReadonlyUnsignedAccounts } = header;
  if (numRequiredSignatures === 0) throw bad('nobody signs it');
  if (numRequiredSignatures + numReadonlyUnsignedAccounts > accountKeys.length)
    throw bad('its header counts more accounts than there are');
  if (numReadonlySignedAccounts >= numRequiredSignatures) throw bad('its fee payer is read-only');
  const looked = lookups.reduce((sum, lookup) => sum + lookup.writable.length + lookup.readonly.length, 0);
  if (lookups.some(({ writable, readonly }) => writable.length + readonly.length === 0))
    throw bad('a lookup table is not used');
  const total = accountKeys.length + looked;
  if (total > MAX_ACCOUNTS) throw bad(`${total} accounts are more than ${MAX_ACCOUNTS}`);
  const programs = version === 'legacy' ? total : accountKeys.length;
  for (const { programIdIndex, accounts } of instructions) {
    if (programIdIndex === 0 || programIdIndex >= programs)
      throw bad(`its program index ${programIdIndex} is out of range`);
    if (accounts.some((index) => index >= total)) throw bad('an account index is out of range');
  }
}

/** Whether the account at `index` of the static ones may be written to, as the header says. */
export function isStaticWritable({ header, accountKeys }: WireMessage, index: number): boolean {
  const { numRequiredSignatures, numReadonlySignedAccounts, numReadonlyUnsignedAccounts } = header;
  return index < numRequiredSignatures
    ? index < numRequiredSignatures - numReadonlySignedAccounts
    : index < accountKeys.length - numReadonlyUnsignedAccounts;
}

/** The same transaction naming another block. */
export function withBlockhash(transaction: WireTransaction, blockhash: Uint8Array): Uint8Array {
  const bytes = transaction.bytes.slice();
  bytes.set(blockhash, transaction.messageOffset + transaction.message.blockhashOffset);
  return bytes;
}
