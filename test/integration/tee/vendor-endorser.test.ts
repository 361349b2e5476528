import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodeUtf8 } from '../../../src/lib/bytes.ts';
import { NodeEvidenceCrypto } from '../../../src/tee/crypto/node-evidence-crypto.ts';
import { requestVcek } from '../../../src/tee/produce/collateral/amd-documents.ts';
import { DocumentCache } from '../../../src/tee/produce/collateral/document-cache.ts';
import { DocumentSource, type DocumentSourceOptions } from '../../../src/tee/produce/collateral/document-source.ts';
import { requestManifest } from '../../../src/tee/produce/collateral/nvidia-documents.ts';
import { VendorEndorser } from '../../../src/tee/produce/collateral/vendor-endorser.ts';
import { MAX_DOCUMENT_BYTES, REFRESH_AFTER_MS, RETRY_AFTER_MS } from '../../../src/tee/produce/constants.ts';
import { computeVcekUrl } from '../../../src/tee/sev-snp/key-distribution.ts';
import { findPinnedCertificate } from '../../../src/tee/sev-snp/pinned-certificates.ts';
import { parseReport } from '../../../src/tee/sev-snp/report.ts';
import { verifyEvidence } from '../../../src/tee/verify-evidence.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { encodeRevocationList, issue } from '../../support/evidence-pki.ts';
import { buildCertificateTable } from '../../support/fake-tsm-kernel.ts';
import { readIntelEvidence } from '../../support/intel-vectors.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { NVIDIA_AT_MS, readNvidiaFile } from '../../support/nvidia-vectors.ts';
import { acceptSnpVector, readSnpFile, SNP_AT_MS } from '../../support/sev-snp-vectors.ts';
import { type VendorAnswer, VendorServices } from '../../support/vendor-services.ts';

const VCEK_GUID = '63da758d-e664-4564-adc5-f4b93be8accd';
const crypto = new NodeEvidenceCrypto();
const signal = new AbortController().signal;
const JUNE_MS = Date.parse('2025-06-26T00:00:00Z');
const INTEL = 'https://api.trustedservices.intel.com';
const ROOT_LIST = 'https://certificates.trustedservices.intel.com/IntelSGXRootCA.der';

let folder: string;
let services: VendorServices;
beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'fogproof-collateral-')), 'attestation');
  services = await VendorServices.start();
});
afterEach(async () => {
  await services[Symbol.asyncDispose]();
  // What was fetched beside a document that was refused may still be on its way to the disk.
  await rm(join(folder, '..'), { recursive: true, force: true, maxRetries: 10, retryDelay: 20 });
});

/** Takes no signature to be wrong. */
class GullibleCrypto extends NodeEvidenceCrypto {
  override async verify(): Promise<boolean> {
    return true;
  }
}

interface EndorserOptions {
  readonly evidenceCrypto?: NodeEvidenceCrypto;
  readonly isOffline?: boolean;
  readonly collateralUrl?: string;
}

function createDocuments(clock: ManualClock, options: DocumentSourceOptions = { isOffline: false }): DocumentSource {
  const cache = new DocumentCache({ folder });
  return new DocumentSource({ fetch: services.fetch, cache, clock, logger: new NoopLogger() }, options);
}

function createEndorser(clock: ManualClock, { isOffline, collateralUrl, evidenceCrypto }: EndorserOptions = {}) {
  const modules = {
    documents: createDocuments(clock, { isOffline: isOffline === true }),
    crypto: evidenceCrypto ?? crypto,
    logger: new NoopLogger(),
  };
  return new VendorEndorser(modules, { collateralUrl: collateralUrl ?? null });
}

function without(...urls: readonly string[]): readonly string[] {
  return services.asked.filter((url) => !urls.includes(url));
}

