import { VersionedMessage, VersionedTransaction } from '@solana/web3.js';
import { encodeBase58 } from '../../src/domain/chain.ts';
import { FEE, type ScriptedBlock, type ScriptedChain, type ScriptedTransaction } from './scripted-chain.ts';

export type RpcParams = readonly unknown[];

export class RpcFault extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

type Config = Readonly<Record<string, unknown>>;
type Method = (chain: ScriptedChain, params: RpcParams) => unknown;

const RECENT_SLOTS = 300;

/** What an honest node answers. */
export function answerRpc(chain: ScriptedChain, method: string, params: RpcParams): unknown {
  const answer = METHODS[method];
  if (answer === undefined) throw new RpcFault(-32_601, `Method not found: ${method}`);
  return answer(chain, params);
}

const METHODS: Readonly<Record<string, Method>> = {
  getGenesisHash: (chain) => chain.genesis,
  getSlot: (chain, [config]) => chain.headAt(commitmentOf(config)).slot,
  getEpochInfo: (chain, [config]) => {
    const { slot, height } = chain.headAt(commitmentOf(config));
    return { epoch: 0, slotIndex: slot, slotsInEpoch: 432_000, absoluteSlot: slot, blockHeight: height };
  },
  getBalance: (chain, [address, config]) =>
    withContext(chain, config, Number(chain.balances.get(String(address)) ?? 0n)),
  getAccountInfo: (chain, [address, config]) => {
    const lamports = chain.balances.get(String(address));
    if (lamports === undefined) return withContext(chain, config, null);
    const owner = encodeBase58(new Uint8Array(32));
    const value = {
      data: ['', 'base64'],
      executable: false,
      lamports: Number(lamports),
      owner,
      rentEpoch: 0,
      space: 0,
    };
    return withContext(chain, config, value);
  },
  getLatestBlockhash: (chain, [config]) => {
    const { blockHash, height } = chain.headAt(commitmentOf(config));
    return withContext(chain, config, { blockhash: blockHash, lastValidBlockHeight: height + chain.lifetime });
  },
  sendTransaction: (chain, [wire]) => chain.send(Buffer.from(String(wire), 'base64')),
  simulateTransaction: (chain, [wire, config]) => {
    const { error, logs } = chain.simulate(VersionedTransaction.deserialize(Buffer.from(String(wire), 'base64')));
    return withContext(chain, config, { err: error, logs, accounts: null, unitsConsumed: 450, returnData: null });
  },
  getFeeForMessage: (chain, [message, config]) => {
    VersionedMessage.deserialize(Buffer.from(String(message), 'base64'));
    return withContext(chain, config, Number(FEE));
  },
  getRecentPrioritizationFees: (chain) => [{ slot: chain.head.slot, prioritizationFee: 0 }],
  getMinimumBalanceForRentExemption: (_chain, [size]) => (128 + Number(size)) * 6_960,
  requestAirdrop: (chain, [address, lamports]) => {
    chain.fund(String(address), BigInt(Number(lamports)));
    return encodeBase58(new Uint8Array(64).fill(7));
  },
  getSignatureStatuses: (chain, [signatures, config]) => {
    const isSearch = (config as Config | undefined)?.['searchTransactionHistory'] === true;
    if (isSearch && !chain.isHistoryKept) throw new RpcFault(-32_011, 'Transaction history is not available');
    const value = (signatures as readonly string[]).map((signature) => describeStatus(chain, signature, isSearch));
    return { context: { slot: chain.head.slot }, value };
  },
  getTransaction: (chain, [signature, config]) => {
    const found = chain.find(String(signature));
    if (found === undefined || found.block.slot > chain.headAt(commitmentOf(config)).slot) return null;
    return encodeTransaction(found.transaction, found.block);
  },
  getSignaturesForAddress: (chain, [address, config]) => {
    const { before, limit = 1_000 } = (config ?? {}) as { before?: string; limit?: number };
    const { slot: last } = chain.headAt(commitmentOf(config));
    const all = chain.blocks
      .filter(({ slot }) => slot <= last && slot >= chain.firstAvailableSlot)
      .flatMap((block) => block.transactions.map((transaction) => ({ transaction, block })))
      .filter(({ transaction }) => mentions(transaction, String(address)))
      .toReversed()
      .map(({ transaction: { signature, error }, block: { slot, time } }) => ({
        signature,
        slot,
        err: error,
        memo: null,
        blockTime: time,
        confirmationStatus: 'finalized',
      }));
    const start = before === undefined ? 0 : all.findIndex(({ signature }) => signature === before) + 1;
    return all.slice(start, start + limit);
  },
  getFirstAvailableBlock: (chain) => chain.firstAvailableSlot,
  getBlocks: (chain, [first, last]) => {
    const final = chain.headAt('finalized').slot;
    return chain.blocks
      .map(({ slot }) => slot)
      .filter((slot) => slot >= Number(first) && slot <= Math.min(Number(last), final));
  },
  getBlock: (chain, [slot]) => {
    const block = chain.blocks.find((candidate) => candidate.slot === slot);
    if (block === undefined) throw new RpcFault(-32_007, `Slot ${String(slot)} was skipped`);
    return {
      blockhash: block.blockHash,
      previousBlockhash: block.blockHash,
      parentSlot: Math.max(0, block.slot - 1),
      blockHeight: block.height,
      blockTime: block.time,
    };
  },
};

