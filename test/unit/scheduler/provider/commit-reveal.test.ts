import { describe, expect, it } from 'vitest';
import { COMMITMENT, COMMITMENT_SET, type Commitment, type CommitmentSet } from '../../../../src/domain/commitment.ts';
import { JobId, LeaseId, type ObjectId, UnixMs } from '../../../../src/domain/ids.ts';
import { RECEIPT } from '../../../../src/domain/receipt.ts';
import type { Signed, SignedWire } from '../../../../src/domain/signed.ts';
import type { LocalIdentity } from '../../../../src/identity/local-identity.ts';
import { computeCommitmentDigest, createCommitmentSet } from '../../../../src/proofs/commitment.ts';
import { openSigned, signObject } from '../../../../src/proofs/signed-object.ts';
import {
  blobIdOf,
  identityOf,
  ProviderRig,
  type ProviderRigOptions,
  type TestRequester,
} from '../../../support/provider-rig.ts';

const REPLICATED = { replication: { replicas: 3, quorum: 2, diversity: 'peer' } } as const;
const BIG = new Uint8Array(100_000).fill(5);

class CommittedCase {
  readonly rig: ProviderRig;
  readonly requester: TestRequester;
  readonly lease: LeaseId;
  readonly job: JobId;
  readonly own: Signed<Commitment>;
  /** Commitments of two other providers to the same job. */
  readonly others: readonly Signed<Commitment>[];
  readonly otherIdentities: readonly LocalIdentity[];

  constructor(fields: Omit<CommittedCase, 'sign' | 'signSet' | 'reveal' | 'all' | 'set'>) {
    this.rig = fields.rig;
    this.requester = fields.requester;
    this.lease = fields.lease;
    this.job = fields.job;
    this.own = fields.own;
    this.others = fields.others;
    this.otherIdentities = fields.otherIdentities;
  }

  get all(): readonly Signed<Commitment>[] {
    return [this.own, ...this.others];
  }

  get set(): CommitmentSet {
    return createCommitmentSet(
      this.job,
      this.all.map(({ id }) => id),
    );
  }

  async signSet(
    commitments: readonly { readonly wire: SignedWire; readonly id: ObjectId }[] = this.all,
    set?: CommitmentSet,
  ) {
    const whole =
      set ??
      createCommitmentSet(
        this.job,
        commitments.map(({ id }) => id),
      );
    return await this.requester.sendOne({
      op: 'sign-set',
      lease: this.lease,
      set: whole,
      commitments: commitments.map(({ wire }) => wire),
    });
  }

  async reveal(setSignatures: readonly SignedWire[]) {
    return await this.requester.sendOne({ op: 'reveal', lease: this.lease, setSignatures: [...setSignatures] });
  }

  /** The others' signatures over a set. */
  async sign(set: CommitmentSet = this.set): Promise<SignedWire[]> {
    const signed = await Promise.all(this.otherIdentities.map((identity) => signObject(COMMITMENT_SET, set, identity)));
    return signed.map(({ wire }) => wire);
  }
}

async function commit(options: ProviderRigOptions = {}): Promise<CommittedCase> {
  const rig = await ProviderRig.start(options);
  rig.executor.behaviour = (execution) => execution.finish({ outputs: [{ path: '/big', bytes: BIG }] });
  const requester = await rig.requester();
  const work = await requester.prepare(await requester.signJobs(requester.describeJob(REPLICATED)));
  const log = requester.lease(work);
  await log.done;
  const last = log.events.at(-1)?.event;
  if (last?.kind !== 'committed') throw new TypeError(`the last event is ${last?.kind}`);
  const own = await openSigned(COMMITMENT, last.commitment, rig.identity.peer);
  const job = JobId(work.jobs[0]?.id ?? '');
  const otherIdentities = await Promise.all([identityOf(51), identityOf(52)]);
  const others = await Promise.all(otherIdentities.map((identity, index) => commitAs(identity, job, index)));
  return new CommittedCase({
    rig,
    requester,
    job,
    lease: LeaseId(work.leases[0]?.id ?? ''),
    own,
    others,
    otherIdentities,
  });
}

async function commitAs(identity: LocalIdentity, job: JobId, index: number, change: Partial<Commitment> = {}) {
  const value: Commitment = {
    type: 'fogproof/commitment@1',
    job,
    // Any other id stands for a lease of another provider.
    lease: LeaseId(blobIdOf(Uint8Array.of(index)).replace('bafkrei', 'bafyrei')),
    provider: identity.peer,
    digest: new Uint8Array(32).fill(index),
    committedAtMs: UnixMs(1),
    ...change,
  };
  return await signObject(COMMITMENT, value, identity);
}

function ruleOf(answer: { readonly kind: string }): string {
  return 'refusal' in answer ? (answer.refusal as { detail: string }).detail : answer.kind;
}

