import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Keypair, PublicKey, Transaction, TransactionInstruction } from '@solana/web3.js';
import {
  Account,
  Clock,
  FailedTransactionMetadata,
  InstructionErrorCustom,
  LiteSvm,
  TransactionErrorInstructionError,
  type TransactionMetadata,
} from 'litesvm/dist/internal.js';
import type { ChainInstruction } from '../../src/chain/interface.ts';
import { decodeBase58, encodeBase58, SolanaAddress } from '../../src/domain/chain.ts';
import { encodeUtf8 } from '../../src/lib/bytes.ts';
import { sha256 } from '../../src/lib/cid.ts';

export interface AccountContent {
  readonly lamports: bigint;
  readonly owner: SolanaAddress;
  readonly data: Uint8Array;
}

export interface Outcome {
  /** Null if it succeeded; the custom error code of the program; else what the runtime says, in words. */
  readonly error: number | string | null;
  readonly logs: readonly string[];
  readonly computeUnits: number;
  readonly returnData: Uint8Array;
  /** Bytes of the transaction. */
  readonly bytes: number;
}

export const SYSTEM_PROGRAM = SolanaAddress('11111111111111111111111111111111');

export const addressOf = (key: Keypair | PublicKey): SolanaAddress =>
  SolanaAddress((key instanceof PublicKey ? key : key.publicKey).toBase58());

/** A key that is the same in every run. */
export const namedKey = (name: string): Keypair => Keypair.fromSeed(sha256(encodeUtf8(`test key ${name}`)));

/** A built program: one that CI built from source itself, or the one that is committed. */
export function readProgram(name: string): Uint8Array {
  const folder = process.env['FOGPROOF_PROGRAMS_DIR'] ?? join(import.meta.dirname, '../../programs/artifacts');
  return readFileSync(join(folder, `${name}.so`));
}

export interface SendOptions {
  /** Who signs; the first one pays the fee. */
  readonly signers: readonly Keypair[];
}

/** The real virtual machine of Solana with one program in it. */
export class ProgramChain {
  readonly program: SolanaAddress;
  readonly #vm = new LiteSvm();

  constructor(name: string) {
    this.program = addressOf(namedKey(`program ${name}`));
    this.#vm.setTransactionHistory(0n);
    this.#vm.addProgram(decodeBase58(this.program), readProgram(name));
  }

  /** A key with 100 SOL. */
  fund(name: string): Keypair {
    const key = namedKey(name);
    this.write(addressOf(key), { lamports: 100_000_000_000n, owner: SYSTEM_PROGRAM, data: new Uint8Array() });
    return key;
  }

  read(address: SolanaAddress): AccountContent | undefined {
    const account = this.#vm.getAccount(decodeBase58(address));
    if (account === null) return undefined;
    return {
      lamports: account.lamports(),
      owner: SolanaAddress(encodeBase58(account.owner())),
      data: Uint8Array.from(account.data()),
    };
  }

  lamports(address: SolanaAddress): bigint {
    return this.read(address)?.lamports ?? 0n;
  }

  /** Puts an account there that no transaction could make. */
  write(address: SolanaAddress, { lamports, owner, data }: AccountContent): void {
    this.#vm.setAccount(decodeBase58(address), new Account(lamports, data, decodeBase58(owner), false, 0n));
  }

  rent(sizeBytes: number): bigint {
    return this.#vm.minimumBalanceForRentExemption(BigInt(sizeBytes));
  }

  slot(): bigint {
    return this.#vm.getClock().slot;
  }

  /** Moves on to a later slot. */
  advance(slots = 1n, unixTime = 1_700_000_000n): bigint {
    const clock = this.#vm.getClock();
    const slot = clock.slot + slots;
    this.#vm.setClock(new Clock(slot, clock.epochStartTimestamp, clock.epoch, clock.leaderScheduleEpoch, unixTime));
    return slot;
  }

  /** For signers that nobody holds the key of. */
  withoutSignatureChecks(): void {
    this.#vm.setSigverify(false);
  }

  send(instructions: readonly ChainInstruction[], { signers }: SendOptions): Outcome {
    const [payer] = signers;
    if (payer === undefined) throw new RangeError('somebody must pay');
    const transaction = new Transaction();
    transaction.feePayer = payer.publicKey;
    transaction.recentBlockhash = this.#vm.latestBlockhash();
    transaction.add(...instructions.map(toWeb3));
    transaction.sign(...signers);
    const bytes = transaction.serialize({ requireAllSignatures: false, verifySignatures: false });
    return toOutcome(this.#vm.sendLegacyTransaction(bytes), bytes.length);
  }
}

function toWeb3({ program, accounts, data }: ChainInstruction): TransactionInstruction {
  return new TransactionInstruction({
    programId: new PublicKey(program),
    keys: accounts.map(({ address, isSigner, isWritable }) => ({
      pubkey: new PublicKey(address),
      isSigner,
      isWritable,
    })),
    data: Buffer.from(data),
  });
}

function toOutcome(result: TransactionMetadata | FailedTransactionMetadata, bytes: number): Outcome {
  const meta = result instanceof FailedTransactionMetadata ? result.meta() : result;
  return {
    error: result instanceof FailedTransactionMetadata ? toError(result) : null,
    logs: meta.logs(),
    computeUnits: Number(meta.computeUnitsConsumed()),
    returnData: Uint8Array.from(meta.returnData().data()),
    bytes,
  };
}

function toError(failed: FailedTransactionMetadata): number | string {
  const error = failed.err();
  if (error instanceof TransactionErrorInstructionError) {
    const inner = error.err();
    if (inner instanceof InstructionErrorCustom) return inner.code;
  }
  return failed.toString();
}
