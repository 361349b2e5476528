import { encodeBase58, type SolanaAddress } from '../../domain/chain.ts';
import type { ChainInstruction, TransactionFailure } from '../interface.ts';

/** 32 zero bytes. */
export const SYSTEM_PROGRAM = encodeBase58(new Uint8Array(32));

/** Instructions of the system program that move lamports from their first account: number, and offset of the amount. */
const OUTFLOWS: Readonly<Record<number, number>> = {
  // CreateAccount
  0: 4,
  // Transfer
  2: 4,
  // TransferWithSeed
  11: 4,
};

/** ResultWithNegativeLamports of the system program. */
const NEGATIVE_LAMPORTS = 1;
const SHORT_OF_LAMPORTS = /insufficient lamports (\d{1,20}), need (\d{1,20})/;

/** True if it failed because the payer has too little. */
export function isShortOfFunds(failure: TransactionFailure, logs: readonly string[]): boolean {
  switch (failure.name) {
    case 'AccountNotFound':
    case 'InsufficientFundsForFee':
    case 'InsufficientFundsForRent':
      return true;
    case 'InstructionError':
      return failure.customCode === NEGATIVE_LAMPORTS && logs.some((line) => SHORT_OF_LAMPORTS.test(line));
    default:
      return false;
  }
}

/** Lamports that leave the payer through the system program, as far as the instructions tell. */
export function computeOutflow(payer: SolanaAddress, instructions: readonly ChainInstruction[]): bigint {
  return instructions.reduce((sum, instruction) => sum + readOutflow(payer, instruction), 0n);
}

export interface NeedInput {
  readonly payer: SolanaAddress;
  readonly instructions: readonly ChainInstruction[];
  readonly failure: TransactionFailure;
  readonly logs: readonly string[];
  readonly feeLamports: bigint;
  /** What an account without data must keep. */
  readonly rentLamports: bigint;
}

/** Lamports that the payer needs: fee, what it sends, and rent for what it keeps if that is what it lacks. */
export function computeNeed(input: NeedInput): bigint {
  const { payer, instructions, failure, logs, feeLamports, rentLamports } = input;
  const told = logs.flatMap((line) => {
    const [, , need] = SHORT_OF_LAMPORTS.exec(line) ?? [];
    return need === undefined ? [] : [BigInt(need)];
  });
  const outflow = [computeOutflow(payer, instructions), ...told].reduce((a, b) => (a > b ? a : b));
  return feeLamports + outflow + (failure.name === 'InsufficientFundsForRent' ? rentLamports : 0n);
}

function readOutflow(payer: SolanaAddress, { program, accounts, data }: ChainInstruction): bigint {
  if (program !== SYSTEM_PROGRAM || accounts[0]?.address !== payer || data.length < 12) return 0n;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const offset = OUTFLOWS[view.getUint32(0, true)];
  return offset === undefined ? 0n : view.getBigUint64(offset, true);
}
