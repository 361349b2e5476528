import type { AnchorLeaf } from '../domain/anchor.ts';
import type { JobId, LeaseId } from '../domain/ids.ts';
import type { SignedWire } from '../domain/signed.ts';
import { sha256 } from '../lib/cid.ts';
import type { Clock } from '../lib/clock.ts';
import { readSignedPayload } from '../proofs/signed-object.ts';
import type { Database, Repository, WriteOperation } from '../storage/interface.ts';
import type { Logger } from '../telemetry/interface.ts';
import { OUTBOX_BATCH } from './constants.ts';
import type { ReceiptAnchors } from './interface.ts';
import { JobStore } from './job-store.ts';
import { assertUnreadable, OutboxLoop } from './outbox-loop.ts';
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
  readonly #loop: OutboxLoop;

  constructor(modules: ReceiptOutboxModules, options: ReceiptOutboxOptions) {
    this.#modules = modules;
    this.#options = options;
    this.#entries = modules.database.repository('receipt-outbox', NOTHING);
    this.#jobs = new JobStore(modules);
    this.#leases = new LeaseStore(modules.database);
    this.#loop = new OutboxLoop(
      { ...modules, handOver: () => this.#handOver() },
      { delayMs: 0, failure: 'receipts could not be handed to anchoring; they are kept and tried again' },
    );
  }

  start(): void {
    this.#loop.start();
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
  }

  noteReceived(job: JobId): readonly WriteOperation[] {
    return this.#options.received ? [this.#entries.putOperation(`received/${job}`, null)] : [];
  }

  noteProvided(lease: LeaseId): readonly WriteOperation[] {
    return this.#options.provided ? [this.#entries.putOperation(`provided/${lease}`, null)] : [];
  }

  wake(): void {
    this.#loop.wake();
  }

  /** Resolves when what was noted before the call has been handed over, or could not be for now. */
  async settle(): Promise<void> {
    await this.#loop.settle();
  }

  async #handOver(): Promise<boolean> {
    const keys: string[] = [];
    const leaves: AnchorLeaf[] = [];
    for await (const [key] of this.#entries.entries({ limit: OUTBOX_BATCH })) {
      keys.push(key);
      for (const digest of await this.#readDigests(key)) leaves.push({ kind: 'receipt', digest });
    }
    if (leaves.length > 0) await this.#modules.anchors.add(leaves);
    if (keys.length > 0) await this.#modules.database.write(keys.map((key) => this.#entries.deleteOperation(key)));
    return keys.length === OUTBOX_BATCH;
  }

  async #readDigests(key: string): Promise<readonly Uint8Array[]> {
    try {
      const receipts = await this.#readReceipts(key);
      return receipts.map((receipt) => sha256(readSignedPayload(receipt)));
    } catch (error) {
      assertUnreadable(error);
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
