import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SystemRandom } from '../../../src/lib/random.ts';
import { NodeEvidenceCrypto } from '../../../src/tee/crypto/node-evidence-crypto.ts';
import { readCertificateTable } from '../../../src/tee/produce/hardware/certificate-table.ts';
import { ConfigfsTsmSource } from '../../../src/tee/produce/hardware/configfs-tsm-source.ts';
import { GramineSource } from '../../../src/tee/produce/hardware/gramine-source.ts';
import { HardwareProducer } from '../../../src/tee/produce/hardware/hardware-producer.ts';
import { NodePseudoFiles } from '../../../src/tee/produce/hardware/node-pseudo-files.ts';
import type { Endorser, HardwareKind } from '../../../src/tee/produce/interface.ts';
import { parseReport } from '../../../src/tee/sev-snp/report.ts';
import { verifyEvidence } from '../../../src/tee/verify-evidence.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import {
  buildCertificateTable,
  FakeTsmKernel,
  type FakeTsmKernelOptions,
  fakeGramine,
  systemError,
} from '../../support/fake-tsm-kernel.ts';
import { readIntelEvidence } from '../../support/intel-vectors.ts';
import { acceptSnpVector, readSnpFile, SNP_AT_MS, VLEK_AT_MS } from '../../support/sev-snp-vectors.ts';

const VCEK_GUID = '63da758d-e664-4564-adc5-f4b93be8accd';
const VLEK_GUID = 'a8074bc2-a25a-483e-aae6-39c045a0b8a1';
const ARK_GUID = 'c0b406a4-a803-4952-9743-3fb6014cd0ae';
const crypto = new NodeEvidenceCrypto();
const signal = new AbortController().signal;

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'fogproof-tsm-'));
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

/** Only what the host has handed over, or what the test has. */
function endorseWith(collateral: Uint8Array | null): Endorser {
  return { endorse: async (_, { auxiliary }) => ({ certificates: readCertificateTable(auxiliary), collateral }) };
}

function produceWith(kernel: FakeTsmKernel, kind: HardwareKind, collateral: Uint8Array | null = null) {
  const modules = { files: kernel, random: new SystemRandom(), logger: new NoopLogger() };
  const source = new ConfigfsTsmSource(modules, { root, kind });
  return new HardwareProducer({ source, endorser: endorseWith(collateral), gpus: null });
}

const snpReport = readSnpFile('genoa-v3-routex.report.bin');
const snpData = parseReport(snpReport).reportData.slice();
const snpTable = buildCertificateTable([
  [ARK_GUID, Uint8Array.of(1, 2, 3)],
  [VCEK_GUID, readSnpFile('genoa-v3-routex.vcek.der')],
]);
const snp: FakeTsmKernelOptions = {
  provider: 'sev_guest',
  answer: () => ({ outblob: snpReport, auxblob: snpTable }),
};
const order = { reportData: snpData, gpuNonce: null, signal };

