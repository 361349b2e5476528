import type { Clock } from '../../lib/clock.ts';
import { describeError, InternalError } from '../../lib/errors.ts';
import type { Logger } from '../../telemetry/interface.ts';
import { MAX_BLOCKHASH_AGE, SLOTS_PER_EPOCH } from '../constants.ts';
import type { AccountState, Simulation, SlotView } from '../svm/interface.ts';
import { SYSVAR_OWNER, SYSVARS } from '../svm/program-ids.ts';
import type { TransactionErrorJson } from '../svm/transaction-error.ts';
import type { WireTransaction } from '../svm/wire-transaction.ts';
import { Executor } from './executor.ts';
import { addressOf, computeBlockhash } from './genesis.ts';
import type {
  BlockHeader,
  Commitment,
  ExecutedTransaction,
  LedgerListener,
  ResolvedAccounts,
  SignatureStatus,
} from './interface.ts';
import { findUsableNonce } from './nonce.ts';
import type { LedgerState } from './open-ledger.ts';

export interface LedgerOptions {
  readonly slotMs: number;
  readonly confirmedLag: number;
  readonly finalizedLag: number;
}

export interface LedgerModules {
  readonly state: LedgerState;
  readonly clock: Clock;
  readonly logger: Logger;
}

export type Submission =
  | { readonly kind: 'executed'; readonly transaction: ExecutedTransaction }
  | { readonly kind: 'refused'; readonly error: TransactionErrorJson };

/** One block that is open: transactions run in it at once, in the order they come. */
interface OpenBlock {
  readonly slot: number;
  readonly blockTime: number;
  readonly transactions: ExecutedTransaction[];
}

/**
 * The chain: executes, counts slots and says what has reached which commitment. A transaction is `processed` as soon as
 * it ran, and acknowledged (`submit` resolves, listeners hear of it) once it is on disk; `confirmed` and `finalized`
 * follow a number of closed blocks later, and nothing is ever taken back.
 */
export class Ledger {
  readonly #modules: LedgerModules;
  readonly #options: LedgerOptions;
  readonly #executor: Executor;
  readonly #listeners = new Set<LedgerListener>();
  /** Transactions of blocks that are not final, for listeners. */
  readonly #recent = new Map<number, readonly ExecutedTransaction[]>();
  /** Signatures of what ran and is on its way to the disk. */
  readonly #unsaved = new Set<string>();
  #open: OpenBlock;
  /** Last block that is closed and on disk. */
  #settled: number;
  #machineSlot = -1;
  #epochStart = 0;
  #failure: Error | undefined;

  constructor(modules: LedgerModules, options: LedgerOptions) {
    this.#modules = modules;
    this.#options = options;
    this.#executor = new Executor(modules.state);
    const newest = modules.state.blocks.newest;
    this.#settled = newest?.slot ?? -1;
    this.#open = this.#createBlock(this.#settled + 1, newest?.blockTime ?? 0);
    this.#epochStart = modules.state.epochStart;
  }

  get genesis(): string {
    return this.#modules.state.genesis.genesis;
  }

