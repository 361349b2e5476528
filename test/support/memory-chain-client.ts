import { ChainError } from '../../src/chain/errors.ts';
import type {
  CallOptions,
  ChainAccount,
  ChainReader,
  ChainStatus,
  ChainTransaction,
  Commitment,
  TransactionIntent,
  TransactionRecord,
  TransactionSender,
} from '../../src/chain/interface.ts';
import {
  type BlockHash,
  type Cluster,
  Lamports,
  type SolanaAddress,
  type TransactionSignature,
} from '../../src/domain/chain.ts';
import { UnixMs } from '../../src/domain/ids.ts';
import type { MemoryChain } from './memory-chain.ts';

/** Reads a `MemoryChain` as one endpoint would. */
export class MemoryChainReader implements ChainReader {
  readonly #chain: MemoryChain;
  readonly #expected: BlockHash;
  isReachable = true;
  /** Transactions older than this slot are not in its history any more. */
  firstSlot = 0;
  /** For tests that let one endpoint lie. */
  alter: (transaction: ChainTransaction) => ChainTransaction = (transaction) => transaction;
  alterAccount: (account: ChainAccount) => ChainAccount | undefined = (account) => account;

  constructor(chain: MemoryChain, expected: BlockHash = chain.genesis) {
    this.#chain = chain;
    this.#expected = expected;
  }