function commitmentOf(config: unknown): string {
  return (config as { readonly commitment?: string } | undefined)?.commitment ?? 'finalized';
}

function withContext(chain: ScriptedChain, config: unknown, value: unknown): unknown {
  const { slot } = chain.headAt(commitmentOf(config));
  const minimum = Number((config as Config | undefined)?.['minContextSlot'] ?? 0);
  if (slot < minimum) throw new RpcFault(-32_016, 'Minimum context slot has not been reached');
  return { context: { slot }, value };
}

function describeStatus(chain: ScriptedChain, signature: string, isSearch: boolean): unknown {
  const found = chain.find(signature);
  if (found === undefined) return null;
  const { slot } = found.block;
  if (!isSearch && slot < chain.head.slot - RECENT_SLOTS) return null;
  const isFinal = slot <= chain.headAt('finalized').slot;
  const isConfirmed = slot <= chain.headAt('confirmed').slot;
  const confirmationStatus = isFinal ? 'finalized' : isConfirmed ? 'confirmed' : 'processed';
  const err = found.transaction.error;
  return {
    slot,
    confirmations: isFinal ? null : 1,
    err,
    status: err === null ? { Ok: null } : { Err: err },
    confirmationStatus,
  };
}

function mentions({ transaction }: ScriptedTransaction, address: string): boolean {
  return transaction.message.staticAccountKeys.some((key) => key.toBase58() === address);
}

export function encodeTransaction({ transaction, error, logs }: ScriptedTransaction, block: ScriptedBlock): unknown {
  const { message } = transaction;
  const keys = message.staticAccountKeys.map((key) => key.toBase58());
  return {
    slot: block.slot,
    blockTime: block.time,
    version: message.version,
    transaction: {
      signatures: transaction.signatures.map(encodeBase58),
      message: {
        accountKeys: keys,
        header: message.header,
        recentBlockhash: message.recentBlockhash,
        instructions: message.compiledInstructions.map(({ programIdIndex, accountKeyIndexes, data }) => ({
          programIdIndex,
          accounts: [...accountKeyIndexes],
          data: encodeBase58(data),
        })),
        ...(message.version === 0 ? { addressTableLookups: message.addressTableLookups } : {}),
      },
    },
    meta: {
      err: error,
      fee: Number(FEE),
      innerInstructions: [],
      preBalances: [],
      postBalances: [],
      preTokenBalances: [],
      postTokenBalances: [],
      logMessages: logs,
      loadedAddresses: { writable: [], readonly: [] },
      computeUnitsConsumed: 450,
      status: error === null ? { Ok: null } : { Err: error },
      rewards: [],
    },
  };
}
