import { base58btc } from 'multiformats/bases/base58';
import { z } from 'zod';
import { MAX_AIRDROP_LAMPORTS, MAX_SIGNATURE_STATUSES, MAX_TRANSACTION_BYTES } from '../../constants.ts';
import { LocalnetError } from '../../errors.ts';
import { buildAirdrop } from '../../ledger/airdrop.ts';
import { computeFee } from '../../ledger/fees.ts';
import type { SignatureStatus } from '../../ledger/interface.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import { areSignaturesValid } from '../../ledger/signatures.ts';
import type { Simulation } from '../../svm/interface.ts';
import { describeTransactionError, type TransactionErrorJson } from '../../svm/transaction-error.ts';
import {
  parseWireMessage,
  parseWireTransaction,
  type WireMessage,
  type WireTransaction,
} from '../../svm/wire-transaction.ts';
import { commitmentOf, slotFor, withContext } from '../commitments.ts';
import { defineMethod } from '../define-method.ts';
import { encodeAccount } from '../encode-account.ts';
import { encodeInner, encodeReturnData, encodeStatus } from '../encode-transaction.ts';
import { RpcFault } from '../faults.ts';
import type { RpcMethod } from '../interface.ts';
import {
  accountEncodingSchema,
  addressSchema,
  commitmentSchema,
  contextSchema,
  hashSchema,
  optional,
  signatureSchema,
  slotSchema,
  u64Schema,
} from '../schemas.ts';

/** A transaction in base64 is at most 1,644 characters, in base58 1,683. */
const MAX_TRANSACTION_TEXT = 1_683;
const MAX_SIMULATED_ACCOUNTS = 64;
const MAX_AIRDROP_SALT = 1_000_000;

const wireEncodingSchema = optional(z.literal(['base58', 'base64']));

/** @throws RpcFault */
function decodeWireText(text: string, encoding: 'base58' | 'base64', what: string): Uint8Array {
  if (text.length > MAX_TRANSACTION_TEXT) {
    const limit = `max: encoded/raw ${encoding === 'base58' ? 1_683 : 1_644}/${MAX_TRANSACTION_BYTES}`;
    throw new RpcFault('invalidParams', `${encoding} encoded ${what} too large: ${text.length} bytes (${limit})`);
  }
  if (encoding === 'base64' && !/^[A-Za-z0-9+/]*={0,2}$/.test(text))
    throw new RpcFault('invalidParams', 'invalid base64 encoding');
  try {
    return encoding === 'base64' ? new Uint8Array(Buffer.from(text, 'base64')) : base58btc.baseDecode(text);
  } catch {
    throw new RpcFault('invalidParams', `invalid ${encoding} encoding`);
  }
}

/** @throws RpcFault */
function readTransaction(text: string, encoding: 'base58' | 'base64' | undefined): WireTransaction {
  const bytes = decodeWireText(text, encoding ?? 'base58', 'solana_transaction::versioned::VersionedTransaction');
  return asParam(() => parseWireTransaction(bytes));
}

function asParam<Value>(read: () => Value): Value {
  try {
    return read();
  } catch (error) {
    if (error instanceof LocalnetError) throw new RpcFault('invalidParams', `failed to deserialize: ${error.message}`);
    throw error;
  }
}

function encodeSimulation(
  simulation: Simulation | undefined,
  error: TransactionErrorJson | null,
): Record<string, unknown> {
  return {
    err: error,
    logs: simulation?.logs ?? [],
    accounts: null,
    unitsConsumed: simulation?.unitsConsumed ?? 0,
    returnData:
      simulation?.returnData === null || simulation === undefined ? null : encodeReturnData(simulation.returnData),
    innerInstructions: null,
    replacementBlockhash: null,
  };
}

/** Runs it without keeping anything; a block hash that is too old, or a duplicate, is found without running. */
function tryOut(ledger: Ledger, wire: WireTransaction, isChecked: 'checked' | 'unchecked') {
  const problem = isChecked === 'checked' ? ledger.check(wire) : null;
  const simulation = problem === null ? ledger.simulate(wire) : undefined;
  return { simulation, error: problem ?? simulation?.error ?? null };
}

