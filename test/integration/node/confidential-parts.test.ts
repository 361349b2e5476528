import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { computeDefaults } from '../../../src/config/defaults.ts';
import type { LoadedConfig } from '../../../src/config/load-config.ts';
import { LOCAL_NETWORK } from '../../../src/config/network-store.ts';
import { type NodeConfigInput, nodeConfigSchema } from '../../../src/config/schema.ts';
import { encodeHex } from '../../../src/lib/bytes.ts';
import { SystemClock } from '../../../src/lib/clock.ts';
import { SystemRandom } from '../../../src/lib/random.ts';
import { createConfidentialParts } from '../../../src/node/confidential-parts.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { createTemporaryFolder } from '../../support/rpc-harness.ts';
import { makeSimulatedTee } from '../../support/simulated-tee-file.ts';

const HOST = { cpus: 2, memoryBytes: 2 ** 33, diskBytes: 2 ** 40 };
const modules = { clock: new SystemClock(), random: new SystemRandom(), logger: new NoopLogger() };

function load(home: string, attest: Partial<NodeConfigInput['attest']>, simulatedTee?: Uint8Array): LoadedConfig {
  const defaults = computeDefaults(home, HOST);
  const given = { ...defaults, home, socket: '/s', attest: { ...defaults.attest, ...attest } };
  const tee = simulatedTee === undefined ? {} : { simulatedTee: encodeHex(simulatedTee) };
  return { config: nodeConfigSchema.parse(given), network: { ...LOCAL_NETWORK, ...tee }, origins: new Map() };
}

describe('what a daemon has for confidential jobs', () => {
  it('shows simulated evidence with the key of its network', async () => {
    await using folder = await createTemporaryFolder();
    await using tee = await makeSimulatedTee();
    const loaded = load(folder.path, { simulatedKeyFile: tee.keyFile }, tee.root);
    const { producer, requester } = await createConfidentialParts(loaded, modules);
    expect(producer?.kind).toBe('simulated');
    expect(requester).toMatchObject({ hasSimulatedTee: true, ownPolicy: null });
  });

  it('does not start with a simulated key where the network has none, or another', async () => {
    await using folder = await createTemporaryFolder();
    await using tee = await makeSimulatedTee();
    const refusal = { code: 'NODE_SIMULATED_TEE' };
    const simulatedKeyFile = tee.keyFile;
    await expect(createConfidentialParts(load(folder.path, { simulatedKeyFile }), modules)).rejects.toMatchObject(
      refusal,
    );
    const other = load(folder.path, { simulatedKeyFile }, new Uint8Array(32));
    await expect(createConfidentialParts(other, modules)).rejects.toMatchObject(refusal);
  });

  it('has no evidence to show where there is no hardware, or where that is off', async () => {
    await using folder = await createTemporaryFolder();
    for (const tee of ['auto', 'off'] as const) {
      const { producer, requester } = await createConfidentialParts(load(folder.path, { tee }), modules);
      expect(producer).toBeNull();
      expect(requester.hasSimulatedTee).toBe(false);
    }
  });

  it('reads its own policy, in YAML too, and does not start with one that is none', async () => {
    await using folder = await createTemporaryFolder();
    const policyFile = join(folder.path, 'policy.yaml');
    const create = () => createConfidentialParts(load(folder.path, { policyFile }), modules);
    await expect(create()).rejects.toMatchObject({ code: 'NODE_BAD_POLICY' });
    await writeFile(policyFile, 'sgx: { debugs: true }\n');
    await expect(create()).rejects.toMatchObject({ code: 'NODE_BAD_POLICY' });
    await writeFile(policyFile, `# ours\nsimulated:\n  measurements: [ ${'ab'.repeat(48)} ]\n`);
    const { requester } = await create();
    expect(requester.ownPolicy).toBe(JSON.stringify({ simulated: { measurements: ['ab'.repeat(48)] } }));
  });
});
