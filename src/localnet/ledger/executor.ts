import { base58btc } from 'multiformats/bases/base58';
import type { AccountState, Outcome, Simulation } from '../svm/interface.ts';
import { SYSVARS, UPGRADEABLE_LOADER } from '../svm/program-ids.ts';
import type { SvmMachine } from '../svm/svm-machine.ts';
import type { TransactionErrorJson } from '../svm/transaction-error.ts';
import { type WireTransaction, withBlockhash } from '../svm/wire-transaction.ts';
import type { AccountTable } from './account-table.ts';
import { computeFee } from './fees.ts';
import type { AccountChanges, ResolvedAccounts, TransactionMeta } from './interface.ts';
import { advanceNonce, findUsableNonce, type UsableNonce } from './nonce.ts';
import { resolveAccounts } from './resolve-accounts.ts';
import { readTokenBalances } from './token-balances.ts';

export interface Execution {
  readonly meta: TransactionMeta;
  readonly changes: AccountChanges;
  readonly accounts: ResolvedAccounts;
}

/** Errors of loading for which a validator charges the fee since SIMD-0082, while LiteSVM charges none. */
const CHARGED_WITHOUT_RUNNING: ReadonlySet<TransactionErrorJson> = new Set([
  'ProgramAccountNotFound',
  'InvalidProgramForExecution',
  'MaxLoadedAccountsDataSizeExceeded',
]);

/** First byte of an account that holds the code of a program. */
const PROGRAM_DATA_KIND = 3;

interface Before {
  readonly accounts: ResolvedAccounts;
  readonly states: ReadonlyMap<string, AccountState | undefined>;
}

/** Runs transactions on the machine and finds out what they changed. */
export class Executor {
  readonly #machine: SvmMachine;
  readonly #table: AccountTable;

  constructor(modules: { readonly machine: SvmMachine; readonly table: AccountTable }) {
    this.#machine = modules.machine;
    this.#table = modules.table;
  }

  /** Undefined with the reason if it was refused before it ran: nothing changed, and nobody pays. */
  execute(wire: WireTransaction, blockhash: string): Execution | { readonly refused: TransactionErrorJson } {
    const before = this.#remember(wire);
    const nonce = findUsableNonce(wire.message, (address) => before.states.get(address));
    const outcome = this.#explain(wire, this.#machine.execute(this.#prepare(wire, blockhash)));
    const isCharged = outcome.error !== null && CHARGED_WITHOUT_RUNNING.has(outcome.error);
    if (!outcome.isIncluded && !(isCharged && this.#charge(wire)))
      return { refused: outcome.error ?? 'SanitizeFailure' };
    if (outcome.error !== null && nonce !== undefined) this.#keepNonceAdvanced(nonce, blockhash);
    return this.#describe(wire, before, outcome);
  }

  simulate(wire: WireTransaction, blockhash: string): Simulation {
    const simulation = this.#machine.simulate(this.#prepare(wire, blockhash));
    return { ...simulation, ...this.#explain(wire, simulation) };
  }

  resolve(wire: WireTransaction): ResolvedAccounts {
    return resolveAccounts(wire.message, (address) => this.#table.get(address));
  }

  /**
   * The system program makes the next value of a nonce from the block hash that the machine is told, which LiteSVM takes
   * from the transaction; on a validator it is the newest. Signatures were checked over the original bytes.
   */
  #prepare(wire: WireTransaction, blockhash: string): Uint8Array {
    return withBlockhash(wire, base58btc.baseDecode(blockhash));
  }

  #remember(wire: WireTransaction): Before {
    const accounts = this.resolve(wire);
    const states = new Map(accounts.keys.map((address) => [address, this.#table.get(address)] as const));
    return { accounts, states };
  }

  /** LiteSVM calls a program that is not there not executable. */
  #explain(wire: WireTransaction, outcome: Outcome): Outcome {
    if (outcome.error !== 'InvalidProgramForExecution') return outcome;
    const { accountKeys, instructions } = wire.message;
    const isMissing = instructions.some(
      ({ programIdIndex }) => this.#machine.read(accountKeys[programIdIndex] ?? '') === undefined,
    );
    return isMissing ? { ...outcome, error: 'ProgramAccountNotFound' } : outcome;
  }

  /**
   * LiteSVM loads a program anew from whatever its data are at that moment, in the order of the accounts: one that was
   * closed in between would go on running.
   */
  #reloadPrograms(changes: AccountChanges, states: Before['states']): void {
    const isProgramData = (state: AccountState | undefined): boolean =>
      state?.owner === UPGRADEABLE_LOADER && state.data[0] === PROGRAM_DATA_KIND;
    const isClosed = [...changes].some(
      ([address, after]) => isProgramData(states.get(address)) && !isProgramData(after),
    );
    if (!isClosed) return;
    for (const address of states.keys()) {
      const state = this.#machine.read(address);
      if (state?.executable === true && state.owner === UPGRADEABLE_LOADER) this.#machine.write(address, state);
    }
  }

  #charge(wire: WireTransaction): boolean {
    const [payer = ''] = wire.message.accountKeys;
    const state = this.#machine.read(payer);
    const fee = computeFee(wire.message);
    if (state === undefined || state.lamports < fee) return false;
    this.#machine.write(payer, { ...state, lamports: state.lamports - fee });
    return true;
  }

  /** A failed transaction uses its nonce up as well; LiteSVM rolls it back with the rest. */
  #keepNonceAdvanced(nonce: UsableNonce, blockhash: string): void {
    const state = this.#machine.read(nonce.address) ?? nonce.state;
    this.#machine.write(nonce.address, advanceNonce({ address: nonce.address, state }, blockhash));
  }

  #describe(wire: WireTransaction, { accounts, states }: Before, outcome: Outcome): Execution {
    const changes = new Map<string, AccountState | undefined>();
    accounts.keys.forEach((address, index) => {
      if (accounts.isWritable[index] !== true || changes.has(address)) return;
      const after = this.#machine.read(address);
      if (!areEqual(states.get(address), after)) changes.set(address, after);
    });
    this.#reloadPrograms(changes, states);
    const after = (address: string): AccountState | undefined =>
      changes.has(address) ? changes.get(address) : this.#table.get(address);
    const earlier = (address: string): AccountState | undefined =>
      states.has(address) ? states.get(address) : this.#table.get(address);
    const meta: TransactionMeta = {
      error: outcome.error,
      fee: computeFee(wire.message),
      preBalances: accounts.keys.map((address) => this.#lamportsOf(address, states.get(address))),
      postBalances: accounts.keys.map((address) => this.#lamportsOf(address, after(address))),
      preTokenBalances: readTokenBalances(accounts.keys, earlier),
      postTokenBalances: readTokenBalances(accounts.keys, after),
      innerInstructions: outcome.innerInstructions,
      logs: outcome.logs,
      loadedAddresses: accounts.loaded,
      unitsConsumed: outcome.unitsConsumed,
      returnData: outcome.returnData,
    };
    return { meta, changes, accounts };
  }

  /** Sysvars are in the machine only. */
  #lamportsOf(address: string, state: AccountState | undefined): bigint {
    return state?.lamports ?? (SYSVARS.has(address) ? (this.#machine.read(address)?.lamports ?? 0n) : 0n);
  }
}

function areEqual(a: AccountState | undefined, b: AccountState | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  const { lamports, owner, executable, rentEpoch, data } = a;
  if (lamports !== b.lamports || owner !== b.owner || executable !== b.executable || rentEpoch !== b.rentEpoch)
    return false;
  return Buffer.compare(data, b.data) === 0;
}
