import type { SnapshotEntry, SnapshotStore } from '../../../blob/interface.ts';
import type { PeerKey } from '../../../domain/ids.ts';
import type { ResumePoint } from '../../../domain/lease.ts';
import { decodeObject } from '../../../domain/object-type.ts';
import { SNAPSHOT } from '../../../domain/snapshot.ts';
import { describeError, isDaemonError } from '../../../lib/errors.ts';
import type { PeerTransport } from '../../../network/interface.ts';
import type { ResumeState } from '../../../sandbox/interface.ts';
import type { Logger } from '../../../telemetry/interface.ts';
import { readResumeState } from '../../snapshots/read-pieces.ts';
import type { SnapshotFetcher } from '../../snapshots/snapshot-fetcher.ts';
import { computeStateLimit } from '../../snapshots/state-limit.ts';
import type { Attempt } from '../attempts/attempt.ts';
import { AttemptStopped } from '../attempts/attempt-stopped.ts';
import { CLAIM_TIMEOUT_MS } from '../constants.ts';
import { ProviderError } from '../errors.ts';
import type { SnapshotKeeper } from './snapshot-keeper.ts';

export interface ResumeLoaderModules {
  /** Null where this node keeps no snapshots. */
  readonly snapshots: { readonly store: SnapshotStore; readonly fetcher: Pick<SnapshotFetcher, 'fetch'> } | null;
  readonly keeper: SnapshotKeeper;
  readonly transport: Pick<PeerTransport, 'request'>;
  readonly self: PeerKey;
  readonly logger: Logger;
}

type Snapshots = NonNullable<ResumeLoaderModules['snapshots']>;

/** Brings the state that an attempt goes on from: one of its own after a restart, or that of an attempt before it. */
export class ResumeLoader {
  readonly #modules: ResumeLoaderModules;

  constructor(modules: ResumeLoaderModules) {
    this.#modules = modules;
  }

  /** True if nothing has to be fetched. */
  isAtHand(attempt: Attempt): boolean {
    const { resume } = attempt.lease.value;
    return resume === undefined || this.#findHere(attempt, resume) !== undefined;
  }

  /** Null begins at the beginning. @throws AttemptStopped INPUT_UNAVAILABLE, saying who did not give it */
  async load(attempt: Attempt, signal: AbortSignal): Promise<ResumeState | null> {
    const own = await this.#loadOwn(attempt);
    const { resume } = attempt.lease.value;
    if (own !== null || resume === undefined) return own;
    try {
      const { snapshots } = this.#modules;
      if (snapshots === null) throw new ProviderError({ code: 'PROVIDER_NO_SNAPSHOTS' });
      const entry = await this.#obtain(attempt, { resume, snapshots, signal });
      await this.#modules.keeper.addStart(attempt, entry);
      return await this.#read(attempt, snapshots.store, { entry, stateRoot: resume.stateRoot });
    } catch (error) {
      const reason = isDaemonError(error) ? `${error.code}: ${error.message}` : describeError(error);
      const detail = `the snapshot of step ${resume.step} from its holder ${resume.holder}: ${reason}`;
      throw new AttemptStopped({ code: 'INPUT_UNAVAILABLE', detail }, { cause: error });
    }
  }

  /** The newest snapshot of this very attempt whose link was told, if the process before left one that can be read. */
  async #loadOwn(attempt: Attempt): Promise<ResumeState | null> {
    const { snapshots, keeper, logger } = this.#modules;
    const { restored } = attempt.options;
    if (restored === undefined || snapshots === null) return null;
    const { resume } = attempt.lease.value;
    const points = [...(resume === undefined ? [] : [resume]), ...restored.links];
    for (const entry of keeper.list(attempt.id)) {
      const point = points.findLast(({ step }) => step === entry.step);
      // A crash between a snapshot and its link left a state that was never signed.
      if (point === undefined) continue;
      try {
        return await this.#read(attempt, snapshots.store, { entry, stateRoot: point.stateRoot });
      } catch (error) {
        logger.warn(
          { lease: attempt.id, step: entry.step, error },
          'an own snapshot cannot be read; an older one is tried',
        );
      }
    }
    return null;
  }

  async #read(
    attempt: Attempt,
    store: SnapshotStore,
    { entry, stateRoot }: { readonly entry: SnapshotEntry; readonly stateRoot: Uint8Array },
  ): Promise<ResumeState> {
    const expected = { job: attempt.jobId, step: entry.step, stateRoot };
    return await readResumeState(store, entry.reference.blob, { key: attempt.snapshotKey, expected });
  }

  async #obtain(
    attempt: Attempt,
    { resume, snapshots, signal }: { resume: ResumePoint; snapshots: Snapshots; signal: AbortSignal },
  ): Promise<SnapshotEntry> {
    const here = this.#findHere(attempt, resume);
    if (here !== undefined) return await this.#adopt(attempt, snapshots.store, here);
    const { holder, snapshot: reference, step, stateRoot } = resume;
    if (holder !== attempt.requester) await this.#claim(attempt, holder, signal);
    const { checkpoints } = attempt.job.value;
    const sealed = checkpoints?.sealed === true;
    const fetched = await snapshots.fetcher.fetch(
      {
        peer: holder,
        reference,
        key: { role: 'provider', lease: attempt.id, step },
        snapshotKey: attempt.snapshotKey,
        expected: { job: attempt.jobId, step, stateRoot, sealed },
        keptUntilMs: this.#modules.keeper.keptUntilMs(attempt),
        maxNewBytes: computeStateLimit(attempt.job.value),
      },
      { signal },
    );
    return fetched.entry;
  }

  /** An id alone, which events publish, gives a job no access to another's state: the snapshot has to be its own. */
  #findHere(attempt: Attempt, resume: ResumePoint): SnapshotEntry | undefined {
    const entry = this.#modules.snapshots?.store.find(resume.snapshot.blob);
    return entry?.job === attempt.jobId && entry.step === resume.step ? entry : undefined;
  }

  /** Keeps a snapshot that is here for this attempt too: nothing is moved. */
  async #adopt(attempt: Attempt, store: SnapshotStore, { reference, step }: SnapshotEntry): Promise<SnapshotEntry> {
    const bytes = (await store.readSnapshot(reference.blob)) ?? new Uint8Array();
    const key = { role: 'provider', lease: attempt.id, step } as const;
    const keptUntilMs = this.#modules.keeper.keptUntilMs(attempt);
    await using writer = await store.begin(key, decodeObject(SNAPSHOT, bytes), { keptUntilMs });
    return await writer.commit();
  }

  /** Shows a third party the lease that entitles this provider to the snapshot. */
  async #claim(attempt: Attempt, holder: PeerKey, signal: AbortSignal): Promise<void> {
    const { transport } = this.#modules;
    const request = { op: 'claim', lease: attempt.lease.wire } as const;
    const answer = await transport.request(holder, 'job', request, { signal, timeoutMs: CLAIM_TIMEOUT_MS });
    if (answer.kind === 'done') return;
    const reason = answer.kind === 'refused' ? `${answer.refusal.code} ${answer.refusal.detail}` : answer.kind;
    throw new ProviderError({ code: 'PROVIDER_CLAIM_REFUSED', holder, reason });
  }
}
