import { type LeaseId, UnixMs } from '../../domain/ids.ts';
import { LEASE_ACCEPTANCE, type LeaseAcceptance } from '../../domain/lease.ts';
import type { SignedManyWire } from '../../domain/signed.ts';
import type { Clock } from '../../lib/clock.ts';
import type { EnvelopeSigner } from '../../proofs/interface.ts';
import { packSigned, signObjects } from '../../proofs/signed-object.ts';
import { Attempt } from './attempt.ts';
import type { AttemptTable } from './attempt-table.ts';
import type { Dispatcher } from './dispatcher.ts';
import { indexInlineBlobs, type LeaseAnswer, type LeaseRequest } from './lease-desk.ts';
import type { LeaseEntry, LeaseStore } from './lease-store.ts';
import type { ProviderMetrics } from './metrics.ts';
import { Run } from './run.ts';

export interface LeaseIntakeModules {
  readonly identity: EnvelopeSigner;
  readonly store: LeaseStore;
  readonly table: AttemptTable;
  readonly dispatcher: Dispatcher;
  readonly clock: Clock;
  readonly metrics: ProviderMetrics;
}

type TakenLease = Extract<LeaseAnswer, { kind: 'taken' }>;

export interface BegunRun {
  readonly run: Run;
  readonly acceptances: SignedManyWire;
}

/** Turns a taken offer into attempts: slots held at once, leases on disk, and only then countersigned. */
export class LeaseIntake {
  readonly #modules: LeaseIntakeModules;
  #leasesTaken = 0;

  constructor(modules: LeaseIntakeModules) {
    this.#modules = modules;
  }

  get leasesTaken(): number {
    return this.#leasesTaken;
  }

  /** The run holds its slots when this returns its promise. @throws StorageError if the leases cannot be journalled */
  async begin(taken: TakenLease, request: LeaseRequest): Promise<BegunRun> {
    const { table, dispatcher, metrics } = this.#modules;
    const run = this.#createRun(taken, request);
    const attempts = [...run.live];
    const journalled = this.#journal(attempts);
    run.journalled = journalled.then(
      () => undefined,
      () => undefined,
    );
    try {
      await journalled;
      const acceptances = await this.accept(attempts.map(({ id, options }) => [id, options.acceptedAtMs]));
      this.#leasesTaken += attempts.length;
      metrics.leases.increment({}, attempts.length);
      return { run, acceptances };
    } catch (error) {
      for (const attempt of attempts) table.remove(attempt);
      dispatcher.drop(run);
      throw error;
    }
  }

  /** Countersigns leases whose records are on disk. The same lease is always accepted by the same object. */
  async accept(leases: readonly (readonly [lease: LeaseId, acceptedAtMs: number])[]): Promise<SignedManyWire> {
    const { identity } = this.#modules;
    const values = leases.map(
      ([lease, acceptedAtMs]): LeaseAcceptance => ({
        type: 'fogproof/lease-acceptance@1',
        lease,
        provider: identity.peer,
        acceptedAtMs: UnixMs(acceptedAtMs),
      }),
    );
    return packSigned(await signObjects(LEASE_ACCEPTANCE, values, identity));
  }

  #createRun({ entry, pairs }: TakenLease, request: LeaseRequest): Run {
    const { clock, table, dispatcher } = this.#modules;
    const { requester, executor, isolation } = entry;
    const run = new Run(entry.slots, {
      requester,
      isBatch: pairs.length > 1,
      inlineBlobs: indexInlineBlobs(request),
    });
    const options = {
      acceptedAtMs: clock.nowMs(),
      acceptedAtMonotonicMs: clock.monotonicMs(),
      executor,
      isolation,
    };
    const attempts = pairs.map((pair) => new Attempt(pair, run, options));
    run.load(attempts);
    for (const attempt of attempts) table.add(attempt);
    dispatcher.add(run);
    return run;
  }

  async #journal(attempts: readonly Attempt[]): Promise<void> {
    await this.#modules.store.write(attempts.map((attempt): LeaseEntry => [attempt.id, attempt.describeAccepted()]));
  }
}
