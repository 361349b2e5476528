import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CarBundleExporter } from '../../../src/bundle/car-bundle-exporter.ts';
import { verifyBundle } from '../../../src/bundle/verify.ts';
import type { JobId } from '../../../src/domain/ids.ts';
import { PARAMETERS, RequesterRig } from '../../support/requester-rig.ts';
import type { Script } from '../../support/scripted-provider.ts';

async function rigWith(...scripts: readonly Script[]): Promise<RequesterRig> {
  const rig = await RequesterRig.start();
  for (const script of scripts) await rig.addProvider(script);
  return rig;
}

/** Exports what the scheduler gathered, and verifies the file as a stranger would. */
async function verifyJob(rig: RequesterRig, job: JobId) {
  const folder = await mkdtemp(join(tmpdir(), 'fogproof-evidence-'));
  try {
    const identity = { peer: rig.identity.peer, sign: async () => new Uint8Array(64) };
    const exporter = new CarBundleExporter({ blobs: rig.blobs, identity, clock: rig.clock });
    const path = join(folder, 'job.bundle');
    await exporter.exportFile(await rig.requester.evidence(job), { path, format: 'bundle', content: 'everything' });
    return await verifyBundle(new Uint8Array(await readFile(path)), { nowMs: rig.clock.nowMs() });
  } finally {
    await rm(folder, { recursive: true });
  }
}

function failures(verification: Awaited<ReturnType<typeof verifyJob>>) {
  return verification.assurances.flatMap(({ checks }) => checks.filter(({ verdict }) => verdict.kind !== 'valid'));
}

describe('the evidence that the scheduler gathers', () => {
  it('of one provider is valid', async () => {
    const rig = await rigWith({});
    const job = await rig.submit();
    await rig.end(job);
    const verification = await verifyJob(rig, job);
    expect(failures(verification)).toEqual([]);
    expect(verification.verdict).toBe('valid');
  });

  it('of three that agree is valid, and replicated', async () => {
    const rig = await rigWith({}, {}, {});
    const job = await rig.submitReplicas(3, 2);
    await rig.end(job);
    const verification = await verifyJob(rig, job);
    expect(failures(verification)).toEqual([]);
    expect(verification.assurances[1]?.statement).toContain('3 of 3 replicas');
  });

  it('of two that outvote a liar is valid, and names it', async () => {
    const rig = await rigWith({ output: 'forty-three' }, {}, {});
    const job = await rig.submitReplicas(3, 2);
    await rig.end(job);
    const verification = await verifyJob(rig, job);
    expect(failures(verification)).toEqual([]);
    expect(verification.assurances[1]?.statement).toMatch(/2 of 3 replicas.* dissents: other bytes in \/out\.txt/);
  });

  it('of a killed provider that was replaced is valid, and renewed leases are shown to be', async () => {
    const rig = await rigWith({ holds: true }, { holds: true }, { holds: true }, { holds: true });
    const job = await rig.submitReplicas(3, 2);
    await rig.clock.advance(10);
    const [killed, ...others] = rig.providers.filter(({ attempts }) => attempts.size > 0);
    const spare = rig.providers.find(({ attempts }) => attempts.size === 0);
    if (killed === undefined || spare === undefined) throw new TypeError('three of four have attempts');
    rig.mesh.cut(killed.peer);
    for (const other of others) await other.finish(other.only);
    await rig.clock.advance(PARAMETERS.leaseDurationMs + 500);
    await rig.leased(spare);
    await spare.finish(spare.only);
    await rig.end(job);
    const verification = await verifyJob(rig, job);
    expect(failures(verification)).toEqual([]);
    expect(verification.assurances[1]?.statement).toContain('3 of 3 replicas');
  });

  it('of a provider that signs the set and does not reveal is valid, and says so', async () => {
    const rig = await rigWith({ silentOn: ['reveal'] }, {}, {});
    const job = await rig.submitReplicas(3, 2);
    await rig.clock.advance(12_000);
    await rig.end(job);
    const verification = await verifyJob(rig, job);
    expect(failures(verification)).toEqual([]);
    expect(verification.assurances[1]?.statement).toMatch(/2 of 3 replicas.* its result is not in this file/);
  });

  it('of a set that was signed anew is valid', async () => {
    const rig = await rigWith({ silentOn: ['sign-set'] }, { signsOneSetOnly: true }, { signsOneSetOnly: true }, {});
    const job = await rig.submitReplicas(3, 2);
    await rig.clock.advance(60_000);
    await rig.end(job);
    expect(failures(await verifyJob(rig, job))).toEqual([]);
  });

  it('of a program that failed alike is valid', async () => {
    const outcome = { kind: 'program-failed', code: 'OUT_OF_FUEL', detail: 'after 1000 units' } as const;
    const rig = await rigWith(...[0, 1, 2].map((): Script => ({ result: { outcome, fuel: 1_001 } })));
    const job = await rig.submitReplicas(3, 2);
    await rig.end(job);
    const verification = await verifyJob(rig, job);
    expect(failures(verification)).toEqual([]);
    expect(verification.outcome).toBe('the program failed (OUT_OF_FUEL: after 1000 units)');
  });

  it('without a majority is invalid', async () => {
    const rig = await rigWith({ output: 'a' }, { output: 'b' }, {});
    const job = await rig.submitReplicas(3, 2);
    await rig.end(job);
    expect((await verifyJob(rig, job)).verdict).toBe('invalid');
  });
});
