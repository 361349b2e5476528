import { setImmediate } from 'node:timers/promises';
import { BlobError } from '../../blob/errors.ts';
import type { BlobId, LeaseId } from '../../domain/ids.ts';
import type { Comparison } from '../../domain/job.ts';
import type { OutputFile, Receipt } from '../../domain/receipt.ts';
import { createDeadline } from '../../lib/abort.ts';
import { findAgreement, type GivenResult, MAX_COMPARED_BYTES } from '../../proofs/compare-results.ts';
import type { JobMachineState } from '../job-machine-state.ts';
import type { AttemptCase } from './attempt-case.ts';
import { type CollectModules, findMissingOutput, type OutputSource } from './collect-outputs.ts';
import type { Judgement } from './judgement.ts';

const MAX_READ_BYTES = Math.max(...Object.values(MAX_COMPARED_BYTES));

interface Given extends GivenResult {
  readonly lease: LeaseId;
  readonly receipt: Receipt;
}

/**
 * Quorum rule of jobs with training rounds: a result that as many agree with as the job asks for, within its tolerances
 * (docs/job-spec.md, `comparisons`). The files of all revealed results are brought here, for the comparison and the bundle.
 */
export async function judgeWithin(
  modules: CollectModules,
  request: {
    readonly comparisons: readonly Comparison[];
    readonly state: JobMachineState;
    readonly cases: ReadonlyMap<LeaseId, AttemptCase>;
  },
  options: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<Judgement> {
  const { quorum } = request.state.facts;
  const revealed = listRevealed(request);
  using pins = new DisposableStack();
  for (const { blob } of revealed.flatMap(({ result }) => result.outputs)) pins.use(modules.blobs.pin(blob));
  const missing = await collectAll(modules, { revealed, cases: request.cases }, options);
  const whole = revealed.filter(({ result }) => result.outputs.every(({ blob }) => !missing.has(blob)));
  const files = { read: (blob: BlobId) => readBlob(modules, blob), pause: () => setImmediate(undefined, options) };
  const agreement = await findAgreement(whole, { comparisons: request.comparisons, files });
  const largest = agreement?.agreeing.length ?? 0;
  if (agreement !== undefined && largest >= quorum) {
    const leases = agreement.agreeing.map(({ lease }) => lease);
    return { kind: 'accepted', receipt: agreement.accepted.receipt, agreement: { leases, largest: agreement.largest } };
  }
  const [reason] = missing.values();
  if (reason !== undefined && revealed.length >= quorum && whole.length < quorum) {
    return { kind: 'failed', info: { code: 'SCHEDULER_OUTPUTS_UNAVAILABLE', reason } };
  }
  const code = revealed.length < quorum ? 'SCHEDULER_QUORUM_LOST' : 'SCHEDULER_REPLICAS_DISAGREE';
  return { kind: 'failed', info: { code, revealed: revealed.length, quorum, largest } };
}

function listRevealed({ state, cases }: Pick<Parameters<typeof judgeWithin>[1], 'state' | 'cases'>): readonly Given[] {
  return state.attempts.flatMap(({ state: reached, lease }) => {
    const receipt = reached === 'revealed' ? cases.get(lease)?.receipt?.value : undefined;
    if (receipt === undefined) return [];
    const { result, outputRoot } = receipt;
    return [{ name: lease, lease, receipt, result, outputRoot }];
  });
}

/** Why files did not come here; each is asked of everybody who gave it. */
async function collectAll(
  modules: CollectModules,
  { revealed, cases }: { readonly revealed: readonly Given[]; readonly cases: ReadonlyMap<LeaseId, AttemptCase> },
  { signal, timeoutMs }: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<ReadonlyMap<BlobId, string>> {
  const wanted = new Map<BlobId, { readonly output: OutputFile; readonly sources: OutputSource[] }>();
  for (const { lease, result } of revealed) {
    const source = cases.get(lease);
    if (source === undefined) continue;
    for (const output of result.outputs) {
      const entry = wanted.get(output.blob) ?? { output, sources: [] };
      entry.sources.push({ provider: source.lease.value.provider, inlineBlobs: source.inlineBlobs });
      wanted.set(output.blob, entry);
    }
  }
  using deadline = createDeadline(timeoutMs, signal);
  const missing = new Map<BlobId, string>();
  await Promise.all(
    [...wanted].map(async ([blob, { output, sources }]) => {
      const reason = await findMissingOutput(modules, { outputs: [output], sources }, deadline.signal);
      if (reason !== null) missing.set(blob, reason.slice(0, 300));
    }),
  );
  signal.throwIfAborted();
  return missing;
}

async function readBlob({ blobs }: CollectModules, blob: BlobId): Promise<Uint8Array | undefined> {
  try {
    return await blobs.get(blob, MAX_READ_BYTES);
  } catch (error) {
    if (error instanceof BlobError && error.code === 'BLOB_NOT_FOUND') return undefined;
    throw error;
  }
}
