import type { AnchorLeaf } from '../../domain/anchor.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Database, WriteOperation } from '../../storage/interface.ts';
import type { BatchRecord } from './batch-record.ts';
import { GATHERED_LEAVES, MAX_QUEUED_CALLS } from './constants.ts';
import { AnchoringError } from './errors.ts';
import { encodeLeaf, isReceiptLeaf, LeafIndex } from './leaf-index.ts';
import type { AnchoringMetrics } from './metrics.ts';
import { OpenBatch, type OpenBatchModules } from './open-batch.ts';

export interface LeafIntakeModules extends OpenBatchModules {
  readonly database: Database;
  readonly index: LeafIndex;
  readonly clock: Clock;
  readonly metrics: AnchoringMetrics;
  /** Leaves of sealed batches that are not final yet. */
  readonly countInFlight: () => number;
  readonly onSealed: (batch: number, record: BatchRecord) => void;
  readonly onAdded: () => void;
}

export interface LeafIntakeOptions {
  readonly maxBatchLeaves: number;
  readonly maxWaitingLeaves: number;
}

type Call =
  | {
      readonly kind: 'add';
      readonly leaves: readonly Uint8Array[];
      readonly resolve: () => void;
      readonly reject: (error: unknown) => void;
    }
  | {
      readonly kind: 'seal';
      readonly resolve: (batch: number | null) => void;
      readonly reject: (error: unknown) => void;
    };

/** What a group of calls changes: tried on a copy, so that a failed write leaves no trace. */
interface Draft {
  open: OpenBatch | null;
  nextBatch: number;
  total: number;
  receipts: number;
  readonly operations: WriteOperation[];
  readonly taken: Set<string>;
  readonly sealed: [batch: number, record: BatchRecord][];
  readonly answers: (() => void)[];
}

/**
 * Takes leaves into the open batch: its number and the leaf's place in it are fixed by the one durable write that
 * `add` waits for. Calls that come while a write is on its way share the next one.
 */
export class LeafIntake {
  readonly #modules: LeafIntakeModules;
  readonly #options: LeafIntakeOptions;
  #queue: Call[] = [];
  #running: Promise<void> | undefined;
  #isOpenForCalls = false;
  #open: OpenBatch | null = null;
  #nextBatch = 0;
  #total = 0;

  constructor(modules: LeafIntakeModules, options: LeafIntakeOptions) {
    this.#modules = modules;
    this.#options = options;
  }

  /** @param newest the newest batch on disk, if there is any. @throws AnchoringError ANCHORING_DAMAGED */
  async start(newest: readonly [batch: number, record: BatchRecord] | undefined): Promise<void> {
    if (newest !== undefined) {
      const [batch, record] = newest;
      this.#open = record.state === 'open' ? await OpenBatch.load(this.#modules, batch, record) : null;
      this.#nextBatch = batch + 1;
      this.#total = record.total;
    }
    this.#isOpenForCalls = true;
  }

  /** What was called before is written. */
  async stop(): Promise<void> {
    this.#isOpenForCalls = false;
    await this.#running;
  }

  get open(): Pick<OpenBatch, 'batch' | 'leaves' | 'createdAtMs'> | null {
    return this.#open;
  }

  /** @throws AnchoringError, StorageError: nothing of the call was taken then */
  async add(leaves: readonly AnchorLeaf[]): Promise<void> {
    const encoded = leaves.map(encodeLeaf);
    await this.#enqueue<void>((settle) => ({ kind: 'add', leaves: encoded, ...settle }));
  }

  /** Seals the open batch, after what was added before. Null if nothing is open. */
  async seal(): Promise<number | null> {
    return await this.#enqueue<number | null>((settle) => ({ kind: 'seal', ...settle }));
  }

