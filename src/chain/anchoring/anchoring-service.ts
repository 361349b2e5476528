import type { Anchor, AnchorLeaf } from '../../domain/anchor.ts';
import type { BlockHash } from '../../domain/chain.ts';
import { raceSignal } from '../../lib/abort.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Database } from '../../storage/interface.ts';
import type { Logger, MetricsRegistry } from '../../telemetry/interface.ts';
import { ChainError } from '../errors.ts';
import type {
  AnchoringStatus,
  AnchorService,
  AnchorState,
  AnchorView,
  CallOptions,
  ChainReader,
  TransactionSender,
} from '../interface.ts';
import { AnchorProofs } from './anchor-proofs.ts';
import { BatchAppender } from './batch-appender.ts';
import { type BatchRecord, BatchRecords } from './batch-record.ts';
import { MAX_LISTED, SWEEP_INTERVAL_MS } from './constants.ts';
import { AnchoringError } from './errors.ts';
import { Flight } from './flight.ts';
import { LeafIndex } from './leaf-index.ts';
import { LeafIntake } from './leaf-intake.ts';
import { type AnchoringMetrics, createAnchoringMetrics } from './metrics.ts';
import { dropOldBatches } from './old-batches.ts';
import { ANCHORING_DEFAULTS, type AnchoringOptions } from './options.ts';
import { SealTimer } from './seal-timer.ts';
import { StoredTrees } from './stored-tree.ts';
import { TransactionWatch } from './transaction-watch.ts';

export interface AnchoringModules {
  readonly database: Database;
  readonly reader: ChainReader;
  /** Its signer owns the log. */
  readonly sender: TransactionSender;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

/**
 * Batches leaves and writes the roots of their trees to this wallet's log. Needs no chain to start or to take leaves:
 * they are kept until one answers.
 */
export class AnchoringService implements AnchorService {
  readonly #modules: AnchoringModules;
  readonly #options: Required<AnchoringOptions>;
  readonly #genesis: BlockHash;
  readonly #metrics: AnchoringMetrics;
  readonly #records: BatchRecords;
  readonly #trees: StoredTrees;
  readonly #index: LeafIndex;
  readonly #intake: LeafIntake;
  readonly #appender: BatchAppender;
  readonly #flight: Flight;
  readonly #timer: SealTimer;
  readonly #proofs: AnchorProofs;
  readonly #abort = new AbortController();
  #change = Promise.withResolvers<void>();
  #running: Promise<unknown> | undefined;
  #nextSweep: Disposable | undefined;
  #sweeping: Promise<void> | undefined;

