import { isBlob } from '../../../domain/blob-tree.ts';
import type { BlobId } from '../../../domain/ids.ts';
import type { Comparison, Job } from '../../../domain/job.ts';
import type { OutputFile, Result } from '../../../domain/receipt.ts';
import { isStepping } from '../../../domain/workload.ts';
import { areBytesEqual } from '../../../lib/bytes.ts';
import { compareFiles } from '../../../proofs/compare-files.ts';
import type { ExecutionResult, InputFile } from '../../../sandbox/interface.ts';

export interface ResultDifferences {
  readonly differences: readonly string[];
  /** What it would take to compare the rest. */
  readonly missing: readonly string[];
}

/** How the result of a replay differs from the one in a receipt, in plain words. */
export async function compareResults(
  found: ExecutionResult,
  recorded: Result,
  { job, readBlob }: { readonly job: Job; readonly readBlob: (blob: BlobId) => Promise<Uint8Array | undefined> },
): Promise<ResultDifferences> {
  const differences: string[] = [];
  const missing: string[] = [];
  const outcomes = [recorded.outcome, found.outcome].map(describeOutcome);
  if (outcomes[0] !== outcomes[1]) differences.push(`outcome ${outcomes[1]} and not ${outcomes[0]}`);
  // A training job that is not a stepping module counts anew where it was resumed (docs/stepping.md section 7).
  if (job.comparisons === undefined && isStepping(job.workload)) {
    if (found.fuel !== recorded.fuel) differences.push(`fuel ${found.fuel} and not ${recorded.fuel}`);
    if (found.steps !== recorded.steps) differences.push(`steps ${found.steps} and not ${recorded.steps}`);
    if (!areBytesEqual(found.metricsHash, recorded.metricsHash)) differences.push('other metrics');
  }
  const outputs = new Map(found.outputs.map((file) => [file.path, file]));
  for (const file of recorded.outputs) {
    const other = outputs.get(file.path);
    outputs.delete(file.path);
    const comparison = job.comparisons?.find(({ path }) => path === file.path);
    const judged = await compareOutput(file, other, { comparison, readBlob });
    differences.push(...judged.differences);
    missing.push(...judged.missing);
  }
  differences.push(...[...outputs.keys()].map((path) => `output ${path}, which the receipt does not have`));
  return { differences, missing };
}

async function compareOutput(
  { path, blob }: OutputFile,
  found: InputFile | undefined,
  {
    comparison,
    readBlob,
  }: {
    readonly comparison: Comparison | undefined;
    readonly readBlob: (id: BlobId) => Promise<Uint8Array | undefined>;
  },
): Promise<ResultDifferences> {
  if (found === undefined) return { differences: [`no output ${path}`], missing: [] };
  if (isBlob(blob, found.bytes)) return { differences: [], missing: [] };
  if (comparison === undefined) return { differences: [`other bytes in ${path}`], missing: [] };
  const recorded = await readBlob(blob);
  if (recorded === undefined) return { differences: [], missing: [`the output ${path} (${blob})`] };
  const judged = compareFiles(found.bytes, recorded, comparison);
  switch (judged.kind) {
    case 'identical':
    case 'within':
      return { differences: [], missing: [] };
    case 'beyond': {
      const { index, a, b } = judged.largest;
      return { differences: [`${path} beyond its tolerance: element ${index} is ${a} and not ${b}`], missing: [] };
    }
    case 'incomparable':
      return { differences: [`${path} cannot be compared: ${judged.reason}`], missing: [] };
    default:
      return judged satisfies never;
  }
}

function describeOutcome(outcome: Result['outcome']): string {
  return outcome.kind === 'completed' ? 'completed' : `${outcome.kind} ${outcome.code}`;
}
