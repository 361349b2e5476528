import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BundleVerification } from '../../src/bundle/interface.ts';
import type { JobView } from '../../src/scheduler/interface.ts';
import { Mesh, type MeshNode } from '../support/mesh.ts';

const ROUNDS = 3;
const ABSENT =
  'no trusted execution environment of the kind sev-snp is known on this network: nothing of the job was sent';

/** What `network create --simulated-tee` left with whoever made the network. */
async function readSimulatedTee({ stage }: Mesh): Promise<{ keyFile: string; measurement: string; root: string }> {
  const keyFile = join(stage.actor('founder').home, 'simulated-tees', 'e2e.json');
  const { measurement } = JSON.parse(await readFile(keyFile, 'utf8'));
  const { simulatedTee } = JSON.parse(await readFile(stage.path('e2e.json'), 'utf8'));
  return { keyFile, measurement, root: simulatedTee };
}

/** The digits job, confidential under this policy. */
async function writeConfidential(mesh: Mesh, name: string, policy: object): Promise<string> {
  const file = await mesh.writeTraining(name, { rounds: ROUNDS, replicas: 1 });
  await writeFile(join(dirname(file), 'policy.json'), JSON.stringify(policy));
  await appendFile(file, '\nconfidential: { policy: policy.json }\n');
  return file;
}

describe('confidential jobs over real daemons', () => {
  let mesh: Mesh;
  let requester: MeshNode;
  let tee: Awaited<ReturnType<typeof readSimulatedTee>>;

  beforeAll(async () => {
    mesh = await Mesh.open({ flags: ['--simulated-tee'] }, AbortSignal.timeout(110_000));
    tee = await readSimulatedTee(mesh);
    requester = await mesh.addNode('requester', ['--no-provide']);
    await mesh.addNode('ada');
    await mesh.addNode('berta', ['--set', `attest.simulatedKeyFile=${tee.keyFile}`]);
    await mesh.untilProviders(requester, 2);
  });
  afterAll(() => mesh?.[Symbol.asyncDispose]());

  it('give the same result as in the open, from a provider that has shown evidence, and a bundle that says so', async () => {
    const policy = { simulated: { measurements: [tee.measurement] } };
    const sealed = await writeConfidential(mesh, 'sealed', policy);
    const open = await mesh.writeTraining('open', { rounds: ROUNDS, replicas: 1 });
    const bundle = mesh.stage.path('sealed.bundle');
    const [out, plain] = [mesh.stage.path('sealed-out'), mesh.stage.path('open-out')];
    const followed = await mesh.run(requester, ['job', 'submit', sealed, '--output', out, '--bundle', bundle]);
    expect(followed).toMatchObject({ exitCode: 0 });
    expect(followed.stderr).toContain('held-out rows read correctly');
    expect(followed.stdout).toMatch(/SIMULATED .*shows nothing of any hardware/);
    expect(followed.stdout).toContain(tee.measurement);
    expect(await mesh.run(requester, ['job', 'submit', open, '--output', plain])).toMatchObject({ exitCode: 0 });
    expect(await readFile(join(out, 'output'))).toEqual(await readFile(join(plain, 'output')));
    const stranger = mesh.stage.actor('stranger');
    const verify = ['bundle', 'verify', bundle];
    const known = await mesh.expect<BundleVerification>(stranger, [...verify, '--simulated-root', tee.root]);
    expect(known.verdict).toBe('valid');
    expect(known.assurances.map(({ assurance }) => assurance)).toEqual(['signed', 'attested']);
    const unknown = await mesh.run(stranger, verify);
    expect(unknown.exitCode).not.toBe(0);
    expect(unknown.stdout).toMatch(/attested: UNCHECKED/);
  });

  it('wait where nobody has the hardware that they ask for, and say that nothing was sent', async () => {
    const file = await writeConfidential(mesh, 'hardware', { 'sev-snp': { measurements: ['ab'.repeat(48)] } });
    const job = await mesh.submit(requester, file);
    await mesh.until('somebody refused', 10_000, async () => {
      const { asked } = await requester.client.call('job.explain', { job: job.job });
      return asked.some(({ answer }) => answer.kind === 'refused');
    });
    const told = await mesh.run(requester, ['job', 'show', job.job, '--why']);
    expect(told.stdout).toContain(ABSENT);
    expect(told.stdout).toContain('NO_EVIDENCE');
    await mesh.expect<JobView>(requester, ['job', 'cancel', job.job]);
    expect(await mesh.wait(requester, job)).toMatchObject({ state: 'cancelled', attempts: [] });
  });

  it('are refused on a production network if they accept simulated hardware, and so is a node that shows it', async () => {
    await using production = await Mesh.open({ preset: 'production' }, AbortSignal.timeout(60_000));
    const node = await production.addNode('alone', ['--no-provide']);
    const file = await writeConfidential(production, 'sealed', { simulated: { measurements: [tee.measurement] } });
    const refused = await production.run(node, ['job', 'submit', file]);
    expect(refused.exitCode).not.toBe(0);
    expect(refused.stderr).toContain('SCHEDULER_CONFIDENTIAL_REFUSED');
    expect(refused.stderr).toContain('its policy accepts simulated hardware, and this network has none');
    const liar = await production.createIdentity('liar');
    const line = ['node', 'start', '--no-mdns', '--listen', '/ip4/127.0.0.1/tcp/0'];
    const started = await production.run(liar, [...line, '--set', `attest.simulatedKeyFile=${tee.keyFile}`]);
    expect(started.exitCode).not.toBe(0);
    expect(started.stderr).toContain('NODE_SIMULATED_TEE');
    const made = ['network', 'create', 'lab', '--preset', 'production', '--simulated-tee', '--no-join'];
    expect((await production.run(liar, made)).exitCode).not.toBe(0);
  });
});
