import type { BlockHash, Cluster, SolanaAddress } from '../../domain/chain.ts';
import { createDeadline } from '../../lib/abort.ts';
import type { Logger } from '../../telemetry/interface.ts';
import type { ChainReader, TransactionRecord, TransactionSender } from '../interface.ts';
import {
  AnchorLog,
  computeLogAddress,
  createAppend,
  type FoundAppend,
  isSameRoot,
  type LogState,
} from './anchor-log.ts';
import type { BatchRecord, BatchRecords, LogPlace } from './batch-record.ts';
import { APPEND_COMPUTE_UNITS, FREE_CONFLICTS, READ_TIMEOUT_MS, SINCE_SLOT_MARGIN } from './constants.ts';
import { AnchoringError } from './errors.ts';
import { LogCreation } from './log-creation.ts';
import type { AnchoringMetrics } from './metrics.ts';
import type { Problem } from './problem.ts';
import { explainRefusal } from './refusal.ts';
import { isLanded, type TransactionWatch } from './transaction-watch.ts';

export interface BatchAppenderModules {
  readonly reader: ChainReader;
  readonly sender: TransactionSender;
  readonly records: BatchRecords;
  readonly watch: TransactionWatch;
  readonly logger: Logger;
  readonly metrics: AnchoringMetrics;
  readonly onChange: () => void;
}

interface Job {
  readonly batch: number;
  readonly signal: AbortSignal;
}

/** A sealed batch: it has a root. */
type SealedRecord = BatchRecord & { readonly root: Uint8Array };

/**
 * Brings the root of one batch into the log, at most once. What is about to be sent is in the batch's record before it
 * is submitted, and a transaction counts only for the generation and size that it names: of two with the same, the
 * program refuses one. Another place is tried only after the transaction for the former one ended without effect and
 * the root was looked for in the log.
 */
export class BatchAppender {
  readonly #modules: BatchAppenderModules;
  readonly #creation: LogCreation;
  readonly log: AnchorLog;

  constructor(modules: BatchAppenderModules, options: { readonly program: SolanaAddress }) {
    const { program } = options;
    const owner = modules.sender.signer;
    this.#modules = modules;
    this.log = new AnchorLog(modules, { program, owner, log: computeLogAddress(program, owner) });
    this.#creation = new LogCreation({ ...modules, log: this.log });
  }

  /**
   * Null once the batch is final, else what keeps it; to be called again then, or after a crash at any point.
   * @throws ChainError, AnchoringError, StorageError, AbortError
   */
  async bring(batch: number, options: { readonly signal: AbortSignal }): Promise<Problem | null> {
    const job: Job = { batch, signal: options.signal };
    const { genesis } = await this.#readCluster(job);
    let record = await this.#leaveOtherChain(job, await this.#load(batch), genesis);
    for (let conflicts = 0; ; ) {
      if (record.landing?.by === 'found') return await this.#settleFound(job, record);
      if (record.intent === null) {
        record = await this.#intend(job, record, genesis);
        continue;
      }
      const transaction = await this.#transact(job, record, record.intent);
      if (transaction.state === 'finalized') return null;
      const { next, hasMoved } = await this.#resolve(job, record, record.intent, transaction);
      record = next;
      if (record.landing !== null) continue;
      conflicts += 1;
      if (!hasMoved || conflicts > FREE_CONFLICTS) return describeFailure(transaction, this.log.place.program);
    }
  }

