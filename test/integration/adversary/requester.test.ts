import { describe, expect, it } from 'vitest';
import { COMMITMENT, COMMITMENT_SET } from '../../../src/domain/commitment.ts';
import { type BlobId, JobId, LeaseId, OfferId, UnixMs } from '../../../src/domain/ids.ts';
import { JOB, type Job } from '../../../src/domain/job.ts';
import { LEASE, type Lease } from '../../../src/domain/lease.ts';
import type { JobRequest, JobResponse } from '../../../src/domain/messages.ts';
import { OFFER, type Offer } from '../../../src/domain/offer.ts';
import type { Signed } from '../../../src/domain/signed.ts';
import { encodeCanonical } from '../../../src/lib/canonical-cbor.ts';
import { FRAME_KINDS } from '../../../src/network/reqresp/frame-codec.ts';
import { createCommitmentSet } from '../../../src/proofs/commitment.ts';
import { openSigned, packSigned, signObject } from '../../../src/proofs/signed-object.ts';
import { describeDraft, type Mesh, RawHost, runJob, startHonestMesh } from '../../support/adversary.ts';
import type { LiveNode } from '../../support/live-node.ts';
import { startTestNode, type TestNode } from '../../support/network.ts';
import { wasmOf } from '../../support/workload.ts';

const LEASE_MS = { durationMs: 4_000, renewalMs: 1_000 };

/** Speaks the requester's side by hand, over a network of its own. */
class RogueRequester implements AsyncDisposable {
  readonly node: TestNode;
  readonly target: LiveNode;

  constructor(node: TestNode, target: LiveNode) {
    this.node = node;
    this.target = target;
  }

  static async start(target: LiveNode): Promise<RogueRequester> {
    const node = await startTestNode();
    await node.network.connect(target.address());
    return new RogueRequester(node, target);
  }

  async signJob(change: Partial<Job> = {}): Promise<Signed<Job>> {
    const { confidential: _, ...draft } = await describeDraft(this.target);
    const { identity } = this.node;
    const job: Job = {
      type: 'fogproof/job@1',
      network: 'test',
      requester: identity.peer,
      nonce: crypto.getRandomValues(new Uint8Array(16)),
      createdAtMs: UnixMs(Date.now()),
      ...draft,
      ...change,
    };
    return await signObject(JOB, job, identity);
  }

  async ask(job: Signed<Job>) {
    const { resources, isolation, deadlineMs, priceCeiling, replication } = job.value;
    const terms = { workloadKind: 'wasm' as const, resources, isolation, deadlineMs, priceCeiling };
    const commitReveal = replication.replicas > 1;
    const request = { op: 'ask' as const, subject: job.id, terms: { ...terms, commitReveal }, attempts: 1 };
    return await this.node.network.request(this.target.peer, 'offer', request);
  }

  async takeOffer(job: Signed<Job>): Promise<Signed<Offer>> {
    const answer = await this.ask(job);
    if (answer.kind !== 'offer') throw new TypeError(`no offer: ${JSON.stringify(answer)}`);
    return await openSigned(OFFER, answer.offer);
  }

  async signLease(job: Signed<Job>, change: Partial<Lease> = {}): Promise<Signed<Lease>> {
    const offer = await this.takeOffer(job);
    const lease: Lease = {
      type: 'fogproof/lease@1',
      network: 'test',
      job: JobId(job.id),
      offer: OfferId(offer.id),
      requester: this.node.identity.peer,
      provider: this.target.peer,
      nonce: crypto.getRandomValues(new Uint8Array(16)),
      replica: 0,
      attempt: 0,
      price: offer.value.price,
      issuedAtMs: UnixMs(Date.now()),
      ...LEASE_MS,
      deadlineMs: job.value.deadlineMs,
      commitReveal: job.value.replication.replicas > 1,
      ...change,
    };
    return await signObject(LEASE, lease, this.node.identity);
  }

  leaseRequest(job: Signed<Job>, lease: Signed<Lease>): JobRequest {
    const inlineBlobs = [{ blob: wasmOf(job.value.workload).module, bytes: new TextEncoder().encode('\0asm module') }];
    return { op: 'lease', jobs: packSigned([job]), leases: packSigned([lease]), inlineBlobs };
  }

  async send(request: JobRequest): Promise<JobResponse> {
    return await this.node.network.request(this.target.peer, 'job', request);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.node[Symbol.asyncDispose]();
  }
}

