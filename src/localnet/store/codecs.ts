import { base58btc } from 'multiformats/bases/base58';
import { z } from 'zod';
import { encodeBase58 } from '../../domain/chain.ts';
import { decodeUtf8, encodeUtf8 } from '../../lib/bytes.ts';
import { describeError } from '../../lib/errors.ts';
import { LocalnetError } from '../errors.ts';
import type { BlockHeader, TransactionRecord } from '../ledger/interface.ts';
import type { AccountState } from '../svm/interface.ts';
import type { TransactionErrorJson } from '../svm/transaction-error.ts';
import { parseWireTransaction } from '../svm/wire-transaction.ts';

/** u64 lamports, u64 rent epoch, u8 executable, owner: then the data. */
const ACCOUNT_HEADER_BYTES = 49;

export function encodeAccount({ lamports, rentEpoch, executable, owner, data }: AccountState): Uint8Array {
  const bytes = new Uint8Array(ACCOUNT_HEADER_BYTES + data.length);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, lamports, true);
  view.setBigUint64(8, rentEpoch, true);
  view.setUint8(16, executable ? 1 : 0);
  bytes.set(base58btc.baseDecode(owner), 17);
  bytes.set(data, ACCOUNT_HEADER_BYTES);
  return bytes;
}

/** @throws LocalnetError LOCALNET_CORRUPT */
export function decodeAccount(bytes: Uint8Array, where: StoredAt): AccountState {
  if (bytes.length < ACCOUNT_HEADER_BYTES) throw corrupt(where, `${bytes.length} bytes are no account`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    lamports: view.getBigUint64(0, true),
    rentEpoch: view.getBigUint64(8, true),
    executable: view.getUint8(16) === 1,
    owner: encodeBase58(bytes.subarray(17, ACCOUNT_HEADER_BYTES)),
    data: bytes.slice(ACCOUNT_HEADER_BYTES),
  };
}

export interface StoredAt {
  readonly directory: string;
  readonly key: string;
}

const u64 = z
  .string()
  .regex(/^\d{1,20}$/)
  .transform(BigInt);
const bytes = z.base64().transform((text) => new Uint8Array(Buffer.from(text, 'base64')));
const index = z.int().nonnegative();

const errorSchema = z.custom<TransactionErrorJson>(
  (value) => typeof value === 'string' || (typeof value === 'object' && value !== null),
);
const tokenBalance = z.strictObject({
  accountIndex: index,
  mint: z.string(),
  owner: z.string(),
  programId: z.string(),
  amount: z.string(),
  decimals: index,
});
const inner = z.strictObject({
  index,
  instructions: z.array(
    z.strictObject({ programIdIndex: index, accounts: z.array(index), data: bytes, stackHeight: index }),
  ),
});

const headerSchema = z.strictObject({
  slot: index,
  blockhash: z.string(),
  previousBlockhash: z.string(),
  blockTime: z.int(),
  transactionCount: index,
  totalTransactions: index,
});

const recordSchema = z.strictObject({
  wire: bytes,
  slot: index,
  index,
  blockTime: z.int(),
  meta: z.strictObject({
    error: errorSchema.nullable(),
    fee: u64,
    preBalances: z.array(u64),
    postBalances: z.array(u64),
    preTokenBalances: z.array(tokenBalance),
    postTokenBalances: z.array(tokenBalance),
    innerInstructions: z.array(inner),
    logs: z.array(z.string()),
    loadedAddresses: z.strictObject({ writable: z.array(z.string()), readonly: z.array(z.string()) }),
    unitsConsumed: u64,
    returnData: z.strictObject({ programId: z.string(), data: bytes }).nullable(),
  }),
});

const genesisSchema = z.strictObject({
  version: index,
  genesis: z.string(),
  /** Seeds of the faucet's and the block maker's keys: 32 bytes. */
  faucetSeed: bytes,
  identitySeed: bytes,
  createdAtMs: z.int(),
});

const prunedSchema = z.strictObject({ transactions: index, firstWholeSlot: index });
const mentionSchema = z.strictObject({
  signature: z.string(),
  error: errorSchema.nullable(),
  memo: z.string().nullable(),
  blockTime: z.int(),
});

export type StoredGenesis = z.output<typeof genesisSchema>;
export type StoredPruned = z.output<typeof prunedSchema>;
export type StoredMention = z.output<typeof mentionSchema>;

export function encodeJson(value: unknown): Uint8Array {
  return encodeUtf8(JSON.stringify(value, replace));
}

/** Before `toJSON` of a Buffer can interfere: bytes are Uint8Arrays here. */
function replace(_: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  return value instanceof Uint8Array
    ? Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64')
    : value;
}

export function encodeRecord({ wire, ...rest }: TransactionRecord): Uint8Array {
  return encodeJson({ ...rest, wire: wire.bytes });
}

/** @throws LocalnetError LOCALNET_CORRUPT */
export function decodeRecord(value: Uint8Array, where: StoredAt): TransactionRecord {
  const { wire, ...rest } = decodeJson(recordSchema, value, where);
  return { ...rest, wire: parseWireTransaction(wire) };
}

export function decodeHeader(value: Uint8Array, where: StoredAt): BlockHeader {
  return decodeJson(headerSchema, value, where);
}

export function decodeGenesis(value: Uint8Array, where: StoredAt): StoredGenesis {
  return decodeJson(genesisSchema, value, where);
}

export function decodePruned(value: Uint8Array, where: StoredAt): StoredPruned {
  return decodeJson(prunedSchema, value, where);
}

export function decodeMention(value: Uint8Array, where: StoredAt): StoredMention {
  return decodeJson(mentionSchema, value, where);
}

function decodeJson<Schema extends z.ZodType>(schema: Schema, value: Uint8Array, where: StoredAt): z.output<Schema> {
  try {
    return schema.parse(JSON.parse(decodeUtf8(value)));
  } catch (error) {
    throw corrupt(where, describeError(error), error);
  }
}

function corrupt({ directory, key }: StoredAt, reason: string, cause?: unknown): LocalnetError {
  return new LocalnetError({ code: 'LOCALNET_CORRUPT', directory, where: key, reason }, { cause });
}
