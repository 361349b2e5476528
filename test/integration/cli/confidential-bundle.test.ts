import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { encodeHex } from '../../../src/lib/bytes.ts';
import { MEASUREMENT, SIMULATED_ROOT } from '../../support/attestation-builder.ts';
import { buildBundle, packBundle } from '../../support/bundle-builder.ts';
import { createTemporaryFolder } from '../../support/rpc-harness.ts';
import { runCommandLine } from '../../support/run-cli.ts';

const built = await buildBundle({ replicas: 2, confidential: {} });
const CONTENT = await packBundle(built.bundle, built.chains);
const ROOT = encodeHex(SIMULATED_ROOT);

async function run(content: Uint8Array | string, command: 'verify' | 'show', ...options: string[]) {
  await using folder = await createTemporaryFolder();
  await writeFile(join(folder.path, 'job.bundle'), content);
  return await runCommandLine(['bundle', command, 'job.bundle', ...options], folder.path);
}

describe('bundle verify of a confidential job', () => {
  it('with the root of the test network exits 0, and the verdict itself says that it is SIMULATED', async () => {
    const { exitCode, stdout, stderr } = await run(CONTENT, 'verify', '--simulated-root', ROOT);
    expect(exitCode, stderr + stdout).toBe(0);
    expect(stdout).toMatch(/verdict +VALID \(with SIMULATED evidence: no hardware\)/);
    expect(stdout).toMatch(/attested: VALID \(with SIMULATED evidence: no hardware\)/);
    expect(stdout).toContain(encodeHex(MEASUREMENT));
  });

  it('without a root exits 3 and names what is missing', async () => {
    const { exitCode, stdout } = await run(CONTENT, 'verify');
    expect(exitCode).toBe(3);
    expect(stdout).toContain('attempt 1: SIMULATED evidence root: UNCHECKED');
  });

  it('with another root exits 1', async () => {
    const { exitCode, stdout } = await run(CONTENT, 'verify', '--simulated-root', '00'.repeat(32));
    expect(exitCode).toBe(1);
    expect(stdout).toContain('SIMULATED evidence report-signature: INVALID (EVIDENCE_REFUSED)');
  });

  it('refuses a root that is none, and one for an in-toto export', async () => {
    expect((await run(CONTENT, 'verify', '--simulated-root', 'abcd')).exitCode).toBe(2);
    const envelope = JSON.stringify({ payloadType: 'application/json', payload: '', signatures: [{ sig: '' }] });
    const { exitCode, stderr } = await run(envelope, 'verify', '--simulated-root', ROOT);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('--simulated-root is for bundle files');
  });

  it('says where a root was of no use', async () => {
    const plain = await packBundle((await buildBundle({})).bundle);
    const { exitCode, stderr } = await run(plain, 'verify', '--simulated-root', ROOT);
    expect(exitCode).toBe(0);
    expect(stderr).toContain('--simulated-root was not used');
  });
});

describe('bundle show of a confidential job', () => {
  it('names the evidence of each attempt, and marks what is SIMULATED', async () => {
    const { exitCode, stdout, stderr } = await run(CONTENT, 'show');
    expect(exitCode, stderr).toBe(0);
    expect(stdout.match(/SIMULATED, no hardware/g)).toHaveLength(2);
    expect(stdout.match(/evidence of confidential hardware/g)).toHaveLength(2);
  });
});
