import type { BlobId, LeaseId, ObjectId, PeerKey } from '../../../domain/ids.ts';
import { JOB, type Job } from '../../../domain/job.ts';
import { LEASE } from '../../../domain/lease.ts';
import type { JobRequest } from '../../../domain/messages.ts';
import type { Refusal } from '../../../domain/refusal.ts';
import { BATCH, type Signed } from '../../../domain/signed.ts';
import { encodeHex } from '../../../lib/bytes.ts';
import type { Clock } from '../../../lib/clock.ts';
import { DaemonError } from '../../../lib/errors.ts';
import { openMany, openSigned } from '../../../proofs/signed-object.ts';
import type { Dispatcher } from '../attempts/dispatcher.ts';
import type { Run } from '../attempts/run.ts';
import { MAX_LIVE_ATTEMPTS_PER_PEER } from '../constants.ts';
import { type Admission, refuseByRule } from '../offers/admission.ts';
import type { OfferBook, OfferEntry } from '../offers/offer-book.ts';
import { createRefusal } from '../offers/refusals.ts';
import type { JobProviderOptions } from '../options.ts';
import type { DecisionLog } from '../policy/decision-log.ts';
import type { PolicyDesk } from '../policy/policy-desk.ts';
import { computeInputBytes, findLeaseMismatch, type LeasedJob } from './lease-checks.ts';

export type LeaseRequest = Extract<JobRequest, { op: 'lease' }>;

export interface LeaseDeskModules {
  readonly self: PeerKey;
  readonly offers: OfferBook;
  readonly dispatcher: Dispatcher;
  readonly admission: Admission;
  readonly policy: Pick<PolicyDesk, 'judgeJob'>;
  readonly decisions: Pick<DecisionLog, 'refused'>;
  readonly clock: Clock;
  readonly isDraining: () => boolean;
  /** True if an attempt under this lease has not ended. */
  readonly isLive: (lease: LeaseId) => boolean;
  /** True if this lease was countersigned before, live or ended. */
  readonly isKnown: (lease: LeaseId) => Promise<boolean>;
  /** Turns a taken offer into a run that holds its slots, at once. */
  readonly createRun: (taken: TakenLease) => Run;
}

export type LeaseAnswer =
  /** `rule`: the setting of the operator's policy that decided, where one did. */
  | { readonly kind: 'refused'; readonly refusal: Refusal; readonly rule?: string }
  /** The same request again: nothing runs twice, the attempts are followed from the start. */
  | { readonly kind: 'known'; readonly leases: readonly LeaseId[] }
  /** The offer is taken and its slots are held by this run. */
  | { readonly kind: 'taken'; readonly run: Run };

/** A verified request with the offer that it takes. */
export interface TakenLease {
  readonly entry: OfferEntry;
  readonly pairs: readonly LeasedJob[];
  readonly request: LeaseRequest;
}

interface VerifiedRequest {
  readonly pairs: readonly LeasedJob[];
  readonly statements: ReadonlyMap<ObjectId, ObjectId>;
  readonly request: LeaseRequest;
}

/** What the log says where a request cannot be read. */
const NO_SUBJECT = 'malformed';

/** Judges lease requests. From its last check until the run holds the offer's slots, nothing is awaited. */
export class LeaseDesk {
  readonly #modules: LeaseDeskModules;
  readonly #options: JobProviderOptions;

  constructor(modules: LeaseDeskModules, options: JobProviderOptions) {
    this.#modules = modules;
    this.#options = options;
  }

  async judge(requester: PeerKey, request: LeaseRequest): Promise<LeaseAnswer> {
    let verified: VerifiedRequest | undefined;
    let answer: LeaseAnswer;
    try {
      const pairs = await openPairs(requester, request);
      const statements = await openStatements(pairs.map((pair) => pair.job));
      verified = { pairs, statements, request };
      answer = await this.#judgeVerified(requester, verified);
    } catch (error) {
      if (verified !== undefined || !(error instanceof DaemonError)) throw error;
      answer = mismatch(`${error.code}: ${error.message}`);
    }
    if (answer.kind === 'refused') {
      const subject = verified?.pairs[0]?.lease.value.offer ?? NO_SUBJECT;
      this.#modules.decisions.refused({ of: 'lease', requester, subject }, answer);
    }
    return answer;
  }

