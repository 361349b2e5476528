import type { SnapshotStore } from '../../../blob/interface.ts';
import type { LeaseId } from '../../../domain/ids.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { EnvelopeSigner } from '../../../proofs/interface.ts';
import type { WriteOperation } from '../../../storage/interface.ts';
import type { Logger } from '../../../telemetry/interface.ts';
import { SnapshotMaker } from '../../snapshots/snapshot-maker.ts';
import type { Attempt } from '../attempts/attempt.ts';
import type { InputLoader } from '../attempts/input-loader.ts';
import type { ProviderMetrics } from '../metrics.ts';
import type { SnapshotOptions } from '../options.ts';
import { AttemptCheckpoints } from './attempt-checkpoints.ts';
import type { AttemptJournal } from './attempt-journal.ts';
import type { HoldNotices } from './hold-notices.ts';
import { LinkPublisher } from './link-publisher.ts';
import type { SnapshotKeeper } from './snapshot-keeper.ts';
import { SnapshotOrders } from './snapshot-orders.ts';

export interface CheckpointDeskModules {
  readonly identity: EnvelopeSigner;
  readonly journal: AttemptJournal;
  readonly keeper: SnapshotKeeper;
  readonly notices: HoldNotices;
  /** Null where this node keeps no snapshots. */
  readonly store: SnapshotStore | null;
  readonly inputs: InputLoader;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: ProviderMetrics;
}

/** Gives attempts their checkpoints, and what is to be written of them besides the record of the lease. */
export class CheckpointDesk {
  readonly #modules: CheckpointDeskModules;
  readonly #options: SnapshotOptions;

  constructor(modules: CheckpointDeskModules, options: SnapshotOptions) {
    this.#modules = modules;
    this.#options = options;
  }

  /** Null for a job that makes none. */
  open(attempt: Attempt): AttemptCheckpoints | null {
    if (attempt.job.value.checkpoints === undefined) return null;
    const { store, inputs } = this.#modules;
    const { jobId: job, id: lease, snapshotKey: key } = attempt;
    const maker = store === null || !attempt.isPausable ? null : new SnapshotMaker({ store }, { job, lease, key });
    const orders = new SnapshotOrders({ ...this.#modules, maker }, { lease, share: this.#options.share });
    const publisher = new LinkPublisher(attempt, this.#modules);
    const onFirstLink = (): Promise<void> => inputs.keep(attempt);
    return new AttemptCheckpoints(attempt, { ...this.#modules, orders, publisher, onFirstLink });
  }

  /** What another process needs to go on with an attempt, to be written with the note that it runs. */
  beginOperations(attempt: Attempt): readonly WriteOperation[] {
    const { journal, clock } = this.#modules;
    if (!attempt.isPausable || attempt.options.restored !== undefined) return [];
    const { job, lease, id, snapshotKey } = attempt;
    const origin = { version: 1, job: job.wire, lease: lease.wire, snapshotKey } as const;
    return journal.beginOperations(id, origin, attempt.describeSign(clock));
  }

  /** A sign of life, so that the next process knows whether the lease is still live. */
  signOperations(attempts: readonly Attempt[]): readonly WriteOperation[] {
    const { journal, clock } = this.#modules;
    return attempts
      .filter(({ id }) => journal.leases.has(id))
      .map((attempt) => journal.signOperation(attempt.id, attempt.describeSign(clock)));
  }

  /** Writes down that attempts live. Never rejects: a lost sign costs at most a run that could have gone on. */
  async noteSigns(attempts: readonly Attempt[]): Promise<void> {
    const operations = this.signOperations(attempts);
    if (operations.length === 0) return;
    try {
      await this.#modules.journal.write(operations, { durable: false });
    } catch (error) {
      this.#modules.logger.warn({ error }, 'signs of life could not be journalled');
    }
  }

  /** Tells a third party of the newest snapshot again: nobody knows whether it has it. Never rejects. */
  async announceAgain(attempt: Attempt): Promise<void> {
    const { journal, keeper, notices, logger } = this.#modules;
    const links = attempt.options.restored?.links ?? [];
    const kept = new Set(keeper.list(attempt.id).map(({ step }) => step));
    const index = links.findLastIndex(({ step, snapshot }) => snapshot !== null && kept.has(step));
    try {
      const wire = index < 0 ? undefined : await journal.readLink(attempt.id, index);
      if (wire !== undefined) notices.announce(attempt, { index, wire });
    } catch (error) {
      logger.warn({ lease: attempt.id, error }, 'the holder is not told again of the newest snapshot');
    }
  }

  /** A snapshot that was made for a pause is of use where its holder has it: the requester should hear of that. Never rejects. */
  async waitForHolder(attempt: Attempt): Promise<void> {
    await this.#modules.notices.wait(attempt);
  }

  /** Called once the attempt's end is on disk. Never rejects. */
  async end(lease: LeaseId): Promise<void> {
    this.#modules.notices.end(lease);
    await this.#modules.keeper.end(lease);
  }
}
