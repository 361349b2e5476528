import type { AnchorLeaf } from '../domain/anchor.ts';
import type { JobId, LeaseId } from '../domain/ids.ts';
import type { SignedWire } from '../domain/signed.ts';
import { sha256 } from '../lib/cid.ts';
import type { Clock } from '../lib/clock.ts';
import { readSignedPayload } from '../proofs/signed-object.ts';
import { StorageError } from '../storage/errors.ts';
import type { Database, Repository, WriteOperation } from '../storage/interface.ts';
import type { Logger } from '../telemetry/interface.ts';
import { OUTBOX_BATCH, OUTBOX_RETRY_MS } from './constants.ts';
import type { ReceiptAnchors } from './interface.ts';
import { JobStore } from './job-store.ts';
import { LeaseStore } from './provider/leases/lease-store.ts';
import type { ReceiptNotes } from './receipt-notes.ts';

export interface ReceiptOutboxModules {
  readonly database: Database;
  readonly anchors: ReceiptAnchors;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface ReceiptOutboxOptions {
  /** Receipts of own jobs. */
  readonly received: boolean;
  /** Receipts of jobs that ran here. */
  readonly provided: boolean;
}

const NOTHING = { encode: () => new Uint8Array(0), decode: () => null };

/**
 * Hands the receipts of ended jobs to anchoring, at least once each: an entry goes when anchoring holds it durably, and
 * anchoring takes a receipt that it has as done.
 */
export class ReceiptOutbox implements ReceiptNotes {
  readonly #modules: ReceiptOutboxModules;
  readonly #options: ReceiptOutboxOptions;
  readonly #entries: Repository<null>;
  readonly #jobs: JobStore;
  readonly #leases: LeaseStore;
  #working: Promise<void> | undefined;
  #isDirty = false;
  #isRunning = false;
  #retry: Disposable | undefined;

  constructor(modules: ReceiptOutboxModules, options: ReceiptOutboxOptions) {
    this.#modules = modules;
    this.#options = options;
    this.#entries = modules.database.repository('receipt-outbox', NOTHING);
    this.#jobs = new JobStore(modules);
    this.#leases = new LeaseStore(modules.database);
  }

  start(): void {
    this.#isRunning = true;
    this.wake();
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    this.#retry?.[Symbol.dispose]();
    await this.#working;
  }

  noteReceived(job: JobId): readonly WriteOperation[] {
    return this.#options.received ? [this.#entries.putOperation(`received/${job}`, null)] : [];
  }

  noteProvided(lease: LeaseId): readonly WriteOperation[] {
    return this.#options.provided ? [this.#entries.putOperation(`provided/${lease}`, null)] : [];
  }

  wake(): void {
    this.#isDirty = true;
    if (!this.#isRunning || this.#working !== undefined) return;
    this.#working = this.#work().finally(() => {
      this.#working = undefined;
      if (this.#isDirty && this.#retry === undefined) this.wake();
    });
  }

  /** Resolves when what was noted before the call has been handed over, or could not be for now. */
  async settle(): Promise<void> {
    this.wake();
    while (this.#working !== undefined) await this.#working;
  }

  async #work(): Promise<void> {
    this.#retry?.[Symbol.dispose]();
    this.#retry = undefined;
    try {
      while (this.#isRunning && this.#isDirty) {
        this.#isDirty = false;
        while (this.#isRunning && (await this.#handOver()) === OUTBOX_BATCH);
      }
    } catch (error) {
      this.#modules.logger.warn({ error }, 'receipts could not be handed to anchoring; they are kept and tried again');
      if (!this.#isRunning) return;
      this.#retry = this.#modules.clock.schedule(OUTBOX_RETRY_MS, () => {
        this.#retry = undefined;
        this.wake();
      });
    }
  }

  async #handOver(): Promise<number> {
    const keys: string[] = [];
    const leaves: AnchorLeaf[] = [];
    for await (const [key] of this.#entries.entries({ limit: OUTBOX_BATCH })) {
      keys.push(key);
      for (const digest of await this.#readDigests(key)) leaves.push({ kind: 'receipt', digest });
    }
    if (leaves.length > 0) await this.#modules.anchors.add(leaves);
    if (keys.length > 0) await this.#modules.database.write(keys.map((key) => this.#entries.deleteOperation(key)));
    return keys.length;
  }

  /** What cannot be read any more must not keep the rest waiting. */
  async #readDigests(key: string): Promise<readonly Uint8Array[]> {
    try {
      const receipts = await this.#readReceipts(key);
      return receipts.map((receipt) => sha256(readSignedPayload(receipt)));
    } catch (error) {
      // A disk that fails may be read later; what it gives and is damaged never can.
      if (error instanceof StorageError && error.code !== 'STORAGE_CORRUPT') throw error;
      this.#modules.logger.error({ error, entry: key }, 'a receipt cannot be read and is not anchored');
      return [];
    }
  }

  async #readReceipts(key: string): Promise<readonly SignedWire[]> {
    const [kind, id = ''] = key.split('/');
    if (kind === 'provided') {
      const receipt = (await this.#leases.get(id as LeaseId))?.receipt;
      return receipt ? [receipt] : [];
    }
    const objects = await this.#jobs.loadObjects(id as JobId);
    return objects.flatMap((object) => (object.kind === 'receipt' ? [object.wire] : []));
  }
}
