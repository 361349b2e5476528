import { type AttestResponse, RELEASE, type Release } from '../../src/domain/confidential.ts';
import { JobId, LeaseId, UnixMs } from '../../src/domain/ids.ts';
import type { Job } from '../../src/domain/job.ts';
import { type JobTerms, OFFER } from '../../src/domain/offer.ts';
import { RECEIPT, type Receipt } from '../../src/domain/receipt.ts';
import type { Signed, SignedWire } from '../../src/domain/signed.ts';
import { concatBytes } from '../../src/lib/bytes.ts';
import { openSigned, signObject } from '../../src/proofs/signed-object.ts';
import type { AttestChallenge, Confidentiality, JobSecrets, PlainEvent } from '../../src/tee/interface.ts';
import {
  type AnswerLog,
  blobIdOf,
  type LeasedWork,
  MODULE,
  NETWORK,
  ProviderRig,
  type ProviderRigOptions,
  SIMULATED_ONLY,
  type TestRequester,
  termsOf,
} from './provider-rig.ts';
import { TestTee } from './simulated-tee.ts';

export interface PlainInput {
  readonly path: string;
  readonly bytes: Uint8Array;
}

export interface SealedJob {
  readonly signed: Signed<Job>;
  readonly secrets: JobSecrets;
  readonly sealed: readonly Uint8Array[];
}

/** The requester's side of confidential jobs, spoken by hand. */
export class ConfidentialRequester {
  readonly requester: TestRequester;
  readonly confidentiality: Confidentiality;
  readonly policy: string;

  constructor(requester: TestRequester, tee: TestTee) {
    this.requester = requester;
    this.confidentiality = tee.createConfidentiality();
    this.policy = tee.policy;
  }

  /** A job whose inputs are sealed, as intake makes it. */
  async sealJob(inputs: readonly PlainInput[], change: Partial<Job> = {}): Promise<SealedJob> {
    const sealer = this.confidentiality.createInputSealer();
    const files = [];
    const commitments = [];
    for (const { path, bytes } of inputs) {
      const input = sealer.seal(whole(bytes));
      const sealed = await collect(input.bytes);
      commitments.push(input.readCommitment());
      files.push({ path, sealed });
    }
    const job = this.requester.describeJob({
      capabilityClass: 'tee',
      confidential: { policy: this.policy, commitments },
      inputs: files.map(({ path, sealed }) => ({ path, blob: blobIdOf(sealed), sizeBytes: sealed.length })),
      ...change,
    });
    const [signed] = await this.requester.signJobs(job);
    if (signed === undefined) throw new TypeError('no job');
    return { signed, secrets: sealer.secrets, sealed: files.map(({ sealed }) => sealed) };
  }

  /** Takes an offer on the job, leases it and waits for the acceptance. */
  async lease(job: SealedJob, asked: JobTerms['confidential'] = SIMULATED_ONLY): Promise<ConfidentialLease> {
    const { requester } = this;
    const terms = { ...termsOf(job.signed.value), confidential: asked };
    const answer = await requester.requestOffer({ subject: job.signed.id, terms });
    if (answer.kind !== 'offer') throw new TypeError(JSON.stringify(answer));
    const offer = await openSigned(OFFER, answer.offer, requester.rig.identity.peer);
    const work = { jobs: [job.signed], offer, leases: await requester.signLeases([job.signed], offer) };
    const log = this.requester.lease(work, [MODULE, ...job.sealed]);
    await log.until(() => log.responses.length > 0);
    return new ConfidentialLease(this, { job, work, log });
  }
}

/** One lease of a confidential job, from its acceptance on. */
export class ConfidentialLease {
  readonly side: ConfidentialRequester;
  readonly job: SealedJob;
  readonly work: LeasedWork;
  readonly log: AnswerLog;
  readonly id: LeaseId;
  #challenge: Promise<AttestChallenge> | null = null;

  constructor(
    side: ConfidentialRequester,
    fields: { readonly job: SealedJob; readonly work: LeasedWork; readonly log: AnswerLog },
  ) {
    this.side = side;
    this.job = fields.job;
    this.work = fields.work;
    this.log = fields.log;
    this.id = LeaseId(fields.work.leases[0]?.id ?? '');
  }

  get jobId(): JobId {
    return JobId(this.job.signed.id);
  }

  get provider() {
    return this.side.requester.rig.identity.peer;
  }

