import { LEASE_ACCEPTANCE, type LeaseAcceptance } from '../../../domain/lease.ts';
import type { SignedManyWire } from '../../../domain/signed.ts';
import type { Clock } from '../../../lib/clock.ts';
import type { EnvelopeSigner } from '../../../proofs/interface.ts';
import { packSigned, signObjects } from '../../../proofs/signed-object.ts';
import { Attempt } from '../attempts/attempt.ts';
import type { AttemptTable } from '../attempts/attempt-table.ts';
import type { Dispatcher } from '../attempts/dispatcher.ts';
import { Run } from '../attempts/run.ts';
import type { ProviderMetrics } from '../metrics.ts';
import type { JobProviderOptions } from '../options.ts';
import type { UsageLedger } from '../policy/usage-ledger.ts';
import { indexInlineBlobs, indexSnapshotKeys, type TakenLease } from './lease-desk.ts';
import type { LeaseEntry, LeaseStore } from './lease-store.ts';

export interface LeaseIntakeModules {
  readonly identity: EnvelopeSigner;
  readonly store: LeaseStore;
  readonly table: AttemptTable;
  readonly dispatcher: Dispatcher;
  readonly usage: UsageLedger;
  readonly clock: Clock;
  readonly metrics: ProviderMetrics;
}

/** Turns a taken offer into attempts: slots held at once, leases on disk, and only then countersigned. */
export class LeaseIntake {
  readonly #modules: LeaseIntakeModules;
  readonly #options: Pick<JobProviderOptions, 'resultsKeptForMs'>;
  #leasesTaken = 0;

  constructor(modules: LeaseIntakeModules, options: Pick<JobProviderOptions, 'resultsKeptForMs'>) {
    this.#modules = modules;
    this.#options = options;
  }

  get leasesTaken(): number {
    return this.#leasesTaken;
  }

  /** Countersigns a run's leases. @throws StorageError if they cannot be journalled: the run is then given up */
  async begin(run: Run): Promise<SignedManyWire> {
    const { table, dispatcher, metrics, usage, clock } = this.#modules;
    const attempts = [...run.live];
    try {
      await this.#journal(attempts).finally(() => run.markJournalled());
      const acceptances = await this.accept(attempts.map((attempt) => [attempt.id, attempt.describeAccepted()]));
      this.#leasesTaken += attempts.length;
      metrics.leases.increment({}, attempts.length);
      return acceptances;
    } catch (error) {
      for (const attempt of attempts) table.remove(attempt);
      dispatcher.drop(run);
      // What nobody was promised is nobody's use; the journal has refused it too.
      usage.add(run.options.requester, { attempts: -attempts.length }, clock.nowMs());
      throw error;
    }
  }

  /** Countersigns leases whose records are on disk. The same lease is always accepted by the same object. */
  async accept(leases: readonly LeaseEntry[]): Promise<SignedManyWire> {
    const { identity } = this.#modules;
    const values = leases.map(
      ([lease, { acceptedAtMs, keptForMs }]): LeaseAcceptance => ({
        type: 'fogproof/lease-acceptance@1',
        lease,
        provider: identity.peer,
        acceptedAtMs,
        ...(keptForMs === undefined ? {} : { resultsKeptForMs: keptForMs }),
      }),
    );
    return packSigned(await signObjects(LEASE_ACCEPTANCE, values, identity));
  }

  /** Holds the slots of the offer from the moment it is taken. */
  createRun({ entry, pairs, request }: TakenLease): Run {
    const { clock, table, dispatcher } = this.#modules;
    const { requester, executor, isolation, priority, startsWithinMs, footprint, gpus } = entry;
    const acceptedAtMonotonicMs = clock.monotonicMs();
    const run = new Run(entry.slots, {
      requester,
      isBatch: pairs.length > 1,
      priority,
      sinceMs: acceptedAtMonotonicMs,
      startsWithinMs,
      footprint,
      inlineBlobs: indexInlineBlobs(request),
      snapshotKeys: indexSnapshotKeys(request),
      gpus,
    });
    const options = {
      acceptedAtMs: clock.nowMs(),
      acceptedAtMonotonicMs,
      executor,
      isolation,
      keptForMs: this.#options.resultsKeptForMs,
      showsGpus: entry.offer.value.terms.confidential?.gpus === true,
    };
    const attempts = pairs.map((pair) => new Attempt(pair, run, options));
    run.load(attempts);
    for (const attempt of attempts) table.add(attempt);
    dispatcher.add(run);
    return run;
  }

  async #journal(attempts: readonly Attempt[]): Promise<void> {
    const { store, usage, clock } = this.#modules;
    const [first] = attempts;
    const used = first === undefined ? [] : usage.add(first.requester, { attempts: attempts.length }, clock.nowMs());
    const entries = attempts.map((attempt): LeaseEntry => [attempt.id, attempt.describeAccepted()]);
    await store.write(entries, used);
  }
}
