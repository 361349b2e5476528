import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { AttemptEvidence } from '../../../../src/domain/confidential.ts';
import { UnixMs } from '../../../../src/domain/ids.ts';
import { encodeUtf8 } from '../../../../src/lib/bytes.ts';
import { NodeEvidenceCrypto } from '../../../../src/tee/crypto/node-evidence-crypto.ts';
import type { AttemptJudgement, EvidenceOrder, ProducedEvidence } from '../../../../src/tee/interface.ts';
import { judgeAttemptEvidence } from '../../../../src/tee/judge/judge-attempt-evidence.ts';
import { parsePolicyJson } from '../../../../src/tee/judge/read-policy.ts';
import {
  buildRuntimeData,
  EXPECTATION,
  JUDGED_AT_MS,
  produceEvidence,
  wrapEvidence,
} from '../../../support/attempt-evidence.ts';
import { readIntelEvidence } from '../../../support/intel-vectors.ts';
import { GPU_POLICY, NVIDIA_AT_MS, readNvidiaFile } from '../../../support/nvidia-vectors.ts';
import { acceptSnpVector, readSnpFile, SNP_AT_MS, SNP_WAIVER } from '../../../support/sev-snp-vectors.ts';
import { TestTee } from '../../../support/simulated-tee.ts';

const crypto = new NodeEvidenceCrypto();
const JUNE_2025_MS = Date.parse('2025-06-26T00:00:00Z');

type Files = Pick<AttemptEvidence, 'kind' | 'report'> & Partial<AttemptEvidence>;

function judge(evidence: Uint8Array, policy: object, atMs: number): Promise<AttemptJudgement> {
  const policies = [parsePolicyJson(JSON.stringify(policy))];
  const given = { evidence, expectation: EXPECTATION, policies, atMs };
  return judgeAttemptEvidence({ ...given, crypto, simulatedRoot: null });
}

function judgeFiles(files: Files, policy: object, atMs: number): Promise<AttemptJudgement> {
  return judge(wrapEvidence(files, buildRuntimeData({ expiresAtMs: UnixMs(atMs + 1000) })), policy, atMs);
}

const listNot = ({ checks }: AttemptJudgement, wanted: string): readonly string[] =>
  checks.filter(({ verdict }) => verdict !== wanted).map(({ name }) => name);

function readQuoteFiles(stem: string): Files {
  const { kind, quote, collateral } = readIntelEvidence(stem);
  return { kind, report: quote, collateral };
}

const snp = (stem: string, form: string): Files => ({
  kind: 'sev-snp',
  report: readSnpFile(`${stem}.${form}.bin`),
  certificates: [readSnpFile(`${stem}.vcek.der`)],
});

/** Genuine, and accepted by its policy in all but one: its report data is that of somebody else. */
const GENUINE: readonly (readonly [string, Files, (measurement: string) => object, number])[] = [
  [
    'SEV-SNP',
    snp('milan-v2-virtee', 'report'),
    (measurement) => ({ 'sev-snp': { ...SNP_WAIVER, measurements: [measurement] } }),
    SNP_AT_MS,
  ],
  [
    "SEV-SNP in Azure's form",
    snp('genoa-v3-azure', 'hcl'),
    (measurement) => ({ 'sev-snp': { ...SNP_WAIVER, measurements: [measurement] } }),
    SNP_AT_MS,
  ],
  ['TDX', readQuoteFiles('tdx/tdx-v4-phala'), (mrTd) => ({ tdx: { mrTd: [mrTd] } }), JUNE_2025_MS],
  [
    'SGX',
    readQuoteFiles('sgx/sgx-v3-phala'),
    (mrEnclave) => ({
      sgx: { mrEnclave: [mrEnclave], acceptedTcbStatuses: ['ConfigurationAndSWHardeningNeeded'] },
    }),
    JUNE_2025_MS,
  ],
];

describe('evidence of hardware', () => {
  it.each(GENUINE)('%s, genuine, is refused by binding alone: it was made for something else', async (...vector) => {
    const [, files, policy, atMs] = vector;
    const { measurement } = await judgeFiles(files, { [files.kind]: {} }, atMs);
    expect(measurement).toMatch(/^[0-9a-f]{64}([0-9a-f]{32})?$/);
    const judgement = await judgeFiles(files, policy(measurement ?? ''), atMs);
    expect(judgement.verdict).toBe('invalid');
    expect(listNot(judgement, 'passed')).toEqual(['binding']);
  });

  it('of SEV-SNP that came without a revocation list is refused by that too, with what to do, unless the policy waives it', async () => {
    const policy = { 'sev-snp': { ...acceptSnpVector('milan-v2-virtee'), acceptUnchecked: [] } };
    const judgement = await judgeFiles(snp('milan-v2-virtee', 'report'), policy, SNP_AT_MS);
    expect(listNot(judgement, 'passed')).toEqual(['revocation', 'binding']);
    const { verdict, detail } = judgement.checks.find(({ name }) => name === 'revocation') ?? {};
    expect(verdict).toBe('unchecked');
    expect(detail).toContain('acceptUnchecked: [revocation]');
  });

  it("keeps Azure's runtime data apart from ours", async () => {
    const { checks } = await judgeFiles(snp('genoa-v3-azure', 'hcl'), { 'sev-snp': {} }, SNP_AT_MS);
    const names = checks.map(({ name }) => name);
    expect(names.filter((name) => name.endsWith('runtime-data'))).toEqual(['runtime-data', 'hcl-runtime-data']);
  });

  it('that cannot be read is refused by its form, and its binding is not passed', async () => {
    for (const kind of ['sev-snp', 'tdx', 'sgx'] as const) {
      const judgement = await judgeFiles({ kind, report: encodeUtf8('no report') }, { [kind]: {} }, JUDGED_AT_MS);
      expect(listNot(judgement, 'passed')).toEqual(expect.arrayContaining(['format', 'binding']));
      expect(judgement.verdict).toBe('invalid');
    }
  });

  it('with certificates or collateral that cannot be read is refused, not thrown', async () => {
    const report = readSnpFile('milan-v2-virtee.report.bin');
    const broken = encodeUtf8('-----BEGIN CERTIFICATE-----');
    const files: Files = { kind: 'sev-snp', report, certificates: [broken], collateral: broken };
    const judgement = await judgeFiles(files, { 'sev-snp': {} }, SNP_AT_MS);
    expect(listNot(judgement, 'passed')).toEqual(['evidence-files', 'binding']);
  });
});