  /** The same each time, unless it is changed. */
  async challenge(change: Partial<AttestChallenge> = {}): Promise<AttestResponse> {
    this.#challenge ??= this.side.confidentiality.createChallenge();
    return await this.send({ op: 'challenge', lease: this.id, ...(await this.#challenge), ...change });
  }

  /** @throws TypeError if it is refused */
  async showEvidence(): Promise<Uint8Array> {
    const response = await this.challenge();
    if (response.kind !== 'evidence') throw new TypeError(JSON.stringify(response));
    return response.evidence;
  }

  async judge(evidence: Uint8Array) {
    const { requester, confidentiality, policy } = this.side;
    const { isolation, instrumenter } = this.work.offer.value;
    const expectation = {
      network: NETWORK,
      job: this.jobId,
      lease: this.id,
      requester: requester.peer,
      provider: this.provider,
      ...(await this.#challenge),
      kind: 'simulated' as const,
      isolation,
      instrumenter,
    };
    const atMs = requester.rig.clock.nowMs();
    return await confidentiality.judge(evidence, expectation, { policies: [policy], atMs });
  }

  /** What the requester would release for this evidence. */
  async describeRelease(evidence: Uint8Array, secrets: JobSecrets = this.job.secrets): Promise<Release> {
    const { confidentiality, requester } = this.side;
    const { runtimeData } = await this.judge(evidence);
    if (runtimeData === null) throw new TypeError('the evidence cannot be read');
    const { encryptionKey } = runtimeData;
    return {
      type: 'fogproof/release@1',
      network: NETWORK,
      job: this.jobId,
      lease: this.id,
      requester: requester.peer,
      provider: this.provider,
      evidence: blobIdOf(evidence),
      evaluatedAtMs: UnixMs(requester.rig.clock.nowMs()),
      ...(await confidentiality.sealSecrets({ secrets, job: this.jobId, evidence, encryptionKey })),
    };
  }

  async release(release: Release): Promise<AttestResponse> {
    const { wire } = await signObject(RELEASE, release, this.side.requester.identity);
    return await this.sendRelease(wire);
  }

  async sendRelease(wire: SignedWire): Promise<AttestResponse> {
    return await this.send({ op: 'release', release: wire });
  }

  /** Challenge, judgement and release, as an honest requester does it. */
  async unlock(): Promise<Uint8Array> {
    const evidence = await this.showEvidence();
    const judgement = await this.judge(evidence);
    if (judgement.verdict !== 'valid') throw new TypeError(JSON.stringify(judgement.checks));
    const answer = await this.release(await this.describeRelease(evidence));
    if (answer.kind !== 'released') throw new TypeError(JSON.stringify(answer));
    return evidence;
  }

  async readReceipt(): Promise<Receipt> {
    return await readReceipt(this.log);
  }

  /** Logs and metrics, opened, in the order of their numbers. */
  async openEvents(): Promise<readonly PlainEvent[]> {
    const { contentKey } = this.job.secrets;
    const opened: PlainEvent[] = [];
    for (const { event } of this.log.events) {
      if (event.kind !== 'sealed') continue;
      opened.push(await this.side.confidentiality.openEvent(event, { contentKey, lease: this.id }));
    }
    return opened;
  }

  /** Outputs that rode with the receipt, opened, by path. */
  async openOutputs(receipt: Receipt): Promise<ReadonlyMap<string, Uint8Array>> {
    const inline = this.log.events.flatMap(({ event }) => (event.kind === 'receipt' ? event.inlineBlobs : []));
    const opened = new Map<string, Uint8Array>();
    for (const { path, blob } of receipt.result.outputs) {
      const sealed = inline.find((each) => each.blob === blob)?.bytes;
      if (sealed === undefined) throw new TypeError(`${path} did not ride with the receipt`);
      opened.set(path, await this.openOutput(path, sealed));
    }
    return opened;
  }

  async openOutput(path: string, sealed: Uint8Array): Promise<Uint8Array> {
    const { contentKey } = this.job.secrets;
    return await collect(this.side.confidentiality.openOutput(whole(sealed), { contentKey, path }));
  }

  async send(request: Parameters<TestRequester['attest']>[0]): Promise<AttestResponse> {
    return await this.side.requester.attest(request);
  }
}

export interface ConfidentialScene {
  readonly tee: TestTee;
  readonly rig: ProviderRig;
  readonly side: ConfidentialRequester;
}

/** A provider in a simulated environment, and a requester that accepts it. */
export async function startConfidential(options: ProviderRigOptions = {}): Promise<ConfidentialScene> {
  const tee = new TestTee();
  const confidential = { confidentiality: tee.createConfidentiality(), producer: tee };
  const rig = await ProviderRig.start({ confidential, ...options });
  return { tee, rig, side: new ConfidentialRequester(await rig.requester(), tee) };
}

/** Waits for the end. */
export async function readReceipt(log: AnswerLog): Promise<Receipt> {
  await log.done;
  const last = log.events.at(-1)?.event;
  if (last?.kind !== 'receipt') throw new TypeError(`the last event is ${last?.kind}`);
  return (await openSigned(RECEIPT, last.receipt)).value;
}

export async function* whole(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return concatBytes(...parts);
}
