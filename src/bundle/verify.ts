/**
 * Verification of a bundle file, offline but for its anchors: browser-capable, so nothing here or below imports from
 * node:.
 * A file that is malformed is an error; one that is well-formed gets a verdict, whatever is in it.
 */
import type { AssuranceReport } from '../domain/assurance.ts';
import type { Bundle } from '../domain/bundle.ts';
import type { Job } from '../domain/job.ts';
import type { Receipt } from '../domain/receipt.ts';
import type { Signed } from '../domain/signed.ts';
import { type AcceptedResult, findAgreedResult } from './checks/accepted-result.ts';
import { type AnchoredContext, type AnchoredFindings, reportAnchored } from './checks/anchored.ts';
import { verifiedReceipt } from './checks/attempt.ts';
import type { JudgedAttempt } from './checks/attested/judge-attempt.ts';
import { claimsAttestation, reportAttested } from './checks/attested/report-attested.ts';
import { collectReplicas } from './checks/replicas.ts';
import { claimsReplication, reportReplicated } from './checks/replicated.ts';
import { describeOutcome, reportSigned } from './checks/signed.ts';
import { DEFAULT_CHAIN_TIMEOUT_MS } from './constants.ts';
import { findEvidenceBlobs } from './evidence-blobs.ts';
import type { AnchorReader, BundleVerification, EvidenceJudge } from './interface.ts';
import { listNotProven } from './not-proven.ts';
import type { EvidenceBlobs } from './open-chain.ts';
import { type OpenedEvidence, openEvidence } from './open-evidence.ts';
import { type BundleSource, readBlocks } from './read-blocks.ts';
import type { SnapshotInFile } from './snapshot-register.ts';

export interface VerifyOptions {
  /** Time of this machine. Without it nothing is said of times in the future. */
  readonly nowMs?: number;
  /** Asks the chain about anchors. Without it `anchored` is unchecked beyond what the file itself shows. */
  readonly anchorReader?: AnchorReader;
  /** How long the chain is asked about all anchors together; by default 30 s. What it has not told by then is unchecked. */
  readonly chainTimeoutMs?: number;
  /** Judges evidence of confidential hardware. Without it `attested` is unchecked beyond what the file itself shows. */
  readonly evidenceJudge?: EvidenceJudge;
  readonly signal?: AbortSignal;
}

/**
 * Reads a bundle file and judges every assurance in it.
 * @param source the whole file, or its pieces in order; blobs are hashed as they pass and never held
 * @throws BundleError for what is no bundle, or was changed after it was written; the signal's reason
 */
export async function verifyBundle(source: BundleSource, options: VerifyOptions = {}): Promise<BundleVerification> {
  const { bundle, kept, snapshots } = await readBlocks(source, { keep: findEvidenceBlobs });
  return (await assessEvidence(bundle, options, { blobs: kept, snapshots })).verification;
}

/** What was read from the file besides its root. */
export interface FileContents {
  /** Checkpoint chains and compared outputs: without one what it would show is unchecked. */
  readonly blobs: EvidenceBlobs;
  readonly snapshots: readonly SnapshotInFile[];
}

const NO_CONTENTS: FileContents = { blobs: new Map(), snapshots: [] };

export interface Assessment {
  readonly verification: BundleVerification;
  /** What most sound receipts give. */
  readonly accepted: AcceptedResult | undefined;
  /** Every receipt of which no check of its own failed. */
  readonly receipts: readonly Signed<Receipt>[];
  /** Every attempt of a confidential job whose lease and receipt can be read. */
  readonly attested: readonly JudgedAttempt[];
}

/** Judges the objects of a bundle, and gives with the verdict what an export needs of them. */
export async function assessEvidence(
  bundle: Bundle,
  options: VerifyOptions = {},
  { blobs, snapshots }: FileContents = NO_CONTENTS,
): Promise<Assessment> {
  const evidence = await openEvidence(bundle, blobs);
  const job = evidence.job.kind === 'opened' ? evidence.job.signed : undefined;
  const replicas = job === undefined ? [] : collectReplicas(evidence, job);
  const receipts = collectReceipts(evidence, job);
  const committed = replicas.flatMap(({ standing, receipt }) => (standing === 'counted' && receipt ? [receipt] : []));
  const agreed = await findAgreedResult(job?.value, committed, blobs);
  const { accepted, missing } = committed.length > 0 ? agreed : await findAgreedResult(job?.value, receipts, blobs);
  const assurances = [
    reportSigned(evidence, { accepted, missing, blobs: bundle.blobs, snapshots, nowMs: options.nowMs }),
  ];
  if (job !== undefined && claimsReplication(evidence, job)) {
    assurances.push(reportReplicated(evidence, job, { replicas, agreed }));
  }
  const attested =
    job !== undefined && claimsAttestation(evidence, job)
      ? await reportAttested(evidence, job, options.evidenceJudge)
      : undefined;
  if (attested !== undefined) assurances.push(attested.report);
  const anchored = await judgeAnchored(bundle, { receipts, accepted, chain: accessChain(options) });
  if (anchored !== undefined) assurances.push(anchored.report);
  const verification: BundleVerification = {
    verdict: combineVerdicts(assurances),
    job: describeJob(job),
    outcome: accepted === undefined ? 'no result' : describeOutcome(accepted.result.outcome),
    assurances,
    notProven: listNotProven(job?.value, accepted, {
      assurances,
      dating: anchored?.dating ?? { kind: 'none' },
      confidentiality: attested?.confidentiality ?? 'none',
    }),
  };
  return { verification, accepted, receipts, attested: attested?.attempts ?? [] };
}

async function judgeAnchored(
  { anchors = [] }: Bundle,
  context: AnchoredContext,
): Promise<AnchoredFindings | undefined> {
  return anchors.length === 0 ? undefined : await reportAnchored(anchors, context);
}

function accessChain({ anchorReader, chainTimeoutMs, signal }: VerifyOptions): AnchoredContext['chain'] {
  if (anchorReader === undefined) return undefined;
  return { reader: anchorReader, timeoutMs: chainTimeoutMs ?? DEFAULT_CHAIN_TIMEOUT_MS, signal };
}

function collectReceipts(evidence: OpenedEvidence, job: Signed<Job> | undefined): readonly Signed<Receipt>[] {
  if (job === undefined) return [];
  return evidence.attempts.flatMap((attempt) => verifiedReceipt(attempt, job) ?? []);
}

/** Fields stay empty where the job's signature does not hold: nothing unverified is shown as a fact. */
function describeJob(job: Signed<Job> | undefined): BundleVerification['job'] {
  if (job === undefined) return { id: '', name: '', requester: '', network: '' };
  const { name, requester, network } = job.value;
  return { id: job.id, name, requester, network };
}

function combineVerdicts(assurances: readonly AssuranceReport[]): BundleVerification['verdict'] {
  const kinds = new Set(assurances.map(({ verdict }) => verdict.kind));
  if (kinds.has('invalid')) return 'invalid';
  return kinds.has('unchecked') ? 'unchecked' : 'valid';
}
