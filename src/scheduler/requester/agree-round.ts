import type { Commitment, CommitmentSet } from '../../domain/commitment.ts';
import { COMMITMENT_SET } from '../../domain/commitment.ts';
import { type JobId, ObjectId, type PeerKey } from '../../domain/ids.ts';
import type { Job } from '../../domain/job.ts';
import type { InlineBlob, JobRequest, JobResponse } from '../../domain/messages.ts';
import { encodeObject } from '../../domain/object-type.ts';
import type { Receipt } from '../../domain/receipt.ts';
import type { Signed, SignedWire } from '../../domain/signed.ts';
import { computeObjectCid } from '../../lib/cid.ts';
import type { Clock } from '../../lib/clock.ts';
import { describeError, isDaemonError } from '../../lib/errors.ts';
import type { PeerTransport } from '../../network/interface.ts';
import { createCommitmentSet } from '../../proofs/commitment.ts';
import { REATTACH_BACKOFF_MS } from '../constants.ts';
import { leaseIdOf } from '../object-ids.ts';
import { type AttemptCase, courseOf } from './attempt-case.ts';
import { sleep } from './backoff.ts';
import { type Checked, invalid, valid } from './checked.ts';
import type { AttestedExpectation } from './confidential/check-attestation.ts';
import { verifySetSignature } from './verify-attempt.ts';
import { verifyReceipt } from './verify-receipt.ts';

export interface RoundModules {
  readonly transport: Pick<PeerTransport, 'request'>;
  readonly clock: Clock;
}

export interface RoundOptions {
  /** Longest wait for a member that can be reached. */
  readonly timeoutMs: number;
  /** Longest wait for one that cannot: a partition costs nothing while it is short. */
  readonly awayMs: number;
  readonly signal: AbortSignal;
}

/** An attempt with its commitment: a member of the set. */
export interface Member {
  readonly attempt: AttemptCase;
  readonly commitment: Signed<Commitment>;
}

export interface RoundSet {
  readonly set: CommitmentSet;
  readonly id: ObjectId;
  readonly members: readonly Member[];
}

export function createRoundSet(job: JobId, members: readonly Member[]): RoundSet {
  const set = createCommitmentSet(
    job,
    members.map((member) => member.commitment.id),
  );
  return { set, members, id: ObjectId(computeObjectCid(encodeObject(COMMITMENT_SET, set)).toString()) };
}

/** Shows a member all commitments and gets its signature over their set. */
export async function askSetSignature(
  modules: RoundModules,
  request: { readonly round: RoundSet; readonly member: Member },
  options: RoundOptions,
): Promise<Checked<SignedWire>> {
  const { round, member } = request;
  const { lease } = member.attempt;
  const answer = await askUntil(
    modules,
    {
      peer: lease.value.provider,
      request: {
        op: 'sign-set',
        lease: leaseIdOf(lease),
        set: round.set,
        commitments: round.members.map(({ commitment }) => commitment.wire),
      },
    },
    options,
  );
  if (answer.kind === 'invalid') return answer;
  if (answer.value.kind !== 'set-signed') return describeOther(answer.value);
  const { signature } = answer.value;
  const checked = await verifySetSignature(signature, lease, round.id);
  return checked.kind === 'invalid' ? checked : valid(signature);
}

export interface Revealed {
  readonly receipt: Signed<Receipt>;
  readonly inlineBlobs: readonly InlineBlob[];
}

/** Shows a member that everybody has signed the set, and gets its receipt. */
export async function askReveal(
  modules: RoundModules,
  request: {
    readonly job: Signed<Job>;
    readonly round: RoundSet;
    readonly member: Member;
    readonly setSignatures: readonly SignedWire[];
    readonly instrumenter: string;
    readonly attested: AttestedExpectation | null;
  },
  options: RoundOptions,
): Promise<Checked<Revealed>> {
  const { lease } = request.member.attempt;
  const reveal: JobRequest = {
    op: 'reveal',
    lease: leaseIdOf(lease),
    setSignatures: [...request.setSignatures],
  };
  const answer = await askUntil(modules, { peer: lease.value.provider, request: reveal }, options);
  if (answer.kind === 'invalid') return answer;
  if (answer.value.kind !== 'revealed') return describeOther(answer.value);
  const { receipt, inlineBlobs } = answer.value;
  const committed = { commitment: request.member.commitment.value, set: request.round.id };
  const { job, instrumenter, attested } = request;
  const course = courseOf(request.member.attempt);
  const checked = await verifyReceipt(receipt, { job, lease, instrumenter, committed, course, attested });
  if (checked.kind === 'invalid') return checked;
  const { outcome } = checked.value.value.result;
  // A failed attempt has nothing to commit to: who reveals one had committed to something else.
  if (outcome.kind === 'attempt-failed') return invalid('BAD_OPENING', `it revealed a failed attempt: ${outcome.code}`);
  return valid({ receipt: checked.value, inlineBlobs });
}

function describeOther(response: JobResponse): Checked<never> {
  if (response.kind === 'refused') return invalid(response.refusal.code, response.refusal.detail);
  if (response.kind === 'unknown-lease') return invalid('LEASE_FORGOTTEN', 'it does not know the lease any more');
  return invalid('UNEXPECTED_ANSWER', `it answered '${response.kind}'`);
}

/**
 * Asks again until the time is up: a committed provider may be back in a moment. Time in which it cannot be reached is not
 * taken for silence. One try takes half of the time at most, since a connection may be dead without anybody knowing.
 */
async function askUntil(
  modules: RoundModules,
  request: { readonly peer: PeerKey; readonly request: JobRequest },
  options: RoundOptions,
): Promise<Checked<JobResponse>> {
  const { clock } = modules;
  const startedAtMs = clock.monotonicMs();
  const timeoutMs = Math.max(1, Math.ceil(options.timeoutMs / 2));
  let backoffMs: number = REATTACH_BACKOFF_MS.first;
  let unreachableMs = 0;
  for (;;) {
    options.signal.throwIfAborted();
    const askedAtMs = clock.monotonicMs();
    try {
      const { signal } = options;
      return valid(await modules.transport.request(request.peer, 'job', request.request, { signal, timeoutMs }));
    } catch (error) {
      options.signal.throwIfAborted();
      const nowMs = clock.monotonicMs();
      if (isAway(error)) unreachableMs += nowMs - askedAtMs + backoffMs;
      const nextAtMs = nowMs + backoffMs - startedAtMs;
      const isSilent = nextAtMs - unreachableMs >= options.timeoutMs;
      if (isSilent || nextAtMs >= options.awayMs) return invalid('UNREACHABLE', describeError(error));
    }
    await sleep(clock, backoffMs, options.signal);
    backoffMs = Math.min(backoffMs * 2, REATTACH_BACKOFF_MS.longest);
  }
}

function isAway(error: unknown): boolean {
  return isDaemonError(error) && (error.code === 'NETWORK_UNREACHABLE' || error.code === 'NETWORK_CONNECTION_LOST');
}
