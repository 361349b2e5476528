import {
  decodeProofAnchorInstruction,
  LOG_BYTES,
  LOG_DISCRIMINATOR,
  PROOF_ANCHOR_ERROR_CODES,
  type ProofAnchorInstruction,
} from '../../src/chain/generated/proof-anchor.ts';
import type {
  ChainAccount,
  ChainInstruction,
  ChainTransaction,
  TransactionFailure,
} from '../../src/chain/interface.ts';
import { encodeLogEntry } from '../../src/domain/anchor.ts';
import {
  BlockHash,
  decodeBase58,
  encodeBase58,
  identifyCluster,
  Lamports,
  type SolanaAddress,
  TransactionSignature,
  SolanaAddress as toAddress,
} from '../../src/domain/chain.ts';
import { UnixMs as toUnixMs, type UnixMs } from '../../src/domain/ids.ts';
import { computeLeafHash } from '../../src/proofs/merkle.ts';
import { MerkleFrontier } from '../../src/proofs/merkle-stream.ts';

export const GENESIS = BlockHash(encodeBase58(new Uint8Array(32).fill(9)));
export const PROGRAM = toAddress(encodeBase58(new Uint8Array(32).fill(21)));
const LOADER = toAddress('BPFLoader2111111111111111111111111111111111');
const START_MS = 1_800_000_000_000;
const RING = 64;
const FEE = Lamports(5_000n);
const RENT = 35_635_200n;

interface Entry {
  readonly batchRoot: Uint8Array;
  readonly batchSize: bigint;
  readonly slot: number;
}

interface MemoryLog {
  readonly owner: SolanaAddress;
  delegate: SolanaAddress | null;
  readonly generation: number;
  readonly entries: Entry[];
  readonly frontier: MerkleFrontier;
}

/** A chain in memory that runs `proof-anchor` as its README says, one transaction a slot. */
export class MemoryChain {
  readonly genesis: BlockHash;
  readonly cluster;
  slot = 1_000;
  finalSlot = 1_000;
  isProgramThere = true;
  /** Another program is at its address, which answers with this code. */
  otherProgram: number | null | undefined;
  readonly logs = new Map<SolanaAddress, MemoryLog>();
  readonly transactions: ChainTransaction[] = [];
  readonly balances = new Map<SolanaAddress, bigint>();

  constructor(genesis: BlockHash = GENESIS) {
    this.genesis = genesis;
    this.cluster = identifyCluster(genesis);
  }

  /** Everything that happened so far is final. */
  finalize(): void {
    this.finalSlot = this.slot;
  }