  async #readCluster({ signal }: Job): Promise<Cluster> {
    using deadline = createDeadline(READ_TIMEOUT_MS, signal);
    return await this.#modules.reader.cluster({ signal: deadline.signal });
  }

  async #load(batch: number): Promise<SealedRecord> {
    const record = await this.#modules.records.get(batch);
    if (record?.root instanceof Uint8Array) return { ...record, root: record.root };
    throw new AnchoringError({ code: 'ANCHORING_DAMAGED', batch, reason: 'it has no root' });
  }

  async #save(job: Job, record: SealedRecord): Promise<SealedRecord> {
    await this.#modules.records.put(job.batch, record);
    this.#modules.onChange();
    return record;
  }

  /** A place on a chain that is not this one any more, or of a wallet that is not this one and that never sent it. */
  async #leaveOtherChain(job: Job, record: SealedRecord, genesis: BlockHash): Promise<SealedRecord> {
    const { intent } = record;
    if (intent === null) return record;
    const isOtherWallet = intent.owner !== this.#modules.sender.signer && intent.program === this.log.place.program;
    const isUnsent = isOtherWallet && (await this.#modules.sender.get(nameIntent(job, record))) === undefined;
    if (intent.genesis === genesis && !isUnsent) return record;
    return await this.#save(job, {
      ...record,
      state: 'sealed',
      intent: null,
      landing: null,
      sinceSlot: null,
      attempt: record.attempt + 1,
    });
  }

  /** The next place in the log, durable; or the place where the root is already. */
  async #intend(job: Job, record: SealedRecord, genesis: BlockHash): Promise<SealedRecord> {
    const { signal } = job;
    const log = (await this.log.read({ signal, commitment: 'confirmed' })) ?? (await this.#creation.create({ signal }));
    const sinceSlot = record.sinceSlot ?? Math.max(0, log.slot - SINCE_SLOT_MARGIN);
    // A database restored from an older copy does not know what it wrote since.
    const known = log.recent.find((entry) => isSameRoot(entry, record));
    const intent: LogPlace = { ...this.log.place, genesis, generation: log.generation, entry: log.size };
    if (known !== undefined) {
      const { found } = await this.log.findAppend(record, { signal, sinceSlot: known.slot, from: intent });
      return await this.#adopt(job, { ...record, sinceSlot, intent }, found, known.entry);
    }
    return await this.#save(job, { ...record, sinceSlot, intent });
  }

  async #transact(job: Job, record: SealedRecord, intent: LogPlace): Promise<TransactionRecord> {
    const { sender, watch } = this.#modules;
    const { signal } = job;
    const key = nameIntent(job, record);
    await sender.submit(
      {
        key,
        purpose: `anchor ${record.leaves} leaves`,
        instructions: [createAppend(intent, record)],
        computeUnitLimit: APPEND_COMPUTE_UNITS,
      },
      { signal },
    );
    this.#modules.onChange();
    const confirmed = await watch.wait(key, { signal, until: 'confirmed' });
    if (!isLanded(confirmed)) return confirmed;
    await this.#land(job, record, intent, confirmed);
    const final = await watch.wait(key, { signal, until: 'finalized' });
    if (isLanded(final)) await this.#land(job, record, intent, final);
    return final;
  }

  async #land(job: Job, record: SealedRecord, place: LogPlace, transaction: TransactionRecord): Promise<void> {
    const { signature, slot, feeLamports, computeUnits, state } = transaction;
    if (signature === null || slot === null) throw new TypeError(`${transaction.key} landed without a signature`);
    await this.#save(job, {
      ...record,
      state: state === 'finalized' ? 'finalized' : 'confirmed',
      landing: { place, transaction: signature, slot, feeLamports, computeUnits, by: 'own' },
    });
  }

  /** The transaction ended without effect: the root is looked for, then the place is given up. */
  async #resolve(
    job: Job,
    record: SealedRecord,
    intent: LogPlace,
    transaction: TransactionRecord,
  ): Promise<{ readonly next: SealedRecord; readonly hasMoved: boolean }> {
    const { signal } = job;
    const log = await this.#logOf(intent).read({ signal, commitment: 'confirmed' });
    const hasMoved = log?.generation !== intent.generation || log.size !== intent.entry;
    if (hasMoved) {
      this.#modules.logger.info(
        { batch: job.batch, entry: intent.entry, size: log?.size },
        'somebody else wrote to the log',
      );
      const found = await this.#locate(job, record, intent, log);
      if (found !== undefined) return { next: found, hasMoved };
    }
    return { next: await this.#retire(job, record, transaction), hasMoved };
  }

  /** The record with the place where its root is, or undefined if it is nowhere in the log. */
  async #locate(
    job: Job,
    record: SealedRecord,
    intent: LogPlace,
    log: LogState | undefined,
  ): Promise<SealedRecord | undefined> {
    const known = log?.recent.find((entry) => isSameRoot(entry, record));
    const [oldest] = log?.recent ?? [];
    const isAllInRing = log?.generation === intent.generation && oldest !== undefined && oldest.entry <= intent.entry;
    if (known === undefined && isAllInRing) return undefined;
    const sinceSlot = known?.slot ?? record.sinceSlot ?? 0;
    const { found, isWhole } = await this.#logOf(intent).findAppend(record, {
      signal: job.signal,
      sinceSlot,
      from: intent,
    });
    if (found === undefined && known === undefined && isWhole) return undefined;
    return await this.#adopt(job, record, found, known?.entry ?? found?.entry ?? intent.entry);
  }

  async #adopt(job: Job, record: SealedRecord, found: FoundAppend | undefined, entry: number): Promise<SealedRecord> {
    const { intent } = record;
    if (found === undefined || intent === null) {
      throw new AnchoringError({
        code: 'ANCHORING_HISTORY_GONE',
        batch: job.batch,
        log: this.log.place.log,
        entry,
      });
    }
    const { signature, slot, feeLamports, computeUnits } = found.transaction;
    this.#modules.metrics.adopted.increment();
    this.#modules.logger.info({ batch: job.batch, entry: found.entry, slot }, 'the root is in the log already');
    return await this.#save(job, {
      ...record,
      state: 'confirmed',
      landing: {
        place: { ...intent, generation: found.generation, entry: found.entry },
        transaction: signature,
        slot,
        feeLamports,
        computeUnits,
        by: 'found',
      },
    });
  }

  async #settleFound(job: Job, record: SealedRecord): Promise<Problem | null> {
    const { landing } = record;
    if (landing === null) throw new TypeError('nothing was found');
    const { reader } = this.#modules;
    using deadline = createDeadline(READ_TIMEOUT_MS, job.signal);
    const { signal } = deadline;
    const final = await reader.transaction(landing.transaction, { signal, commitment: 'finalized' });
    if (final !== undefined && final.failure === null) {
      await this.#save(job, { ...record, state: 'finalized', landing: { ...landing, slot: final.slot } });
      return null;
    }
    if ((await reader.transaction(landing.transaction, { signal, commitment: 'confirmed' })) === undefined) {
      // A fork took it back: from the start.
      await this.#save(job, { ...record, state: 'sealed', intent: null, landing: null, attempt: record.attempt + 1 });
    }
    throw new AnchoringError({ code: 'ANCHORING_NOT_FINAL', batch: job.batch, transaction: landing.transaction });
  }

  /** A refused transaction was never on the chain: its key is free again. One that failed on the chain keeps its key. */
  async #retire(job: Job, record: SealedRecord, transaction: TransactionRecord): Promise<SealedRecord> {
    const isRefused = transaction.state === 'refused';
    if (isRefused) await this.#modules.sender.forget(transaction.key);
    const attempt = isRefused ? record.attempt : record.attempt + 1;
    return await this.#save(job, { ...record, state: 'sealed', intent: null, landing: null, attempt });
  }

  #logOf(place: LogPlace): AnchorLog {
    const { program, log, owner } = place;
    return new AnchorLog(this.#modules, { program, log, owner });
  }
}

function nameIntent(job: Job, record: BatchRecord): string {
  return `anchor/${job.batch}/${record.attempt}`;
}

function describeFailure(transaction: TransactionRecord, program: SolanaAddress): Problem {
  const problem = explainRefusal(transaction, program);
  if (problem !== null) return problem;
  const { key, failure } = transaction;
  const error = new AnchoringError({
    code: 'ANCHORING_TRANSACTION_FAILED',
    key,
    reason: failure?.detail ?? 'no reason was given',
  });
  return { code: error.code, message: `${error.message}. ${error.hint}` };
}
