import { COMMITMENT, COMMITMENT_SET, type Commitment, type CommitmentSet } from '../../../domain/commitment.ts';
import type { LeaseId, ObjectId, PeerKey } from '../../../domain/ids.ts';
import type { JobRequest, JobResponse } from '../../../domain/messages.ts';
import { decodeObject, encodeObject } from '../../../domain/object-type.ts';
import { RECEIPT } from '../../../domain/receipt.ts';
import type { Signed, SignedWire } from '../../../domain/signed.ts';
import { computeObjectCid } from '../../../lib/cid.ts';
import { DaemonError } from '../../../lib/errors.ts';
import type { EnvelopeSigner } from '../../../proofs/interface.ts';
import { openSigned, signObject } from '../../../proofs/signed-object.ts';
import { KeyedMutex } from '../../keyed-mutex.ts';
import type { LeaseRecord } from '../leases/lease-record.ts';
import type { LeaseStore } from '../leases/lease-store.ts';
import type { ProviderMetrics } from '../metrics.ts';
import { createRefusal } from '../offers/refusals.ts';
import { completeReceipt } from './receipts.ts';
import type { ResultKeeper } from './result-keeper.ts';

export interface CommitRevealModules {
  readonly identity: EnvelopeSigner;
  readonly store: LeaseStore;
  readonly keeper: ResultKeeper;
  readonly metrics: ProviderMetrics;
}

type SignSetRequest = Extract<JobRequest, { op: 'sign-set' }>;
type RevealRequest = Extract<JobRequest, { op: 'reveal' }>;

/** Why a set or a reveal is not served: a rule of design section 7 that the request breaks. */
type Broken = { readonly kind: 'broken'; readonly rule: string };

/**
 * Commit, then reveal (design section 7). A provider signs one set a lease, ever, and reveals only once every provider of
 * that set has signed it: so nobody can see a result and commit to it afterwards. What is fixed is on disk before the
 * signature that says so leaves this node.
 */
export class CommitReveal {
  readonly #modules: CommitRevealModules;
  readonly #mutex = new KeyedMutex();

  constructor(modules: CommitRevealModules) {
    this.#modules = modules;
  }

  async signSet(requester: PeerKey, request: SignSetRequest): Promise<JobResponse> {
    return await this.#mutex.run(request.lease, async () => {
      const record = await this.#find(requester, request.lease);
      if (record === undefined) return { kind: 'unknown-lease', lease: request.lease };
      if (record.commitment === null) return this.#refuse('nothing was committed to under this lease');
      const checked = await checkSet(record, request);
      if (checked.kind === 'broken') return this.#refuse(checked.rule);
      const id = computeSetId(request.set);
      if (record.set !== null && record.set.id !== id) return this.#refuse('another set was signed under this lease');
      if (record.set === null) {
        const set = { id, providers: [...checked.providers] };
        await this.#modules.store.write([[request.lease, { ...record, phase: 'set-signed', set }]]);
      }
      const signature = await signObject(COMMITMENT_SET, request.set, this.#modules.identity);
      return { kind: 'set-signed', signature: signature.wire };
    });
  }

  async reveal(requester: PeerKey, request: RevealRequest): Promise<JobResponse> {
    return await this.#mutex.run(request.lease, async () => {
      const record = await this.#find(requester, request.lease);
      if (record === undefined) return { kind: 'unknown-lease', lease: request.lease };
      if (record.commitment === null || record.set === null) return this.#refuse('no set was signed under this lease');
      const broken = await checkSetSignatures(record.set, request.setSignatures);
      if (broken !== undefined) return this.#refuse(broken.rule);
      const receipt = record.receipt ?? (await this.#openCommitment(request.lease, record, record.set.id));
      return { kind: 'revealed', receipt, inlineBlobs: [...record.inline] };
    });
  }

  async #openCommitment(lease: LeaseId, record: LeaseRecord, set: ObjectId): Promise<SignedWire> {
    const draft = decodeObject(RECEIPT, record.commitment?.draft ?? new Uint8Array());
    const receipt = await signObject(RECEIPT, completeReceipt(draft, set), this.#modules.identity);
    const revealed: LeaseRecord = { ...record, phase: 'ended', receipt: receipt.wire };
    await this.#modules.store.write([[lease, revealed]]);
    this.#modules.keeper.reveal(lease, revealed);
    return receipt.wire;
  }

  /** The lease's record, if it is this requester's. */
  async #find(requester: PeerKey, lease: LeaseId): Promise<LeaseRecord | undefined> {
    const record = await this.#modules.store.get(lease);
    return record?.requester === requester ? record : undefined;
  }

  #refuse(rule: string): JobResponse {
    this.#modules.metrics.misbehaviour.increment({ code: 'COMMIT_REVEAL' });
    return { kind: 'refused', refusal: createRefusal('LEASE_MISMATCH', rule) };
  }
}