const sendTransaction = defineMethod({
  name: 'sendTransaction',
  params: z.tuple([
    z.string(),
    z
      .object({
        encoding: wireEncodingSchema,
        skipPreflight: optional(z.boolean()),
        preflightCommitment: optional(commitmentSchema),
        maxRetries: optional(u64Schema),
        minContextSlot: optional(slotSchema),
      })
      .optional(),
  ]),
  run: async ({ ledger }, text, config) => {
    const wire = readTransaction(text, config?.encoding);
    if (config?.minContextSlot !== undefined) {
      slotFor(ledger, { commitment: config.preflightCommitment, minContextSlot: config.minContextSlot });
    }
    const isSigned = areSignaturesValid(wire);
    if (config?.skipPreflight !== true) {
      if (!isSigned) throw new RpcFault('signatureVerification', 'Transaction signature verification failure');
      const { simulation, error } = tryOut(ledger, wire, 'checked');
      if (error !== null) throw toPreflightFault(simulation, error);
    }
    // Without preflight a node forwards what it gets; what cannot be executed is never heard of again.
    if (isSigned) await ledger.submit(wire);
    return wire.signature;
  },
});

function toPreflightFault(simulation: Simulation | undefined, error: TransactionErrorJson): RpcFault {
  const message = `Transaction simulation failed: ${describeTransactionError(error)}`;
  return new RpcFault('preflightFailure', message, encodeSimulation(simulation, error));
}

const simulateTransaction = defineMethod({
  name: 'simulateTransaction',
  params: z.tuple([
    z.string(),
    z
      .object({
        encoding: wireEncodingSchema,
        sigVerify: optional(z.boolean()),
        replaceRecentBlockhash: optional(z.boolean()),
        innerInstructions: optional(z.boolean()),
        commitment: optional(commitmentSchema),
        minContextSlot: optional(slotSchema),
        accounts: optional(
          z.object({
            encoding: optional(accountEncodingSchema),
            addresses: z.array(addressSchema).max(MAX_SIMULATED_ACCOUNTS),
          }),
        ),
      })
      .optional(),
  ]),
  run: ({ ledger }, text, config) => {
    const wire = readTransaction(text, config?.encoding);
    const slot = slotFor(ledger, { commitment: config?.commitment, minContextSlot: config?.minContextSlot });
    const isReplaced = config?.replaceRecentBlockhash === true;
    if (config?.sigVerify === true) {
      if (isReplaced) throw new RpcFault('invalidParams', 'sigVerify may not be used with replaceRecentBlockhash');
      if (!areSignaturesValid(wire))
        throw new RpcFault('signatureVerification', 'Transaction signature verification failure');
    }
    const { simulation, error } = tryOut(ledger, wire, isReplaced ? 'unchecked' : 'checked');
    const value = encodeSimulation(simulation, error);
    if (config?.accounts !== undefined)
      value['accounts'] = encodeSimulatedAccounts(ledger, simulation, config.accounts);
    if (config?.innerInstructions === true && simulation !== undefined) {
      value['innerInstructions'] = encodeInner(simulation.innerInstructions, {
        keys: ledger.resolve(wire).keys,
        isParsed: true,
      });
    }
    if (isReplaced) {
      const { blockhash } = ledger.latestBlock('processed');
      value['replacementBlockhash'] = { blockhash, lastValidBlockHeight: ledger.lastValidBlockHeight(blockhash) };
    }
    return withContext(slot, value);
  },
});

function encodeSimulatedAccounts(
  ledger: Ledger,
  simulation: Simulation | undefined,
  {
    addresses,
    encoding,
  }: { readonly addresses: readonly string[]; readonly encoding: z.output<typeof accountEncodingSchema> | undefined },
): readonly unknown[] {
  const slot = ledger.slotAt('processed');
  const read = (address: string) => simulation?.accounts.get(address) ?? ledger.account(address, slot);
  if (encoding === 'binary' || encoding === 'base58')
    throw new RpcFault('invalidParams', 'base58 encoding not supported');
  return addresses.map((address) => {
    const state = simulation?.error === null ? read(address) : undefined;
    if (state === undefined || state.lamports === 0n) return null;
    return encodeAccount(address, state, { config: { encoding: encoding ?? 'base64', dataSlice: undefined }, read });
  });
}

const getSignatureStatuses = defineMethod({
  name: 'getSignatureStatuses',
  params: z.tuple([
    z.array(signatureSchema).max(MAX_SIGNATURE_STATUSES, `Too many inputs provided; max ${MAX_SIGNATURE_STATUSES}`),
    z.object({ searchTransactionHistory: optional(z.boolean()) }).optional(),
  ]),
  run: async ({ ledger }, signatures, config) => {
    const isSearched = config?.searchTransactionHistory === true;
    const statuses = await Promise.all(
      signatures.map(async (signature) => {
        const recent = ledger.recentStatus(signature);
        if (recent !== undefined) return isTold(ledger, recent) ? encodeSignatureStatus(ledger, recent) : null;
        const record = isSearched ? await ledger.history.transaction(signature) : undefined;
        return record === undefined
          ? null
          : encodeSignatureStatus(ledger, { slot: record.slot, error: record.meta.error });
      }),
    );
    return withContext(ledger.slotAt('processed'), statuses);
  },
});