/** Files as an attacker would cut and mix them. */
const files = fc.oneof(
  fc.uint8Array({ maxLength: 60 }),
  fc.string({ maxLength: 60 }).map((text) => encodeUtf8(text.toWellFormed())),
  fc
    .base64String({ maxLength: 60 })
    .map((body) => encodeUtf8(`-----BEGIN CERTIFICATE-----\n${body}\n-----END CERTIFICATE-----\n`)),
  fc.json().map(encodeUtf8),
  fc
    .tuple(fc.constantFrom(...GENUINE.map(([, { report }]) => report)), fc.nat({ max: 6000 }))
    .map(([report, end]) => report.subarray(0, end)),
  fc
    .tuple(fc.constantFrom(...GENUINE.flatMap(([, genuine]) => genuine.certificates ?? [])), fc.nat({ max: 1500 }))
    .map(([certificate, end]) => certificate.subarray(0, end)),
);

describe('evidence of any bytes', () => {
  it('is judged and is never valid, whatever its report, certificates, collateral and GPUs are', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom('sev-snp' as const, 'tdx' as const, 'sgx' as const, 'simulated' as const),
        fc.tuple(files, fc.array(files, { maxLength: 3 }), fc.option(files)),
        fc.option(fc.tuple(files, fc.array(files, { maxLength: 2 }), fc.array(files, { maxLength: 2 }))),
        async (kind, [report, certificates, collateral], shown) => {
          const gpus = shown && { report: shown[0], certificates: shown[1], manifests: shown[2] };
          const policy = { [kind]: {}, nvidia: {} };
          const judgement = await judgeFiles({ kind, report, certificates, collateral, gpus }, policy, SNP_AT_MS);
          expect(judgement.verdict).not.toBe('valid');
        },
      ),
      { numRuns: 60 },
    );
  });
});

class TeeWithGpus extends TestTee {
  readonly #gpus: NonNullable<ProducedEvidence['gpus']>;

  constructor(gpus: NonNullable<ProducedEvidence['gpus']>) {
    super();
    this.#gpus = gpus;
  }

  override async produce(order: EvidenceOrder): Promise<ProducedEvidence> {
    return { ...(await super.produce(order)), gpus: this.#gpus };
  }
}

describe('evidence of GPUs', () => {
  const hopper = {
    report: readNvidiaFile('hopper-sample.report.bin'),
    certificates: [readNvidiaFile('hopper-sample.chain.pem')],
    manifests: [],
  };
  const acceptUnchecked = [...GPU_POLICY.acceptUnchecked, 'firmware-id'];
  const runtimeData = buildRuntimeData({ expiresAtMs: UnixMs(NVIDIA_AT_MS + 1000) });

  async function judgeWith(tee: TestTee, nvidia: object | undefined): Promise<AttemptJudgement> {
    const policies = [parsePolicyJson(JSON.stringify({ ...JSON.parse(tee.policy), nvidia }))];
    const given = { expectation: EXPECTATION, policies, atMs: NVIDIA_AT_MS, crypto, simulatedRoot: tee.root };
    return judgeAttemptEvidence({ ...given, evidence: await produceEvidence(tee, runtimeData) });
  }

  it('that a policy asks for has to be shown', async () => {
    const judgement = await judgeWith(new TestTee(), GPU_POLICY);
    expect(listNot(judgement, 'passed')).toEqual(['gpus']);
    expect(judgement.verdict).toBe('invalid');
  });

  it('that no policy asks for is not accepted', async () => {
    const judgement = await judgeWith(new TeeWithGpus(hopper), undefined);
    expect(listNot(judgement, 'passed')).toEqual(['gpus']);
    expect(judgement.verdict).toBe('invalid');
  });

  it('genuine, is refused by gpu-nonce: it answers somebody else', async () => {
    const judgement = await judgeWith(new TeeWithGpus(hopper), { acceptUnchecked });
    expect(listNot(judgement, 'passed')).toEqual(['gpu-nonce']);
    expect(judgement.checks.map(({ name }) => name)).toContain('gpu/report-signature');
  });

  it('of several in one file has to answer it each', async () => {
    const [device] = JSON.parse(Buffer.from(readNvidiaFile('hopper-evidence.json')).toString('utf8')) as unknown[];
    const report = encodeUtf8(JSON.stringify([device, device]));
    const judgement = await judgeWith(new TeeWithGpus({ report, certificates: [], manifests: [] }), GPU_POLICY);
    expect(listNot(judgement, 'passed')).toEqual(expect.arrayContaining(['gpu-nonce/1', 'gpu-nonce/2']));
    expect(listNot(judgement, 'passed')).not.toContain('gpu-nonce');
  });

  it('that cannot be read leaves its nonce unchecked', async () => {
    const gpus = { report: encodeUtf8('no report'), certificates: [], manifests: [] };
    const judgement = await judgeWith(new TeeWithGpus(gpus), GPU_POLICY);
    expect(judgement.verdict).toBe('invalid');
    expect(listNot(judgement, 'passed')).toContain('gpu-nonce');
  });
});
