import type { Job } from '../../domain/job.ts';
import type { Lease } from '../../domain/lease.ts';
import type { Signed, SignedWire } from '../../domain/signed.ts';
import { areBytesEqual } from '../../lib/bytes.ts';
import type { Clock } from '../../lib/clock.ts';
import { REPEATED_CHECKPOINTS } from '../constants.ts';
import { leaseIdOf } from '../object-ids.ts';
import { type Checked, invalid, valid } from './checked.ts';
import type { CheckpointBook } from './checkpoint-book.ts';
import type { SnapshotKeeper } from './snapshot-keeper.ts';
import { CHECKPOINT_INVALID, checkNextCheckpoint, openCheckpoint } from './verify-checkpoint.ts';

export interface CheckpointFollowerModules {
  readonly clock: Clock;
  readonly book: CheckpointBook;
  readonly keeper: SnapshotKeeper;
}

export interface CheckpointFollowerOptions {
  readonly job: Signed<Job>;
  readonly lease: Signed<Lease>;
  /** Fuel of the checkpoint that the lease goes on from, where it is known. */
  readonly resumedFuel: number | null;
}

/** The checkpoints of one attempt as they come: each is verified against the one before, kept, and its snapshot held. */
export class CheckpointFollower {
  readonly #modules: CheckpointFollowerModules;
  readonly #options: CheckpointFollowerOptions;
  #repeated = 0;

  constructor(modules: CheckpointFollowerModules, options: CheckpointFollowerOptions) {
    this.#modules = modules;
    this.#options = options;
  }

  /** Invalid is the provider's fault. What was seen before may come again, after either side went down. */
  async take(wire: SignedWire): Promise<Checked<null>> {
    const { lease } = this.#options;
    const opened = await openCheckpoint(wire, lease);
    if (opened.kind === 'invalid') return opened;
    const previous = this.#modules.book.newest(leaseIdOf(lease));
    const { value } = opened.value;
    if (previous !== null && value.index <= previous.index) return this.#compare(value.index, value.head, wire);
    const { clock, book, keeper } = this.#modules;
    const checked = checkNextCheckpoint(opened.value, { ...this.#options, previous, nowMs: clock.nowMs() });
    if (checked.kind === 'invalid') return checked;
    const owner = { lease: leaseIdOf(lease), replica: lease.value.replica };
    book.add(owner, checked.value);
    keeper.announce(owner, checked.value.value, lease.value.provider);
    return valid(null);
  }

  /** Says the provider: a third party has the snapshot of its checkpoint `index`. */
  async confirm(index: number): Promise<void> {
    const { lease } = this.#options;
    await this.#modules.keeper.confirm({ lease: leaseIdOf(lease), replica: lease.value.replica }, index);
  }

  /** Two different links at one place convict whoever signed both: they are kept. */
  async #compare(index: number, head: Uint8Array, wire: SignedWire): Promise<Checked<null>> {
    const lease = leaseIdOf(this.#options.lease);
    this.#repeated += 1;
    if (this.#repeated > REPEATED_CHECKPOINTS)
      return invalid(CHECKPOINT_INVALID, 'it repeats its checkpoints endlessly');
    const known = await this.#modules.book.find(lease, index);
    if (known === undefined || areBytesEqual(known.head, head)) return valid(null);
    await this.#modules.book.addConflict(lease, wire);
    return invalid('CHECKPOINT_EQUIVOCATION', `it signed two different checkpoints as number ${index}`);
  }
}
