import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildDigits, readHeldOut } from '../../scripts/onnx/build-digits.ts';
import type { BundleVerification } from '../../src/bundle/interface.ts';
import { SystemClock } from '../../src/lib/clock.ts';
import { probeInference } from '../../src/sandbox/executors/inference/probe-inference.ts';
import { needInference, readFloats } from '../support/inference.ts';
import { Mesh, type MeshNode } from '../support/mesh.ts';
import { describeIf } from '../support/needs.ts';

const JOB_FILE = join(import.meta.dirname, '../../examples/inference/job.yaml');
const probe = await probeInference(new SystemClock());

describeIf(needInference(probe), 'examples/inference over real daemons', () => {
  let mesh: Mesh;
  let requester: MeshNode;

  beforeAll(async () => {
    buildDigits({ isForced: false });
    mesh = await Mesh.open({}, AbortSignal.timeout(110_000));
    requester = await mesh.addNode('requester', ['--no-provide']);
    for (const name of ['ada', 'berta']) await mesh.addNode(name);
    await mesh.untilProviders(requester, 2);
  });
  afterAll(async () => {
    await mesh?.[Symbol.asyncDispose]();
  });

  it('reads digits on two providers that agree byte for byte, and its bundle says how', async () => {
    const out = mesh.stage.path('digits-out');
    const submitted = await mesh.submit(requester, JOB_FILE);
    const job = await mesh.wait(requester, submitted);
    expect(job).toMatchObject({
      state: 'completed',
      result: { fuel: null, steps: 24, inference: { items: 24, cachedItems: 0, calls: 3, largestBatchRows: 8 } },
    });
    expect(job.result?.agreeing).toHaveLength(2);
    await mesh.expect(requester, ['job', 'result', job.job, '--output', out]);
    const labels = readHeldOut().slice(0, 24);
    let correct = 0;
    for (const [index, { label }] of labels.entries()) {
      const path = join(out, `output/row-${String(index).padStart(2, '0')}/probabilities.npy`);
      const { shape, values } = readFloats({ path, bytes: new Uint8Array(await readFile(path)) });
      expect(shape).toEqual([1, 10]);
      if (values.indexOf(Math.max(...values)) === label) correct += 1;
    }
    expect(correct).toBeGreaterThanOrEqual(20);
    const bundle = mesh.stage.path('digits.bundle');
    await mesh.expect(requester, ['bundle', 'export', job.job, '--output', bundle]);
    const verified = await mesh.expect<BundleVerification>(mesh.stage.actor('stranger'), ['bundle', 'verify', bundle]);
    expect(verified.verdict).toBe('valid');
    expect(verified.assurances.map(({ assurance }) => assurance)).toEqual(['signed', 'replicated']);
    expect(verified.assurances[0]?.statement).toContain('24 of its 24 items were run in 3 calls of at most 8 rows');
    const logs = await mesh.run(requester, ['job', 'logs', job.job]);
    expect(logs.stdout).toContain(
      '"item":"row-00","rows":8,"outputs":{"probabilities":{"type":"float32","shape":[1,10]',
    );
  });

  it('marks what is from a cache, in the job and in its evidence', async () => {
    const job = await mesh.wait(requester, await mesh.submit(requester, JOB_FILE));
    expect(job.result?.inference).toEqual({ items: 24, cachedItems: 24, calls: 0, largestBatchRows: 0 });
    const shown = await mesh.run(requester, ['job', 'show', job.job]);
    expect(shown.stdout).toContain("24: 24 NOT RUN but given from the provider's cache");
    const bundle = mesh.stage.path('again.bundle');
    await mesh.expect(requester, ['bundle', 'export', job.job, '--output', bundle]);
    const verified = await mesh.expect<BundleVerification>(mesh.stage.actor('stranger'), ['bundle', 'verify', bundle]);
    const [signed] = verified.assurances;
    expect(signed?.statement).toContain('24 of its 24 items were not run');
    expect(signed?.doesNotClaim.join()).toContain(
      'that items which were answered from a cache were computed for this job',
    );
  });
});
