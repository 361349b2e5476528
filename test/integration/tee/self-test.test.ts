import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runSelfTest } from '../../../src/cli/attest/run-self-test.ts';
import { saveEvidence } from '../../../src/cli/attest/save-evidence.ts';
import { EXIT_CODES } from '../../../src/cli/exit-codes.ts';
import { encodeHex } from '../../../src/lib/bytes.ts';
import { SystemRandom } from '../../../src/lib/random.ts';
import { NodeEvidenceCrypto } from '../../../src/tee/crypto/node-evidence-crypto.ts';
import { parseEvidencePolicy } from '../../../src/tee/policy.ts';
import { detectProducer } from '../../../src/tee/produce/detect-producer.ts';
import { parseReport } from '../../../src/tee/sev-snp/report.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { runLine } from '../../support/cli-harness.ts';
import { buildCertificateTable, FakeTsmKernel } from '../../support/fake-tsm-kernel.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { readSnpFile, SNP_AT_MS, SNP_WAIVER } from '../../support/sev-snp-vectors.ts';

const crypto = new NodeEvidenceCrypto();
const signal = new AbortController().signal;
const report = readSnpFile('turin-v5-routex.report.bin');
const { reportData, measurement } = parseReport(report);
const MEASUREMENT_OFFSET = 0x90;

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fogproof-self-test-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function detectSnp(outblob = report) {
  await mkdir(join(folder, 'report'));
  const vcek = readSnpFile('turin-v5-routex.vcek.der');
  const auxblob = buildCertificateTable([['63da758d-e664-4564-adc5-f4b93be8accd', vcek]]);
  const files = new FakeTsmKernel({ provider: 'sev_guest', answer: () => ({ outblob, auxblob }) });
  const fetch = () => Promise.reject(new TypeError('there is no network here'));
  const modules = { files, fetch, clock: new ManualClock(SNP_AT_MS), random: new SystemRandom(), crypto };
  const roots = { configfsTsm: join(folder, 'report'), gramine: join(folder, 'none'), devices: join(folder, 'none') };
  const options = {
    cacheFolder: join(folder, 'cache'),
    collateralUrl: null,
    isOffline: false,
    nvidiaCommand: [],
    roots,
  };
  return detectProducer({ ...modules, logger: new NoopLogger() }, options);
}

/** What the recorded report was made for. */
const recorded = { crypto, random: { bytes: () => reportData.slice() } };
const given = { policy: 'none', atMs: SNP_AT_MS, simulatedRoot: null, signal } as const;

describe('runSelfTest', () => {
  it('leaves unchecked what the vendor was not there to say, and judges by a policy if one is given', async () => {
    const detection = await detectSnp();
    const result = await runSelfTest(detection, recorded, given);
    expect(result).toMatchObject({ verdict: 'unchecked', kind: 'sev-snp', failure: null, gpus: null });
    const open = result.verification?.checks.filter((check) => check.verdict !== 'passed');
    expect(open?.map(({ name }) => name)).toEqual(['revocation']);
    const accepted = { ...SNP_WAIVER, measurements: [encodeHex(measurement)] };
    const policy = parseEvidencePolicy({ 'sev-snp': accepted });
    expect(await runSelfTest(detection, recorded, { ...given, policy })).toMatchObject({ verdict: 'valid' });
    const other = parseEvidencePolicy({ 'sev-snp': { ...accepted, measurements: ['00'.repeat(48)] } });
    expect(await runSelfTest(detection, recorded, { ...given, policy: other })).toMatchObject({ verdict: 'invalid' });
  });

  it('finds evidence that does not verify invalid', async () => {
    const detection = await detectSnp(report.with(MEASUREMENT_OFFSET, (report[MEASUREMENT_OFFSET] ?? 0) ^ 1));
    const { verdict, verification } = await runSelfTest(detection, recorded, given);
    expect(verdict).toBe('invalid');
    const failed = verification?.checks.filter((check) => check.verdict === 'failed').map(({ name }) => name);
    expect(failed).toContain('report-signature');
  });

  it('says why no evidence could be made', async () => {
    const detection = await detectSnp();
    const modules = { crypto, random: new SystemRandom() };
    expect(await runSelfTest(detection, modules, given)).toMatchObject({
      verdict: 'invalid',
      failure: { code: 'TEE_BUSY', message: expect.stringContaining('other report data') },
      verification: null,
    });
  });

  it('is unchecked where there is no hardware', async () => {
    const detection = { producer: null, findings: [] };
    expect(await runSelfTest(detection, recorded, given)).toMatchObject({ verdict: 'unchecked', kind: null });
  });

  it('keeps the evidence in a new folder, and never over another', async () => {
    const detection = await detectSnp();
    const { evidence } = await runSelfTest(detection, recorded, given);
    if (evidence === null) throw new TypeError('no evidence');
    const target = join(folder, 'evidence');
    await saveEvidence(target, evidence);
    expect((await readdir(target)).sort()).toEqual(['certificate-1.der', 'sev-snp.bin']);
    expect(new Uint8Array(await readFile(join(target, 'sev-snp.bin')))).toEqual(report);
    await expect(async () => saveEvidence(target, evidence)).rejects.toThrow('--save');
  });
});