describe('VendorEndorser of SEV-SNP', () => {
  const raw = { report: readSnpFile('turin-v5-routex.report.bin'), auxiliary: new Uint8Array() };
  const url = computeVcekUrl(parseReport(raw.report)) ?? '';
  const crl = 'https://kdsintf.amd.com/vcek/v1/Turin/crl';
  const vcek: VendorAnswer = { body: readSnpFile('turin-v5-routex.vcek.der') };

  it("fetches the VCEK certificate at AMD's address once, keeps it for the owner alone, and does without the network then", async () => {
    services.answers.set(url, vcek);
    const clock = new ManualClock(SNP_AT_MS);
    const { certificates, collateral } = await createEndorser(clock).endorse('sev-snp', raw, { signal });
    expect(collateral).toBeNull();
    const policy = { 'sev-snp': acceptSnpVector('turin-v5-routex') };
    const request = { evidence: raw.report, certificates, policy, atMs: SNP_AT_MS, crypto } as const;
    expect(await verifyEvidence('sev-snp', request)).toMatchObject({ verdict: 'valid' });
    expect(services.asked).toEqual([url, crl]);
    const [file = ''] = await readdir(folder);
    expect((await stat(join(folder, file))).mode & 0o777).toBe(0o600);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    const again = await createEndorser(clock, { isOffline: true }).endorse('sev-snp', raw, { signal });
    expect(again.certificates).toEqual(certificates);
    expect(services.asked).toHaveLength(2);
  });

  it('takes the certificate of the host if it is of this chip and TCB, else asks AMD', async () => {
    services.answers.set(url, vcek);
    const own = readSnpFile('turin-v5-routex.vcek.der');
    const tableOf = (certificate: Uint8Array) => buildCertificateTable([[VCEK_GUID, certificate]]);
    for (const [given, asked] of [
      [own, []],
      [readSnpFile('genoa-v3-routex.vcek.der'), [url]],
      [readSnpFile('milan-v3-vlek-aws.vlek.der'), [url]],
      [Uint8Array.of(1, 2, 3), [url]],
    ] as const) {
      await rm(folder, { recursive: true, force: true });
      services.asked.length = 0;
      const endorser = createEndorser(new ManualClock(SNP_AT_MS));
      const { certificates } = await endorser.endorse('sev-snp', { ...raw, auxiliary: tableOf(given) }, { signal });
      expect(certificates.map((each) => Buffer.from(each))).toEqual([Buffer.from(own)]);
      expect(without(crl)).toEqual(asked);
    }
  });

  it.each<[string, VendorAnswer | 'hang' | undefined, string]>([
    ['there is none', undefined, 'HTTP 404'],
    ['the service fails', { status: 500, body: 'oh' }, 'HTTP 500'],
    ['the service is busy', { status: 429, body: '' }, 'HTTP 429'],
    ['it is redirected', { status: 302, body: '', headers: { location: 'https://evil.example/' } }, 'redirect'],
    ['it is no certificate', { body: '<html>' }, 'what was fetched is not it'],
    ['it is another chip’s', { body: readSnpFile('genoa-v3-routex.vcek.der') }, 'what was fetched is not it'],
    ['it is too large', { body: Buffer.alloc(MAX_DOCUMENT_BYTES + 1) }, 'more than'],
  ])('says what is missing, and keeps nothing, when %s', async (_, answer, reason) => {
    if (answer !== undefined) services.answers.set(url, answer);
    const endorser = createEndorser(new ManualClock(SNP_AT_MS));
    const result = endorser.endorse('sev-snp', raw, { signal });
    await expect(async () => result).rejects.toMatchObject({
      info: { code: 'TEE_COLLATERAL_UNAVAILABLE', url, reason: expect.stringContaining(reason) },
    });
    await expect(readdir(folder)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('refuses a certificate that AMD did not sign', async () => {
    const forged = readSnpFile('turin-v5-routex.vcek.der');
    const last = forged.length - 1;
    services.answers.set(url, { body: forged.with(last, (forged[last] ?? 0) ^ 1) });
    const result = createEndorser(new ManualClock(SNP_AT_MS)).endorse('sev-snp', raw, { signal });
    await expect(async () => result).rejects.toThrow('what was fetched is not it');
    await expect(readdir(folder)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('does not believe its own disk: a file that was changed is fetched anew', async () => {
    services.answers.set(url, vcek);
    const clock = new ManualClock(SNP_AT_MS);
    await createEndorser(clock).endorse('sev-snp', raw, { signal });
    const [file = ''] = await readdir(folder);
    const kept = new Uint8Array(await readFile(join(folder, file)));
    for (const broken of [kept.with(600, (kept[600] ?? 0) ^ 1), kept.subarray(0, 100), new Uint8Array(2_000_000)]) {
      await writeFile(join(folder, file), broken);
      services.asked.length = 0;
      const { certificates } = await createEndorser(clock).endorse('sev-snp', raw, { signal });
      expect(certificates).toEqual([vcek.body]);
      expect(without(crl)).toEqual([url]);
    }
  });

  it('asks an address that failed again only after a while', async () => {
    const clock = new ManualClock(SNP_AT_MS);
    const endorser = createEndorser(clock);
    const attempt = () => endorser.endorse('sev-snp', raw, { signal });
    await expect(attempt).rejects.toThrow('HTTP 404');
    services.answers.set(url, vcek);
    await expect(attempt).rejects.toThrow('HTTP 404');
    expect(services.asked).toEqual([url]);
    await clock.advance(RETRY_AFTER_MS);
    expect((await attempt()).certificates).toEqual([vcek.body]);
  });

  it('says that a VLEK certificate has to come from the host, and where a report names no address', async () => {
    const endorser = createEndorser(new ManualClock(SNP_AT_MS));
    for (const [stem, reason] of [
      ['milan-v3-vlek-aws', 'VLEK'],
      ['milan-v2-virtee', 'does not say from where'],
    ] as const) {
      const report = { report: readSnpFile(`${stem}.report.bin`), auxiliary: new Uint8Array() };
      const result = endorser.endorse('sev-snp', report, { signal });
      await expect(async () => result).rejects.toMatchObject({
        info: { code: 'TEE_COLLATERAL_UNAVAILABLE', reason: expect.stringContaining(reason) },
      });
    }
    expect(services.asked).toEqual([]);
  });

  /** In the name of AMD's root, by a key of ours. */
  function makeRevocationList(): Uint8Array {
    const { subject } = findPinnedCertificate('turin', 'ark');
    const { privateKey } = issue({ name: 'ARK-Turin', isAuthority: true, keyUsage: 6 });
    const dates = { thisUpdateMs: SNP_AT_MS - 1_000, nextUpdateMs: SNP_AT_MS + 1_000 };
    return encodeRevocationList({ name: subject, privateKey }, dates);
  }

  it('fetches AMD’s revocation list and sends it along: then no policy has to do without it', async () => {
    // AMD's own list is not public with the vectors, and its key is not ours: signatures count for nothing here.
    const gullible = new GullibleCrypto();
    services.answers.set(url, vcek);
    services.answers.set(crl, { body: makeRevocationList() });
    const endorser = createEndorser(new ManualClock(SNP_AT_MS), { evidenceCrypto: gullible });
    const { certificates, collateral } = await endorser.endorse('sev-snp', raw, { signal });
    if (collateral === null) throw new TypeError('no list came along');
    const policy = { 'sev-snp': { ...acceptSnpVector('turin-v5-routex'), acceptUnchecked: [] } };
    const files = { evidence: raw.report, certificates, policy, atMs: SNP_AT_MS, crypto: gullible } as const;
    const judged = await verifyEvidence('sev-snp', { ...files, collateral });
    expect(judged).toMatchObject({ verdict: 'valid', claims: { revocationJudged: true } });
    const without = await verifyEvidence('sev-snp', files);
    expect(without.checks.filter(({ verdict }) => verdict !== 'passed')).toMatchObject([
      { name: 'revocation', verdict: 'unchecked', detail: expect.stringContaining(crl) },
    ]);
  });

  it('shows and keeps no revocation list that is not of AMD’s root', async () => {
    services.answers.set(url, vcek);
    services.answers.set(crl, { body: makeRevocationList() });
    const { collateral } = await createEndorser(new ManualClock(SNP_AT_MS)).endorse('sev-snp', raw, { signal });
    expect(collateral).toBeNull();
    expect(services.asked).toEqual([url, crl]);
    expect(await readdir(folder)).toHaveLength(1);
  });

  it('gives up on an address that does not answer', async () => {
    services.answers.set(url, 'hang');
    const documents = createDocuments(new ManualClock(SNP_AT_MS), { isOffline: false, timeoutMs: 20 });
    const request = requestVcek(parseReport(raw.report), crypto);
    if (request === undefined) throw new TypeError('no address');
    await expect(async () => documents.obtain(request, signal)).rejects.toMatchObject({
      info: { code: 'TEE_COLLATERAL_UNAVAILABLE', reason: 'no answer within 0.02 s' },
    });
  });

  it('gives up with the caller', async () => {
    services.answers.set(url, 'hang');
    const controller = new AbortController();
    const endorser = createEndorser(new ManualClock(SNP_AT_MS));
    const result = endorser.endorse('sev-snp', raw, { signal: controller.signal }).catch((error: unknown) => error);
    await expect.poll(() => services.asked, { timeout: 20_000 }).toEqual([url]);
    controller.abort(new RangeError('enough'));
    expect(await result).toEqual(new RangeError('enough'));
  });
});

interface IntelBundle {
  readonly tcb_info: string;
  readonly tcb_info_signature: string;
  readonly tcb_info_issuer_chain: string;
  readonly qe_identity: string;
  readonly qe_identity_signature: string;
  readonly qe_identity_issuer_chain: string;
  readonly pck_crl: string;
  readonly pck_crl_issuer_chain: string;
  readonly root_ca_crl: string;
}

describe.each([
  { kind: 'tdx', stem: 'tdx/tdx-v4-phala', ca: 'platform' },
  { kind: 'sgx', stem: 'sgx/sgx-v3-phala', ca: 'processor' },
] as const)('VendorEndorser of $kind', ({ kind, stem, ca }) => {
  const { quote, collateral } = readIntelEvidence(stem);
  const bundle = JSON.parse(new TextDecoder().decode(collateral ?? new Uint8Array())) as IntelBundle;
  const { fmspc } = JSON.parse(bundle.tcb_info) as { fmspc: string };
  const raw = { report: quote, auxiliary: new Uint8Array() };
  const places = (base: string) => ({
    tcb: `${base}/${kind}/certification/v4/tcb?fmspc=${fmspc.toLowerCase()}`,
    identity: `${base}/${kind}/certification/v4/qe/identity`,
    pck: `${base}/sgx/certification/v4/pckcrl?ca=${ca}&encoding=der`,
    root: base === INTEL ? ROOT_LIST : `${base}/sgx/certification/v4/rootcacrl`,
  });
  const chainHeader = (name: string, pem: string) => ({ [name]: encodeURIComponent(pem) });

  function serve(base = INTEL): void {
    const { tcb, identity, pck, root } = places(base);
    services.answers.set(tcb, {
      body: `{"tcbInfo":${bundle.tcb_info},"signature":"${bundle.tcb_info_signature}"}`,
      headers: chainHeader('TCB-Info-Issuer-Chain', bundle.tcb_info_issuer_chain),
    });
    services.answers.set(identity, {
      body: `{"enclaveIdentity":${bundle.qe_identity},"signature":"${bundle.qe_identity_signature}"}`,
      headers: chainHeader('SGX-Enclave-Identity-Issuer-Chain', bundle.qe_identity_issuer_chain),
    });
    services.answers.set(pck, {
      body: Buffer.from(bundle.pck_crl, 'hex'),
      headers: chainHeader('SGX-PCK-CRL-Issuer-Chain', bundle.pck_crl_issuer_chain),
    });
    // A PCCS gives this one as hex.
    services.answers.set(root, {
      body: base === INTEL ? Buffer.from(bundle.root_ca_crl, 'hex') : `${bundle.root_ca_crl}\n`,
    });
  }

  async function judge(bytes: Uint8Array | null) {
    const request = { evidence: quote, collateral: bytes ?? new Uint8Array(), policy: 'none', crypto } as const;
    const { checks } = await verifyEvidence(kind, { ...request, atMs: JUNE_MS });
    return checks.filter(({ verdict }) => verdict !== 'passed').map(({ name }) => name);
  }

  it.each([
    ['Intel', INTEL, undefined],
    ['a PCCS', 'https://pccs.example:8081', 'https://pccs.example:8081/'],
  ])('makes of four documents of %s the bundle that verifies, and keeps them', async (_, base, collateralUrl) => {
    serve(base);
    const clock = new ManualClock(JUNE_MS);
    const options = collateralUrl === undefined ? {} : { collateralUrl };
    const made = await createEndorser(clock, options).endorse(kind, raw, { signal });
    expect(await judge(made.collateral)).toEqual(kind === 'tdx' ? [] : ['tcb']);
    expect([...services.asked].sort()).toEqual(Object.values(places(base)).sort());
    const again = await createEndorser(clock, { ...options, isOffline: true }).endorse(kind, raw, { signal });
    expect(again).toEqual(made);
    expect(services.asked).toHaveLength(4);
  });

  it('asks for newer ones after a day, and goes on with the kept ones if nobody answers', async () => {
    serve();
    const clock = new ManualClock(JUNE_MS);
    const endorser = createEndorser(clock);
    const made = await endorser.endorse(kind, raw, { signal });
    await clock.advance(REFRESH_AFTER_MS + 1);
    services.answers.clear();
    expect(await endorser.endorse(kind, raw, { signal })).toEqual(made);
    expect(services.asked).toHaveLength(8);
  });

  it('shows nothing that has run out by its own word, neither kept nor fetched', async () => {
    serve();
    await createEndorser(new ManualClock(JUNE_MS)).endorse(kind, raw, { signal });
    const later = new ManualClock(JUNE_MS + 60 * 24 * 60 * 60 * 1_000);
    const offline = createEndorser(later, { isOffline: true }).endorse(kind, raw, { signal });
    await expect(async () => offline).rejects.toThrow('attest.offline');
    const online = createEndorser(later).endorse(kind, raw, { signal });
    await expect(async () => online).rejects.toThrow('what was fetched is not it');
  });

  it.each<[string, (answers: VendorServices['answers']) => void]>([
    [
      'TCB info that was edited',
      (answers) => edit(answers, places(INTEL).tcb, '"tcbStatus":"OutOfDate"', '"tcbStatus":"UpToDate"'),
    ],
    ['an identity that was edited', (answers) => edit(answers, places(INTEL).identity, '"version":2', '"version":3')],
    ['TCB info written anew', (answers) => edit(answers, places(INTEL).tcb, '"version":3', '"version": 3')],
    [
      'TCB info without who signed it',
      (answers) => answers.set(places(INTEL).tcb, { body: bodyOf(answers, places(INTEL).tcb) }),
    ],
    ['a revocation list of nobody', (answers) => answers.set(places(INTEL).root, { body: '3003020101' })],
    [
      'the revocation list of another authority',
      (answers) => answers.set(places(INTEL).root, { body: Buffer.from(bundle.pck_crl, 'hex') }),
    ],
  ])('refuses %s, and keeps it not', async (_, change) => {
    serve();
    change(services.answers);
    const result = createEndorser(new ManualClock(JUNE_MS)).endorse(kind, raw, { signal });
    await expect(async () => result).rejects.toMatchObject({ info: { code: 'TEE_COLLATERAL_UNAVAILABLE' } });
  });

  it('uses no service without TLS', async () => {
    const clock = new ManualClock(JUNE_MS);
    const result = createEndorser(clock, { collateralUrl: 'http://pccs.example' }).endorse(kind, raw, { signal });
    await expect(async () => result).rejects.toThrow('only https is used');
    expect(services.asked).toEqual([]);
  });
});

function bodyOf(answers: VendorServices['answers'], url: string): string {
  const answer = answers.get(url);
  return answer === undefined || answer === 'hang' ? '' : String(answer.body);
}

function edit(answers: VendorServices['answers'], url: string, from: string, to: string): void {
  const answer = answers.get(url);
  const body = bodyOf(answers, url);
  expect(body).toContain(from);
  if (answer !== undefined && answer !== 'hang') answers.set(url, { ...answer, body: body.replace(from, to) });
}

describe("requestManifest of NVIDIA's service", () => {
  const name = 'NV_GPU_DRIVER_GH100_550.144.03';
  const url = `https://rim.attestation.nvidia.com/v1/rim/${name}`;
  const answerWith = (file: string, id = name) =>
    JSON.stringify({ id, rim: Buffer.from(readNvidiaFile(`rims/${file}`)).toString('base64'), sha256: '' });

  it('gives the manifest, and again from the disk', async () => {
    services.answers.set(url, { body: answerWith(`${name}.xml`) });
    const clock = new ManualClock(NVIDIA_AT_MS);
    const xml = await createDocuments(clock).obtain(requestManifest(name, crypto), signal);
    expect(xml).toEqual(readNvidiaFile(`rims/${name}.xml`));
    expect(await createDocuments(clock, { isOffline: true }).obtain(requestManifest(name, crypto), signal)).toEqual(
      xml,
    );
    expect(services.asked).toEqual([url]);
  });

  it.each([
    ['whose signature does not hold', answerWith('incorrect_signature_driver_rim.xml')],
    ['whose signer is not NVIDIA’s', answerWith('incorrect_cert_chain_driver_rim.xml')],
    ['whose signer’s certificate has run out', answerWith('NV_GPU_DRIVER_GH100_570.124.03_expired.xml')],
    ['of another name', answerWith(`${name}.xml`, 'NV_GPU_DRIVER_GH100_1')],
    ['that is no manifest', JSON.stringify({ id: name, rim: 'AAAA' })],
    ['that is no base64', JSON.stringify({ id: name, rim: '!' })],
    ['that is no JSON', 'manifest'],
  ])('refuses one %s', async (_, body) => {
    services.answers.set(url, { body: encodeUtf8(body) });
    const documents = createDocuments(new ManualClock(NVIDIA_AT_MS));
    const result = documents.obtain(requestManifest(name, crypto), signal);
    await expect(async () => result).rejects.toMatchObject({ info: { code: 'TEE_COLLATERAL_UNAVAILABLE' } });
    await expect(readdir(folder)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('builds no address of what is no name', () => {
    expect(() => requestManifest('../ids', crypto)).toThrow('no name');
  });
});
