import { sha256 } from '@noble/hashes/sha2.js';
import { SystemInstruction, SystemProgram, TransactionInstruction, VersionedTransaction } from '@solana/web3.js';
import { isSignatureValid } from '../../src/chain/endpoints/verify-signature.ts';
import { BlockHash, encodeBase58, SolanaAddress, TransactionSignature } from '../../src/domain/chain.ts';
import { encodeUtf8 } from '../../src/lib/bytes.ts';

/** A program of the scripted chain: fails with its first byte of data as custom error code, if there is one. */
export const TEST_PROGRAM = SolanaAddress(encodeBase58(sha256(encodeUtf8('a test program'))));
const COMPUTE_BUDGET = 'ComputeBudget111111111111111111111111111111';
export const FEE = 5_000n;

export interface ScriptedTransaction {
  readonly signature: TransactionSignature;
  readonly transaction: VersionedTransaction;
  readonly slot: number;
  readonly error: unknown;
  readonly logs: readonly string[];
}

export interface ScriptedBlock {
  readonly slot: number;
  readonly height: number;
  readonly blockHash: BlockHash;
  readonly time: number;
  readonly transactions: readonly ScriptedTransaction[];
}

export interface ScriptedChainOptions {
  readonly name?: string;
  /** Blocks for which a block hash can be used. */
  readonly lifetime?: number;
  readonly finalLag?: number;
  readonly startTime?: number;
}

interface QueuedTransaction {
  readonly signature: TransactionSignature;
  readonly transaction: VersionedTransaction;
  readonly dueHeight: number;
}

interface Outcome {
  readonly error: unknown;
  readonly logs: readonly string[];
  readonly balances: Map<string, bigint>;
}

/** A chain in memory with transfers, one failing program, skipped slots and forks. Signatures are checked. */
export class ScriptedChain {
  readonly genesis: BlockHash;
  readonly lifetime: number;
  readonly finalLag: number;
  readonly blocks: ScriptedBlock[] = [];
  readonly balances = new Map<string, bigint>();
  /** Transactions that were accepted and are in no block yet. */
  #queue: QueuedTransaction[] = [];
  readonly #name: string;
  readonly #startTime: number;
  /** For tests that lose what is sent. */
  accepts: (transaction: VersionedTransaction) => boolean = () => true;
  /** Blocks that what is sent waits for, besides the next. */
  delay: () => number = () => 0;
  secondsPerSlot = 0.4;
  firstAvailableSlot = 0;
  isHistoryKept = true;

  constructor(options: ScriptedChainOptions = {}) {
    this.#name = options.name ?? 'chain';
    this.lifetime = options.lifetime ?? 150;
    this.finalLag = options.finalLag ?? 4;
    this.#startTime = options.startTime ?? 1_800_000_000;
    this.genesis = BlockHash(encodeBase58(sha256(encodeUtf8(`${this.#name} genesis`))));
    this.#append(0);
    this.produce(this.finalLag + 2);
  }

  get head(): ScriptedBlock {
    const head = this.blocks.at(-1);
    if (head === undefined) throw new Error('no block');
    return head;
  }

  headAt(commitment: string): ScriptedBlock {
    const lag = commitment === 'finalized' ? this.finalLag : commitment === 'confirmed' ? 1 : 0;
    return this.blocks[Math.max(0, this.blocks.length - 1 - lag)] ?? this.head;
  }

  fund(address: string, lamports: bigint): void {
    this.balances.set(address, (this.balances.get(address) ?? 0n) + lamports);
  }

  /** Makes blocks; what was sent goes into the first of them. */
  produce(count = 1): void {
    for (let made = 0; made < count; made += 1) this.#append(this.head.slot + 1);
  }

  /** Slots without a block. */
  skip(slots: number): void {
    this.#append(this.head.slot + 1 + slots);
  }

  /** Another fork wins: the last blocks never were. What was in them is gone. */
  rollBack(count: number): readonly ScriptedTransaction[] {
    const gone = this.blocks.splice(this.blocks.length - count, count).flatMap((block) => block.transactions);
    for (const { transaction, error } of gone) this.#undo(transaction, error);
    return gone;
  }

  find(signature: string): { readonly transaction: ScriptedTransaction; readonly block: ScriptedBlock } | undefined {
    for (const block of this.blocks.toReversed()) {
      const transaction = block.transactions.find((candidate) => candidate.signature === signature);
      if (transaction !== undefined) return { transaction, block };
    }
    return undefined;
  }

  get landed(): readonly ScriptedTransaction[] {
    return this.blocks.flatMap((block) => block.transactions);
  }

  isValidHash(blockHash: string): boolean {
    const block = this.blocks.find((candidate) => candidate.blockHash === blockHash);
    return block !== undefined && this.head.height - block.height < this.lifetime;
  }