  /** What the transaction would do, without doing it. */
  simulate(instructions: readonly ChainInstruction[], signer: SolanaAddress): TransactionFailure | null {
    const rent = instructions.some((each) => this.#decode(each)?.kind === 'createLog') ? RENT : 0n;
    if ((this.balances.get(signer) ?? 0n) < FEE + rent) return fail('InsufficientFundsForFee', null, null);
    if (this.otherProgram !== undefined) return fail('InstructionError', 0, this.otherProgram);
    for (const [index, instruction] of instructions.entries()) {
      const code = this.#run(instruction, signer, { isDryRun: true });
      if (code !== null) return fail('InstructionError', index, code);
    }
    return null;
  }

  /** Lands the transaction in the next slot, whether it fails there or not. */
  execute(instructions: readonly ChainInstruction[], signer: SolanaAddress): ChainTransaction {
    this.slot += 1;
    const failure = this.simulate(instructions, signer);
    if (failure === null) {
      for (const instruction of instructions) this.#run(instruction, signer, { isDryRun: false });
    }
    this.balances.set(signer, (this.balances.get(signer) ?? 0n) - FEE);
    const transaction: ChainTransaction = {
      signature: TransactionSignature(encodeBase58(signatureOf(this.transactions.length, this.slot))),
      slot: this.slot,
      blockTimeMs: this.timeOf(this.slot),
      failure,
      instructions,
      logs: [],
      feeLamports: FEE,
      computeUnits: 5_000,
    };
    this.transactions.push(transaction);
    return transaction;
  }

  timeOf(slot: number): UnixMs {
    return toUnixMs(START_MS + slot * 400 - ((slot * 400) % 1000));
  }

  account(address: SolanaAddress, atSlot: number): ChainAccount | undefined {
    if (address === PROGRAM && this.isProgramThere) {
      return { address, owner: LOADER, lamports: Lamports(1n), data: Uint8Array.of(127), slot: atSlot };
    }
    const log = this.logs.get(address);
    if (log === undefined) return undefined;
    const entries = log.entries.filter((entry) => entry.slot <= atSlot);
    return { address, owner: PROGRAM, lamports: Lamports(RENT), data: this.#encodeLog(log, entries), slot: atSlot };
  }

  #decode(instruction: ChainInstruction): ProofAnchorInstruction | undefined {
    return instruction.program === PROGRAM ? decodeProofAnchorInstruction(instruction) : undefined;
  }

  /** The program's error code, or null. */
  #run(instruction: ChainInstruction, signer: SolanaAddress, mode: { readonly isDryRun: boolean }): number | null {
    const call = this.#decode(instruction);
    const codes = PROOF_ANCHOR_ERROR_CODES;
    if (!this.isProgramThere || call === undefined) return codes.InvalidInstruction;
    const log = this.logs.get(call.accounts.log);
    if (call.kind === 'createLog') {
      if (log !== undefined) return codes.AlreadyExists;
      if (!mode.isDryRun) this.#createLog(call.accounts.log, call.accounts.owner);
      return null;
    }
    if (log === undefined) return codes.WrongProgramOwner;
    switch (call.kind) {
      case 'append': {
        const { authority } = call.accounts;
        if (authority !== signer) return codes.MissingSignature;
        if (authority !== log.owner && authority !== log.delegate) return codes.NotAuthorised;
        if (call.args.generation !== BigInt(log.generation)) return codes.WrongGeneration;
        if (call.args.expectedSize !== BigInt(log.entries.length)) return codes.SizeMismatch;
        if (!mode.isDryRun) append(log, { ...call.args, slot: this.slot });
        return null;
      }
      case 'setDelegate':
        if (!mode.isDryRun) log.delegate = call.args.delegate;
        return null;
      case 'closeLog':
        if (call.args.generation !== BigInt(log.generation)) return codes.WrongGeneration;
        if (!mode.isDryRun) this.logs.delete(call.accounts.log);
        return null;
      default:
        return codes.InvalidInstruction;
    }
  }

  #createLog(address: SolanaAddress, owner: SolanaAddress): void {
    this.logs.set(address, {
      owner,
      delegate: null,
      generation: this.slot,
      entries: [],
      frontier: new MerkleFrontier(),
    });
  }

  #encodeLog(log: MemoryLog, entries: readonly Entry[]): Uint8Array {
    const data = new Uint8Array(LOG_BYTES);
    const view = new DataView(data.buffer);
    data.set(LOG_DISCRIMINATOR, 0);
    data[8] = 1;
    data[9] = 255;
    data.set(decodeBase58(log.owner), 16);
    if (log.delegate !== null) data.set(decodeBase58(log.delegate), 48);
    view.setBigUint64(80, BigInt(log.generation), true);
    view.setBigUint64(88, BigInt(entries.length), true);
    data.set(log.frontier.root, 96);
    for (const [index, entry] of entries.entries()) {
      const offset = 1408 + (index % RING) * 56;
      data.set(entry.batchRoot, offset);
      view.setBigUint64(offset + 32, entry.batchSize, true);
      view.setBigUint64(offset + 40, BigInt(entry.slot), true);
      view.setBigInt64(offset + 48, BigInt(this.timeOf(entry.slot) / 1000), true);
    }
    return data;
  }
}

function append(log: MemoryLog, entry: Entry): void {
  const { batchRoot, batchSize, slot } = entry;
  log.entries.push({ batchRoot, batchSize, slot });
  log.frontier.append(computeLeafHash(encodeLogEntry({ batchRoot, batchSize: Number(batchSize) })));
}

function signatureOf(index: number, slot: number): Uint8Array {
  const bytes = new Uint8Array(64).fill(1);
  new DataView(bytes.buffer).setUint32(0, index + 1);
  new DataView(bytes.buffer).setUint32(4, slot);
  return bytes;
}

function fail(name: string, instruction: number | null, customCode: number | null): TransactionFailure {
  return { name, instruction, customCode, detail: `${name} ${instruction} ${customCode}` };
}
