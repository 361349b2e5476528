import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SystemRandom } from '../../../src/lib/random.ts';
import { NodeEvidenceCrypto } from '../../../src/tee/crypto/node-evidence-crypto.ts';
import { detectProducer } from '../../../src/tee/produce/detect-producer.ts';
import { NodePseudoFiles } from '../../../src/tee/produce/hardware/node-pseudo-files.ts';
import type { PseudoFiles } from '../../../src/tee/produce/interface.ts';
import { parseReport } from '../../../src/tee/sev-snp/report.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { buildCertificateTable, FakeTsmKernel, fakeGramine } from '../../support/fake-tsm-kernel.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { readSnpFile, SNP_AT_MS } from '../../support/sev-snp-vectors.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fogproof-detect-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function detect(files: PseudoFiles = new NodePseudoFiles(), nvidiaCommand: readonly string[] = []) {
  const modules = {
    files,
    fetch: () => Promise.reject(new TypeError('there is no network here')),
    clock: new ManualClock(SNP_AT_MS),
    random: new SystemRandom(),
    crypto: new NodeEvidenceCrypto(),
    logger: new NoopLogger(),
  };
  const roots = {
    configfsTsm: join(folder, 'report'),
    gramine: join(folder, 'attestation'),
    devices: join(folder, 'dev'),
  };
  const cacheFolder = join(folder, 'cache');
  return detectProducer(modules, { cacheFolder, collateralUrl: null, isOffline: false, nvidiaCommand, roots });
}

async function summarize(detection: ReturnType<typeof detect>) {
  const { producer, findings } = await detection;
  const details = Object.fromEntries(findings.map(({ what, isThere, detail }) => [what, `${isThere} ${detail}`]));
  return { kind: producer?.kind ?? null, hasGpus: producer?.hasGpus ?? false, ...details };
}

function snpKernel(provider = 'sev_guest'): FakeTsmKernel {
  const outblob = readSnpFile('turin-v5-routex.report.bin');
  const vcek = readSnpFile('turin-v5-routex.vcek.der');
  const auxblob = buildCertificateTable([['63da758d-e664-4564-adc5-f4b93be8accd', vcek]]);
  return new FakeTsmKernel({ provider, answer: () => ({ outblob, auxblob }) });
}

describe('detectProducer', () => {
  it('says where it looked when nothing is there', async () => {
    expect(await summarize(detect())).toEqual({
      kind: null,
      hasGpus: false,
      'configfs-tsm': expect.stringMatching(/^false there is none, nor a device/u),
      Gramine: expect.stringMatching(/^false there is none/u),
      NVIDIA: 'false no command is set',
    });
  });

  it('says what an old kernel needs', async () => {
    await mkdir(join(folder, 'dev'));
    await writeFile(join(folder, 'dev', 'sev-guest'), '');
    expect(await summarize(detect())).toMatchObject({
      kind: null,
      'configfs-tsm': expect.stringMatching(/Linux 6\.7 or later/u),
    });
  });

  it('finds SEV-SNP, which then gives evidence with the certificate of the host and no network', async () => {
    await mkdir(join(folder, 'report'));
    const { producer } = await detect(snpKernel());
    expect(await readdir(join(folder, 'report'))).toEqual([]);
    const { reportData } = parseReport(readSnpFile('turin-v5-routex.report.bin'));
    const order = { reportData: reportData.slice(), gpuNonce: null, signal: new AbortController().signal };
    expect(await producer?.produce(order)).toMatchObject({ kind: 'sev-snp', collateral: null, gpus: null });
  });

  it('finds no hardware behind a provider that is not known', async () => {
    await mkdir(join(folder, 'report'));
    expect(await summarize(detect(snpKernel('arm_cca_guest')))).toMatchObject({
      kind: null,
      'configfs-tsm': expect.stringContaining('arm_cca_guest'),
    });
  });

  it.each([
    ['dcap', 'sgx', 'true sgx (dcap)'],
    ['none', null, 'false its attestation type'],
  ])('finds Gramine of the attestation type %s', async (type, kind, detail) => {
    await fakeGramine(join(folder, 'attestation'), { type, quote: new Uint8Array() });
    expect(await summarize(detect())).toMatchObject({ kind, Gramine: expect.stringContaining(detail) });
  });

  it('offers GPUs only if the command gives evidence of them', async () => {
    await mkdir(join(folder, 'report'));
    const tool = join(folder, 'nvattest');
    await writeFile(tool, '#!/bin/sh\necho "no GPU in confidential mode" >&2\nexit 1\n');
    await chmod(tool, 0o755);
    expect(await summarize(detect(snpKernel(), [tool, '{nonce}']))).toMatchObject({
      kind: 'sev-snp',
      hasGpus: false,
      NVIDIA: expect.stringMatching(/^false .*no GPU in confidential mode/u),
    });
    expect(await summarize(detect(snpKernel(), ['no-such-command-of-nvidia', '{nonce}']))).toMatchObject({
      hasGpus: false,
      NVIDIA: expect.stringMatching(/^false there is no such command/u),
    });
  });
});
