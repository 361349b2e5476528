import { type AttestRequest, type AttestResponse, RELEASE, type Release } from '../../../domain/confidential.ts';
import type { LeaseId, PeerKey } from '../../../domain/ids.ts';
import type { Refusal } from '../../../domain/refusal.ts';
import type { Signed, SignedWire } from '../../../domain/signed.ts';
import { raceSignal } from '../../../lib/abort.ts';
import { areBytesEqual } from '../../../lib/bytes.ts';
import type { Clock } from '../../../lib/clock.ts';
import { InternalError, isAbortError, isDaemonError } from '../../../lib/errors.ts';
import type { HandlerContext } from '../../../network/interface.ts';
import { openSigned } from '../../../proofs/signed-object.ts';
import type { Confidentiality, EvidenceProducer, JobSecrets } from '../../../tee/interface.ts';
import type { Logger } from '../../../telemetry/interface.ts';
import { KeyedMutex } from '../../keyed-mutex.ts';
import type { Attempt, StopReason } from '../attempts/attempt.ts';
import type { ProviderMetrics } from '../metrics.ts';
import { createRefusal, type RefusalTally } from '../offers/refusals.ts';
import { AttestSession } from './attest-session.ts';
import {
  CHALLENGE_RETRY_MS,
  MAX_CHALLENGES_IN_FLIGHT,
  MAX_HELD_EVIDENCE_BYTES,
  RELEASE_TIMEOUT_MS,
} from './constants.ts';
import { type Challenge, createEvidence } from './create-evidence.ts';
import { findReleaseMismatch } from './release-checks.ts';
import { SealedAttempt } from './sealed-attempt.ts';

export interface AttestDeskModules {
  readonly confidentiality: Confidentiality;
  readonly producer: EvidenceProducer;
  readonly self: PeerKey;
  readonly refusals: Pick<RefusalTally, 'count'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Pick<ProviderMetrics, 'refusals' | 'misbehaviour' | 'challenges' | 'releases'>;
  readonly stop: (attempt: Attempt, reason: StopReason) => void;
}

/**
 * Answers the `attest` protocol: shows evidence for a lease, once, and takes what is released to it, once. Both are open
 * to the requester of the lease alone, from its acceptance to the end of its attempt. There are no more sessions than
 * attempts, and what they hold is bounded.
 */
export class AttestDesk {
  readonly #modules: AttestDeskModules;
  readonly #sessions = new Map<LeaseId, AttestSession>();
  readonly #mutex = new KeyedMutex();
  #inFlight = 0;
  #heldBytes = 0;

  constructor(modules: AttestDeskModules) {
    this.#modules = modules;
  }

  /** Sessions of attempts that have not ended. */
  get size(): number {
    return this.#sessions.size;
  }

  /** From now on a confidential attempt may be asked for its evidence; without a release in time it ends. */
  expect(attempt: Attempt): void {
    const { clock, stop } = this.#modules;
    const detail = `nothing was released to it within ${RELEASE_TIMEOUT_MS} ms`;
    const patience = clock.schedule(RELEASE_TIMEOUT_MS, () => stop(attempt, { code: 'NOT_RELEASED', detail }));
    this.#sessions.set(attempt.id, new AttestSession(attempt, patience));
  }

  /** @throws the attempt's reason to end, if that is first */
  async waitForRelease(attempt: Attempt): Promise<SealedAttempt> {
    const session = this.#sessions.get(attempt.id);
    if (session === undefined) throw new InternalError('a confidential attempt runs that nothing can be released to');
    return await raceSignal(session.released, attempt.signal);
  }

  /** Its keys, secrets and plaintext are zeroed. */
  end(attempt: Attempt): void {
    const session = this.#sessions.get(attempt.id);
    if (session === undefined) return;
    this.#sessions.delete(attempt.id);
    this.#heldBytes -= session.heldBytes;
    session[Symbol.dispose]();
  }

  async *answer(request: AttestRequest, context: HandlerContext): AsyncGenerator<AttestResponse> {
    const { challenges, releases } = this.#modules.metrics;
    const isChallenge = request.op === 'challenge';
    const response = isChallenge
      ? await this.#challenge(request, context.peer)
      : await this.#release(request.release, context.peer);
    const answer = response.kind === 'refused' ? response.refusal.code : response.kind;
    (isChallenge ? challenges : releases).increment({ answer });
    if (response.kind === 'refused') this.#count(response.refusal);
    yield response;
  }

