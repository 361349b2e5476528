import type { Announcement } from '../../src/domain/announcement.ts';
import { CHECKPOINT, type Checkpoint } from '../../src/domain/checkpoint.ts';
import { COMMITMENT, COMMITMENT_SET, type Commitment } from '../../src/domain/commitment.ts';
import { type BlobId, JobId, LeaseId, ObjectId, type PeerKey, UnixMs } from '../../src/domain/ids.ts';
import { JOB, type Job } from '../../src/domain/job.ts';
import { LEASE, LEASE_ACCEPTANCE, type Lease, PROGRESS, type Progress } from '../../src/domain/lease.ts';
import type {
  AttemptEvent,
  JobRequest,
  JobResponse,
  OfferAsk,
  OfferRequest,
  OfferResponse,
  SequencedEvent,
} from '../../src/domain/messages.ts';
import { encodeObject, type ObjectType } from '../../src/domain/object-type.ts';
import { OFFER, type Offer } from '../../src/domain/offer.ts';
import { RECEIPT, RESULT, type Receipt, type Result } from '../../src/domain/receipt.ts';
import type { Refusal } from '../../src/domain/refusal.ts';
import type { Signed } from '../../src/domain/signed.ts';
import type { Identity } from '../../src/identity/interface.ts';
import { encodeUtf8 } from '../../src/lib/bytes.ts';
import { computeObjectCid, computeRawCid } from '../../src/lib/cid.ts';
import type { Clock } from '../../src/lib/clock.ts';
import type { PeerTransport } from '../../src/network/interface.ts';
import { computeCommitmentDigest } from '../../src/proofs/commitment.ts';
import { openMany, packSigned, signObject, signObjects } from '../../src/proofs/signed-object.ts';
import { BlobGrants, serveBlobs } from '../../src/scheduler/blob-access.ts';
import { HeapBlobStore } from './provider-blobs.ts';
import { metricsHashAt, ScriptedChain } from './scripted-chain-links.ts';

/** How this provider departs from an honest one. Everything absent is done right. */
export interface Script {
  readonly refuseOffer?: (request: OfferAsk) => Refusal | undefined;
  readonly refuseLease?: Refusal;
  /** Protocol steps that are never answered. */
  readonly silentOn?: readonly ('offer' | 'lease' | 'sign-set' | 'reveal' | 'cancel' | 'pause')[];
  /** Signs these kinds of object with another key. */
  readonly forge?: readonly string[];
  readonly forger?: Identity;
  readonly offer?: Partial<Offer>;
  readonly acceptance?: { readonly lease?: LeaseId; readonly resultsKeptForMs?: number };
  readonly progress?: Partial<Progress>;
  readonly commitment?: Partial<Commitment>;
  readonly result?: Partial<Result>;
  readonly receipt?: Partial<Receipt>;
  /** Text of `/out.txt`; equal for honest providers. */
  readonly output?: string;
  readonly handsOutOutputs?: 'inline' | 'by-blob' | 'never';
  /** Waits for the test to say `finish`. */
  readonly holds?: boolean;
  readonly sendsEventsTwice?: boolean;
  /** Lines that each job of a batch prints. */
  readonly prints?: readonly string[];
  /** Sends each receipt of a batch twice, with the files or without. */
  readonly sendsReceiptsTwice?: 'inline' | 'bare';
  /** Changes what it signs as a checkpoint. */
  readonly checkpoint?: (checkpoint: Checkpoint) => Checkpoint;
  /** Changes the chain that its receipt names. */
  readonly chain?: (bytes: Uint8Array) => Uint8Array;
  readonly handsOutChain?: 'inline' | 'by-blob' | 'never';
  /** Its receipts name no chain. */
  readonly forgetsChain?: boolean;
  /** Signs another set when an earlier one came to nothing. */
  readonly signsOneSetOnly?: boolean;
}

export interface ScriptedAttempt {
  readonly lease: Signed<Lease>;
  readonly job: Signed<Job>;
  readonly events: SequencedEvent[];
  receipt: Receipt | undefined;
  setId: string | undefined;
  /** The job makes checkpoints. */
  chain: ScriptedChain | undefined;
  isOver: boolean;
  wakers: (() => void)[];
}

const SALT = new Uint8Array(32).fill(5);

