import type { AddedBlob } from '../src/cli/job-file/interface.ts';
import { loadJobFile } from '../src/cli/job-file/load-job-file.ts';
import { completeDraft } from '../src/cli/job-file/resolve-job-file.ts';
import { BlobId } from '../src/domain/ids.ts';
import { SystemRandom } from '../src/lib/random.ts';
import type { JobDraft } from '../src/scheduler/interface.ts';
import type { Mesh, MeshNode } from '../test/support/mesh.ts';

/** The hello example, with its files in the store of `requester`. */
export async function prepareDraft(mesh: Mesh, requester: MeshNode): Promise<JobDraft> {
  const file = await mesh.writeJob('hello', 'bench', (text) => text);
  const plan = await loadJobFile(file, { nowMs: Date.now(), random: new SystemRandom() });
  const added = new Map<string, AddedBlob>();
  for (const { path } of plan.files) {
    const { blob, sizeBytes } = await requester.client.call('blob.add', { path });
    added.set(path, { blob: BlobId(blob), sizeBytes });
  }
  return completeDraft(plan, added);
}

/** One trivial job after the other, as long as `goesOn` says. @returns how long each took, ms */
export async function runJobs(
  requester: MeshNode,
  draft: JobDraft,
  goesOn: (count: number) => boolean,
): Promise<number[]> {
  const samples: number[] = [];
  while (goesOn(samples.length)) {
    const startedAt = performance.now();
    const { job } = await requester.client.call('job.submit', { draft });
    const { state } = await requester.client.call('job.wait', { job });
    if (state !== 'completed') throw new Error(`job ${job} is ${state}`);
    samples.push(performance.now() - startedAt);
  }
  return samples;
}