function computeSetId(set: CommitmentSet): string & ObjectId {
  return computeObjectCid(encodeObject(COMMITMENT_SET, set)).toString() as ObjectId;
}

type CheckedSet = { readonly kind: 'checked'; readonly providers: readonly PeerKey[] } | Broken;

/** The set must list, in ascending order, valid commitments of distinct providers to this job, this one's among them. */
async function checkSet(record: LeaseRecord, request: SignSetRequest): Promise<CheckedSet> {
  const { set } = request;
  if (set.job !== record.job) return broken('the set is of another job');
  if (!isStrictlyAscending(set.commitments)) return broken('the set is not in strictly ascending order');
  const opened = await openCommitments(request.commitments);
  if (!Array.isArray(opened)) return opened;
  const ids = opened.map((commitment) => commitment.id).sort();
  if (ids.length !== set.commitments.length || ids.some((id, index) => id !== set.commitments[index])) {
    return broken('the set and the commitments shown differ');
  }
  if (opened.some(({ value }) => value.job !== set.job)) return broken('a commitment is to another job');
  const providers = opened.map(({ value }) => value.provider);
  if (new Set(providers).size < providers.length) return broken('a provider has two commitments in the set');
  const leases = opened.map(({ value }) => value.lease);
  if (new Set(leases).size < leases.length) return broken('a lease has two commitments in the set');
  const own = await findOwnCommitment(record);
  if (own === undefined || !set.commitments.includes(own))
    return broken('the commitment of this lease is not in the set');
  return { kind: 'checked', providers };
}

async function findOwnCommitment(record: LeaseRecord): Promise<ObjectId | undefined> {
  return record.commitment === null ? undefined : (await openSigned(COMMITMENT, record.commitment.wire)).id;
}

/** Each must be signed by the provider that it names. */
async function openCommitments(wires: readonly SignedWire[]): Promise<Signed<Commitment>[] | Broken> {
  const opened: Signed<Commitment>[] = [];
  try {
    for (const wire of wires) {
      const commitment = await openSigned(COMMITMENT, wire);
      if (commitment.signer !== commitment.value.provider) return broken('a commitment is signed by another provider');
      opened.push(commitment);
    }
  } catch (error) {
    if (error instanceof DaemonError) return broken(`a commitment is not valid: ${error.message}`);
    throw error;
  }
  return opened;
}

/** Every provider of the set must have signed the very same set. */
async function checkSetSignatures(
  set: NonNullable<LeaseRecord['set']>,
  wires: readonly SignedWire[],
): Promise<Broken | undefined> {
  const signers = new Set<PeerKey>();
  try {
    for (const wire of wires) {
      const signature = await openSigned(COMMITMENT_SET, wire);
      if (signature.id !== set.id) return broken('a signature is over another set');
      signers.add(signature.signer);
    }
  } catch (error) {
    if (error instanceof DaemonError) return broken(`a signature of the set is not valid: ${error.message}`);
    throw error;
  }
  const missing = set.providers.find((provider) => !signers.has(provider));
  return missing === undefined ? undefined : broken(`${missing} has not signed the set`);
}

function isStrictlyAscending(ids: readonly string[]): boolean {
  return ids.every((id, index) => index === 0 || (ids[index - 1] ?? '') < id);
}

function broken(rule: string): Broken {
  return { kind: 'broken', rule };
}