describe('ConfigfsTsmSource', () => {
  it('gives the SEV-SNP report and the certificate of the host, which verify', async () => {
    const given: Uint8Array[] = [];
    const kernel = new FakeTsmKernel({
      ...snp,
      answer: (inblob) => {
        given.push(inblob);
        return { outblob: snpReport, auxblob: snpTable };
      },
    });
    const { report, certificates, kind } = await produceWith(kernel, 'sev-snp').produce(order);
    expect(given).toEqual([snpData]);
    const policy = { 'sev-snp': acceptSnpVector('genoa-v3-routex') };
    const request = { evidence: report, certificates, reportData: snpData, policy, atMs: SNP_AT_MS } as const;
    expect(await verifyEvidence(kind, { ...request, crypto })).toMatchObject({ verdict: 'valid' });
    expect(await readdir(root)).toEqual([]);
  });

  it.each([
    ['milan-v2-virtee', 'vcek', SNP_AT_MS],
    ['milan-v3-dstack', 'vcek', SNP_AT_MS],
    ['turin-v5-routex', 'vcek', SNP_AT_MS],
    ['milan-v3-vlek-aws', 'vlek', VLEK_AT_MS],
  ] as const)('gives the recorded report %s with the host’s %s certificate, which verify', async (stem, key, atMs) => {
    const outblob = readSnpFile(`${stem}.report.bin`);
    const guid = key === 'vcek' ? VCEK_GUID : VLEK_GUID;
    const auxblob = buildCertificateTable([[guid, readSnpFile(`${stem}.${key}.der`)]]);
    const kernel = new FakeTsmKernel({ provider: 'sev_guest', answer: () => ({ outblob, auxblob }) });
    const reportData = parseReport(outblob).reportData.slice();
    const { report, certificates } = await produceWith(kernel, 'sev-snp').produce({ ...order, reportData });
    const policy = { 'sev-snp': acceptSnpVector(stem) };
    const request = { evidence: report, certificates, reportData, policy, atMs, crypto } as const;
    expect(await verifyEvidence('sev-snp', request)).toMatchObject({ verdict: 'valid' });
  });

  it('gives the TDX quote, with the zeros that Linux leaves behind it, which verifies with its collateral', async () => {
    const { quote, collateral } = readIntelEvidence('tdx/tdx-v4-phala');
    const padded = new Uint8Array(8 * 1024);
    padded.set(quote);
    const kernel = new FakeTsmKernel({ provider: 'tdx_guest', answer: () => ({ outblob: padded, auxblob: null }) });
    const reportData = quote.slice(48 + 520, 48 + 584);
    const evidence = await produceWith(kernel, 'tdx', collateral).produce({ ...order, reportData });
    const request = { evidence: evidence.report, collateral: collateral ?? new Uint8Array(), reportData, crypto };
    const atMs = Date.parse('2025-06-26T00:00:00Z');
    expect(await verifyEvidence('tdx', { ...request, policy: 'none', atMs })).toMatchObject({ verdict: 'valid' });
  });

  it('shows no quote of another kind than the kernel has told', async () => {
    const { quote } = readIntelEvidence('sgx/sgx-v3-phala');
    const kernel = new FakeTsmKernel({ provider: 'tdx_guest', answer: () => ({ outblob: quote, auxblob: null }) });
    const reportData = quote.slice(48 + 320, 48 + 384);
    await expect(async () => produceWith(kernel, 'tdx').produce({ ...order, reportData })).rejects.toThrow(
      'a quote of sgx, not of tdx',
    );
  });

  it('serves overlapping orders one after the other, each in a folder of its own', async () => {
    const { promise: first, resolve } = Promise.withResolvers<void>();
    let asked = 0;
    const kernel = new FakeTsmKernel({
      ...snp,
      answer: async (inblob) => {
        asked += 1;
        if (asked === 1) await first;
        return snp.answer(inblob);
      },
    });
    const producer = produceWith(kernel, 'sev-snp');
    const both = [producer.produce(order), producer.produce(order)];
    await expect.poll(() => kernel.made.length, { timeout: 20_000 }).toBe(1);
    expect(asked).toBeLessThanOrEqual(1);
    resolve();
    await Promise.all(both);
    expect(new Set(kernel.made).size).toBe(2);
    expect(await readdir(root)).toEqual([]);
  });

  it.each<[string, Partial<FakeTsmKernelOptions>, number, string]>([
    ['another wrote to its folder', {}, 1, 'TEE_BUSY'],
    [
      'it answers another order',
      { answer: () => ({ outblob: snpReport.with(0x50, 1), auxblob: null }) },
      0,
      'TEE_BUSY',
    ],
    ['the firmware is busy', { answer: () => Promise.reject(systemError('EBUSY')) }, 0, 'TEE_BUSY'],
    ['it may not be read', { answer: () => Promise.reject(systemError('EACCES')) }, 0, 'TEE_PRODUCE_FAILED'],
    ['the provider is another', { provider: 'tdx_guest' }, 0, 'TEE_PRODUCE_FAILED'],
    [
      'the report is too large',
      { answer: () => ({ outblob: new Uint8Array(40_000), auxblob: null }) },
      0,
      'TEE_TOO_LARGE',
    ],
    ['the report is none', { answer: () => ({ outblob: new Uint8Array(8), auxblob: null }) }, 0, 'TEE_MALFORMED'],
    [
      'the table is cut off',
      { answer: () => ({ outblob: snpReport, auxblob: snpTable.subarray(0, 100) }) },
      0,
      'TEE_MALFORMED',
    ],
  ])('refuses, and leaves no folder behind, when %s', async (_, changes, foreignWrites, code) => {
    const kernel = new FakeTsmKernel({ ...snp, ...changes });
    kernel.foreignWrites = foreignWrites;
    await expect(async () => produceWith(kernel, 'sev-snp').produce(order)).rejects.toMatchObject({ info: { code } });
    expect(kernel.made).toHaveLength(1);
    expect(await readdir(root)).toEqual([]);
  });

  it('gives up after its deadline, says so, and cleans up once the hardware answers', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const kernel = new FakeTsmKernel({ ...snp, answer: async (inblob) => promise.then(() => snp.answer(inblob)) });
    const modules = { files: kernel, random: new SystemRandom(), logger: new NoopLogger() };
    const source = new ConfigfsTsmSource(modules, { root, kind: 'sev-snp' });
    const producer = new HardwareProducer({ source, endorser: endorseWith(null), gpus: null }, { timeoutMs: 20 });
    await expect(async () => producer.produce(order)).rejects.toMatchObject({ info: { code: 'TEE_BUSY' } });
    resolve();
    await expect.poll(() => readdir(root), { timeout: 20_000 }).toEqual([]);
  });

  it('ends with the reason of a caller who gave up, and does not ask the hardware for one who gave up waiting', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const kernel = new FakeTsmKernel({ ...snp, answer: async (inblob) => promise.then(() => snp.answer(inblob)) });
    const producer = produceWith(kernel, 'sev-snp');
    const controller = new AbortController();
    const abandoned = { ...order, signal: controller.signal };
    const results = [producer.produce(abandoned), producer.produce(abandoned)].map((each) =>
      each.catch((error: unknown) => error),
    );
    await expect.poll(() => kernel.made.length, { timeout: 20_000 }).toBe(1);
    controller.abort(new RangeError('enough'));
    expect(await Promise.all(results)).toEqual([new RangeError('enough'), new RangeError('enough')]);
    resolve();
    await producer.produce(order);
    expect(kernel.made).toHaveLength(2);
    expect(await readdir(root)).toEqual([]);
  });

  it('refuses more orders than may wait', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const kernel = new FakeTsmKernel({ ...snp, answer: async (inblob) => promise.then(() => snp.answer(inblob)) });
    const producer = produceWith(kernel, 'sev-snp');
    const results = Array.from({ length: 20 }, () => producer.produce(order).catch((error: unknown) => error));
    expect(await results.at(-1)).toMatchObject({ info: { code: 'TEE_BUSY', reason: expect.stringContaining('wait') } });
    resolve();
    await Promise.all(results);
    expect(await readdir(root)).toEqual([]);
  });

  it('refuses to show evidence of GPUs that it has not', async () => {
    const producer = produceWith(new FakeTsmKernel(snp), 'sev-snp');
    expect(producer.hasGpus).toBe(false);
    await expect(async () => producer.produce({ ...order, gpuNonce: new Uint8Array(32) })).rejects.toThrow('no GPUs');
  });
});