  get identity(): string {
    return addressOf(this.#modules.state.genesis.identitySeed);
  }

  get faucetSeed(): Uint8Array {
    return this.#modules.state.genesis.faucetSeed;
  }

  get history(): LedgerState['history'] {
    return this.#modules.state.history;
  }

  get totalTransactions(): number {
    return (this.#modules.state.blocks.newest?.totalTransactions ?? 0) + this.#open.transactions.length;
  }

  /** Of the chain up to a slot, as far back as blocks are remembered. */
  transactionCountAt(slot: number): number {
    return slot >= this.#open.slot
      ? this.totalTransactions
      : (this.#modules.state.blocks.at(slot)?.totalTransactions ?? 0);
  }

  /** Undefined while all is well; what stopped it otherwise. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  listen(listener: LedgerListener): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => this.#listeners.delete(listener) };
  }

  slotAt(commitment: Commitment): number {
    switch (commitment) {
      case 'processed':
        return this.#open.slot;
      case 'confirmed':
        return Math.max(0, this.#settled + 1 - this.#options.confirmedLag);
      case 'finalized':
        return Math.max(0, this.#settled + 1 - this.#options.finalizedLag);
      default:
        return commitment satisfies never;
    }
  }

  commitmentOf(slot: number): Commitment {
    if (slot <= this.slotAt('finalized')) return 'finalized';
    return slot <= this.slotAt('confirmed') ? 'confirmed' : 'processed';
  }

  /** The newest closed block at a commitment: its hash is what a new transaction names. */
  latestBlock(commitment: Commitment): BlockHeader {
    const { blocks } = this.#modules.state;
    const header = blocks.at(Math.min(this.slotAt(commitment), this.#open.slot - 1)) ?? blocks.newest;
    if (header === undefined) throw new InternalError('asked for a block before the first was closed');
    return header;
  }

  lastValidBlockHeight(blockhash: string): number | undefined {
    const slot = this.#modules.state.blocks.slotOf(blockhash);
    return slot === undefined ? undefined : slot + MAX_BLOCKHASH_AGE;
  }

  isBlockhashValid(blockhash: string, commitment: Commitment): boolean {
    const slot = this.slotAt(commitment);
    return this.#modules.state.blocks.isValidIn(blockhash, commitment === 'processed' ? slot : slot + 1);
  }

  account(address: string, slot: number): AccountState | undefined {
    if (SYSVARS.has(address)) {
      this.#enterSlot();
      return this.#modules.state.machine.read(address);
    }
    return this.#modules.state.table.get(address, slot);
  }

  *programAccounts(owner: string, slot: number): Iterable<readonly [address: string, state: AccountState]> {
    if (owner === SYSVAR_OWNER) {
      this.#enterSlot();
      yield* this.#modules.state.machine.sysvars();
    } else yield* this.#modules.state.table.ownedBy(owner, slot);
  }

  allAccounts(slot: number): Iterable<readonly [address: string, state: AccountState]> {
    return this.#modules.state.table.entries(slot);
  }

  minimumBalance(dataLength: number): bigint {
    return this.#modules.state.machine.minimumBalance(dataLength);
  }

  /** Of one that is acknowledged. */
  recentStatus(signature: string): SignatureStatus | undefined {
    return this.#unsaved.has(signature) ? undefined : this.#modules.state.statuses.get(signature);
  }

  blockTime(slot: number): number | undefined {
    return slot === this.#open.slot ? this.#open.blockTime : this.#modules.state.blocks.at(slot)?.blockTime;
  }

  /** Of blocks that are not final yet. */
  recentTransactions(slot: number): readonly ExecutedTransaction[] {
    return slot === this.#open.slot ? this.#open.transactions : (this.#recent.get(slot) ?? []);
  }

  /** One of the newest closed blocks. */
  recentHeader(slot: number): BlockHeader | undefined {
    return this.#modules.state.blocks.at(slot);
  }

  nowMs(): number {
    return this.#modules.clock.nowMs();
  }

  changedIn(slot: number): readonly string[] {
    return this.#modules.state.table.changedIn(slot);
  }

  resolve(wire: WireTransaction): ResolvedAccounts {
    return this.#executor.resolve(wire);
  }

  /** Whether it names a block that is young enough and did not run before. */
  check(wire: WireTransaction): TransactionErrorJson | null {
    const { table, blocks, statuses } = this.#modules.state;
    const { message, signature } = wire;
    const isYoung = blocks.isValidIn(message.recentBlockhash, this.#open.slot);
    if (!isYoung && findUsableNonce(message, (address) => table.get(address)) === undefined) return 'BlockhashNotFound';
    return statuses.get(signature) === undefined ? null : 'AlreadyProcessed';
  }

  simulate(wire: WireTransaction): Simulation {
    this.#enterSlot();
    return this.#executor.simulate(wire, this.latestBlock('processed').blockhash);
  }

  /** Runs it. Resolves once it is on disk. @throws LocalnetError LOCALNET_DISK */
  async submit(wire: WireTransaction): Promise<Submission> {
    if (this.#failure !== undefined) throw this.#failure;
    const problem = this.check(wire);
    if (problem !== null) return { kind: 'refused', error: problem };
    this.#enterSlot();
    const execution = this.#executor.execute(wire, this.latestBlock('processed').blockhash);
    if ('refused' in execution) return { kind: 'refused', error: execution.refused };
    const { table, statuses, history } = this.#modules.state;
    const { slot, blockTime, transactions } = this.#open;
    const { meta, changes, accounts } = execution;
    const transaction: ExecutedTransaction = {
      record: { wire, slot, index: transactions.length, blockTime, meta },
      changes,
    };
    transactions.push(transaction);
    for (const [address, state] of changes) table.set(address, state, slot);
    statuses.add(wire.signature, { slot, error: meta.error });
    this.#unsaved.add(wire.signature);
    try {
      await history.saveTransaction(transaction, accounts.keys);
    } catch (error) {
      this.#fail(error);
      throw error;
    }
    this.#unsaved.delete(wire.signature);
    for (const listener of this.#listeners) listener.onTransaction(transaction);
    return { kind: 'executed', transaction };
  }

  /** Closes the open block and begins the next slot. */
  async advance(): Promise<void> {
    const closed = this.#closeBlock();
    try {
      await this.history.saveBlock(closed);
      await this.history.prune(closed.totalTransactions);
    } catch (error) {
      this.#fail(error);
      throw error;
    }
    this.#settled = closed.slot;
    this.#announce(closed.slot + 1);
    this.#modules.state.statuses.forgetBefore(closed.slot);
    const finalized = this.slotAt('finalized');
    this.#modules.state.table.forgetUntil(finalized);
    for (const slot of this.#recent.keys()) if (slot <= finalized) this.#recent.delete(slot);
  }

  #closeBlock(): BlockHeader {
    const { blocks } = this.#modules.state;
    const { slot, blockTime, transactions } = this.#open;
    const previous = blocks.newest;
    const previousBlockhash = previous?.blockhash ?? this.genesis;
    const signatures = transactions.map(({ record }) => record.wire.signature);
    const header: BlockHeader = {
      slot,
      blockhash: computeBlockhash(previousBlockhash, slot, signatures),
      previousBlockhash,
      blockTime,
      transactionCount: transactions.length,
      totalTransactions: (previous?.totalTransactions ?? 0) + transactions.length,
    };
    blocks.push(header);
    if (transactions.length > 0) this.#recent.set(slot, transactions);
    this.#open = this.#createBlock(slot + 1, blockTime);
    return header;
  }

  #createBlock(slot: number, notBefore: number): OpenBlock {
    const blockTime = Math.max(notBefore, Math.floor(this.#modules.clock.nowMs() / 1000));
    if (slot % SLOTS_PER_EPOCH === 0) this.#epochStart = blockTime;
    return { slot, blockTime, transactions: [] };
  }

  #announce(slot: number): void {
    for (const listener of this.#listeners) {
      listener.onSlot(slot);
      listener.onCommitment('confirmed', this.slotAt('confirmed'));
      listener.onCommitment('finalized', this.slotAt('finalized'));
    }
  }

  /** Tells the machine which slot it is, only when somebody is about to look. */
  #enterSlot(): void {
    const { slot, blockTime } = this.#open;
    if (this.#machineSlot === slot) return;
    this.#machineSlot = slot;
    const view: SlotView = {
      slot,
      unixTimestamp: blockTime,
      epoch: Math.floor(slot / SLOTS_PER_EPOCH),
      epochStartTimestamp: this.#epochStart,
      blocks: this.#modules.state.blocks.newestFirst(),
    };
    this.#modules.state.machine.enterSlot(view);
  }

  /** The machine is ahead of the disk now: nothing more is accepted, so that nothing is acknowledged and lost. */
  #fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new InternalError(describeError(error));
    this.#modules.logger.error({ reason: describeError(error) }, 'the chain stops: its state cannot be written');
  }
}
