import { encodeBase58 } from '../../domain/chain.ts';
import type { TokenBalance, TransactionMeta, TransactionRecord } from '../ledger/interface.ts';
import type { InnerInstructions, ReturnData } from '../svm/interface.ts';
import type { TransactionErrorJson } from '../svm/transaction-error.ts';
import { isStaticWritable, type WireInstruction, type WireMessage } from '../svm/wire-transaction.ts';
import { toBase64 } from './encode-account.ts';
import { encodeTokenAmount } from './encode-token.ts';
import { RpcFault } from './faults.ts';
import { parseInstruction } from './parse-instruction.ts';
import type { TransactionEncoding } from './schemas.ts';

export interface TransactionView {
  readonly encoding: TransactionEncoding | undefined;
  readonly maxSupportedTransactionVersion: number | undefined;
}

export interface EncodedTransaction {
  readonly transaction: unknown;
  readonly meta: object;
  readonly version?: 'legacy' | 0;
}

/** @throws RpcFault for a version that the client did not say it knows */
export function encodeTransaction(record: TransactionRecord, view: TransactionView): EncodedTransaction {
  const { wire, meta } = record;
  const { maxSupportedTransactionVersion: max } = view;
  const { version } = wire.message;
  if (version !== 'legacy' && (max === undefined || max < version)) {
    throw new RpcFault(
      'unsupportedVersion',
      `Transaction version (${version}) is not supported by the requesting client. Please try the request again with the following configuration parameter: "maxSupportedTransactionVersion": ${version}`,
    );
  }
  const encoding = view.encoding ?? 'json';
  return {
    transaction: encodeWire(record, encoding),
    meta: encodeMeta(meta, { keys: keysOf(record), isParsed: encoding === 'jsonParsed' }),
    ...(max === undefined ? {} : { version }),
  };
}

function encodeWire({ wire, meta }: TransactionRecord, encoding: TransactionEncoding): unknown {
  const signatures = wire.signatures.map(encodeBase58);
  switch (encoding) {
    case 'binary':
      return encodeBase58(wire.bytes);
    case 'base58':
      return [encodeBase58(wire.bytes), 'base58'];
    case 'base64':
      return [toBase64(wire.bytes), 'base64'];
    case 'json':
      return { signatures, message: encodeMessage(wire.message) };
    case 'jsonParsed':
      return { signatures, message: encodeParsedMessage(wire.message, meta) };
    default:
      return encoding satisfies never;
  }
}

function encodeMessage(message: WireMessage): object {
  const { header, accountKeys, recentBlockhash, instructions } = message;
  return {
    header,
    accountKeys,
    recentBlockhash,
    instructions: instructions.map((instruction) => encodeCompiled({ ...instruction, stackHeight: null })),
    ...encodeLookups(message),
  };
}

function encodeLookups({ version, lookups }: WireMessage): object {
  if (version === 'legacy') return {};
  const addressTableLookups = lookups.map(({ table, writable, readonly }) => ({
    accountKey: table,
    writableIndexes: writable,
    readonlyIndexes: readonly,
  }));
  return { addressTableLookups };
}

interface StackedInstruction extends WireInstruction {
  readonly stackHeight: number | null;
}

function encodeCompiled({ programIdIndex, accounts, data, stackHeight }: StackedInstruction): object {
  return { programIdIndex, accounts, data: encodeBase58(data), stackHeight };
}

function encodeParsedMessage(message: WireMessage, meta: TransactionMeta): object {
  const keys = [...message.accountKeys, ...meta.loadedAddresses.writable, ...meta.loadedAddresses.readonly];
  return {
    accountKeys: encodeAccountKeys(message, meta),
    recentBlockhash: message.recentBlockhash,
    instructions: message.instructions.map((instruction) => encodeParsed({ ...instruction, stackHeight: null }, keys)),
    ...encodeLookups(message),
  };
}

export function encodeAccountKeys(message: WireMessage, { loadedAddresses }: TransactionMeta): object[] {
  const { accountKeys, header } = message;
  const fromTable = (pubkey: string, writable: boolean): object => ({
    pubkey,
    signer: false,
    source: 'lookupTable',
    writable,
  });
  return [
    ...accountKeys.map((pubkey, index) => ({
      pubkey,
      signer: index < header.numRequiredSignatures,
      source: 'transaction',
      writable: isStaticWritable(message, index),
    })),
    ...loadedAddresses.writable.map((pubkey) => fromTable(pubkey, true)),
    ...loadedAddresses.readonly.map((pubkey) => fromTable(pubkey, false)),
  ];
}

function encodeParsed(instruction: StackedInstruction, keys: readonly string[]): object {
  const { programIdIndex, data, stackHeight } = instruction;
  const programId = keys[programIdIndex] ?? '';
  const accounts = instruction.accounts.map((index) => keys[index] ?? '');
  const parsed = parseInstruction({ programId, accounts, data });
  return parsed === undefined
    ? { programId, accounts, data: encodeBase58(data), stackHeight }
    : { ...parsed, programId, stackHeight };
}

export function keysOf({ wire, meta }: TransactionRecord): readonly string[] {
  return [...wire.message.accountKeys, ...meta.loadedAddresses.writable, ...meta.loadedAddresses.readonly];
}

export interface MetaView {
  readonly keys: readonly string[];
  readonly isParsed: boolean;
}

export function encodeMeta(meta: TransactionMeta, view: MetaView) {
  const { error, fee, preBalances, postBalances, logs, loadedAddresses, unitsConsumed, returnData } = meta;
  return {
    err: error,
    status: encodeStatus(error),
    fee,
    preBalances,
    postBalances,
    innerInstructions: encodeInner(meta.innerInstructions, view),
    logMessages: logs,
    preTokenBalances: meta.preTokenBalances.map(encodeTokenBalance),
    postTokenBalances: meta.postTokenBalances.map(encodeTokenBalance),
    rewards: [],
    ...(view.isParsed ? {} : { loadedAddresses }),
    ...(returnData === null ? {} : { returnData: encodeReturnData(returnData) }),
    computeUnitsConsumed: unitsConsumed,
  };
}

export function encodeStatus(error: TransactionErrorJson | null): object {
  return error === null ? { Ok: null } : { Err: error };
}

export function encodeInner(inner: readonly InnerInstructions[], { keys, isParsed }: MetaView): object[] {
  return inner.map(({ index, instructions }) => ({
    index,
    instructions: instructions.map((one) => (isParsed ? encodeParsed(one, keys) : encodeCompiled(one))),
  }));
}

export function encodeReturnData({ programId, data }: ReturnData): object {
  return { programId, data: [toBase64(data), 'base64'] };
}

function encodeTokenBalance({ accountIndex, mint, owner, programId, amount, decimals }: TokenBalance): object {
  return { accountIndex, mint, owner, programId, uiTokenAmount: encodeTokenAmount(BigInt(amount), decimals) };
}