describe('commit, then reveal', () => {
  it('reveals the result that was committed to, once everybody has signed the set', async () => {
    const scene = await commit();
    const signed = await scene.signSet();
    if (signed.kind !== 'set-signed') throw new TypeError(ruleOf(signed));
    const mine = await openSigned(COMMITMENT_SET, signed.signature, scene.rig.identity.peer);
    expect(mine.value).toEqual(scene.set);
    const answer = await scene.reveal([...(await scene.sign()), signed.signature]);
    if (answer.kind !== 'revealed') throw new TypeError(ruleOf(answer));
    const { value } = await openSigned(RECEIPT, answer.receipt, scene.rig.identity.peer);
    expect(value.commitmentSet).toBe(mine.id);
    if (value.salt === null) throw new TypeError('no salt');
    const digest = computeCommitmentDigest({ lease: scene.lease, outputRoot: value.outputRoot, salt: value.salt });
    expect(digest).toEqual(scene.own.value.digest);
    expect(await scene.reveal([...(await scene.sign()), signed.signature])).toEqual(answer);
  });

  it('says nothing of the result before: no receipt, no output blob', async () => {
    const scene = await commit();
    const { requester, rig, lease } = scene;
    const log = requester.send({ op: 'attach', leases: [{ lease, fromSequence: 0 }] });
    await log.done;
    expect(log.kinds).toEqual(['running', 'finished', 'committed']);
    const read = { op: 'read' as const, blob: blobIdOf(BIG), offset: 0, maxBytes: 10 };
    expect(await requester.transport.request(rig.identity.peer, 'blob', read)).toEqual({ kind: 'not-found' });
    const signed = await scene.signSet();
    if (signed.kind !== 'set-signed') throw new TypeError(ruleOf(signed));
    expect(await requester.transport.request(rig.identity.peer, 'blob', read)).toEqual({ kind: 'not-found' });
    await scene.reveal([...(await scene.sign()), signed.signature]);
    expect(await requester.transport.request(rig.identity.peer, 'blob', read)).toMatchObject({ kind: 'chunk' });
  });

  it('does not reveal without the signature of every provider of the set', async () => {
    const scene = await commit();
    const signed = await scene.signSet();
    if (signed.kind !== 'set-signed') throw new TypeError(ruleOf(signed));
    const [first, second] = await scene.sign();
    if (first === undefined || second === undefined) throw new TypeError();
    const { signature } = signed;
    for (const some of [[signature], [first, signature], [second, signature], [first, first, signature]]) {
      expect(ruleOf(await scene.reveal(some))).toContain('has not signed the set');
    }
    // Nor with strangers' signatures in their place.
    const stranger = await signObject(COMMITMENT_SET, scene.set, await identityOf(60));
    expect(ruleOf(await scene.reveal([first, stranger.wire, signature]))).toContain('has not signed the set');
    expect((await scene.reveal([first, second, signature])).kind).toBe('revealed');
  });

  it('does not reveal on signatures over another set', async () => {
    const scene = await commit();
    await scene.signSet();
    const smaller = createCommitmentSet(
      scene.job,
      scene.others.map(({ id }) => id),
    );
    expect(ruleOf(await scene.reveal(await scene.sign(smaller)))).toBe('a signature is over another set');
  });

  it('does not reveal before it has signed a set itself', async () => {
    const scene = await commit();
    expect(ruleOf(await scene.reveal(await scene.sign()))).toBe('no set was signed under this lease');
  });

  it('does not reveal on an altered signature', async () => {
    const scene = await commit();
    await scene.signSet();
    const [first, second] = await scene.sign();
    if (first?.kind !== 'envelope' || second === undefined) throw new TypeError();
    const envelope = first.envelope.slice();
    envelope[envelope.length - 1] = (envelope.at(-1) ?? 0) ^ 1;
    expect(ruleOf(await scene.reveal([{ ...first, envelope }, second]))).toContain('is not valid');
  });

  it('signs one set a lease, ever: a second one is refused, the same one answered again', async () => {
    const scene = await commit();
    const first = await scene.signSet();
    expect(first.kind).toBe('set-signed');
    expect(ruleOf(await scene.signSet([scene.own]))).toBe('another set was signed under this lease');
    expect(await scene.signSet()).toEqual(first);
  });

  it('signs one of two sets that are shown at the same time', async () => {
    const scene = await commit();
    const answers = await Promise.all([scene.signSet(), scene.signSet([scene.own])]);
    expect(answers.filter(({ kind }) => kind === 'set-signed')).toHaveLength(1);
  });

  it('remembers the set across a restart', async () => {
    const scene = await commit();
    const { database, clock, switchboard } = scene.rig;
    const first = await scene.signSet();
    await ProviderRig.start({ database: database.clone(), clock, switchboard });
    expect(ruleOf(await scene.signSet([scene.own]))).toBe('another set was signed under this lease');
    expect(await scene.signSet()).toEqual(first);
    if (first.kind !== 'set-signed') throw new TypeError();
    expect((await scene.reveal([...(await scene.sign()), first.signature])).kind).toBe('revealed');
  });

  it('fixes the set on disk before it signs', async () => {
    const scene = await commit();
    scene.rig.database.onWrite = () => {
      throw new RangeError('disk full');
    };
    await expect(scene.signSet()).rejects.toThrow('disk full');
    scene.rig.database.onWrite = undefined;
    expect((await scene.signSet([scene.own])).kind).toBe('set-signed');
  });

  it('journals salt and result durably before the commitment leaves', async () => {
    const rig = await ProviderRig.start();
    const requester = await rig.requester();
    const work = await requester.prepare(await requester.signJobs(requester.describeJob(REPLICATED)));
    const log = requester.lease(work);
    const seen: boolean[] = [];
    rig.database.onWrite = (_, options) => {
      if (options.durable === true) seen.push(log.kinds.includes('committed'));
    };
    await log.done;
    expect(log.kinds.at(-1)).toBe('committed');
    expect(seen).toEqual([false, false]);
  });

  it('tells nobody else', async () => {
    const scene = await commit();
    const stranger = await scene.rig.requester(8);
    const request = { lease: scene.lease, set: scene.set, commitments: scene.all.map(({ wire }) => wire) };
    expect((await stranger.sendOne({ op: 'sign-set', ...request })).kind).toBe('unknown-lease');
    await scene.signSet();
    const setSignatures = await scene.sign();
    expect((await stranger.sendOne({ op: 'reveal', lease: scene.lease, setSignatures })).kind).toBe('unknown-lease');
  });

  it('signs no set that lacks its own commitment', async () => {
    const scene = await commit();
    expect(ruleOf(await scene.signSet(scene.others))).toBe('the commitment of this lease is not in the set');
  });

  it('signs no set of which not every commitment is shown', async () => {
    const scene = await commit();
    expect(ruleOf(await scene.signSet([scene.own], scene.set))).toBe('the set and the commitments shown differ');
    const third = await commitAs(await identityOf(53), scene.job, 3);
    const swapped = [scene.own, scene.others[0] ?? third, third];
    expect(ruleOf(await scene.signSet(swapped, scene.set))).toBe('the set and the commitments shown differ');
  });

  it('signs no set out of order or with a commitment twice', async () => {
    const scene = await commit();
    const commitments = [...scene.set.commitments].reverse();
    expect(ruleOf(await scene.signSet(scene.all, { ...scene.set, commitments }))).toContain('ascending');
    const twice = { ...scene.set, commitments: [scene.own.id, scene.own.id] };
    expect(ruleOf(await scene.signSet([scene.own, scene.own], twice))).toContain('ascending');
  });

  it('signs no set in which a provider or a lease stands twice', async () => {
    const scene = await commit();
    const [identity] = scene.otherIdentities;
    const [first] = scene.others;
    if (identity === undefined || first === undefined) throw new TypeError();
    const again = await commitAs(identity, scene.job, 7);
    expect(ruleOf(await scene.signSet([scene.own, first, again]))).toBe('a provider has two commitments in the set');
    const sameLease = await commitAs(await identityOf(53), scene.job, 0);
    expect(ruleOf(await scene.signSet([scene.own, first, sameLease]))).toBe('a lease has two commitments in the set');
  });

  it('signs no set with a commitment to another job or signed by another provider', async () => {
    const scene = await commit();
    const identity = await identityOf(53);
    const [otherJob] = await scene.requester.signJobs(scene.requester.describeJob());
    const foreign = await commitAs(identity, JobId(otherJob?.id ?? ''), 3);
    expect(ruleOf(await scene.signSet([scene.own, foreign]))).toBe('a commitment is to another job');
    const forged = await commitAs(identity, scene.job, 3, { provider: (await identityOf(54)).peer });
    expect(ruleOf(await scene.signSet([scene.own, forged]))).toBe('a commitment is signed by another provider');
    const set = { ...scene.set, job: JobId(otherJob?.id ?? '') };
    expect(ruleOf(await scene.signSet(scene.all, set))).toBe('the set is of another job');
  });

  it('has nothing to sign for an attempt that failed', async () => {
    const rig = await ProviderRig.start();
    const outcome = { kind: 'attempt-failed', code: 'WALL_TIME', detail: 'too slow' } as const;
    rig.executor.behaviour = (execution) => execution.finish({ outcome, outputs: [] });
    const requester = await rig.requester();
    const work = await requester.prepare(await requester.signJobs(requester.describeJob(REPLICATED)));
    const log = requester.lease(work);
    await log.done;
    expect(log.kinds.at(-1)).toBe('receipt');
    const [identity] = [await identityOf(51)];
    const job = JobId(work.jobs[0]?.id ?? '');
    const other = await commitAs(identity, job, 1);
    const set = createCommitmentSet(job, [other.id]);
    const lease = LeaseId(work.leases[0]?.id ?? '');
    const answer = await requester.sendOne({ op: 'sign-set', lease, set, commitments: [other.wire] });
    expect(ruleOf(answer)).toBe('nothing was committed to under this lease');
  });
});
