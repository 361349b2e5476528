import type { SnapshotEntry } from '../../../blob/interface.ts';
import type { Checkpoint } from '../../../domain/checkpoint.ts';
import type { LeaseId, PeerKey } from '../../../domain/ids.ts';
import type { Lease } from '../../../domain/lease.ts';
import type { JobRequest, JobResponse } from '../../../domain/messages.ts';
import type { RefusalCode } from '../../../domain/refusal.ts';
import type { Signed } from '../../../domain/signed.ts';
import { createDeadline } from '../../../lib/abort.ts';
import type { Clock } from '../../../lib/clock.ts';
import { isAbortError, isDaemonError } from '../../../lib/errors.ts';
import type { HandlerContext } from '../../../network/interface.ts';
import type { Logger } from '../../../telemetry/interface.ts';
import type { BlobGrants } from '../../blob-access.ts';
import { leaseIdOf } from '../../object-ids.ts';
import type { SnapshotFetcher } from '../../snapshots/snapshot-fetcher.ts';
import type { SnapshotKeeper } from '../checkpoints/snapshot-keeper.ts';
import {
  CLAIM_GRANT_MS,
  HOLD_TIMEOUT_MS,
  MAX_CLAIMS,
  MAX_HOLD_FETCHES,
  MAX_HOLD_FETCHES_PER_REQUESTER,
  SWEEP_INTERVAL_MS,
} from '../constants.ts';
import type { ProviderMetrics } from '../metrics.ts';
import { createRefusal } from '../offers/refusals.ts';
import type { HoldOptions, JobProviderOptions } from '../options.ts';
import type { HeldSnapshots } from './held-snapshots.ts';
import { openClaim, openHold } from './hold-checks.ts';

export interface SnapshotHolderModules {
  readonly self: PeerKey;
  /** Null where this node keeps no snapshots. */
  readonly held: HeldSnapshots | null;
  readonly fetcher: Pick<SnapshotFetcher, 'fetch'> | null;
  /** What this node made as a provider may be claimed from it too. */
  readonly keeper: SnapshotKeeper;
  readonly grants: BlobGrants;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: ProviderMetrics;
}

type SnapshotHolderOptions = Pick<JobProviderOptions, 'networkId' | 'trustedRequesters'> & {
  readonly hold: HoldOptions;
};

interface Claim extends Disposable {
  readonly lease: LeaseId;
}

/**
 * Holds snapshots of jobs that name this node as their holder, so that they outlive their provider; and gives them to
 * the provider that the requester leases next. Both requests prove themselves by leases that the requester signed.
 */
export class SnapshotHolder implements Disposable {
  readonly #modules: SnapshotHolderModules;
  readonly #options: SnapshotHolderOptions;
  /** Fetches under way: whose. */
  readonly #fetching = new Map<symbol, { readonly requester: PeerKey; readonly lease: LeaseId }>();
  /** Oldest first. */
  readonly #claims = new Map<string, Claim>();
  #timer: Disposable | null = null;
  #isStopped = false;

  constructor(modules: SnapshotHolderModules, options: SnapshotHolderOptions) {
    this.#modules = modules;
    this.#options = options;
  }

  async load(): Promise<void> {
    await this.#modules.held?.load();
    this.#schedule();
  }

