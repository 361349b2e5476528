import {
  Account,
  Clock,
  EpochSchedule,
  FailedTransactionMetadata,
  LiteSvm,
  type SimulatedTransactionInfo,
  type TransactionMetadata,
} from 'litesvm/dist/internal.js';
import { base58btc } from 'multiformats/bases/base58';
import { encodeBase58 } from '../../domain/chain.ts';
import {
  LAMPORTS_PER_SIGNATURE,
  RECENT_BLOCKHASHES_ENTRIES,
  SLOT_HASHES_ENTRIES,
  SLOTS_PER_EPOCH,
} from '../constants.ts';
import type { AccountState, InnerInstructions, Outcome, ReturnData, Simulation, SlotView } from './interface.ts';
import {
  BPF_LOADER,
  BPF_LOADER_DEPRECATED,
  CONFIG_PROGRAM,
  FEATURE_PROGRAM,
  NATIVE_LOADER,
  SYSTEM_PROGRAM,
  SYSVAR_OWNER,
  SYSVAR_RECENT_BLOCKHASHES,
  SYSVAR_SLOT_HASHES,
  TOKEN_2022_NATIVE_MINT,
  TOKEN_2022_PROGRAM,
  TOKEN_PROGRAM,
  UPGRADEABLE_LOADER,
} from './program-ids.ts';
import {
  INSTRUCTION_ERRORS,
  type InstructionErrorJson,
  TRANSACTION_ERRORS,
  type TransactionErrorJson,
} from './transaction-error.ts';

/** Owners of what a new LiteSVM holds: it cannot list its accounts otherwise. */
const BUILT_IN_OWNERS: readonly string[] = [
  NATIVE_LOADER,
  BPF_LOADER_DEPRECATED,
  BPF_LOADER,
  UPGRADEABLE_LOADER,
  CONFIG_PROGRAM,
  TOKEN_PROGRAM,
  TOKEN_2022_PROGRAM,
];
const PROGRAM_LOADERS: ReadonlySet<string> = new Set([BPF_LOADER_DEPRECATED, BPF_LOADER, UPGRADEABLE_LOADER]);

type Metadata = TransactionMetadata | FailedTransactionMetadata;

/**
 * The Solana virtual machine. Signatures, block hashes and duplicates are the ledger's business (LiteSVM knows one block
 * hash only), so its own checks of them are off. What it is given must have passed `parseWireTransaction`: it aborts the
 * process on anything else.
 */
export class SvmMachine {
  readonly #vm: LiteSvm;

  constructor() {
    this.#vm = new LiteSvm();
    this.#vm.setSigverify(false);
    this.#vm.setBlockhashCheck(false);
    this.#vm.setTransactionHistory(0n);
    this.#vm.withNativeMints();
    this.write(TOKEN_2022_NATIVE_MINT, undefined);
    this.#vm.setEpochSchedule(new EpochSchedule(BigInt(SLOTS_PER_EPOCH), BigInt(SLOTS_PER_EPOCH), false, 0n, 0n));
    this.#vm.setClock(new Clock(0n, 0n, 0n, 1n, 0n));
    this.#removeLiteSvmFaucet();
    this.#startFromSlotZero();
  }

  read(address: string): AccountState | undefined {
    const account = this.#vm.getAccount(base58btc.baseDecode(address));
    return account === null ? undefined : toState(account);
  }

  /** Undefined removes it. A program must come after its program data. */
  write(address: string, state: AccountState | undefined): void {
    const account =
      state === undefined
        ? new Account(0n, new Uint8Array(), new Uint8Array(32), false, 0n)
        : new Account(state.lamports, state.data, base58btc.baseDecode(state.owner), state.executable, state.rentEpoch);
    this.#vm.setAccount(base58btc.baseDecode(address), account);
  }

  /** What is there from the beginning: built-in programs, SPL programs, native mints. */
  *builtIns(): Iterable<readonly [address: string, state: AccountState]> {
    for (const owner of BUILT_IN_OWNERS) yield* this.#ownedBy(owner);
  }

