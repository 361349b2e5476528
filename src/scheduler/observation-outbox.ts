import { z } from 'zod';
import { type JobId, type LeaseId, type ObjectId, UnixMs, unixMsSchema } from '../domain/ids.ts';
import { LEASE, type Lease } from '../domain/lease.ts';
import { decodeObject } from '../domain/object-type.ts';
import { type Signed, type SignedWire, signedWireSchema } from '../domain/signed.ts';
import { computeObjectId } from '../lib/cid.ts';
import type { Clock } from '../lib/clock.ts';
import { readSignedPayload } from '../proofs/signed-object.ts';
import type { ObservationDraft, ObservationSink } from '../reputation/interface.ts';
import { createCborCodec } from '../storage/codecs.ts';
import type { Codec, Database, Repository, WriteOperation } from '../storage/interface.ts';
import type { Logger } from '../telemetry/interface.ts';
import type { AttemptNotes } from './attempt-notes.ts';
import { OBSERVATION_FLUSH_MS, OUTBOX_BATCH } from './constants.ts';
import type { AttemptView, JobView } from './interface.ts';
import type { JobMachineEventOf } from './job-machine-events.ts';
import { JobStore } from './job-store.ts';
import { guessObservation, observeProvider, SERVED_OUTCOME } from './observe-attempt.ts';
import { assertUnreadable, OutboxLoop } from './outbox-loop.ts';
import { LeaseStore } from './provider/leases/lease-store.ts';

export interface ObservationOutboxModules {
  readonly database: Database;
  readonly sink: ObservationSink;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface ObservationOutboxOptions {
  /** Between two batches, ms. */
  readonly flushMs: number;
}

const entrySchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('received') }),
  /** The lease is the evidence, and nobody else keeps it. */
  z.strictObject({ kind: z.literal('served'), lease: signedWireSchema, atMs: unixMsSchema }),
]);
type OutboxEntry = z.output<typeof entrySchema>;
export const OUTBOX_ENTRY_CODEC: Codec<OutboxEntry> = createCborCodec(entrySchema);

export const OBSERVATION_OUTBOX_DEFAULTS: ObservationOutboxOptions = { flushMs: OBSERVATION_FLUSH_MS };

/**
 * Hands what is to be said of the other party of each attempt to reputation, many at once and at least once each: an entry
 * goes when the observation is on disk, and a lease that was observed is not observed again.
 */
export class ObservationOutbox implements AttemptNotes {
  readonly #modules: ObservationOutboxModules;
  readonly #entries: Repository<OutboxEntry>;
  readonly #jobs: JobStore;
  readonly #leases: LeaseStore;
  readonly #loop: OutboxLoop;

  constructor(modules: ObservationOutboxModules, { flushMs }: ObservationOutboxOptions) {
    this.#modules = modules;
    this.#entries = modules.database.repository('observation-outbox', OUTBOX_ENTRY_CODEC);
    this.#jobs = new JobStore(modules);
    this.#leases = new LeaseStore(modules.database);
    this.#loop = new OutboxLoop(
      { ...modules, handOver: () => this.#handOver() },
      { delayMs: flushMs, failure: 'attempts could not be observed; they are kept and tried again' },
    );
  }

  start(): void {
    this.#loop.start();
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
  }