  constructor(modules: AnchoringModules, options: AnchoringOptions) {
    const { database, clock } = modules;
    this.#modules = modules;
    this.#options = { ...ANCHORING_DEFAULTS, ...options };
    this.#genesis = modules.reader.status().expectedGenesis;
    this.#metrics = createAnchoringMetrics(modules.metrics);
    this.#records = new BatchRecords({ database });
    this.#trees = new StoredTrees({ database });
    this.#index = new LeafIndex({ database });
    const shared = { ...modules, records: this.#records, trees: this.#trees, index: this.#index };
    const counted = { ...shared, metrics: this.#metrics, onChange: () => this.#announce() };
    this.#proofs = new AnchorProofs(shared);
    const watch = new TransactionWatch({
      sender: modules.sender,
      onProblem: (problem) => this.#flight.setProblem(problem),
    });
    this.#appender = new BatchAppender({ ...counted, watch }, this.#options);
    this.#flight = new Flight(
      { ...counted, appender: this.#appender, onIdle: () => this.#timer.look() },
      { ...this.#options, genesis: this.#genesis },
    );
    this.#intake = new LeafIntake(
      {
        ...counted,
        countInFlight: () => this.#flight.leaves,
        onSealed: (batch, record) => this.#flight.add(batch, record),
        onAdded: () => this.#timer.look(),
      },
      this.#options,
    );
    this.#timer = new SealTimer(
      { clock, logger: modules.logger, intake: this.#intake, isBusy: () => this.#flight.batches > 0 },
      this.#options,
    );
  }

  /** Takes up what a former run left. @throws AnchoringError ANCHORING_DAMAGED, StorageError */
  async start(signal: AbortSignal): Promise<void> {
    if (this.#running !== undefined) return;
    signal.throwIfAborted();
    await this.#flight.load();
    await this.#intake.start(await this.#readNewest());
    signal.addEventListener('abort', () => this.#abort.abort(), { once: true, signal: this.#abort.signal });
    this.#running = this.#flight.run(this.#abort.signal);
    this.#sweepOldBatches();
    this.#timer.look();
  }

  /** What was taken is on disk; what is in flight is taken up by the next start. */
  async stop(): Promise<void> {
    this.#timer.stop();
    this.#nextSweep?.[Symbol.dispose]();
    await this.#intake.stop();
    this.#abort.abort();
    await this.#running;
    await this.#sweeping;
    this.#announce();
  }

  async add(leaves: readonly AnchorLeaf[]): Promise<void> {
    await this.#intake.add(leaves);
    this.#metrics.waiting.set(this.#countWaiting());
  }

  async flush(): Promise<AnchorView | null> {
    const batch = await this.#intake.seal();
    this.#flight.hurry();
    return batch === null ? null : await this.#view(batch);
  }

  async wait(batch: number, options: CallOptions): Promise<AnchorView> {
    for (;;) {
      const { promise } = this.#change;
      const view = await this.#view(batch);
      if (view.state === 'finalized') return view;
      if (this.#abort.signal.aborted) throw new AnchoringError({ code: 'ANCHORING_STOPPED' });
      await raceSignal(promise, options.signal);
    }
  }

  async list(filter: { readonly limit: number }): Promise<readonly AnchorView[]> {
    const limit = Math.min(filter.limit, MAX_LISTED);
    const views: AnchorView[] = [];
    if (limit < 1) return views;
    for await (const [batch, record] of this.#records.newestFirst()) {
      views.push(this.#describe(batch, record));
      if (views.length >= limit) break;
    }
    return views;
  }

  async proof(receiptDigest: Uint8Array): Promise<Anchor | undefined> {
    return await this.#proofs.prove(receiptDigest);
  }

  async batchOf(receiptDigest: Uint8Array): Promise<number | undefined> {
    return (await this.#index.get({ kind: 'receipt', digest: receiptDigest }))?.batch;
  }

  status(): AnchoringStatus {
    return {
      log: this.#appender.log.place.log,
      waiting: this.#intake.open?.leaves ?? 0,
      batchesInFlight: this.#flight.batches,
      anchored: this.#flight.anchored,
      problem: this.#flight.problem ?? this.#timer.problem,
    };
  }

  #countWaiting(): number {
    return this.#flight.leaves + (this.#intake.open?.leaves ?? 0);
  }

  async #readNewest(): Promise<readonly [batch: number, record: BatchRecord] | undefined> {
    for await (const newest of this.#records.newestFirst()) return newest;
    return undefined;
  }

  async #view(batch: number): Promise<AnchorView> {
    const record = await this.#records.get(batch);
    if (record === undefined) throw new ChainError({ code: 'CHAIN_NO_BATCH', batch });
    return this.#describe(batch, record);
  }

  #describe(batch: number, stored: BatchRecord): AnchorView {
    const record = leaveOtherChain(stored, this.#genesis);
    const { landing, intent, leaves, receipts } = record;
    const problem = record.state === 'open' ? null : this.#flight.problemOf(batch);
    const place = landing?.place ?? intent;
    return {
      batch,
      state: describeState(record, problem !== null),
      receipts,
      checkpoints: leaves - receipts,
      batchRoot: record.root,
      createdAtMs: record.createdAtMs,
      genesis: place?.genesis ?? this.#genesis,
      isOtherChain: place !== null && place.genesis !== this.#genesis,
      log: place?.log ?? this.#appender.log.place.log,
      generation: place?.generation ?? null,
      entry: place?.entry ?? null,
      transaction: landing?.transaction ?? null,
      slot: landing?.slot ?? null,
      feeLamports: landing?.feeLamports ?? null,
      computeUnits: landing?.computeUnits ?? null,
      problem,
    };
  }

  #announce(): void {
    this.#metrics.waiting.set(this.#countWaiting());
    const { resolve } = this.#change;
    this.#change = Promise.withResolvers<void>();
    resolve();
  }

  #sweepOldBatches(): void {
    const { keepMs } = this.#options;
    const { clock, logger, database } = this.#modules;
    if (keepMs === null || this.#abort.signal.aborted) return;
    const modules = { database, records: this.#records, trees: this.#trees, index: this.#index };
    this.#sweeping = dropOldBatches(modules, { beforeMs: clock.nowMs() - keepMs, signal: this.#abort.signal })
      .then((dropped) => {
        if (dropped > 0) logger.info({ batches: dropped }, 'old anchors were forgotten');
      })
      .catch((error: unknown) => logger.warn({ error }, 'old anchors could not be forgotten; it is tried again'));
    this.#nextSweep = clock.schedule(Math.min(SWEEP_INTERVAL_MS, Math.max(keepMs, 1_000)), () =>
      this.#sweepOldBatches(),
    );
  }
}

/** What is not final on a former chain is anchored on this one: where it was to be there does not matter any more. */
function leaveOtherChain(record: BatchRecord, genesis: BlockHash): BatchRecord {
  const place = record.landing?.place ?? record.intent;
  if (record.state === 'finalized' || place === null || place.genesis === genesis) return record;
  return { ...record, state: 'sealed', intent: null, landing: null };
}

function describeState({ state, intent }: BatchRecord, hasProblem: boolean): AnchorState {
  if (state !== 'sealed') return state;
  if (hasProblem) return 'waiting';
  return intent === null ? 'sealed' : 'sent';
}