/** A provider that does what its script says; honest by default. */
export class ScriptedProvider {
  readonly identity: Identity;
  readonly blobs = new HeapBlobStore();
  readonly grants = new BlobGrants();
  readonly attempts = new Map<LeaseId, ScriptedAttempt>();
  readonly cancelled: LeaseId[] = [];
  readonly closed: LeaseId[] = [];
  readonly paused: LeaseId[] = [];
  /** By lease. */
  readonly snapshotKeys = new Map<LeaseId, Uint8Array>();
  readonly #clock: Clock;
  readonly #offers = new Map<string, Offer>();
  script: Script;

  constructor(modules: { transport: PeerTransport; identity: Identity; clock: Clock }, script: Script = {}) {
    this.identity = modules.identity;
    this.#clock = modules.clock;
    this.script = script;
    const { transport } = modules;
    serveBlobs(transport, { blobs: this.blobs }, this.grants);
    transport.handle('offer', (request, { peer }) => this.#answerOffer(request, peer));
    transport.handle('job', (request) => this.#answer(request));
  }

  async *#answerOffer(request: OfferRequest, requester: PeerKey): AsyncGenerator<OfferResponse, void> {
    if (request.op !== 'ask') return yield { kind: 'noted', isWanted: false };
    if (this.script.silentOn?.includes('offer') === true) await never();
    const refusal = this.script.refuseOffer?.(request);
    if (refusal !== undefined) yield { kind: 'refused', refusal };
    else yield { kind: 'offer', offer: (await this.#offer(request, requester)).wire };
  }

  /** What it would give on an announcement. */
  offerOn({ requester, subject, terms, attempts }: Announcement): Promise<Signed<Offer>> {
    return this.#offer({ op: 'ask', subject, terms, attempts }, requester);
  }

  get peer(): PeerKey {
    return this.identity.peer;
  }

  get only(): ScriptedAttempt {
    const [attempt] = this.attempts.values();
    if (attempt === undefined) throw new Error('no attempt');
    return attempt;
  }

  #sign<Value extends { readonly type: string }>(type: ObjectType<Value>, value: Value): Promise<Signed<Value>> {
    const isForged = this.script.forge?.includes(type.type) === true;
    return signObject(type, value, isForged ? (this.script.forger ?? this.identity) : this.identity);
  }

  async #offer(request: OfferAsk, requester: PeerKey): Promise<Signed<Offer>> {
    const offer: Offer = {
      type: 'fogproof/offer@1',
      network: 'test',
      subject: request.subject,
      requester,
      provider: this.peer,
      nonce: crypto.getRandomValues(new Uint8Array(16)),
      terms: request.terms,
      attempts: request.attempts,
      price: '0',
      isolation: 'process',
      instrumenter: 'scripted/1',
      expiresAtMs: UnixMs(this.#clock.nowMs() + 5_000),
      ...this.script.offer,
    };
    const signed = await this.#sign(OFFER, offer);
    this.#offers.set(signed.id, offer);
    return signed;
  }

  async *#answer(request: JobRequest): AsyncGenerator<JobResponse, void> {
    if ((this.script.silentOn as readonly string[] | undefined)?.includes(request.op)) await never();
    switch (request.op) {
      case 'lease':
        return yield* this.#lease(request);
      case 'attach':
        for (const { lease, fromSequence } of request.leases) {
          const attempt = this.attempts.get(lease);
          if (attempt === undefined) yield { kind: 'unknown-lease', lease };
          else yield* this.#feed([attempt], fromSequence);
        }
        return;
      case 'cancel':
        for (const lease of request.leases) this.cancelled.push(lease);
        yield { kind: 'done' };
        return;
      case 'close':
        for (const lease of request.leases) this.closed.push(lease);
        yield { kind: 'done' };
        return;
      case 'sign-set':
        yield await this.#signSet(request);
        return;
      case 'reveal':
        yield await this.#reveal(request.lease);
        return;
      case 'pause':
        for (const lease of request.leases) this.paused.push(lease);
        yield { kind: 'done' };
        return;
      case 'hold':
      case 'claim':
        yield { kind: 'done' };
        return;
      default:
        request satisfies never;
    }
  }

  async *#lease(request: Extract<JobRequest, { op: 'lease' }>): AsyncGenerator<JobResponse, void> {
    if (this.script.refuseLease !== undefined) {
      yield { kind: 'refused', refusal: this.script.refuseLease };
      return;
    }
    const jobs = await openMany(JOB, request.jobs);
    const leases = await openMany(LEASE, request.leases);
    for (const { bytes } of request.inlineBlobs) await this.blobs.put(bytes);
    for (const { lease, key } of request.snapshotKeys ?? []) this.snapshotKeys.set(lease, key);
    const attempts = leases.map((lease): ScriptedAttempt => {
      const job = jobs.find((candidate) => candidate.id === (lease.value.job as string));
      if (job === undefined) throw new Error('a lease without its job');
      const known = this.attempts.get(LeaseId(lease.id));
      const chain = job.value.checkpoints === undefined ? undefined : new ScriptedChain(job, lease);
      const fresh = { lease, job, events: [], receipt: undefined, setId: undefined, chain, isOver: false, wakers: [] };
      const attempt = known ?? fresh;
      this.attempts.set(LeaseId(lease.id), attempt);
      return attempt;
    });
    const acceptances = leases.map((lease) => ({
      type: 'fogproof/lease-acceptance@1' as const,
      lease: LeaseId(lease.id),
      provider: this.peer,
      acceptedAtMs: UnixMs(this.#clock.nowMs()),
      ...this.script.acceptance,
    }));
    const forger = this.script.forge?.includes(LEASE_ACCEPTANCE.type) ? this.script.forger : undefined;
    const signed = await signObjects(LEASE_ACCEPTANCE, acceptances, forger ?? this.identity);
    yield { kind: 'leased', acceptances: packSigned(signed) };
    if (attempts.length > 1 && this.script.holds !== true) return yield* this.#batch(attempts);
    for (const attempt of attempts) {
      if (this.script.holds !== true && attempt.events.length === 0) await this.finish(attempt);
    }
    yield* this.#feed(attempts, 0);
  }

  async *#batch(attempts: readonly ScriptedAttempt[]): AsyncGenerator<JobResponse, void> {
    const receipts: Receipt[] = [];
    for (const attempt of attempts) {
      for (const text of this.script.prints ?? []) this.emit(attempt, { kind: 'log', stream: 'stdout', text });
      if (attempt.events.length > 0) yield { kind: 'events', events: [...attempt.events] };
      receipts.push({ ...(await this.#describeReceipt(attempt, null)), ...this.script.receipt });
    }
    const signed = await signObjects(RECEIPT, receipts, this.identity);
    const inlineBlobs = new Map<BlobId, Uint8Array>();
    for (const { result, checkpointChain } of receipts) {
      for (const { blob } of [...result.outputs, ...(checkpointChain === undefined ? [] : [checkpointChain])])
        inlineBlobs.set(blob, await this.blobs.get(blob, 1_000_000));
    }
    const { sendsReceiptsTwice } = this.script;
    yield {
      kind: 'receipts',
      receipts:
        sendsReceiptsTwice === undefined
          ? packSigned(signed)
          : { kind: 'each', items: [...signed, ...signed].map(({ wire }) => wire) },
      inlineBlobs: sendsReceiptsTwice === 'bare' ? [] : [...inlineBlobs].map(([blob, bytes]) => ({ blob, bytes })),
    };
  }

  async *#feed(attempts: readonly ScriptedAttempt[], fromSequence: number): AsyncGenerator<JobResponse, void> {
    const sent = new Map(attempts.map((attempt) => [attempt, fromSequence]));
    const listFresh = () =>
      attempts.flatMap((attempt) => attempt.events.filter((event) => event.sequence > (sent.get(attempt) ?? 0)));
    for (;;) {
      const events = listFresh();
      for (const attempt of attempts) sent.set(attempt, attempt.events.at(-1)?.sequence ?? fromSequence);
      if (events.length > 0) yield { kind: 'events', events };
      if (events.length > 0 && this.script.sendsEventsTwice === true) yield { kind: 'events', events };
      if (listFresh().length > 0) continue;
      if (attempts.every(({ isOver }) => isOver)) return;
      await new Promise<void>((resolve) => {
        for (const attempt of attempts) attempt.wakers.push(resolve);
      });
    }
  }

  emit(attempt: ScriptedAttempt, event: AttemptEvent): void {
    const sequence = attempt.events.length + 1;
    attempt.events.push({
      lease: LeaseId(attempt.lease.id),
      sequence,
      atMs: UnixMs(this.#clock.nowMs()),
      event,
    });
    this.#wake(attempt);
  }

  #wake(attempt: ScriptedAttempt): void {
    for (const wake of attempt.wakers.splice(0)) wake();
  }

  async progress(attempt: ScriptedAttempt, sequence: number): Promise<void> {
    const value: Progress = {
      type: 'fogproof/progress@1',
      lease: LeaseId(attempt.lease.id),
      sequence,
      fuel: sequence * 10,
      step: sequence,
      cpuTimeMs: sequence,
      atMs: UnixMs(this.#clock.nowMs()),
      ...this.script.progress,
    };
    this.emit(attempt, { kind: 'progress', progress: (await this.#sign(PROGRESS, value)).wire });
  }

  /** Makes the next link and tells it; the start comes before the first one. */
  async checkpoint(
    attempt: ScriptedAttempt,
    step: number,
    withSnapshot: 'snapshot' | 'bare' = 'snapshot',
  ): Promise<void> {
    const { chain } = attempt;
    if (chain === undefined) throw new Error('the job makes no checkpoints');
    const nowMs = this.#clock.nowMs();
    if (chain.links.length === 0) await this.tellCheckpoint(attempt, chain.describeStart(nowMs));
    chain.add(step, nowMs);
    await this.tellCheckpoint(
      attempt,
      this.script.checkpoint?.(chain.describeLast(withSnapshot)) ?? chain.describeLast(withSnapshot),
    );
  }

  async tellCheckpoint(attempt: ScriptedAttempt, checkpoint: Checkpoint): Promise<void> {
    this.emit(attempt, { kind: 'checkpoint', checkpoint: (await this.#sign(CHECKPOINT, checkpoint)).wire });
  }

  /** Ends the run: a commitment, or the receipt where nothing is committed to. */
  async finish(attempt: ScriptedAttempt): Promise<void> {
    this.emit(attempt, { kind: 'phase', phase: 'running' });
    if (attempt.lease.value.commitReveal) await this.#commit(attempt);
    else await this.#deliver(attempt);
    attempt.isOver = true;
    this.#wake(attempt);
  }

  /** Ends the run with an attempt's failure. */
  async fail(
    attempt: ScriptedAttempt,
    code: Extract<Result['outcome'], { kind: 'attempt-failed' }>['code'],
  ): Promise<void> {
    const outcome = { kind: 'attempt-failed' as const, code, detail: 'scripted' };
    const receipt = await this.#describeReceipt(attempt, null, { outcome, outputs: [] });
    const { wire } = await this.#sign(RECEIPT, receipt);
    this.emit(attempt, { kind: 'receipt', receipt: wire, inlineBlobs: [] });
    attempt.isOver = true;
    this.#wake(attempt);
  }

  async #commit(attempt: ScriptedAttempt): Promise<void> {
    const receipt = await this.#describeReceipt(attempt, SALT);
    attempt.receipt = receipt;
    const lease = LeaseId(attempt.lease.id);
    const commitment: Commitment = {
      type: 'fogproof/commitment@1',
      job: JobId(attempt.job.id),
      lease,
      provider: this.peer,
      digest: computeCommitmentDigest({ lease, outputRoot: receipt.outputRoot, salt: SALT }),
      committedAtMs: UnixMs(this.#clock.nowMs()),
      ...this.script.commitment,
    };
    this.emit(attempt, { kind: 'committed', commitment: (await this.#sign(COMMITMENT, commitment)).wire });
  }

  async #deliver(attempt: ScriptedAttempt): Promise<void> {
    const receipt = { ...(await this.#describeReceipt(attempt, null)), ...this.script.receipt };
    const { wire } = await this.#sign(RECEIPT, receipt);
    this.emit(attempt, { kind: 'receipt', receipt: wire, inlineBlobs: await this.#inline(attempt, receipt) });
  }

  async #inline(attempt: ScriptedAttempt, receipt: Receipt) {
    const handsOut = this.script.handsOutOutputs ?? 'inline';
    const outputs = receipt.result.outputs.map((output) => output.blob);
    const chains = receipt.checkpointChain === undefined ? [] : [receipt.checkpointChain.blob];
    const handsOutChain = this.script.handsOutChain ?? 'inline';
    const shared = [...(handsOut === 'by-blob' ? outputs : []), ...(handsOutChain === 'by-blob' ? chains : [])];
    if (shared.length > 0) this.grants.grant(attempt.lease.value.requester, shared);
    const ids = [...(handsOut === 'inline' ? outputs : []), ...(handsOutChain === 'inline' ? chains : [])];
    return Promise.all(ids.map(async (blob) => ({ blob, bytes: await this.blobs.get(blob, 1_000_000) })));
  }

  async #describeReceipt(
    attempt: ScriptedAttempt,
    salt: Uint8Array | null,
    change: Partial<Result> = {},
  ): Promise<Receipt> {
    const bytes = encodeUtf8(this.script.output ?? 'forty-two');
    const { blob, sizeBytes } = await this.blobs.put(bytes);
    const result: Result = {
      type: 'fogproof/result@1',
      job: JobId(attempt.job.id),
      outcome: { kind: 'completed' },
      outputs: [{ path: '/out.txt', blob, sizeBytes }],
      fuel: 7,
      steps: attempt.chain === undefined ? 1 : this.#finalStep(attempt.chain),
      metricsHash: attempt.chain === undefined ? new Uint8Array(32) : metricsHashAt(this.#finalStep(attempt.chain)),
      instrumentedModule: computeRawCid(encodeUtf8('instrumented')).toString() as BlobId,
      instrumenter: 'scripted/1',
      ...this.script.result,
      ...change,
    };
    const now = UnixMs(this.#clock.nowMs());
    const isResult = result.outcome.kind !== 'attempt-failed' && this.script.forgetsChain !== true;
    const chain = isResult && attempt.chain !== undefined ? await this.#describeChain(attempt.chain) : undefined;
    return {
      type: 'fogproof/receipt@1',
      network: 'test',
      job: JobId(attempt.job.id),
      lease: LeaseId(attempt.lease.id),
      requester: attempt.lease.value.requester,
      provider: this.peer,
      result,
      outputRoot: ObjectId(computeObjectCid(encodeObject(RESULT, result)).toString()),
      salt,
      commitmentSet: null,
      checkpointRoot: chain?.root ?? null,
      ...(chain === undefined ? {} : { checkpointChain: chain.reference }),
      sandbox: { executor: 'wasm', isolation: 'process', controls: ['scripted'], engine: 'scripted' },
      usage: { cpuTimeMs: 1, wallTimeMs: 1, peakMemoryBytes: 65_536 },
      startedAtMs: now,
      finishedAtMs: now,
    };
  }

  #finalStep(chain: ScriptedChain): number {
    return chain.lastStep + (chain.isEnded ? 0 : 1);
  }

  /** With the link at the end, which is told in no event. */
  async #describeChain(chain: ScriptedChain) {
    if (!chain.isEnded) chain.end(this.#finalStep(chain), this.#clock.nowMs());
    const { bytes, root, links } = chain.encode();
    const { blob, sizeBytes } = await this.blobs.put(this.script.chain?.(bytes) ?? bytes);
    return { root, reference: { blob, sizeBytes, links } };
  }

  async #signSet(request: Extract<JobRequest, { op: 'sign-set' }>): Promise<JobResponse> {
    const attempt = this.attempts.get(request.lease);
    if (attempt === undefined) return { kind: 'unknown-lease', lease: request.lease };
    const signed = await this.#sign(COMMITMENT_SET, request.set);
    const isOther = attempt.setId !== undefined && attempt.setId !== signed.id;
    if (isOther && this.script.signsOneSetOnly === true) {
      return { kind: 'refused', refusal: { code: 'LEASE_MISMATCH', detail: 'another set was signed' } };
    }
    attempt.setId = signed.id;
    return { kind: 'set-signed', signature: signed.wire };
  }

  async #reveal(lease: LeaseId): Promise<JobResponse> {
    const attempt = this.attempts.get(lease);
    if (attempt?.receipt === undefined || attempt.setId === undefined) return { kind: 'unknown-lease', lease };
    const receipt = { ...attempt.receipt, commitmentSet: ObjectId(attempt.setId), ...this.script.receipt };
    const { wire } = await this.#sign(RECEIPT, receipt);
    return { kind: 'revealed', receipt: wire, inlineBlobs: await this.#inline(attempt, receipt) };
  }
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}