async function start(stack: AsyncDisposableStack): Promise<{ mesh: Mesh; target: LiveNode; rogue: RogueRequester }> {
  const mesh = await startHonestMesh(stack, 1, { parameters: { offerTtlMs: 400 } });
  const [target] = mesh.honest;
  if (target === undefined) throw new TypeError('no provider');
  return { mesh, target, rogue: stack.use(await RogueRequester.start(target)) };
}

async function expectHealthy(mesh: Mesh): Promise<void> {
  expect(await runJob(mesh.requester)).toMatchObject({ state: 'completed', attempts: { length: 1 } });
}

describe('a lease', () => {
  const attacks: readonly (readonly [name: string, job: Partial<Job>, lease: Partial<Lease>, rule: string])[] = [
    ['of another network', {}, { network: 'else' }, 'another network'],
    ['of a job of another network', { network: 'else' }, {}, 'another network'],
    ['that lasts a year', {}, { durationMs: 31_536_000_000 }, "network's"],
    ['of a deadline beyond its job', {}, { deadlineMs: UnixMs(8.64e15) }, 'outlasts'],
    [
      'that skips the commitment',
      { replication: { replicas: 3, quorum: 2, diversity: 'peer' } },
      { commitReveal: false },
      'commit',
    ],
  ];

  it.each(attacks)('%s is refused and counted', async (_, job, lease, rule) => {
    await using stack = new AsyncDisposableStack();
    const { mesh, target, rogue } = await start(stack);
    const signed = await rogue.signJob(job);
    const answer = await rogue.send(rogue.leaseRequest(signed, await rogue.signLease(signed, lease)));
    expect(answer).toMatchObject({ kind: 'refused', refusal: { code: 'LEASE_MISMATCH' } });
    expect(JSON.stringify(answer)).toContain(rule);
    expect(target.metrics.read('fogproof_provider_misbehaviour_total', { code: 'LEASE_MISMATCH' })).toBe(1);
    await expectHealthy(mesh);
  });

  it('overheard by another peer runs for nobody else', async () => {
    await using stack = new AsyncDisposableStack();
    const { mesh, target, rogue } = await start(stack);
    const thief = stack.use(await RogueRequester.start(target));
    const job = await rogue.signJob();
    const request = rogue.leaseRequest(job, await rogue.signLease(job));
    expect(await thief.send(request)).toMatchObject({ kind: 'refused', refusal: { code: 'LEASE_MISMATCH' } });
    expect(await rogue.send(request)).toMatchObject({ kind: 'leased' });
    expect(await thief.send(request)).toMatchObject({ kind: 'refused', refusal: { code: 'LEASE_MISMATCH' } });
    await expectHealthy(mesh);
  });

  it('with a thousand signatures is refused before the first is verified', async () => {
    await using stack = new AsyncDisposableStack();
    const { mesh, target, rogue } = await start(stack);
    const job = await rogue.signJob();
    const items = Array.from({ length: 1_200 }, () => job.wire);
    const none = { kind: 'each' as const, items: [] };
    const request: JobRequest = { op: 'lease', jobs: { kind: 'each', items }, leases: none, inlineBlobs: [] };
    const answers = await Promise.all([1, 2, 3, 4, 5, 6].map(() => rogue.send(request)));
    const detail = expect.stringContaining('signatures');
    for (const answer of answers) expect(answer).toMatchObject({ kind: 'refused', refusal: { detail } });
    expect(target.metrics.read('fogproof_provider_misbehaviour_total', { code: 'LEASE_MISMATCH' })).toBe(6);
    await expectHealthy(mesh);
  });
});

it('offers taken by the hundred and never used do not keep others out', async () => {
  await using stack = new AsyncDisposableStack();
  const { mesh, target, rogue } = await start(stack);
  const job = await rogue.signJob();
  const stop = new AbortController();
  const squat = (async () => {
    while (!stop.signal.aborted) await rogue.ask(job);
  })();
  while (target.metrics.read('fogproof_provider_refusals_total', { code: 'AT_CAPACITY' }) === 0) await rogue.ask(job);
  await expectHealthy(mesh);
  expect(target.metrics.read('fogproof_provider_refusals_total', { code: 'RATE_LIMITED' })).toBeGreaterThan(0);
  stop.abort();
  await squat;
});