  sysvars(): Iterable<readonly [address: string, state: AccountState]> {
    return this.#ownedBy(SYSVAR_OWNER);
  }

  minimumBalance(dataLength: number): bigint {
    return this.#vm.minimumBalanceForRentExemption(BigInt(dataLength));
  }

  enterSlot(view: SlotView): void {
    const { slot, epoch, epochStartTimestamp, unixTimestamp, blocks } = view;
    this.#vm.setClock(
      new Clock(BigInt(slot), BigInt(epochStartTimestamp), BigInt(epoch), BigInt(epoch + 1), BigInt(unixTimestamp)),
    );
    this.#writeSysvar(SYSVAR_SLOT_HASHES, encodeSlotHashes(blocks.slice(0, SLOT_HASHES_ENTRIES)));
    this.#writeSysvar(SYSVAR_RECENT_BLOCKHASHES, encodeRecentBlockhashes(blocks.slice(0, RECENT_BLOCKHASHES_ENTRIES)));
  }

  execute(bytes: Uint8Array): Outcome {
    const result = isVersioned(bytes)
      ? this.#vm.sendVersionedTransaction(bytes)
      : this.#vm.sendLegacyTransaction(bytes);
    return toOutcome(result);
  }

  simulate(bytes: Uint8Array): Simulation {
    const result: SimulatedTransactionInfo | FailedTransactionMetadata = isVersioned(bytes)
      ? this.#vm.simulateVersionedTransaction(bytes)
      : this.#vm.simulateLegacyTransaction(bytes);
    if (result instanceof FailedTransactionMetadata) return { ...toOutcome(result), accounts: new Map() };
    const accounts = result
      .postAccounts()
      .map((entry) => [encodeBase58(entry.address), toState(entry.account())] as const);
    return { ...toOutcome(result.meta()), accounts: new Map(accounts) };
  }

  *#ownedBy(owner: string): Iterable<readonly [string, AccountState]> {
    for (const entry of this.#vm.getProgramAccounts(base58btc.baseDecode(owner))) {
      yield [encodeBase58(entry.address), toState(entry.account())];
    }
  }

  #writeSysvar(address: string, data: Uint8Array): void {
    this.write(address, {
      lamports: this.minimumBalance(data.length),
      owner: SYSVAR_OWNER,
      data,
      executable: false,
      rentEpoch: 0n,
    });
  }

  #removeLiteSvmFaucet(): void {
    for (const [address] of this.#ownedBy(SYSTEM_PROGRAM)) this.write(address, undefined);
  }

  /**
   * LiteSVM begins at a slot of mainnet: features were activated and programs deployed in slots that are far ahead here.
   * Programs are loaded anew at slot 0, and the accounts of features say that they were active from the beginning.
   */
  #startFromSlotZero(): void {
    for (const [address, state] of this.#ownedBy(FEATURE_PROGRAM)) {
      this.write(address, { ...state, data: new Uint8Array(state.data.length).fill(1, 0, 1) });
    }
    const loaded = [...PROGRAM_LOADERS].flatMap((owner) => [...this.#ownedBy(owner)]);
    for (const [address, state] of loaded.filter(([, { executable }]) => !executable)) {
      this.write(address, { ...state, data: withDeploymentSlotZero(state.data) });
    }
    for (const [address, state] of loaded.filter(([, { executable }]) => executable)) this.write(address, state);
  }
}

/** Program data: u32 kind 3, then u64 slot. */
function withDeploymentSlotZero(data: Uint8Array): Uint8Array {
  return data.slice().fill(0, 4, 12);
}

function toState(account: Account): AccountState {
  return {
    lamports: account.lamports(),
    owner: encodeBase58(account.owner()),
    data: account.data(),
    executable: account.executable(),
    rentEpoch: account.rentEpoch(),
  };
}