  [Symbol.dispose](): void {
    this.#isStopped = true;
    this.#timer?.[Symbol.dispose]();
    for (const claim of this.#claims.values()) claim[Symbol.dispose]();
  }

  /** Answered once the snapshot is here. */
  async hold(request: Extract<JobRequest, { op: 'hold' }>, context: HandlerContext): Promise<JobResponse> {
    const opened = await openHold(request, this.#describeContext(context));
    if (opened.kind === 'broken') return this.#breach(opened.rule);
    const { lease, checkpoint } = opened.value;
    const { held, fetcher } = this.#modules;
    const id = leaseIdOf(lease);
    if (held === null || fetcher === null || !this.#isWelcome(lease.value.requester)) {
      return this.#refuse('HOLD_REFUSED', 'its policy is to hold none for this requester');
    }
    const newest = held.list(id).at(-1);
    if (newest !== undefined && newest.step >= checkpoint.value.step) return this.#answer('here');
    if (held.isFull && !held.has(id)) return this.#refuse('HOLD_REFUSED', 'it holds snapshots of too many leases');
    const busy = this.#judgeLoad(lease.value.requester, id);
    if (busy !== undefined) return this.#refuse('RATE_LIMITED', busy);
    return await this.#fetch(lease, checkpoint.value, context.signal);
  }

  /** Lets the provider of a lease read the snapshot that it goes on from. */
  async claim(request: Extract<JobRequest, { op: 'claim' }>, context: HandlerContext): Promise<JobResponse> {
    const opened = await openClaim(request, this.#describeContext(context));
    if (opened.kind === 'broken') return this.#breach(opened.rule);
    const lease = opened.value;
    const entry = this.#findClaimed(lease.value);
    if (entry === undefined) return this.#refuse('SNAPSHOT_NOT_HELD', `step ${lease.value.resume?.step} of this job`);
    this.#grant(context.peer, leaseIdOf(lease), entry);
    return { kind: 'done' };
  }

  /** Held for the same requester and job, under the lease that the new one names. */
  #findClaimed({ resume, requester, job }: Lease): SnapshotEntry | undefined {
    if (resume === undefined) return undefined;
    const { held, keeper } = this.#modules;
    const { lease, snapshot } = resume;
    const found = held?.find(lease, snapshot.blob) ?? keeper.find(lease, snapshot.blob);
    if (found === undefined || found.duty.requester !== requester || found.duty.job !== job) return undefined;
    return found.entry;
  }

  #grant(peer: PeerKey, lease: LeaseId, { reference }: SnapshotEntry): void {
    const { grants, clock } = this.#modules;
    this.#claims.get(lease)?.[Symbol.dispose]();
    const stack = new DisposableStack();
    stack.use(grants.grant(peer, [reference.blob]));
    stack.use(clock.schedule(CLAIM_GRANT_MS, () => this.#claims.get(lease)?.[Symbol.dispose]()));
    stack.defer(() => this.#claims.delete(lease));
    this.#claims.set(lease, { lease, [Symbol.dispose]: () => stack.dispose() });
    const [oldest] = this.#claims.values();
    if (this.#claims.size > MAX_CLAIMS) oldest?.[Symbol.dispose]();
  }

  async #fetch(lease: Signed<Lease>, checkpoint: Checkpoint, signal: AbortSignal): Promise<JobResponse> {
    const { held, fetcher, logger } = this.#modules;
    const { snapshot: reference, job, step, stateRoot } = checkpoint;
    if (held === null || fetcher === null || reference === null) return this.#answer('here');
    const id = leaseIdOf(lease);
    const { requester, provider, snapshotsSealed } = lease.value;
    const room = held.countRoom(requester, id);
    if (room <= 0) return this.#refuse('HOLD_REFUSED', 'its space for this requester is used up');
    const token = Symbol('fetch');
    this.#fetching.set(token, { requester, lease: id });
    using deadline = createDeadline(HOLD_TIMEOUT_MS, signal);
    try {
      await held.begin(id, lease.value);
      await fetcher.fetch(
        {
          peer: provider,
          reference,
          key: { role: 'holder', lease: id, step },
          snapshotKey: null,
          // Said by the requester: to call a false state sealed would keep it from being checked.
          expected: { job, step, stateRoot, sealed: snapshotsSealed === true },
          keptUntilMs: held.keptUntilMs(lease.value),
          maxNewBytes: room,
        },
        { signal: deadline.signal },
      );
      await held.thin(id);
      // Others may have filled the space meanwhile.
      if (held.countRoom(requester, id) < 0) {
        await held.release(id, step);
        return this.#refuse('HOLD_REFUSED', 'its space for this requester is used up');
      }
      return this.#answer('held');
    } catch (error) {
      if (isAbortError(error)) throw error;
      if (!isDaemonError(error)) throw error;
      logger.debug({ lease: id, error }, 'a snapshot could not be held');
      return this.#refuse('HOLD_REFUSED', `${error.code}: ${error.message}`);
    } finally {
      this.#fetching.delete(token);
      this.#schedule();
    }
  }

  #isWelcome(requester: PeerKey): boolean {
    const { hold, trustedRequesters } = this.#options;
    if (hold.for === 'nobody') return false;
    if (hold.for === 'anyone' || requester === this.#modules.self) return true;
    return (hold.for === 'trusted' ? trustedRequesters : hold.for).includes(requester);
  }

  #judgeLoad(requester: PeerKey, lease: LeaseId): string | undefined {
    const fetches = [...this.#fetching.values()];
    if (fetches.some((fetch) => fetch.lease === lease)) return 'it is fetching a snapshot of this lease';
    if (fetches.length >= MAX_HOLD_FETCHES) return `it is fetching ${fetches.length} snapshots`;
    const own = fetches.filter((fetch) => fetch.requester === requester).length;
    return own >= MAX_HOLD_FETCHES_PER_REQUESTER ? `it is fetching ${own} snapshots for this requester` : undefined;
  }

  #describeContext({ peer }: HandlerContext) {
    const { self, clock } = this.#modules;
    return { networkId: this.#options.networkId, self, peer, nowMs: clock.nowMs() };
  }

  #answer(answer: 'here' | 'held'): JobResponse {
    this.#modules.metrics.holds.increment({ answer });
    return { kind: 'done' };
  }

  #breach(rule: string): JobResponse {
    this.#modules.metrics.misbehaviour.increment({ code: 'HOLD' });
    return this.#refuse('LEASE_MISMATCH', rule);
  }

  #refuse(code: RefusalCode, detail: string): JobResponse {
    this.#modules.metrics.holds.increment({ answer: 'refused' });
    return { kind: 'refused', refusal: createRefusal(code, detail) };
  }

  #schedule(): void {
    if (this.#isStopped || this.#modules.held?.isEmpty !== false) return;
    this.#timer ??= this.#modules.clock.schedule(SWEEP_INTERVAL_MS, () => void this.#sweep());
  }

  async #sweep(): Promise<void> {
    this.#timer = null;
    await this.#modules.held?.forgetEnded();
    this.#schedule();
  }
}