  #count(refusal: Refusal): void {
    const { refusals, metrics } = this.#modules;
    refusals.count(refusal);
    metrics.refusals.increment({ code: refusal.code });
    if (refusal.code === 'RELEASE_INVALID') metrics.misbehaviour.increment({ code: refusal.code });
  }

  /** A session of this requester's; of another's nothing is said but what is said of none. */
  #find(lease: LeaseId, requester: PeerKey): AttestSession | undefined {
    const session = this.#sessions.get(lease);
    return session?.attempt.requester === requester ? session : undefined;
  }

  async #challenge(request: Challenge, requester: PeerKey): Promise<AttestResponse> {
    const session = this.#find(request.lease, requester);
    if (session === undefined)
      return refuse('LEASE_MISMATCH', 'no confidential attempt of yours waits under this lease');
    if (session.challenge !== null) {
      if (isSameChallenge(session.challenge.request, request)) return await session.challenge.answer;
      return refuse('LEASE_MISMATCH', 'this lease has been challenged already, with another nonce or key');
    }
    if (this.#inFlight >= MAX_CHALLENGES_IN_FLIGHT || this.#heldBytes >= MAX_HELD_EVIDENCE_BYTES) {
      return refuse('AT_CAPACITY', 'it shows evidence of too many attempts at a time', CHALLENGE_RETRY_MS);
    }
    const answer = this.#show(session, request);
    session.challenge = { request, answer };
    return await answer;
  }

  /** Never rejects: what goes wrong is the answer, and stays it. */
  async #show(session: AttestSession, challenge: Challenge): Promise<AttestResponse> {
    this.#inFlight += 1;
    try {
      const shown = await createEvidence(this.#modules, session.attempt, challenge);
      if (session.isOver) {
        shown.keys[Symbol.dispose]();
        return refuse('LEASE_MISMATCH', 'the attempt has ended');
      }
      session.shown = shown;
      this.#heldBytes += session.heldBytes;
      return { kind: 'evidence', evidence: shown.evidence };
    } catch (error) {
      if (isAbortError(error)) return refuse('LEASE_MISMATCH', 'the attempt has ended');
      this.#modules.logger.warn({ error, lease: session.attempt.id }, 'no evidence could be shown for a lease');
      // Messages name files of this machine.
      return refuse('EVIDENCE_FAILED', isDaemonError(error) ? error.code : 'an unexpected error of the provider');
    } finally {
      this.#inFlight -= 1;
    }
  }

  async #release(wire: SignedWire, requester: PeerKey): Promise<AttestResponse> {
    let release: Signed<Release>;
    try {
      release = await openSigned(RELEASE, wire, requester);
    } catch (error) {
      if (isDaemonError(error)) return refuse('RELEASE_INVALID', `${error.code}: ${error.message}`);
      throw error;
    }
    // One after the other: of two different ones only the first is taken.
    return await this.#mutex.run(release.value.lease, () => this.#take(release, requester));
  }

  async #take(release: Signed<Release>, requester: PeerKey): Promise<AttestResponse> {
    const { value, id } = release;
    const session = this.#find(value.lease, requester);
    if (session === undefined)
      return refuse('LEASE_MISMATCH', 'no confidential attempt of yours waits under this lease');
    const { attempt, shown, sealed } = session;
    if (sealed !== null) {
      if (sealed.release === id) return { kind: 'released' };
      return refuse('RELEASE_INVALID', 'something else has been released under this lease');
    }
    if (shown === null) return refuse('RELEASE_INVALID', 'no evidence has been shown under this lease');
    const { confidentiality, clock, self } = this.#modules;
    const wrong = findReleaseMismatch(value, { attempt, shown, self, nowMs: clock.nowMs() });
    if (wrong !== undefined) return refuse('RELEASE_INVALID', wrong);
    let secrets: JobSecrets;
    try {
      secrets = await shown.keys.openRelease({ job: attempt.jobId, evidence: shown.evidence, release: value });
    } catch (error) {
      if (isDaemonError(error)) return refuse('RELEASE_INVALID', `${error.code}: ${error.message}`);
      throw error;
    }
    const wanted = attempt.job.value.inputs.length;
    if (session.isOver || secrets.salts.length !== wanted) {
      confidentiality.erase(secrets);
      if (session.isOver) return refuse('LEASE_MISMATCH', 'the attempt has ended');
      return refuse('RELEASE_INVALID', `${secrets.salts.length} salts were released for ${wanted} inputs`);
    }
    session.release(new SealedAttempt(confidentiality, { attempt, shown, secrets, release: id }));
    return { kind: 'released' };
  }
}

function isSameChallenge(a: Challenge, b: Challenge): boolean {
  return areBytesEqual(a.nonce, b.nonce) && areBytesEqual(a.requesterKey, b.requesterKey);
}

function refuse(code: Refusal['code'], detail: string, retryAfterMs?: number): AttestResponse {
  return { kind: 'refused', refusal: createRefusal(code, detail, retryAfterMs) };
}