/** Skips the signatures: their number is below 128 in what fits a packet. */
function isVersioned(bytes: Uint8Array): boolean {
  return ((bytes[1 + (bytes[0] ?? 0) * 64] ?? 0) & 0x80) !== 0;
}

function toOutcome(result: Metadata): Outcome {
  const isFailed = result instanceof FailedTransactionMetadata;
  const meta = isFailed ? result.meta() : result;
  const returned = meta.returnData();
  return {
    error: isFailed ? toErrorJson(result.err()) : null,
    // LiteSVM fills the signature in once it has loaded the accounts and charged the fee.
    isIncluded: meta.signature().some((byte) => byte !== 0),
    logs: meta.logs(),
    innerInstructions: toInnerInstructions(meta),
    unitsConsumed: meta.computeUnitsConsumed(),
    returnData: toReturnData(encodeBase58(returned.programId()), returned.data()),
  };
}

/** The system program never returns data: its address stands for none. */
function toReturnData(programId: string, data: Uint8Array): ReturnData | null {
  return programId === SYSTEM_PROGRAM ? null : { programId, data };
}

function toInnerInstructions(meta: TransactionMetadata): InnerInstructions[] {
  return meta
    .innerInstructions()
    .map((list, index) => ({
      index,
      instructions: list.map((inner) => {
        const compiled = inner.instruction();
        return {
          programIdIndex: compiled.programIdIndex(),
          accounts: [...compiled.accounts()],
          data: compiled.data(),
          stackHeight: inner.stackHeight(),
        };
      }),
    }))
    .filter(({ instructions }) => instructions.length > 0);
}

function toErrorJson(error: ReturnType<FailedTransactionMetadata['err']>): TransactionErrorJson {
  if (typeof error === 'number') return TRANSACTION_ERRORS[error]?.[0] ?? 'SanitizeFailure';
  if ('err' in error) return { InstructionError: [error.index, toInstructionErrorJson(error.err())] };
  if ('index' in error) return { DuplicateInstruction: error.index };
  return error.constructor.name === 'TransactionErrorInsufficientFundsForRent'
    ? { InsufficientFundsForRent: { account_index: error.accountIndex } }
    : { ProgramExecutionTemporarilyRestricted: { account_index: error.accountIndex } };
}

type NativeInstructionError = number | { readonly code: number } | { readonly msg: string };

function toInstructionErrorJson(error: NativeInstructionError): InstructionErrorJson {
  if (typeof error === 'number') return INSTRUCTION_ERRORS[error]?.[0] ?? 'GenericError';
  return 'code' in error ? { Custom: error.code } : 'BorshIoError';
}

type SlotBlocks = SlotView['blocks'];

/** SlotHashes: u64 count, then (u64 slot, hash), newest first; always of full size. */
function encodeSlotHashes(blocks: SlotBlocks): Uint8Array {
  const data = new Uint8Array(8 + SLOT_HASHES_ENTRIES * 40);
  const view = new DataView(data.buffer);
  view.setBigUint64(0, BigInt(blocks.length), true);
  blocks.forEach(({ slot, blockhash }, index) => {
    view.setBigUint64(8 + index * 40, BigInt(slot), true);
    data.set(blockhash, 16 + index * 40);
  });
  return data;
}

/** RecentBlockhashes: u64 count, then (hash, u64 lamports per signature), newest first; always of full size. */
function encodeRecentBlockhashes(blocks: SlotBlocks): Uint8Array {
  const data = new Uint8Array(8 + RECENT_BLOCKHASHES_ENTRIES * 40);
  const view = new DataView(data.buffer);
  view.setBigUint64(0, BigInt(blocks.length), true);
  blocks.forEach(({ blockhash }, index) => {
    data.set(blockhash, 8 + index * 40);
    view.setBigUint64(40 + index * 40, LAMPORTS_PER_SIGNATURE, true);
  });
  return data;
}