  async cluster(options: CallOptions): Promise<Cluster> {
    this.#assertReachable(options);
    const { genesis, cluster } = this.#chain;
    if (genesis === this.#expected) return cluster;
    throw new ChainError({ code: 'CHAIN_WRONG_CLUSTER', url: 'memory', expected: this.#expected, found: genesis });
  }

  async slot(options: CallOptions & { commitment: Commitment }): Promise<number> {
    this.#assertReachable(options);
    return this.#slotAt(options.commitment);
  }

  async balance(address: SolanaAddress, options: CallOptions): Promise<Lamports> {
    this.#assertReachable(options);
    return Lamports(this.#chain.balances.get(address) ?? 0n);
  }

  async account(
    address: SolanaAddress,
    options: CallOptions & { commitment: Commitment },
  ): Promise<ChainAccount | undefined> {
    this.#assertReachable(options);
    const account = this.#chain.account(address, this.#slotAt(options.commitment));
    return account === undefined ? undefined : this.alterAccount(account);
  }

  async transaction(
    signature: TransactionSignature,
    options: CallOptions & { commitment: Commitment },
  ): Promise<ChainTransaction | undefined> {
    this.#assertReachable(options);
    const found = this.#visible(options.commitment).find((each) => each.signature === signature);
    return found === undefined ? undefined : this.alter(found);
  }

  async requestAirdrop(): Promise<TransactionSignature> {
    throw new ChainError({ code: 'CHAIN_NO_FAUCET', reason: 'it is in memory' });
  }

  async rentExemption(sizeBytes: number): Promise<Lamports> {
    return Lamports(BigInt(128 + sizeBytes) * 6_960n);
  }

  async *follow(): AsyncGenerator<never> {
    yield* [];
  }

  async *history(
    address: SolanaAddress,
    options: CallOptions & { commitment: Commitment; sinceSlot: number },
  ): AsyncGenerator<ChainTransaction> {
    this.#assertReachable(options);
    for (const each of this.#visible(options.commitment).toReversed()) {
      if (each.slot < options.sinceSlot) return;
      if (each.instructions.some(({ accounts }) => accounts.some((account) => account.address === address))) {
        yield this.alter(each);
      }
    }
  }

  status(): ChainStatus {
    const { cluster } = this.#chain;
    return { expectedGenesis: this.#expected, cluster, isReachable: this.isReachable, endpoints: [] };
  }

  #visible(commitment: Commitment): readonly ChainTransaction[] {
    const newest = this.#slotAt(commitment);
    return this.#chain.transactions.filter(({ slot }) => slot <= newest && slot >= this.firstSlot);
  }

  #slotAt(commitment: Commitment): number {
    return commitment === 'confirmed' ? this.#chain.slot : this.#chain.finalSlot;
  }

  #assertReachable({ signal }: CallOptions): void {
    signal.throwIfAborted();
    if (!this.isReachable) throw new ChainError({ code: 'CHAIN_UNREACHABLE', problems: ['memory: it is off'] });
  }
}

/** When a submitted transaction lands: with the call itself, or only once somebody waits for it. */
export type Landing = 'at-once' | 'when-awaited';

/** A journal in memory, which outlives the crash of a process, in front of a `MemoryChain`. */
export class MemoryJournal {
  readonly chain: MemoryChain;
  readonly signer: SolanaAddress;
  readonly records = new Map<string, TransactionRecord>();
  readonly #intents = new Map<string, TransactionIntent>();
  isReachable = true;
  hasPreflight = true;
  landing: Landing = 'when-awaited';
  /** Runs before a transaction lands: what others do meanwhile. */
  beforeLanding: (intent: TransactionIntent) => void = () => {};

  constructor(chain: MemoryChain, signer: SolanaAddress) {
    this.chain = chain;
    this.signer = signer;
  }

  submit(intent: TransactionIntent): TransactionRecord {
    const known = this.records.get(intent.key);
    if (known !== undefined) return known;
    this.#intents.set(intent.key, intent);
    const record: TransactionRecord = {
      key: intent.key,
      purpose: intent.purpose,
      state: 'intended',
      attempts: [],
      signature: null,
      slot: null,
      feeLamports: null,
      computeUnits: null,
      failure: null,
      problem: null,
      createdAtMs: UnixMs(1_800_000_000_000),
    };
    this.records.set(intent.key, record);
    if (this.landing === 'at-once') this.land(intent.key);
    return this.records.get(intent.key) ?? record;
  }

  /** Sends what has not landed. */
  land(key: string): void {
    const record = this.records.get(key);
    const intent = this.#intents.get(key);
    if (record === undefined || intent === undefined || !this.isReachable) return;
    if (record.state !== 'intended' && record.state !== 'sent') return;
    this.beforeLanding(intent);
    const failure = this.chain.simulate(intent.instructions, this.signer);
    if (failure !== null && (this.hasPreflight || failure.instruction === null)) {
      const isPoor = failure.instruction === null;
      const code = isPoor ? 'CHAIN_INSUFFICIENT_FUNDS' : 'CHAIN_REFUSED';
      this.records.set(key, { ...record, state: 'refused', failure, problem: { code, message: failure.detail } });
      return;
    }
    const { signature, slot, feeLamports, computeUnits } = this.chain.execute(intent.instructions, this.signer);
    this.records.set(key, {
      ...record,
      state: failure === null ? 'confirmed' : 'failed',
      signature,
      slot,
      feeLamports,
      computeUnits,
      failure,
    });
    if (failure !== null) this.chain.finalize();
  }

  /** All that landed. */
  finalize(): void {
    this.chain.finalize();
    for (const [key, record] of this.records) {
      if (record.state === 'confirmed') this.records.set(key, { ...record, state: 'finalized' });
    }
  }

  forget(key: string): void {
    const state = this.records.get(key)?.state;
    if (state !== 'refused' && state !== 'failed') {
      throw new ChainError({ code: 'CHAIN_NOT_FORGETTABLE', key, state: String(state) });
    }
    this.records.delete(key);
    this.#intents.delete(key);
  }
}

export class MemorySender implements TransactionSender {
  readonly #journal: MemoryJournal;
  readonly signer: SolanaAddress;

  constructor(journal: MemoryJournal) {
    this.#journal = journal;
    this.signer = journal.signer;
  }

  async submit(intent: TransactionIntent, { signal }: CallOptions): Promise<TransactionRecord> {
    signal.throwIfAborted();
    return this.#journal.submit(intent);
  }

  async wait(key: string, options: CallOptions & { readonly until: Commitment }): Promise<TransactionRecord> {
    for (;;) {
      options.signal.throwIfAborted();
      this.#journal.land(key);
      if (options.until === 'finalized') this.#journal.finalize();
      const record = this.#journal.records.get(key);
      if (record === undefined) throw new ChainError({ code: 'CHAIN_NO_INTENT', key });
      if (record.state !== 'intended' && record.state !== 'sent') return record;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async get(key: string): Promise<TransactionRecord | undefined> {
    return this.#journal.records.get(key);
  }

  async forget(key: string): Promise<void> {
    this.#journal.forget(key);
  }
}
