import type { IsolationLevel, TeeKind } from '../../../domain/capability.ts';
import type { AttestRequest, AttestResponse, RuntimeData } from '../../../domain/confidential.ts';
import type { PeerKey } from '../../../domain/ids.ts';
import type { Lease } from '../../../domain/lease.ts';
import type { Signed, SignedWire } from '../../../domain/signed.ts';
import type { Clock } from '../../../lib/clock.ts';
import { describeError } from '../../../lib/errors.ts';
import type { PeerTransport } from '../../../network/interface.ts';
import type { AttemptJudgement, Confidentiality, EvidenceCheck } from '../../../tee/interface.ts';
import { ATTEST_PATIENCE_MS, REATTACH_BACKOFF_MS } from '../../constants.ts';
import { leaseIdOf } from '../../object-ids.ts';
import { sleep } from '../backoff.ts';
import { type Checked, invalid, valid } from '../checked.ts';

export interface AttestClientModules {
  readonly transport: Pick<PeerTransport, 'request'>;
  readonly clock: Clock;
  readonly confidentiality: Pick<Confidentiality, 'createChallenge' | 'judge'>;
}

/** What the offer promised to show. */
export interface PromisedEvidence {
  readonly kind: TeeKind;
  readonly isolation: IsolationLevel;
  readonly instrumenter: string;
}

export interface AttestRequestOptions {
  readonly lease: Signed<Lease>;
  readonly promised: PromisedEvidence;
  /** JSON: the job's own, then that of this node. */
  readonly policies: readonly string[];
}

/** Evidence that was found valid. */
export interface ShownEvidence {
  readonly bytes: Uint8Array;
  readonly judgement: AttemptJudgement;
  readonly runtimeData: RuntimeData;
}

/** The requester's end of the `attest` protocol. */
export class AttestClient {
  readonly #modules: AttestClientModules;

  constructor(modules: AttestClientModules) {
    this.#modules = modules;
  }

  /** Has the provider show evidence for a fresh nonce, and judges it. */
  async challenge(
    { lease, promised, policies }: AttestRequestOptions,
    options: { readonly signal: AbortSignal },
  ): Promise<Checked<ShownEvidence>> {
    const { clock, confidentiality } = this.#modules;
    const { network, job, requester, provider } = lease.value;
    const id = leaseIdOf(lease);
    const challenge = await confidentiality.createChallenge();
    // The same challenge has the same answer: it may be asked again where the answer was lost.
    const answer = await this.#ask(provider, { op: 'challenge', lease: id, ...challenge }, options);
    if (answer.kind === 'invalid') return answer;
    if (answer.value.kind !== 'evidence') return describeOther(answer.value);
    const bytes = answer.value.evidence;
    const expected = { network, job, lease: id, requester, provider, ...challenge, ...promised };
    const judgement = await confidentiality.judge(bytes, expected, { policies, atMs: clock.nowMs() });
    if (judgement.verdict !== 'valid' || judgement.runtimeData === null) {
      return invalid('EVIDENCE_REFUSED', describeRefusal(judgement));
    }
    return valid({ bytes, judgement, runtimeData: judgement.runtimeData });
  }

  /** Hands a release over that is on disk. The same may be handed over again. */
  async release(
    provider: PeerKey,
    release: SignedWire,
    options: { readonly signal: AbortSignal },
  ): Promise<Checked<null>> {
    const answer = await this.#ask(provider, { op: 'release', release }, options);
    if (answer.kind === 'invalid') return answer;
    return answer.value.kind === 'released' ? valid(null) : describeOther(answer.value);
  }

  /** Asks again while the provider cannot be reached or is busy, as long as it waits. */
  async #ask(
    peer: PeerKey,
    request: AttestRequest,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<Checked<AttestResponse>> {
    const { clock } = this.#modules;
    const untilMs = clock.monotonicMs() + ATTEST_PATIENCE_MS;
    const { first, longest } = REATTACH_BACKOFF_MS;
    for (let backoffMs: number = first; ; backoffMs = Math.min(2 * backoffMs, longest)) {
      signal.throwIfAborted();
      const answer = await this.#askOnce(peer, request, signal);
      const waitMs = chooseWait(answer, backoffMs);
      if (waitMs === null || clock.monotonicMs() + waitMs >= untilMs) return answer;
      await sleep(clock, waitMs, signal);
    }
  }

  async #askOnce(peer: PeerKey, request: AttestRequest, signal: AbortSignal): Promise<Checked<AttestResponse>> {
    try {
      return valid(await this.#modules.transport.request(peer, 'attest', request, { signal }));
    } catch (error) {
      signal.throwIfAborted();
      return invalid('UNREACHABLE', describeError(error));
    }
  }
}

/** Null where asking again gives nothing else. */
function chooseWait(answer: Checked<AttestResponse>, backoffMs: number): number | null {
  if (answer.kind === 'invalid') return backoffMs;
  const { value } = answer;
  if (value.kind !== 'refused' || value.refusal.code !== 'AT_CAPACITY') return null;
  return value.refusal.retryAfterMs ?? backoffMs;
}

function describeOther(response: AttestResponse): Checked<never> {
  if (response.kind === 'refused') return invalid(response.refusal.code, response.refusal.detail);
  return invalid('UNEXPECTED_ANSWER', `it answered '${response.kind}'`);
}

/** The checks that stand in the way by name, the failed ones first. */
function describeRefusal({ verdict, checks }: AttemptJudgement): string {
  const open = [
    ...checks.filter((check) => check.verdict === 'failed'),
    ...checks.filter((check) => check.verdict === 'unchecked'),
  ];
  return `its evidence is ${verdict}: ${open.map(describeCheck).join('; ')}`;
}

function describeCheck({ name, verdict, detail }: EvidenceCheck): string {
  return `${name}${verdict === 'unchecked' ? ' (unchecked)' : ''}: ${detail}`;
}