  async #enqueue<Result>(
    describe: (settle: { resolve: (result: Result) => void; reject: (error: unknown) => void }) => Call,
  ): Promise<Result> {
    if (!this.#isOpenForCalls) throw this.#refuse(new AnchoringError({ code: 'ANCHORING_STOPPED' }));
    if (this.#queue.length >= MAX_QUEUED_CALLS) {
      throw this.#refuse(new AnchoringError({ code: 'ANCHORING_BUSY', max: MAX_QUEUED_CALLS }));
    }
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    this.#queue.push(describe({ resolve, reject }));
    this.#running ??= this.#run();
    return await promise;
  }

  async #run(): Promise<void> {
    // Calls of the same turn of the event loop share the first write.
    await Promise.resolve();
    while (this.#queue.length > 0) await this.#write(this.#takeGroup());
    this.#running = undefined;
  }

  #takeGroup(): Call[] {
    let leaves = 0;
    let count = 0;
    for (const call of this.#queue) {
      leaves += call.kind === 'add' ? call.leaves.length : 0;
      if (count > 0 && leaves > GATHERED_LEAVES) break;
      count += 1;
    }
    return this.#queue.splice(0, count);
  }

  async #write(calls: readonly Call[]): Promise<void> {
    const draft: Draft = {
      open: this.#open?.clone() ?? null,
      nextBatch: this.#nextBatch,
      total: this.#total,
      receipts: 0,
      operations: [],
      taken: new Set(),
      sealed: [],
      answers: [],
    };
    try {
      for (const call of calls) await this.#apply(call, draft);
      if (draft.open !== null && draft.taken.size > 0) draft.operations.push(...draft.open.takeOperations());
      await this.#modules.database.write(draft.operations, { durable: true });
    } catch (error) {
      for (const call of calls) call.reject(error);
      return;
    }
    this.#adopt(draft);
  }

  #adopt(draft: Draft): void {
    this.#open = draft.open;
    this.#nextBatch = draft.nextBatch;
    this.#total = draft.total;
    const { leaves } = this.#modules.metrics;
    leaves.increment({ kind: 'receipt' }, draft.receipts);
    leaves.increment({ kind: 'checkpoint' }, draft.taken.size - draft.receipts);
    for (const [batch, record] of draft.sealed) this.#modules.onSealed(batch, record);
    for (const answer of draft.answers) answer();
    if (draft.taken.size > 0) this.#modules.onAdded();
  }

  async #apply(call: Call, draft: Draft): Promise<void> {
    if (call.kind === 'seal') {
      const batch = draft.open?.batch ?? null;
      this.#sealInto(draft);
      draft.answers.push(() => call.resolve(batch));
      return;
    }
    const fresh = await this.#findFresh(call.leaves, draft);
    const waiting = this.#countWaiting(draft);
    const max = this.#options.maxWaitingLeaves;
    if (fresh.size > 0 && waiting + fresh.size > max) {
      const error = this.#refuse(new AnchoringError({ code: 'ANCHORING_TOO_MANY_WAITING', waiting, max }));
      draft.answers.push(() => call.reject(error));
      return;
    }
    for (const [key, leaf] of fresh) this.#append(key, leaf, draft);
    draft.answers.push(call.resolve);
  }

  async #findFresh(leaves: readonly Uint8Array[], draft: Draft): Promise<Map<string, Uint8Array>> {
    const fresh = new Map<string, Uint8Array>();
    for (const leaf of leaves) {
      const key = LeafIndex.key(leaf);
      if (!draft.taken.has(key)) fresh.set(key, leaf);
    }
    for await (const key of this.#modules.index.findKnown([...fresh.keys()])) fresh.delete(key);
    return fresh;
  }

  #countWaiting(draft: Draft): number {
    const sealed = draft.sealed.reduce((sum, [, record]) => sum + record.leaves, 0);
    return this.#modules.countInFlight() + sealed + (draft.open?.leaves ?? 0);
  }

  #append(key: string, leaf: Uint8Array, draft: Draft): void {
    draft.open ??= new OpenBatch(this.#modules, {
      batch: draft.nextBatch++,
      createdAtMs: this.#modules.clock.nowMs(),
      totalBefore: draft.total,
    });
    const { batch } = draft.open;
    draft.operations.push(this.#modules.index.putOperation(key, { batch, index: draft.open.append(leaf) }));
    draft.taken.add(key);
    draft.total = draft.open.total;
    draft.receipts += isReceiptLeaf(leaf) ? 1 : 0;
    if (draft.open.leaves >= this.#options.maxBatchLeaves) this.#sealInto(draft);
  }

  #sealInto(draft: Draft): void {
    if (draft.open === null) return;
    const { record, operations } = draft.open.takeSealOperations(this.#modules.clock.nowMs());
    draft.operations.push(...operations);
    draft.sealed.push([draft.open.batch, record]);
    draft.open = null;
  }

  #refuse(error: AnchoringError): AnchoringError {
    this.#modules.metrics.refused.increment({ code: error.code });
    return error;
  }
}