  noteEnded(view: JobView): readonly WriteOperation[] {
    const isWanted = view.attempts.some((attempt) => {
      const kind = guessObservation(view, attempt);
      return kind !== null && this.#modules.sink.hasRoom(attempt.provider, 'provider', kind);
    });
    return isWanted ? [this.#entries.putOperation(`received/${view.job}`, { kind: 'received' })] : [];
  }

  noteServed(lease: Signed<Lease>): readonly WriteOperation[] {
    if (!this.#modules.sink.hasRoom(lease.value.requester, 'requester', 'success')) return [];
    const entry: OutboxEntry = { kind: 'served', lease: lease.wire, atMs: UnixMs(this.#modules.clock.nowMs()) };
    return [this.#entries.putOperation(`served/${lease.id}`, entry)];
  }

  /** They are gathered for a while: many have one signature. */
  wake(): void {
    this.#loop.wake();
  }

  /** Resolves when what was noted before the call is observed, or could not be for now. */
  async flush(): Promise<void> {
    await this.#loop.settle();
  }

  async #handOver(): Promise<boolean> {
    const keys: string[] = [];
    const drafts: ObservationDraft[] = [];
    const onDamaged = (key: string): void => void keys.push(key);
    for await (const [key, entry] of this.#entries.entries({ limit: OUTBOX_BATCH }, { onDamaged })) {
      keys.push(key);
      drafts.push(...(await this.#observe(key, entry)));
    }
    if (drafts.length > 0) await this.#modules.sink.record(drafts);
    if (keys.length > 0) await this.#modules.database.write(keys.map((key) => this.#entries.deleteOperation(key)));
    return keys.length === OUTBOX_BATCH;
  }

  async #observe(key: string, entry: OutboxEntry): Promise<readonly ObservationDraft[]> {
    try {
      if (entry.kind === 'served') return [await this.#observeRequester(entry)];
      return await this.#observeProviders(key.slice(key.indexOf('/') + 1) as JobId);
    } catch (error) {
      assertUnreadable(error);
      this.#modules.logger.warn({ error, entry: key }, 'an attempt cannot be read and is not observed');
      return [];
    }
  }

  async #observeRequester(entry: Extract<OutboxEntry, { kind: 'served' }>): Promise<ObservationDraft> {
    const payload = readSignedPayload(entry.lease);
    const { requester, job } = decodeObject(LEASE, payload);
    const lease = computeObjectId(payload) as LeaseId;
    const receipt = (await this.#leases.get(lease))?.receipt ?? null;
    return {
      subject: requester,
      role: 'requester',
      job,
      lease,
      receipt: receipt === null ? null : idOf(receipt),
      outcome: SERVED_OUTCOME,
      rating: null,
      observedAtMs: entry.atMs,
      evidence: [entry.lease],
    };
  }

  async #observeProviders(job: JobId): Promise<readonly ObservationDraft[]> {
    const view = (await this.#jobs.loadEnd(job))?.view;
    if (view === undefined) return [];
    const counted = await this.#listCounted(view);
    const drafts: ObservationDraft[] = [];
    for (const attempt of view.attempts) {
      const draft = await this.#observeProvider(view, attempt, counted.has(attempt.lease));
      if (draft !== null) drafts.push(draft);
    }
    return drafts;
  }

  async #observeProvider(view: JobView, attempt: AttemptView, isCounted: boolean): Promise<ObservationDraft | null> {
    const { job } = view;
    const { lease, provider } = attempt;
    const acceptance = await this.#jobs.loadObject(job, lease, 'acceptance');
    const outcome = observeProvider(view, attempt, { isAccepted: acceptance !== undefined, isCounted });
    if (outcome === null) return null;
    const isDone = outcome.completion === 'success';
    const first = await this.#jobs.loadObject(job, lease, isDone ? 'receipt' : 'lease');
    if (first === undefined || (!isDone && acceptance === undefined)) return null;
    return {
      subject: provider,
      role: 'provider',
      job,
      lease,
      receipt: isDone ? idOf(first) : null,
      outcome,
      rating: null,
      observedAtMs: view.endedAtMs ?? UnixMs(this.#modules.clock.nowMs()),
      evidence: isDone || acceptance === undefined ? [first] : [first, acceptance],
    };
  }

  /** The view does not say whose fault a failure was; the history does. */
  async #listCounted({ job, attempts }: JobView): Promise<ReadonlySet<LeaseId>> {
    if (!attempts.some(({ state }) => state === 'failed')) return new Set();
    const history = await this.#jobs.loadHistory(job);
    const failures = history.filter(
      (event): event is JobMachineEventOf<'attempt-failed'> => event.kind === 'attempt-failed',
    );
    return new Set(failures.filter(({ isCounted }) => isCounted).map(({ lease }) => lease));
  }
}

function idOf(wire: SignedWire): ObjectId {
  return computeObjectId(readSignedPayload(wire)) as ObjectId;
}
