import type { BlobStore } from '../../../blob/interface.ts';
import type { ExecutorKind, IsolationLevel } from '../../../domain/capability.ts';
import type { BlobId, JobId } from '../../../domain/ids.ts';
import { MAX_JOB_INPUTS } from '../../../domain/job.ts';
import type { InlineBlob } from '../../../domain/messages.ts';
import type { Outcome, OutputFile, Receipt, ReceiptAttestation, Result } from '../../../domain/receipt.ts';
import { hasFuel } from '../../../domain/workload.ts';
import { computeRawId, formatRawId } from '../../../lib/cid.ts';
import type { ExecutionResult, InputFile } from '../../../sandbox/interface.ts';
import type { AttemptUsage, StopReason } from '../attempts/attempt.ts';
import type { EncodedChain } from '../checkpoints/attempt-chain.ts';
import { INLINE_CHAIN_BYTES, INLINE_OUTPUT_BYTES, MAX_DETAIL_CHARS } from '../constants.ts';

/** What an attempt came to: the result that is committed to or signed, and where its outputs are. */
export interface Conclusion {
  readonly result: Result;
  readonly sandbox: Receipt['sandbox'];
  readonly usage: Receipt['usage'];
  /** Outputs that ride with the receipt. */
  readonly inline: readonly InlineBlob[];
  /** Outputs that were put into the blob store. */
  readonly stored: readonly BlobId[];
  /** Null where the attempt made no checkpoints. */
  readonly checkpoints: { readonly root: Uint8Array; readonly chain: NonNullable<Receipt['checkpointChain']> } | null;
  /** That the attested key stands behind the result; null where the job is not confidential, or there is no result. */
  readonly attestation: ReceiptAttestation | null;
}

export interface ConclusionSubject {
  readonly job: JobId;
  readonly kind: ExecutorKind;
  readonly instrumenter: string;
  readonly isolation: IsolationLevel;
}

const NO_METRICS_HASH = new Uint8Array(32);

/** An attempt that gave no result. */
export function concludeFailure(subject: ConclusionSubject, reason: StopReason): Conclusion {
  return {
    result: {
      type: 'fogproof/result@1',
      job: subject.job,
      outcome: { kind: 'attempt-failed', code: reason.code, detail: reason.detail.slice(0, MAX_DETAIL_CHARS) },
      outputs: [],
      fuel: hasFuel(subject.kind) ? 0 : null,
      steps: 0,
      metricsHash: NO_METRICS_HASH,
      instrumentedModule: null,
      instrumenter: subject.instrumenter,
    },
    sandbox: { executor: subject.kind, isolation: subject.isolation, controls: [], engine: 'not started' },
    usage: { cpuTimeMs: 0, wallTimeMs: 0, peakMemoryBytes: 0 },
    inline: [],
    stored: [],
    checkpoints: null,
    attestation: null,
  };
}

/** Adds what the program used besides: in processes before this one, say. */
export function addUsage(conclusion: Conclusion, { wallTimeMs, cpuTimeMs }: AttemptUsage): Conclusion {
  const { usage } = conclusion;
  return {
    ...conclusion,
    usage: { ...usage, wallTimeMs: usage.wallTimeMs + wallTimeMs, cpuTimeMs: usage.cpuTimeMs + cpuTimeMs },
  };
}

/**
 * What a program came to. Small outputs stay in memory and are journalled with the receipt if they may be; others go to the
 * blob store. @throws BlobError
 */
export async function concludeExecution(
  subject: ConclusionSubject,
  execution: ExecutionResult,
  { blobs, keepsInline }: { readonly blobs: Pick<BlobStore, 'put'>; readonly keepsInline: boolean },
): Promise<Conclusion> {
  const outcome = judgeOutcome(execution);
  const kept = outcome.kind === 'attempt-failed' || outcome !== execution.outcome ? [] : sortByPath(execution.outputs);
  const sizeBytes = kept.reduce((sum, file) => sum + file.bytes.length, 0);
  const isInline = keepsInline && sizeBytes <= INLINE_OUTPUT_BYTES;
  const outputs = isInline ? kept.map(describeInline) : await storeAll(kept, blobs);
  const { instrumentedModuleDigest: digest, usage } = execution;
  return {
    result: {
      type: 'fogproof/result@1',
      job: subject.job,
      outcome,
      outputs,
      fuel: execution.fuel === null ? null : toWhole(execution.fuel),
      steps: toWhole(execution.steps),
      metricsHash: execution.metricsHash,
      instrumentedModule: digest === null ? null : (formatRawId(digest) as BlobId),
      instrumenter: subject.instrumenter,
    },
    sandbox: execution.report,
    usage: {
      cpuTimeMs: toWhole(usage.cpuTimeMs),
      wallTimeMs: toWhole(usage.wallTimeMs),
      peakMemoryBytes: toWhole(usage.peakMemoryBytes),
    },
    inline: isInline ? collectInline(outputs, kept) : [],
    stored: isInline ? [] : [...new Set(outputs.map((output) => output.blob))],
    checkpoints: null,
    attestation: null,
  };
}

/** Adds the checkpoint chain, which rides like an output: with the receipt if it is small, else as a blob. @throws BlobError */
export async function attachChain(
  conclusion: Conclusion,
  chain: EncodedChain | null,
  blobs: Pick<BlobStore, 'put'>,
): Promise<Conclusion> {
  if (chain === null) return conclusion;
  const { root, bytes, links } = chain;
  const isInline = bytes.length <= INLINE_CHAIN_BYTES;
  const blob = isInline ? (computeRawId(bytes) as BlobId) : (await blobs.put(bytes)).blob;
  return {
    ...conclusion,
    inline: isInline ? [...conclusion.inline, { blob, bytes }] : conclusion.inline,
    stored: isInline ? conclusion.stored : [...conclusion.stored, blob],
    checkpoints: { root, chain: { blob, sizeBytes: bytes.length, links } },
  };
}

/** A result holds a bounded number of files; more of them is the program's failure, and the same on every replica. */
function judgeOutcome({ outcome, outputs }: ExecutionResult): Outcome {
  if (outputs.length <= MAX_JOB_INPUTS || outcome.kind === 'attempt-failed') return outcome;
  return { kind: 'program-failed', code: 'OUTPUT_LIMIT', detail: `more than ${MAX_JOB_INPUTS} files` };
}

function sortByPath(files: readonly InputFile[]): readonly InputFile[] {
  return files.toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

function describeInline(file: InputFile): OutputFile {
  return { path: file.path, blob: computeRawId(file.bytes) as BlobId, sizeBytes: file.bytes.length };
}

async function storeAll(files: readonly InputFile[], blobs: Pick<BlobStore, 'put'>): Promise<OutputFile[]> {
  const outputs: OutputFile[] = [];
  for (const file of files) {
    const { blob } = await blobs.put(file.bytes);
    outputs.push({ path: file.path, blob, sizeBytes: file.bytes.length });
  }
  return outputs;
}

function collectInline(outputs: readonly OutputFile[], files: readonly InputFile[]): InlineBlob[] {
  const byId = new Map<BlobId, Uint8Array>();
  outputs.forEach((output, index) => {
    const bytes = files[index]?.bytes;
    if (bytes !== undefined) byId.set(output.blob, bytes);
  });
  return [...byId].map(([blob, bytes]) => ({ blob, bytes }));
}

function toWhole(value: number): number {
  return Math.max(0, Math.trunc(value));
}