describe('a requester that commits nobody else', () => {
  it('cannot have a result revealed by signatures that it made itself', async () => {
    await using stack = new AsyncDisposableStack();
    const { mesh, target, rogue } = await start(stack);
    const job = await rogue.signJob({ replication: { replicas: 3, quorum: 2, diversity: 'peer' } });
    const lease = await rogue.signLease(job);
    const leaseId = LeaseId(lease.id);
    const own = await readCommitment(rogue, rogue.leaseRequest(job, lease));
    const sock = stack.use(await RogueRequester.start(target));
    const other = { ...own.value, lease: LeaseId(job.id), provider: sock.node.identity.peer };
    const forged = await signObject(COMMITMENT, other, sock.node.identity);
    const set = createCommitmentSet(JobId(job.id), [own.id, forged.id]);
    const commitments = [own.wire, forged.wire];
    const signed = await rogue.send({ op: 'sign-set', lease: leaseId, set, commitments });
    if (signed.kind !== 'set-signed') throw new TypeError(`answered ${signed.kind}`);
    const byRogue = await signObject(COMMITMENT_SET, set, rogue.node.identity);
    const refused = { kind: 'refused', refusal: { code: 'LEASE_MISMATCH' } };
    for (const setSignatures of [[signed.signature], [signed.signature, byRogue.wire], [byRogue.wire]]) {
      expect(await rogue.send({ op: 'reveal', lease: leaseId, setSignatures })).toMatchObject(refused);
    }
    const smaller = createCommitmentSet(JobId(job.id), [own.id]);
    expect(await rogue.send({ op: 'sign-set', lease: leaseId, set: smaller, commitments: [own.wire] })).toMatchObject(
      refused,
    );
    expect(await sock.send({ op: 'reveal', lease: leaseId, setSignatures: [signed.signature] })).toMatchObject({
      kind: 'unknown-lease',
    });
    expect(target.metrics.read('fogproof_provider_misbehaviour_total', { code: 'COMMIT_REVEAL' })).toBe(4);
    await expectHealthy(mesh);
  });
});

it('blobs are read by those only to whom a lease names them', async () => {
  await using stack = new AsyncDisposableStack();
  const { mesh, target, rogue } = await start(stack);
  const view = await runJob(mesh.requester);
  const [output] = view.result?.outputs ?? [];
  const { blob: module } = await mesh.requester.blobs.put(new TextEncoder().encode('\0asm module'));
  const read = async (peer: LiveNode, blob: BlobId) =>
    await rogue.node.network.request(peer.peer, 'blob', { op: 'read', blob, offset: 0, maxBytes: 1 });
  await rogue.node.network.connect(mesh.requester.address());
  for (const blob of [module, output?.blob ?? module]) {
    expect(await read(target, blob)).toEqual({ kind: 'not-found' });
    expect(await read(mesh.requester, blob)).toEqual({ kind: 'not-found' });
  }
});

it.each<[string, Uint8Array, string]>([
  ['nested as deeply as a frame holds', new Uint8Array(2 ** 20 - 64).fill(0x81), 'malformed'],
  ['of a million empty things', encodeCanonical({ op: 'attach', leases: new Array(1_000_000).fill(0) }), 'bad-message'],
  ['of unknown fields', encodeCanonical({ op: 'cancel', leases: [], reason: '', extra: 1 }), 'bad-message'],
])('a request %s costs its sender and nobody else', async (_, body, violation) => {
  await using stack = new AsyncDisposableStack();
  const { mesh, target } = await start(stack);
  const raw = stack.use(await RawHost.dial(target.address()));
  const stream = await raw.open('job');
  stream.sendFrame(FRAME_KINDS.requestOne, 1, body);
  await Promise.race([stream.closed, stream.nextFrame()]);
  expect(target.metrics.read('fogproof_network_violations_total', { violation })).toBe(1);
  await expectHealthy(mesh);
});

async function readCommitment(rogue: RogueRequester, request: JobRequest) {
  const timeout = { signal: AbortSignal.timeout(5_000) };
  for await (const response of rogue.node.network.stream(rogue.target.peer, 'job', request, timeout)) {
    if (response.kind === 'refused') throw new TypeError(response.refusal.detail);
    if (response.kind !== 'events') continue;
    for (const { event } of response.events) {
      if (event.kind === 'committed') return await openSigned(COMMITMENT, event.commitment);
    }
  }
  throw new TypeError('it committed to nothing');
}