describe('GramineSource', () => {
  const { quote, collateral } = readIntelEvidence('sgx/sgx-v3-phala');
  const reportData = quote.slice(48 + 320, 48 + 384);

  it('gives the SGX quote', async () => {
    await fakeGramine(root, { type: 'dcap', quote });
    const source = new GramineSource({ files: new NodePseudoFiles() }, { root });
    const producer = new HardwareProducer({ source, endorser: endorseWith(collateral), gpus: null });
    const evidence = await producer.produce({ ...order, reportData });
    expect(new Uint8Array(await readFile(join(root, 'user_report_data')))).toEqual(reportData);
    const atMs = Date.parse('2025-06-26T00:00:00Z');
    const request = { evidence: evidence.report, collateral: collateral ?? new Uint8Array(), reportData, crypto, atMs };
    const policy = { sgx: { acceptedTcbStatuses: ['ConfigurationAndSWHardeningNeeded' as const], mrEnclave: [] } };
    const { checks } = await verifyEvidence('sgx', { ...request, policy });
    const notPassed = checks.filter(({ verdict }) => verdict !== 'passed').map(({ name }) => name);
    expect(notPassed).toEqual(['measurement']);
  });

  it.each([
    ['none', 'TEE_PRODUCE_FAILED'],
    ['epid', 'TEE_PRODUCE_FAILED'],
  ])('refuses the attestation type %s', async (type, code) => {
    await fakeGramine(root, { type, quote });
    const source = new GramineSource({ files: new NodePseudoFiles() }, { root });
    await expect(async () => source.readReport(reportData)).rejects.toMatchObject({ info: { code } });
  });
});