/**
 * Transactions run here before sendTransaction answers; on a cluster they take a while. @solana/web3.js counts on that:
 * it throws an error that it is told in answer to its first question, where it would hand over the one that it is
 * notified of. So failures are told when their block is confirmed.
 */
function isTold(ledger: Ledger, { slot, error }: SignatureStatus): boolean {
  return error === null || ledger.commitmentOf(slot) !== 'processed';
}

function encodeSignatureStatus(ledger: Ledger, { slot, error }: SignatureStatus): object {
  const confirmationStatus = ledger.commitmentOf(slot);
  const confirmations = confirmationStatus === 'finalized' ? null : ledger.slotAt('processed') - slot;
  return { slot, confirmations, err: error, status: encodeStatus(error), confirmationStatus };
}

const getFeeForMessage = defineMethod({
  name: 'getFeeForMessage',
  params: z.tuple([z.string(), contextSchema.optional()]),
  run: ({ ledger }, text, config) => {
    const message = asParam<WireMessage>(() =>
      parseWireMessage(decodeWireText(text, 'base64', 'solana_message::VersionedMessage')),
    );
    const slot = slotFor(ledger, config);
    const isKnown = ledger.isBlockhashValid(message.recentBlockhash, 'processed');
    return withContext(slot, isKnown ? computeFee(message) : null);
  },
});

const getLatestBlockhash = defineMethod({
  name: 'getLatestBlockhash',
  params: z.tuple([contextSchema.optional()]),
  run: ({ ledger }, config) => {
    const slot = slotFor(ledger, config);
    const { blockhash } = ledger.latestBlock(commitmentOf(config));
    return withContext(slot, { blockhash, lastValidBlockHeight: ledger.lastValidBlockHeight(blockhash) });
  },
});

const isBlockhashValid = defineMethod({
  name: 'isBlockhashValid',
  params: z.tuple([hashSchema, contextSchema.optional()]),
  run: ({ ledger }, blockhash, config) => {
    const slot = slotFor(ledger, config);
    return withContext(slot, ledger.isBlockhashValid(blockhash, commitmentOf(config)));
  },
});

const getRecentPrioritizationFees = defineMethod({
  name: 'getRecentPrioritizationFees',
  params: z.tuple([z.array(addressSchema).max(128).optional()]),
  // Nobody competes for room in a block here.
  run: ({ ledger }) => {
    const newest = ledger.slotAt('processed') - 1;
    const count = Math.min(150, newest + 1);
    return Array.from({ length: count }, (_, index) => ({ slot: newest - count + 1 + index, prioritizationFee: 0 }));
  },
});

const requestAirdrop = defineMethod({
  name: 'requestAirdrop',
  params: z.tuple([
    addressSchema,
    z.int().positive(),
    z.object({ commitment: optional(commitmentSchema), recentBlockhash: optional(hashSchema) }).optional(),
  ]),
  run: async ({ ledger }, to, lamports) => {
    if (BigInt(lamports) > MAX_AIRDROP_LAMPORTS) {
      throw new RpcFault(
        'invalidParams',
        `Invalid request: one airdrop gives at most ${MAX_AIRDROP_LAMPORTS} lamports`,
      );
    }
    const { blockhash } = ledger.latestBlock('processed');
    const order = { faucetSeed: ledger.faucetSeed, to, lamports: BigInt(lamports), blockhash };
    // The same order from the same block would be the same transaction: the number of those before tells them apart.
    const wires = [0, 1 + (ledger.totalTransactions % MAX_AIRDROP_SALT)].map((salt) => ({ ...order, salt }));
    for (const one of wires) {
      const wire = parseWireTransaction(buildAirdrop(one));
      const submission = await ledger.submit(wire);
      if (submission.kind === 'refused' && submission.error === 'AlreadyProcessed') continue;
      // What became of it, the client learns from its status, as on a node.
      if (submission.kind === 'executed') return wire.signature;
      const { error } = submission;
      throw new RpcFault('internal', `airdrop request failed: ${describeTransactionError(error)}`, { err: error });
    }
    throw new RpcFault('internal', 'airdrop request failed: ask again');
  },
});

export const TRANSACTION_METHODS: readonly RpcMethod[] = [
  sendTransaction,
  simulateTransaction,
  getSignatureStatuses,
  getFeeForMessage,
  getLatestBlockhash,
  isBlockhashValid,
  getRecentPrioritizationFees,
  requestAirdrop,
];
