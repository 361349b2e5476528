import { copyFile, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { runCommandLine } from '../support/run-cli.ts';

const VECTORS = fileURLToPath(new URL('../vectors/attestation/sev-snp/', import.meta.url));
const MEASUREMENT = '7a1e5c266c0108dbc9bb94fa926951320940915d0aafb42464bd88b579ea158d3e1a0dc39b2c60bd95b9c480cd81841f';
const GOOD_POLICY = `
sev-snp:
  measurements: ["${MEASUREMENT}"]
  minimumTcb: { milan: { snp: 8, microcode: 115 } }
  acceptUnchecked: [revocation]
`;

const outputSchema = z.strictObject({
  file: z.string(),
  policy: z.string(),
  kind: z.enum(['sev-snp', 'tdx', 'sgx', 'nvidia']),
  verdict: z.enum(['valid', 'invalid', 'unchecked']),
  evaluatedAtMs: z.int(),
  checks: z
    .array(
      z.strictObject({
        name: z.string().regex(/^[a-z0-9-]+$/u),
        verdict: z.enum(['passed', 'failed', 'unchecked']),
        detail: z.string().min(1),
      }),
    )
    .min(1),
  claims: z.record(z.string(), z.unknown()).nullable(),
  doesNotClaim: z.array(z.string().startsWith('that ')).min(2),
});
const errorSchema = z.object({ error: z.object({ code: z.string(), message: z.string(), hint: z.string() }) });

let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fogproof-attest-'));
  for (const [from, to] of [
    ['milan-v2-virtee.report.bin', 'report.bin'],
    ['milan-v2-virtee.vcek.der', 'vcek.der'],
    ['negative/milan-v2-tamper-sig.report.bin', 'tampered.bin'],
    ['milan-v2-virtee.vcek.der', 'cut.der'],
  ] as const) {
    await copyFile(join(VECTORS, from), join(folder, to));
  }
  await truncate(join(folder, 'cut.der'), 900);
  await writeFile(join(folder, 'good.yaml'), GOOD_POLICY);
  await writeFile(join(folder, 'no-waiver.yaml'), GOOD_POLICY.replace(/acceptUnchecked.*/u, ''));
  await writeFile(join(folder, 'strict.json'), JSON.stringify({ 'sev-snp': { measurements: ['00'.repeat(48)] } }));
  await writeFile(join(folder, 'other.yaml'), 'tdx: {}\n');
  await writeFile(join(folder, 'typo.yaml'), 'sev-snp: { measurement: [] }\n');
  await writeFile(join(folder, 'broken.yaml'), 'sev-snp: [\n');
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

function attest(line: string) {
  return runCommandLine(
    ['attest', 'verify', '--at', '2026-11-22', ...line.split(' ').filter((word) => word !== '')],
    folder,
  );
}

const SNP = '--kind sev-snp --evidence report.bin';

describe('fogproof attest verify', () => {
  it.each([
    [0, 'valid', `${SNP} --certificate vcek.der --policy good.yaml`],
    [3, 'unchecked', `${SNP} --certificate vcek.der --policy no-waiver.yaml`],
    [3, 'unchecked', `${SNP} --certificate vcek.der --no-policy`],
    [3, 'unchecked', `${SNP} --certificate vcek.der`],
    [3, 'unchecked', `${SNP} --no-policy`],
    [1, 'invalid', `${SNP} --certificate vcek.der --policy strict.json`],
    [1, 'invalid', `${SNP} --certificate vcek.der --no-policy --report-data 00`],
    [1, 'invalid', `${SNP} --certificate vcek.der --no-policy --at 2022-01-01`],
    [1, 'invalid', '--kind sev-snp --evidence tampered.bin --certificate vcek.der --no-policy'],
    [1, 'invalid', '--kind sev-snp --evidence vcek.der --certificate vcek.der --no-policy'],
    [1, 'invalid', '--kind tdx --evidence report.bin --no-policy'],
    [1, 'invalid', '--kind sgx --evidence report.bin --no-policy'],
    [1, 'invalid', '--kind nvidia --evidence report.bin --no-policy'],
    [1, 'invalid', '--kind nvidia --evidence report.bin --certificate vcek.der --no-policy'],
  ])('exits with %i, %s: %s', async (exitCode, verdict, line) => {
    const run = await attest(`${line} --json`);
    expect({ exitCode: run.exitCode, stderr: run.stderr }).toEqual({ exitCode, stderr: '' });
    expect(outputSchema.parse(JSON.parse(run.stdout))).toMatchObject({ verdict });
  });

  it.each([
    ['no kind', '--evidence report.bin'],
    ['no evidence', '--kind sev-snp'],
    ['an unknown kind', '--kind trustzone --evidence report.bin'],
    ['a file that is not there', '--kind sev-snp --evidence nothing.bin'],
    ['a folder', '--kind sev-snp --evidence .'],
    ['both policy and none', `${SNP} --policy good.yaml --no-policy`],
    ['a policy without the kind', `${SNP} --policy other.yaml`],
    ['a policy with a word that is not known', `${SNP} --policy typo.yaml`],
    ['a policy that is no YAML', `${SNP} --policy broken.yaml`],
    ['a certificate that is malformed PEM', `${SNP} --certificate good.yaml --no-policy`],
    ['collateral that is malformed PEM', `${SNP} --collateral good.yaml --no-policy`],
    ['a nonce for a kind that has none', `${SNP} --nonce ${'00'.repeat(32)}`],
    ['a manifest for a kind that has none', `${SNP} --rim report.bin`],
    ['a certificate for a kind that brings its own', '--kind tdx --evidence report.bin --certificate vcek.der'],
    ['a short nonce', '--kind nvidia --evidence report.bin --nonce 00'],
    ['report data that is too long', `${SNP} --report-data ${'00'.repeat(65)}`],
    ['report data that is not hex', `${SNP} --report-data 0x00`],
    ['a time without its zone', `${SNP} --at 2026-11-22T10:00`],
    ['no time', `${SNP} --at tomorrow`],
  ])('exits with 2 for %s', async (_, line) => {
    const run = await attest(`${line} --json`);
    expect({ exitCode: run.exitCode, stdout: run.stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(errorSchema.parse(JSON.parse(run.stderr)).error.hint).not.toBe('');
  });

  it('calls a certificate that is cut off a check that failed', async () => {
    const run = await attest(`${SNP} --certificate cut.der --no-policy --json`);
    const { checks } = outputSchema.parse(JSON.parse(run.stdout));
    expect(run.exitCode).toBe(1);
    expect(checks.find(({ name }) => name === 'certificate')?.verdict).toBe('failed');
  });

  it('prints a line for each check, and what the evidence says', async () => {
    const { stdout } = await attest(`${SNP} --certificate vcek.der --policy strict.json`);
    expect(stdout).toContain('verdict    INVALID');
    expect(stdout).toMatch(/^✓ report-signature /mu);
    expect(stdout).toMatch(/^✗ measurement .* none of the 1 accepted$/mu);
    expect(stdout).toMatch(/^\? policy-tcb /mu);
    expect(stdout).toContain('it says, which is not established');
    expect(stdout).toMatch(/^ {2}tcb\.reported +bootLoader 3, tee 0, snp 8, microcode 115$/mu);
  });

  it('says what to do where no revocation list was given', async () => {
    const { stdout, exitCode } = await attest(`${SNP} --certificate vcek.der --policy no-waiver.yaml`);
    expect(exitCode).toBe(3);
    const open = stdout.split('\n').filter((line) => /^[✗?]/u.test(line));
    expect(open).toHaveLength(1);
    expect(open[0]).toContain('? revocation');
    expect(open[0]).toContain('https://kdsintf.amd.com/vcek/v1/Milan/crl');
    expect(open[0]).toContain('acceptUnchecked: [revocation]');
  });

  it('says where it was told not to judge the code', async () => {
    const { stdout } = await attest(`${SNP} --certificate vcek.der --no-policy`);
    expect(stdout).toContain('policy     none, as asked: which code runs is not judged');
  });

  it.each([
    ['sev-snp', ['memory bus AMD SEV-SNP is broken', 'side channels', 'a sandbox on a bare host']],
    ['tdx', ['memory bus Intel TDX is broken', 'side channels', 'a sandbox on a bare host']],
    ['sgx', ['memory bus Intel SGX is broken', 'side channels', 'a sandbox on a bare host']],
    ['nvidia', ['that the GPUs are in the machine', 'side channels', 'a sandbox on a bare host']],
  ] as const)('says what evidence of %s never shows, as bundles do', async (kind, expected) => {
    const line = `--kind ${kind} --evidence report.bin --no-policy`;
    const { doesNotClaim } = outputSchema.parse(JSON.parse((await attest(`${line} --json`)).stdout));
    expect(doesNotClaim).toHaveLength(expected.length);
    for (const [index, words] of expected.entries()) expect(doesNotClaim[index]).toContain(words);
    const { stdout } = await attest(line);
    expect(stdout).toContain(`\nit does not claim\n${doesNotClaim.map((limit) => `  - ${limit}\n`).join('')}`);
  });

  it('has help with examples', async () => {
    const { stdout, exitCode } = await runCommandLine(['attest', 'verify', '--help'], folder);
    expect(exitCode).toBe(0);
    expect(stdout).toContain('Examples:');
    for (const kind of ['sev-snp', 'tdx', 'nvidia']) expect(stdout).toContain(`--kind ${kind}`);
  });
});
