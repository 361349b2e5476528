import * as fc from 'fast-check';
import {
  type JobId,
  type LeaseId,
  type ObjectId,
  type PeerKey,
  JobId as toJobId,
  UnixMs,
} from '../../src/domain/ids.ts';
import { LEASE, LEASE_ACCEPTANCE, type Lease } from '../../src/domain/lease.ts';
import {
  NOTHING_OBSERVED,
  OBSERVATION,
  type Observation,
  type ObservationItem,
  type ObservedOutcome,
  type SubjectRole,
} from '../../src/domain/observation.ts';
import { RECEIPT, type Receipt } from '../../src/domain/receipt.ts';
import type { Signed } from '../../src/domain/signed.ts';
import { encodeUtf8 } from '../../src/lib/bytes.ts';
import { computeObjectId } from '../../src/lib/cid.ts';
import type { EnvelopeSigner } from '../../src/proofs/interface.ts';
import { signObject } from '../../src/proofs/signed-object.ts';
import { computeWeight, NO_BACKING } from '../../src/reputation/beta-model.ts';
import type { ObservationDraft } from '../../src/reputation/interface.ts';
import type { CountedObservation } from '../../src/reputation/observation-ledger.ts';
import { leases, receipts } from './domain-arbitraries.ts';

export const HOUR_MS = 3_600_000;
export const SERVED: ObservedOutcome = {
  completion: 'success',
  correctness: 'none',
  timeliness: 'success',
  availability: 'success',
};
export const FAILED: ObservedOutcome = {
  completion: 'failure',
  correctness: 'none',
  timeliness: 'none',
  availability: 'none',
};

const idOf = (text: string): string => computeObjectId(encodeUtf8(text));
export const leaseOf = (text: string): LeaseId => idOf(`lease ${text}`) as LeaseId;
const jobOf = (text: string): JobId => toJobId(idOf(`job ${text}`));

/** An attempt that was signed for by both sides, for the observations that tests make of it. */
export interface AttemptEvidence {
  readonly lease: Signed<Lease>;
  readonly receipt: Signed<Receipt>;
  readonly acceptance: Awaited<ReturnType<typeof signAcceptance>>;
  readonly atMs: number;
}

const signAcceptance = (provider: EnvelopeSigner, lease: LeaseId, atMs: number) =>
  signObject(
    LEASE_ACCEPTANCE,
    { type: LEASE_ACCEPTANCE.type, lease, provider: provider.peer, acceptedAtMs: UnixMs(atMs) },
    provider,
  );

/** `name` makes it another attempt of another job. */
export async function signAttempt(
  parties: { readonly requester: EnvelopeSigner; readonly provider: EnvelopeSigner },
  { name, atMs, network = 'test' }: { readonly name: string; readonly atMs: number; readonly network?: string },
): Promise<AttemptEvidence> {
  const { requester, provider } = parties;
  const [lease] = fc.sample(leases, { numRuns: 1, seed: 3 });
  const [receipt] = fc.sample(receipts, { numRuns: 1, seed: 3 });
  if (lease === undefined || receipt === undefined) throw new Error('no sample');
  const shared = { network, job: jobOf(name), requester: requester.peer, provider: provider.peer };
  const signedLease = await signObject(LEASE, { ...lease, ...shared, issuedAtMs: UnixMs(atMs - 1_000) }, requester);
  const leaseId = signedLease.id as string as LeaseId;
  const result = { ...receipt.result, job: shared.job, outcome: { kind: 'completed' as const } };
  const times = { startedAtMs: UnixMs(atMs - 900), finishedAtMs: UnixMs(atMs - 100) };
  return {
    lease: signedLease,
    receipt: await signObject(RECEIPT, { ...receipt, ...shared, lease: leaseId, result, ...times }, provider),
    acceptance: await signAcceptance(provider, leaseId, atMs - 900),
    atMs,
  };
}

/** What the requester has to say of the provider. */
export function draftOf(
  { lease, receipt, atMs }: AttemptEvidence,
  outcome: ObservedOutcome = SERVED,
): ObservationDraft {
  return {
    subject: receipt.value.provider,
    role: 'provider',
    job: lease.value.job,
    lease: receipt.value.lease,
    receipt: receipt.id,
    outcome,
    rating: null,
    observedAtMs: UnixMs(atMs),
    evidence: [receipt.wire],
  };
}

/** What the requester's user thinks of the provider. */
export function ratingOf(attempt: AttemptEvidence, rating: number): ObservationDraft {
  const { finishedAtMs } = attempt.receipt.value;
  return { ...draftOf(attempt, NOTHING_OBSERVED), rating, observedAtMs: finishedAtMs };
}

/** What the provider has to say of the requester. */
export function draftOfRequester({ lease, receipt, atMs }: AttemptEvidence): ObservationDraft {
  return {
    ...draftOf({ lease, receipt, atMs } as AttemptEvidence, { ...SERVED, timeliness: 'none', availability: 'none' }),
    subject: lease.value.requester,
    role: 'requester',
    evidence: [lease.wire],
  };
}

/** What the requester has to say of a provider that gave nothing. */
export function draftOfLost(attempt: AttemptEvidence): ObservationDraft {
  const { lease, acceptance } = attempt;
  return { ...draftOf(attempt, FAILED), receipt: null, evidence: [lease.wire, acceptance.wire] };
}

/** Signed by `observer`, whatever it says. */
export async function signItem(
  observer: EnvelopeSigner,
  draft: ObservationDraft,
  changes: Partial<Observation> = {},
): Promise<ObservationItem> {
  const { evidence, ...seen } = draft;
  const value: Observation = {
    type: OBSERVATION.type,
    network: 'test',
    observer: observer.peer,
    ...seen,
    payment: '0',
    stake: '0',
    anchor: null,
    epoch: Math.floor(draft.observedAtMs / HOUR_MS),
    ...changes,
  };
  return { observation: (await signObject(OBSERVATION, value, observer)).wire, evidence };
}

export interface CountedFields {
  readonly observer: string;
  readonly subject: string;
  readonly name: string;
  readonly epoch?: number;
  readonly role?: SubjectRole;
  readonly weight?: bigint;
  readonly outcome?: ObservedOutcome;
  readonly rating?: number | null;
}

/** One that passed the rules; peers are any text here, since nothing is signed. */
export function countedOf({ observer, subject, name, ...fields }: CountedFields): CountedObservation {
  const { epoch = 1_000, role = 'provider', weight = computeWeight(NO_BACKING), rating = null } = fields;
  const { outcome = rating === null ? SERVED : NOTHING_OBSERVED } = fields;
  return {
    id: idOf(`${observer} ${subject} ${role} ${epoch} ${name}${rating === null ? '' : ` ${rating}`}`) as ObjectId,
    observer: observer as PeerKey,
    subject: subject as PeerKey,
    role,
    job: jobOf(name),
    lease: leaseOf(name),
    receipt: null,
    outcome,
    rating,
    observedAtMs: UnixMs(epoch * HOUR_MS),
    epoch,
    weight,
  };
}
