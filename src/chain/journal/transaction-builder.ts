import { sha256 } from '@noble/hashes/sha2.js';
import type { TransactionInstruction } from '@solana/web3.js';
import { BlockHash, encodeBase58, SolanaAddress } from '../../domain/chain.ts';
import { concatBytes, encodeU64, encodeUtf8 } from '../../lib/bytes.ts';
import { describeError } from '../../lib/errors.ts';
import { MAX_COMPUTE_UNITS, MAX_INSTRUCTIONS, MAX_KEY_LENGTH, MAX_TRANSACTION_BYTES } from '../constants.ts';
import { loadWeb3, type Web3 } from '../endpoints/web3.ts';
import { ChainError } from '../errors.ts';
import type { ChainInstruction, TransactionIntent } from '../interface.ts';

export interface MessageInput {
  readonly payer: SolanaAddress;
  readonly instructions: readonly ChainInstruction[];
  readonly computeUnitLimit: number;
  /** Micro-lamports; 0 leaves the instruction out. */
  readonly computeUnitPrice: number;
  readonly blockHash: BlockHash;
  readonly reference: SolanaAddress;
}

/**
 * An address that nobody has, different for each intent, among the accounts of the first instruction (Solana Pay calls
 * that a reference). Two intents with the same instructions are two transactions by it: without, they would have the
 * same bytes under one block hash, one signature, and only one of them would happen.
 */
export function computeReference({
  key,
  createdAtMs,
}: {
  readonly key: string;
  readonly createdAtMs: number;
}): SolanaAddress {
  const digest = sha256(concatBytes(encodeUtf8(REFERENCE_TAG), encodeU64(createdAtMs), encodeUtf8(key)));
  return SolanaAddress(encodeBase58(digest));
}

const REFERENCE_TAG = 'fogproof/intent@1';

/** Stands for a block hash where none is needed: in a simulation, which takes the newest, and to measure a size. */
export const PLACEHOLDER_BLOCK_HASH = BlockHash(encodeBase58(new Uint8Array(32)));

/** One signature: the count of signatures (one byte), it, and the message (Solana's wire format). */
export function encodeWire(signature: Uint8Array, message: Uint8Array): Uint8Array {
  return concatBytes(Uint8Array.of(1), signature, message);
}

/** The message to sign: compute budget first, then the instructions. */
export async function buildMessage(input: MessageInput): Promise<Uint8Array> {
  const web3 = await loadWeb3();
  const { ComputeBudgetProgram } = web3;
  const budget = [ComputeBudgetProgram.setComputeUnitLimit({ units: input.computeUnitLimit })];
  if (input.computeUnitPrice > 0) {
    budget.push(ComputeBudgetProgram.setComputeUnitPrice({ microLamports: input.computeUnitPrice }));
  }
  // The compute budget program looks at no accounts.
  budget[0]?.keys.push({ pubkey: new web3.PublicKey(input.reference), isSigner: false, isWritable: false });
  const message = new web3.TransactionMessage({
    payerKey: new web3.PublicKey(input.payer),
    recentBlockhash: input.blockHash,
    instructions: [...budget, ...input.instructions.map((instruction) => toWeb3Instruction(web3, instruction))],
  });
  return message.compileToLegacyMessage().serialize();
}

/**
 * Refuses what could never be sent, before it is kept.
 * @throws ChainError CHAIN_BAD_INTENT, CHAIN_TRANSACTION_TOO_LARGE
 */
export async function assertSendable(intent: TransactionIntent, payer: SolanaAddress): Promise<void> {
  const { key, instructions, computeUnitLimit } = intent;
  const bad = (reason: string, options?: ErrorOptions): ChainError =>
    new ChainError({ code: 'CHAIN_BAD_INTENT', key: key.slice(0, MAX_KEY_LENGTH), reason }, options);
  if (key === '' || key.length > MAX_KEY_LENGTH) throw bad(`a key has 1 to ${MAX_KEY_LENGTH} characters`);
  if (instructions.length === 0 || instructions.length > MAX_INSTRUCTIONS) {
    throw bad(`it has ${instructions.length} instructions, not 1 to ${MAX_INSTRUCTIONS}`);
  }
  if (!Number.isInteger(computeUnitLimit) || computeUnitLimit < 1 || computeUnitLimit > MAX_COMPUTE_UNITS) {
    throw bad(`a limit of ${computeUnitLimit} compute units, not 1 to ${MAX_COMPUTE_UNITS}`);
  }
  const stranger = instructions
    .flatMap(({ accounts }) => accounts)
    .find(({ isSigner, address }) => isSigner && address !== payer);
  if (stranger !== undefined) throw bad(`${stranger.address} must sign, and this wallet is ${payer}`);
  const tooLarge = new ChainError({ code: 'CHAIN_TRANSACTION_TOO_LARGE', key, maxBytes: MAX_TRANSACTION_BYTES });
  let message: Uint8Array;
  try {
    // With a price, though none may be needed.
    message = await buildMessage({
      payer,
      instructions,
      computeUnitLimit,
      computeUnitPrice: 1,
      blockHash: PLACEHOLDER_BLOCK_HASH,
      reference: computeReference({ key, createdAtMs: 0 }),
    });
  } catch (error) {
    // The client's encoder writes into a buffer of one packet.
    if (error instanceof RangeError) throw tooLarge;
    throw bad(describeError(error), { cause: error });
  }
  if (encodeWire(new Uint8Array(64), message).length > MAX_TRANSACTION_BYTES) throw tooLarge;
}

function toWeb3Instruction(web3: Web3, { program, accounts, data }: ChainInstruction): TransactionInstruction {
  return new web3.TransactionInstruction({
    programId: new web3.PublicKey(program),
    keys: accounts.map(({ address, isSigner, isWritable }) => ({
      pubkey: new web3.PublicKey(address),
      isSigner,
      isWritable,
    })),
    data: Buffer.from(data),
  });
}