  async #judgeVerified(requester: PeerKey, verified: VerifiedRequest): Promise<LeaseAnswer> {
    const { pairs } = verified;
    const leases = pairs.map(({ lease }) => lease.id as string as LeaseId);
    const [first] = leases;
    // Leases of one request share an offer, which is taken once: if the first is new, all are.
    if (first === undefined || !(await this.#modules.isKnown(first))) {
      return this.#judgePairs(requester, verified);
    }
    const known = await Promise.all(leases.map(this.#modules.isKnown));
    if (known.every(Boolean)) return { kind: 'known', leases };
    return refused('DUPLICATE_LEASE', 'some of these leases were taken before');
  }

  #judgePairs(requester: PeerKey, { pairs, statements, request }: VerifiedRequest): LeaseAnswer {
    if (this.#modules.isDraining()) return refused('DRAINING', 'it finishes what it has and takes nothing new');
    const [first] = pairs;
    if (first === undefined) return mismatch('no lease in the request');
    const offerId = first.lease.value.offer as string as ObjectId;
    const entry = this.#modules.offers.find(offerId);
    if (entry === undefined) {
      // The same request, sent twice: the other one took the offer while this one was being verified.
      const leases = pairs.map(({ lease }) => lease.id as string as LeaseId);
      return leases.every(this.#modules.isLive) ? { kind: 'known', leases } : this.#describeGone(offerId);
    }
    if (pairs.length > entry.attempts) return mismatch(`${pairs.length} leases, ${entry.attempts} offered`);
    const context = {
      networkId: this.#options.networkId,
      parameters: this.#options.parameters,
      self: this.#modules.self,
      requester,
      offer: entry.offer,
      statements,
      isBatch: pairs.length > 1,
      snapshotKeys: indexSnapshotKeys(request),
      nowMs: this.#modules.clock.nowMs(),
    };
    for (const pair of pairs) {
      const wrong = findLeaseMismatch(pair, context);
      if (wrong !== undefined) return mismatch(wrong);
    }
    if (new Set(pairs.map((pair) => pair.job.id)).size < pairs.length) return mismatch('one job is leased twice');
    const refusal = this.#judgeLoad(requester, pairs);
    if (refusal !== undefined) return { kind: 'refused', refusal };
    for (const { job } of pairs) {
      const decision = this.#modules.policy.judgeJob(job.value);
      if (decision.kind === 'refusal') return refuseByRule(decision);
    }
    const taken = this.#modules.offers.take(offerId);
    if (taken.kind !== 'taken') return this.#describeGone(offerId);
    return { kind: 'taken', run: this.#modules.createRun({ entry: taken.entry, pairs, request }) };
  }

  #describeGone(offer: ObjectId): LeaseAnswer {
    if (this.#modules.offers.take(offer).kind === 'duplicate') return refused('DUPLICATE_LEASE', offer);
    return refused('OFFER_UNKNOWN', offer);
  }

  #judgeLoad(requester: PeerKey, pairs: readonly LeasedJob[]): Refusal | undefined {
    const { dispatcher, admission } = this.#modules;
    const runs = [...dispatcher.runs].filter((run) => run.options.requester === requester);
    const live = runs.reduce((sum, run) => sum + run.live.size, 0);
    if (live + pairs.length > MAX_LIVE_ATTEMPTS_PER_PEER) {
      return createRefusal('RATE_LIMITED', `${live} attempts of this requester are live`);
    }
    const { maxInputBytes } = this.#options;
    for (const { job } of pairs) {
      const quarantined = admission.judgeJob(job.id);
      if (quarantined !== undefined) return quarantined;
      const inputBytes = computeInputBytes(job.value);
      if (inputBytes > maxInputBytes) {
        return createRefusal('RESOURCES_TOO_LARGE', `inputs of ${inputBytes} bytes, at most ${maxInputBytes} held`);
      }
    }
    return undefined;
  }
}

function refused(code: Refusal['code'], detail: string): LeaseAnswer {
  return { kind: 'refused', refusal: createRefusal(code, detail) };
}

function mismatch(detail: string): LeaseAnswer {
  return refused('LEASE_MISMATCH', detail);
}

/** Opens jobs and leases, both signed by the peer of the connection, and pairs them by job. */
async function openPairs(requester: PeerKey, request: LeaseRequest): Promise<readonly LeasedJob[]> {
  const jobs = await openMany(JOB, request.jobs, requester);
  const leases = await openMany(LEASE, request.leases, requester);
  const byId = new Map<string, Signed<Job>>(jobs.map((job) => [job.id, job]));
  return leases.flatMap((lease, index) => {
    // A lease without its job is paired with a wrong one, so that the check of ids refuses it.
    const job = byId.get(lease.value.job) ?? jobs[index] ?? jobs[0];
    return job === undefined ? [] : [{ job, lease }];
  });
}

/** For each job that was signed together with others: the id of the statement that signs them. */
async function openStatements(jobs: readonly Signed<Job>[]): Promise<ReadonlyMap<ObjectId, ObjectId>> {
  const ids = new Map<string, ObjectId>();
  const statements = new Map<ObjectId, ObjectId>();
  let last: { readonly root: Uint8Array; readonly id: ObjectId } | undefined;
  for (const job of jobs) {
    if (job.wire.kind !== 'batch') continue;
    const { root } = job.wire;
    // Jobs of a whole batch share their statement; those that travel one by one each bring a copy, verified once.
    if (last?.root !== root) {
      const key = encodeHex(root);
      const id = ids.get(key) ?? (await openSigned(BATCH, { kind: 'envelope', envelope: root }, job.signer)).id;
      ids.set(key, id);
      last = { root, id };
    }
    statements.set(job.id, last.id);
  }
  return statements;
}

/** Blobs that came with a request, by the id that they are said to have. */
export function indexInlineBlobs(request: LeaseRequest): ReadonlyMap<BlobId, Uint8Array> {
  return new Map(request.inlineBlobs.map((inline) => [inline.blob, inline.bytes]));
}

/** Keys of sealed snapshots, by the lease of the attempt that seals with them. */
export function indexSnapshotKeys(request: LeaseRequest): ReadonlyMap<LeaseId, Uint8Array> {
  return new Map(request.snapshotKeys?.map(({ lease, key }) => [lease, key]));
}
