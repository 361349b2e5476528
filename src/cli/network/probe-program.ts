import { z } from 'zod';
import { decodeBase58, type SolanaAddress } from '../../domain/chain.ts';
import { concatBytes, encodeUtf8 } from '../../lib/bytes.ts';
import { sha256 } from '../../lib/cid.ts';
import { type AskOptions, askSimulation, askSlotLeader } from './ask-endpoint.ts';
import { NetworkCommandError } from './errors.ts';

/** What a program says to a question that proof-anchor alone understands; `untried` where the endpoint does not let it be asked. */
export type ProgramProbe =
  | { readonly kind: 'proof-anchor' }
  | { readonly kind: 'other'; readonly answer: string }
  | { readonly kind: 'untried'; readonly reason: string };

/** NotEnoughAccounts of proof-anchor: `verify_recent` looks at nothing else before (programs/proof-anchor/README.md). */
const EXPECTED_CODE = 6001;
const SIGNATURE_BYTES = 64;
const HASH_BYTES = 32;
const MAX_ANSWER_LENGTH = 200;

/** Simulates `verify_recent` without its accounts: any other program answers otherwise. Nothing is sent, nobody pays. */
export async function probeProgram(url: string, program: SolanaAddress, options: AskOptions): Promise<ProgramProbe> {
  try {
    const payer = await askSlotLeader(url, options);
    return readAnswer(await askSimulation(url, encodeProbe(payer, program), options));
  } catch (error) {
    if (!(error instanceof NetworkCommandError) || error.info.code !== 'CLI_RPC_FAILED') throw error;
    const { method, reason } = error.info;
    return { kind: 'untried', reason: `${method}: ${reason}` };
  }
}

/** A transaction of one instruction, in the oldest format, with room for a signature that is not looked at. */
function encodeProbe(payer: SolanaAddress, program: SolanaAddress): Uint8Array {
  const data = sha256(encodeUtf8('global:verify_recent')).subarray(0, 8);
  return concatBytes(
    Uint8Array.of(1),
    new Uint8Array(SIGNATURE_BYTES),
    // One signer who may be written to; of the others, one that may not.
    Uint8Array.of(1, 0, 1, 2),
    decodeBase58(payer),
    decodeBase58(program),
    new Uint8Array(HASH_BYTES),
    // One instruction: of the second key, without accounts.
    Uint8Array.of(1, 1, 0, data.length),
    data,
  );
}

const customErrorSchema = z.object({ InstructionError: z.tuple([z.literal(0), z.object({ Custom: z.int() })]) });
const instructionErrorSchema = z.object({ InstructionError: z.tuple([z.literal(0), z.unknown()]) });

/** These two say that there is no program to run; other errors outside of the instruction are about who would pay. */
const PROGRAM_ERRORS: readonly unknown[] = ['ProgramAccountNotFound', 'InvalidProgramForExecution'];

function readAnswer(error: unknown): ProgramProbe {
  if (error === null) return { kind: 'other', answer: 'it succeeds' };
  const custom = customErrorSchema.safeParse(error);
  if (custom.success && custom.data.InstructionError[1].Custom === EXPECTED_CODE) return { kind: 'proof-anchor' };
  const text = JSON.stringify(error).slice(0, MAX_ANSWER_LENGTH);
  const isOfProgram = instructionErrorSchema.safeParse(error).success || PROGRAM_ERRORS.includes(error);
  return isOfProgram ? { kind: 'other', answer: text } : { kind: 'untried', reason: `simulateTransaction: ${text}` };
}
