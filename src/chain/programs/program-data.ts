/**
 * Bytes of instructions, accounts and events of Solana programs, in Borsh: fields one after another, integers
 * little-endian, a vector counted by a u32. Used by src/chain/generated.
 */
import { decodeBase58, encodeBase58, SolanaAddress } from '../../domain/chain.ts';
import { areBytesEqual, concatBytes } from '../../lib/bytes.ts';
import { ChainError } from '../errors.ts';

const ADDRESS_BYTES = 32;
type IntegerBits = 8 | 16 | 32 | 64;

function fail(what: string, reason: string): never {
  throw new ChainError({ code: 'CHAIN_BAD_PROGRAM_DATA', what, reason });
}

/** Writes the fields of one instruction, account or event in order. @throws ChainError CHAIN_BAD_PROGRAM_DATA */
export class ProgramDataWriter {
  readonly #what: string;
  readonly #parts: Uint8Array[];

  constructor(what: string, discriminator: Uint8Array) {
    this.#what = what;
    this.#parts = [discriminator];
  }

  unsigned(bits: IntegerBits, value: bigint | number): void {
    const number = this.#integer(value);
    if (BigInt.asUintN(bits, number) !== number) this.#fail(`${value} is no unsigned integer of ${bits} bits`);
    this.#append(bits, number);
  }

  signed(bits: IntegerBits, value: bigint | number): void {
    const number = this.#integer(value);
    if (BigInt.asIntN(bits, number) !== number) this.#fail(`${value} is no signed integer of ${bits} bits`);
    this.#append(bits, number);
  }

  bytes(length: number, value: Uint8Array): void {
    if (value.length !== length) this.#fail(`${value.length} bytes where ${length} belong`);
    this.#parts.push(value);
  }

  address(value: SolanaAddress): void {
    this.bytes(ADDRESS_BYTES, decodeBase58(value));
  }

  /** A fixed number of items, without a count. */
  array<Item>(count: number, values: readonly Item[], write: (item: Item) => void): void {
    if (values.length !== count) this.#fail(`${values.length} items where ${count} belong`);
    values.forEach(write);
  }

  vector<Item>(values: readonly Item[], write: (item: Item) => void): void {
    this.unsigned(32, values.length);
    values.forEach(write);
  }

  finish(): Uint8Array {
    return concatBytes(...this.#parts);
  }

  #integer(value: bigint | number): bigint {
    if (typeof value === 'number' && !Number.isSafeInteger(value)) this.#fail(`${value} is no integer`);
    return BigInt(value);
  }

  #append(bits: IntegerBits, value: bigint): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, value), true);
    this.#parts.push(bytes.subarray(0, bits / 8));
  }

  #fail(reason: string): never {
    return fail(this.#what, reason);
  }
}

/** Reads what `ProgramDataWriter` writes, and nothing else. @throws ChainError CHAIN_BAD_PROGRAM_DATA */
export class ProgramDataReader {
  readonly #what: string;
  readonly #data: Uint8Array;
  #offset = 0;

  constructor(what: string, data: Uint8Array, discriminator: Uint8Array) {
    this.#what = what;
    this.#data = data;
    if (!areBytesEqual(this.bytes(discriminator.length), discriminator))
      fail(what, 'it begins with another discriminator');
  }

  unsigned(bits: 8 | 16 | 32): number {
    return Number(this.unsignedBig(bits));
  }

  unsignedBig(bits: IntegerBits = 64): bigint {
    const padded = new Uint8Array(8);
    padded.set(this.bytes(bits / 8));
    return new DataView(padded.buffer).getBigUint64(0, true);
  }

  signedBig(): bigint {
    return BigInt.asIntN(64, this.unsignedBig());
  }

  bytes(length: number): Uint8Array {
    const end = this.#offset + length;
    if (end > this.#data.length) fail(this.#what, `it ends after ${this.#data.length} bytes`);
    // A copy: the slice of a Buffer would share its memory.
    const bytes = new Uint8Array(this.#data.subarray(this.#offset, end));
    this.#offset = end;
    return bytes;
  }

  address(): SolanaAddress {
    return SolanaAddress(encodeBase58(this.bytes(ADDRESS_BYTES)));
  }

  array<Item>(count: number, read: () => Item): Item[] {
    return Array.from({ length: count }, read);
  }

  /** @param itemBytes size of an item: a count that the data cannot hold is refused before anything is read */
  vector<Item>(itemBytes: number, read: () => Item): Item[] {
    const count = this.unsigned(32);
    if (count * itemBytes > this.#data.length - this.#offset) fail(this.#what, `it ends before ${count} items`);
    return this.array(count, read);
  }

  finish(): void {
    const left = this.#data.length - this.#offset;
    if (left > 0) fail(this.#what, `${left} bytes are left over`);
  }
}

/** Address number `index` of an instruction. @throws ChainError CHAIN_BAD_PROGRAM_DATA */
export function instructionAccount(
  what: string,
  accounts: readonly { readonly address: SolanaAddress }[],
  index: number,
): SolanaAddress {
  return accounts[index]?.address ?? fail(what, `it names ${accounts.length} accounts`);
}
