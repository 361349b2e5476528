/** Of a confidential job the outputs are sealed anew each time: only what they say when opened can be compared. */
import { readFile, realpath } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { computeBlobId } from '../../src/domain/blob-tree.ts';
import type { Outcome } from '../crash-stepping/outcome.ts';
import { type Asking, retry } from './asking.ts';
import type { ShownJob } from './client.ts';

/** With the outputs opened by its requester, and the evidence that the provider of the result has shown. */
export async function openOutcome(
  outcome: Outcome,
  { job, result, attempts }: ShownJob,
  asking: Asking & { readonly openedFolder: string },
): Promise<Outcome> {
  if (result === null) return outcome;
  const directory = join(asking.openedFolder, job);
  const { files } = await retry(asking, (client) => client.call('job.writeOutputs', { job, directory }));
  const root = await realpath(directory);
  const outputs = await Promise.all(
    files.map(async ({ path }) => ({ path: relative(root, path), blob: computeBlobId(await readFile(path)) })),
  );
  const evidence = attempts
    .filter(({ lease }) => result.agreeing.includes(lease))
    .map((attempt) => attempt.evidence && { kind: attempt.evidence.kind, measurement: attempt.evidence.measurement });
  const { fuel, steps, outcome: ended } = result;
  return { ...outcome, result: JSON.stringify({ outputs, evidence, fuel, steps, outcome: ended }) };
}
