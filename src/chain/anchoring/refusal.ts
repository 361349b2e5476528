import type { SolanaAddress } from '../../domain/chain.ts';
import { PROOF_ANCHOR_ERRORS } from '../generated/proof-anchor.ts';
import type { TransactionRecord } from '../interface.ts';
import { AnchoringError } from './errors.ts';
import { describeProblem, type Problem } from './problem.ts';

/** Why a call of the program was not sent, or null: errors that proof-anchor does not have are another program's. */
export function explainRefusal({ problem, failure }: TransactionRecord, program: SolanaAddress): Problem | null {
  if (problem?.code !== 'CHAIN_REFUSED' || failure?.name !== 'InstructionError') return problem;
  if (failure.customCode !== null && PROOF_ANCHOR_ERRORS[failure.customCode] !== undefined) return problem;
  return describeProblem(new AnchoringError({ code: 'ANCHORING_OTHER_PROGRAM', program, reason: failure.detail }));
}