describe('attest --self-test', () => {
  const cli = (line: string) => {
    const environment = { FOGPROOF_HOME: join(folder, 'home') };
    return runLine(line.split(' '), { environment, workingDirectory: folder });
  };

  it('says that no hardware is behind --simulated, line by line; attest verify agrees with it', async () => {
    await cli('network create lab --simulated-tee');
    const { exitCode, stdout } = await cli('attest --self-test --simulated --save kept');
    expect(exitCode).toBe(EXIT_CODES.ok);
    expect(stdout).toMatch(/^hardware +SIMULATED, no hardware/mu);
    expect(stdout).toMatch(/^verdict +VALID, SIMULATED/mu);
    for (const line of stdout.split('\n').filter((text) => /^[✓✗?]|bytes/u.test(text))) {
      expect(line).toContain('SIMULATED');
    }
    const limits = stdout.split('\nit does not claim\n')[1]?.trimEnd().split('\n').slice(0, 3);
    expect(limits).toHaveLength(3);
    for (const limit of limits ?? []) expect(limit).toMatch(/^ {2}- SIMULATED, no hardware: /u);
    const json = JSON.parse((await cli('attest --self-test --simulated --json')).stdout) as { kind: string };
    expect(json).toMatchObject({ kind: 'simulated', verdict: 'valid', verification: { kind: 'simulated' } });
    const { simulatedTee } = JSON.parse(await readFile(join(folder, 'lab.network.json'), 'utf8')) as {
      simulatedTee: string;
    };
    const verify = `attest verify --kind simulated --evidence kept/simulated.bin --no-policy`;
    const right = await cli(`${verify} --simulated-root ${simulatedTee}`);
    expect([right.exitCode, right.stdout]).toEqual([EXIT_CODES.ok, expect.stringContaining('VALID, SIMULATED')]);
    expect((await cli(verify)).exitCode).toBe(EXIT_CODES.unchecked);
    expect((await cli(`${verify} --simulated-root ${'00'.repeat(32)}`)).exitCode).toBe(EXIT_CODES.failed);
    expect((await cli(`${verify.replace('simulated', 'tdx')} --simulated-root ${simulatedTee}`)).exitCode).toBe(
      EXIT_CODES.usage,
    );
  });

  it('refuses --simulated on a network without', async () => {
    const { exitCode, stderr } = await cli('attest --self-test --simulated');
    expect(exitCode).toBe(EXIT_CODES.usage);
    expect(stderr).toContain('has no simulated TEE');
    await cli('network create open --preset production');
    expect((await cli('attest --self-test --simulated')).stderr).toContain('(production) has no simulated TEE');
  });
});