  /** @throws Error as a node that checks signatures does */
  send(wire: Uint8Array): TransactionSignature {
    const transaction = VersionedTransaction.deserialize(wire);
    const signature = readSignature(transaction);
    const [payer] = transaction.message.staticAccountKeys;
    const [bytes] = transaction.signatures;
    if (payer === undefined || bytes === undefined) throw new Error('no signature');
    if (!isSignatureValid(bytes, transaction.message.serialize(), payer.toBytes())) throw new Error('bad signature');
    const isQueued = this.#queue.some((queued) => queued.signature === signature);
    if (!isQueued && this.find(signature) === undefined && this.accepts(transaction)) {
      this.#queue.push({ signature, transaction, dueHeight: this.head.height + 1 + this.delay() });
    }
    return signature;
  }

  simulate(transaction: VersionedTransaction): Outcome {
    return this.#execute(transaction);
  }

  #append(slot: number): void {
    const height = this.blocks.length;
    // A fork that replaces blocks has other hashes at the same slots.
    this.#forks += 1;
    const blockHash = BlockHash(encodeBase58(sha256(encodeUtf8(`${this.#name} ${slot} ${this.#forks}`))));
    const time = this.#startTime + Math.floor(slot * this.secondsPerSlot);
    const due = this.#queue.filter(({ dueHeight }) => dueHeight <= height);
    this.#queue = this.#queue.filter(({ dueHeight }) => dueHeight > height);
    const transactions: ScriptedTransaction[] = [];
    this.blocks.push({ slot, height, blockHash, time, transactions });
    for (const { signature, transaction } of due) {
      if (!this.isValidHash(transaction.message.recentBlockhash)) continue;
      const { error, logs, balances } = this.#execute(transaction);
      if (typeof error === 'string') continue;
      for (const [address, lamports] of balances) this.balances.set(address, lamports);
      transactions.push({ signature, transaction, slot, error, logs });
    }
  }

  #forks = 0;

  #execute({ message }: VersionedTransaction): Outcome {
    const keys = message.staticAccountKeys;
    const payer = keys[0]?.toBase58() ?? '';
    const before = this.balances.get(payer);
    const fail = (error: unknown, logs: readonly string[] = []): Outcome => {
      const charged = new Map([[payer, (before ?? 0n) - FEE]]);
      return { error, logs, balances: typeof error === 'string' ? new Map() : charged };
    };
    if (before === undefined) return fail('AccountNotFound');
    if (before < FEE) return fail('InsufficientFundsForFee');
    const balances = new Map([[payer, before - FEE]]);
    const read = (address: string): bigint => balances.get(address) ?? this.balances.get(address) ?? 0n;
    for (const [index, compiled] of message.compiledInstructions.entries()) {
      const program = keys[compiled.programIdIndex]?.toBase58() ?? '';
      if (program === COMPUTE_BUDGET) continue;
      if (program === TEST_PROGRAM) {
        const [code] = compiled.data;
        if (code !== undefined && code > 0) return fail({ InstructionError: [index, { Custom: code }] });
        continue;
      }
      if (program !== SystemProgram.programId.toBase58()) return fail('ProgramAccountNotFound');
      const { from, to, lamports } = decodeTransfer(keys, compiled);
      const amount = BigInt(lamports);
      if (read(from) < amount) {
        const log = `Transfer: insufficient lamports ${read(from)}, need ${amount}`;
        return fail({ InstructionError: [index, { Custom: 1 }] }, [log]);
      }
      balances.set(from, read(from) - amount);
      balances.set(to, read(to) + amount);
    }
    return { error: null, logs: ['Program log: done'], balances };
  }

  #undo({ message }: VersionedTransaction, error: unknown): void {
    const keys = message.staticAccountKeys;
    this.fund(keys[0]?.toBase58() ?? '', FEE);
    if (error !== null) return;
    for (const compiled of message.compiledInstructions) {
      if (keys[compiled.programIdIndex]?.toBase58() !== SystemProgram.programId.toBase58()) continue;
      const { from, to, lamports } = decodeTransfer(keys, compiled);
      this.fund(from, BigInt(lamports));
      this.fund(to, -BigInt(lamports));
    }
  }
}

export function readSignature(transaction: VersionedTransaction): TransactionSignature {
  return TransactionSignature(encodeBase58(transaction.signatures[0] ?? new Uint8Array()));
}

function decodeTransfer(
  keys: VersionedTransaction['message']['staticAccountKeys'],
  compiled: VersionedTransaction['message']['compiledInstructions'][number],
): { readonly from: string; readonly to: string; readonly lamports: bigint } {
  const instruction = new TransactionInstruction({
    programId: SystemProgram.programId,
    keys: compiled.accountKeyIndexes.map((index) => {
      const pubkey = keys[index];
      if (pubkey === undefined) throw new Error('no such account');
      return { pubkey, isSigner: false, isWritable: true };
    }),
    data: Buffer.from(compiled.data),
  });
  const { fromPubkey, toPubkey, lamports } = SystemInstruction.decodeTransfer(instruction);
  return { from: fromPubkey.toBase58(), to: toPubkey.toBase58(), lamports };
}
