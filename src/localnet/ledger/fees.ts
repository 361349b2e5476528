import {
  BUILTIN_INSTRUCTION_COMPUTE_UNITS,
  DEFAULT_INSTRUCTION_COMPUTE_UNITS,
  LAMPORTS_PER_SIGNATURE,
  MAX_COMPUTE_UNITS,
} from '../constants.ts';
import {
  BPF_LOADER,
  BPF_LOADER_DEPRECATED,
  COMPUTE_BUDGET_PROGRAM,
  ED25519_PROGRAM,
  LOADER_V4,
  SECP256K1_PROGRAM,
  SECP256R1_PROGRAM,
  SYSTEM_PROGRAM,
  UPGRADEABLE_LOADER,
  VOTE_PROGRAM,
} from '../svm/program-ids.ts';
import type { WireMessage } from '../svm/wire-transaction.ts';

const SIGNATURE_PROGRAMS: ReadonlySet<string> = new Set([ED25519_PROGRAM, SECP256K1_PROGRAM, SECP256R1_PROGRAM]);
/** Programs whose instructions ask for little by default (SIMD-0170). */
const BUILTIN_PROGRAMS: ReadonlySet<string> = new Set([
  SYSTEM_PROGRAM,
  VOTE_PROGRAM,
  COMPUTE_BUDGET_PROGRAM,
  BPF_LOADER_DEPRECATED,
  BPF_LOADER,
  UPGRADEABLE_LOADER,
  LOADER_V4,
  SECP256K1_PROGRAM,
  ED25519_PROGRAM,
]);
const MICRO_LAMPORTS = 1_000_000n;

export interface ComputeRequest {
  readonly unitLimit: number;
  readonly microLamportsPerUnit: bigint;
}

/** Signatures at a fixed price, those that programs check included, and what is offered for the compute units asked for. */
export function computeFee(message: WireMessage): bigint {
  const { unitLimit, microLamportsPerUnit } = readComputeRequest(message);
  const priority = (BigInt(unitLimit) * microLamportsPerUnit + MICRO_LAMPORTS - 1n) / MICRO_LAMPORTS;
  return BigInt(countSignatures(message)) * LAMPORTS_PER_SIGNATURE + priority;
}

/** The first byte of these programs' data is the number of signatures. */
function countSignatures({ header, instructions, accountKeys }: WireMessage): number {
  const checked = instructions.filter(({ programIdIndex }) =>
    SIGNATURE_PROGRAMS.has(accountKeys[programIdIndex] ?? ''),
  );
  return header.numRequiredSignatures + checked.reduce((sum, { data }) => sum + (data[0] ?? 0), 0);
}

/** Instructions of the compute budget program: kind 2 sets the limit (u32), 3 the price (u64). */
export function readComputeRequest({ instructions, accountKeys }: WireMessage): ComputeRequest {
  let unitLimit: number | undefined;
  let microLamportsPerUnit = 0n;
  let byDefault = 0;
  for (const { programIdIndex, data } of instructions) {
    const program = accountKeys[programIdIndex] ?? '';
    byDefault += BUILTIN_PROGRAMS.has(program) ? BUILTIN_INSTRUCTION_COMPUTE_UNITS : DEFAULT_INSTRUCTION_COMPUTE_UNITS;
    if (program !== COMPUTE_BUDGET_PROGRAM) continue;
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    if (data[0] === 2 && data.length >= 5) unitLimit = view.getUint32(1, true);
    if (data[0] === 3 && data.length >= 9) microLamportsPerUnit = view.getBigUint64(1, true);
  }
  return { unitLimit: Math.min(unitLimit ?? byDefault, MAX_COMPUTE_UNITS), microLamportsPerUnit };
}
