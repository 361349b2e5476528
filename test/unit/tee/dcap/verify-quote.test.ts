/**
 * What is checked besides signatures. The crypto here finds every signature good, so that each change of a genuine quote
 * or of its collateral meets the one check that is meant for it.
 */
import { describe, expect, it } from 'vitest';
import { NodeEvidenceCrypto } from '../../../../src/tee/crypto/node-evidence-crypto.ts';
import { getIntelRoot } from '../../../../src/tee/dcap/intel-root.ts';
import type { QuoteRequest } from '../../../../src/tee/dcap/interface.ts';
import { parseQuote } from '../../../../src/tee/dcap/quote/quote.ts';
import { verifyQuote } from '../../../../src/tee/dcap/verify-quote.ts';
import type { EvidenceCrypto } from '../../../../src/tee/interface.ts';
import { parseCertificate } from '../../../../src/tee/x509/certificate.ts';
import { splitPem } from '../../../../src/tee/x509/pem.ts';
import {
  commonName,
  encodeRevocationList,
  issue,
  KEY_USAGE,
  type RevocationListSpec,
} from '../../../support/evidence-pki.ts';
import { readIntelEvidence } from '../../../support/intel-vectors.ts';

const real = new NodeEvidenceCrypto();
const trusting: EvidenceCrypto = {
  digest: (algorithm, bytes) => real.digest(algorithm, bytes),
  verify: async () => true,
};

const JUNE_MS = Date.parse('2025-06-26T00:00:00Z');
const tdx = readIntelEvidence('tdx/tdx-v4-phala');
const sgx = readIntelEvidence('sgx/sgx-v3-phala');
const chainPem = parseQuote(tdx.quote).qe.chainPem;
const [pck, platformAuthority] = splitPem(chainPem, 'CERTIFICATE').map(parseCertificate);
if (pck === undefined || platformAuthority === undefined) throw new TypeError('the vector has a chain');

type Json = Record<string, unknown>;

const bundleOfTdx = JSON.parse(new TextDecoder().decode(tdx.collateral ?? undefined)) as Record<string, string>;
const signersPem = bundleOfTdx['tcb_info_issuer_chain'] ?? '';

/** The bundle with members replaced; functions change the signed JSON inside. */
function editCollateral(edits: Record<string, string | ((json: Json) => void)>, evidence = tdx): Uint8Array {
  const bundle = JSON.parse(new TextDecoder().decode(evidence.collateral ?? undefined)) as Record<string, string>;
  for (const [key, edit] of Object.entries(edits)) {
    if (typeof edit === 'string') bundle[key] = edit;
    else {
      const json = JSON.parse(bundle[key] ?? '') as Json;
      edit(json);
      bundle[key] = JSON.stringify(json);
    }
  }
  return new TextEncoder().encode(JSON.stringify(bundle));
}

function editBytes(bytes: Uint8Array, offset: number, ...values: readonly number[]): Uint8Array {
  const changed = Uint8Array.from(bytes);
  changed.set(values, offset);
  return changed;
}

type TdxRequest = Extract<QuoteRequest, { kind: 'tdx' }>;
type SgxRequest = Extract<QuoteRequest, { kind: 'sgx' }>;

async function judge(request: QuoteRequest) {
  const { verdict, checks, claims } = await verifyQuote(request);
  const names = (wanted: string) => checks.filter((check) => check.verdict === wanted).map(({ name }) => name);
  return { verdict, failed: names('failed'), unchecked: names('unchecked'), claims };
}

const judgeTdx = async (more: Partial<TdxRequest> = {}) =>
  judge({ ...tdx, kind: 'tdx', policy: 'waived', atMs: JUNE_MS, crypto: trusting, ...more });

const judgeSgx = async (more: Partial<SgxRequest> = {}) =>
  judge({
    ...sgx,
    kind: 'sgx',
    policy: { acceptedTcbStatuses: ['ConfigurationAndSWHardeningNeeded'] },
    atMs: JUNE_MS,
    crypto: trusting,
    ...more,
  });

function pemOf(...certificates: readonly Uint8Array[]): string {
  return certificates
    .map(
      (der) =>
        `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64').replaceAll(/.{64}/gu, '$&\n').trim()}\n-----END CERTIFICATE-----\n`,
    )
    .join('');
}

/** The quote with another PEM chain in it. */
function withChain(pem: string): Uint8Array {
  const { quote } = tdx;
  const at = Buffer.from(quote).indexOf('-----BEGIN');
  const head = Uint8Array.from(quote.subarray(0, at));
  const view = new DataView(head.buffer);
  const text = new TextEncoder().encode(pem);
  const total = at + text.length;
  view.setUint32(632, total - 636, true);
  view.setUint32(766, total - 770, true);
  view.setUint32(at - 4, text.length, true);
  return Uint8Array.of(...head, ...text);
}

describe('a quote whose signatures hold', () => {
  it('is valid as it is', async () => {
    expect(await judgeTdx()).toMatchObject({ verdict: 'valid', failed: [], unchecked: [] });
    expect(await judgeTdx({ quote: withChain(chainPem) })).toMatchObject({ verdict: 'valid' });
  });

  it('is not valid if its kind is not the one expected', async () => {
    expect((await judgeTdx({ quote: sgx.quote, collateral: sgx.collateral })).failed).toContain('kind');
    expect((await judge({ ...tdx, kind: 'sgx', policy: 'waived', atMs: JUNE_MS, crypto: trusting })).failed).toContain(
      'kind',
    );
  });

  it('is not valid with an attestation key that the quoting enclave did not make', async () => {
    expect((await judgeTdx({ quote: editBytes(tdx.quote, 700, 1) })).failed).toEqual(['attestation-key']);
    const unusedReportData = 770 + 320 + 63;
    expect((await judgeTdx({ quote: editBytes(tdx.quote, unusedReportData, 1) })).failed).toEqual(['attestation-key']);
  });

  it('is not valid with something behind it that is not zero', async () => {
    expect((await judgeTdx({ quote: editBytes(tdx.quote, tdx.quote.length - 1, 1) })).failed).toEqual(['format']);
  });

  it('is malformed with another key type, vendor, TEE or certification data', async () => {
    for (const [offset, value] of [
      [0, 6],
      [2, 3],
      [4, 0],
      [12, 0],
      [764, 5],
      [1252, 6],
    ] as const) {
      const { failed, claims } = await judgeTdx({ quote: editBytes(tdx.quote, offset, value) });
      expect({ offset, failed, claims }).toEqual({ offset, failed: ['format'], claims: null });
    }
  });
});

describe('the certificates of a quote', () => {
  const attackerRoot = issue({ name: 'Intel SGX Root CA', isAuthority: true });

  it('never bring their own root', async () => {
    const pem = pemOf(pck.der, platformAuthority.der, attackerRoot.certificate.der);
    expect((await judgeTdx({ quote: withChain(pem) })).failed).toContain('pck-chain');
    const whole = pemOf(
      issue({ name: 'Intel SGX PCK Certificate' }, attackerRoot).certificate.der,
      attackerRoot.certificate.der,
    );
    expect((await judgeTdx({ quote: withChain(whole), crypto: real })).failed).toContain('pck-chain');
  });

  it('must be of a platform', async () => {
    const { failed, claims } = await judgeTdx({ quote: withChain(signersPem) });
    expect(failed).toContain('pck-certificate');
    expect(claims?.tcb).toBeNull();
    expect((await judgeTdx({ quote: withChain(pemOf(pck.der, getIntelRoot().der)) })).failed).toContain('pck-chain');
  });

  it('must be valid at the time of evaluation', async () => {
    expect((await judgeTdx({ atMs: Date.parse('2033-01-01T00:00:00Z') })).failed).toContain('pck-validity');
  });
});

describe('collateral', () => {
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  const attacker = issue({ name: 'x' });
  const year = { thisUpdateMs: JUNE_MS - 1000, nextUpdateMs: JUNE_MS + 1000 };
  const list = (name: Uint8Array, spec: RevocationListSpec = {}) =>
    hex(encodeRevocationList({ name, privateKey: attacker.privateKey }, { ...year, ...spec }));
  const root = getIntelRoot();

  it('that is missing leaves revocation and TCB unchecked, and the verdict is not valid', async () => {
    expect(await judgeTdx({ collateral: null })).toMatchObject({
      verdict: 'unchecked',
      failed: [],
      unchecked: ['pck-revocation', 'collateral', 'tcb-info', 'qe-identity', 'tcb'],
    });
  });

  it('that is malformed or too large fails', async () => {
    for (const text of ['', '{', '[]', '{"tcb_info":1}', ' '.repeat(2 * 1024 * 1024 + 1)]) {
      expect((await judgeTdx({ collateral: new TextEncoder().encode(text) })).failed).toContain('collateral');
    }
  });

  it('is judged at the time of evaluation', async () => {
    const late = await judgeTdx({ atMs: Date.parse('2025-07-20T00:00:00Z') });
    expect(late.failed).toEqual(['pck-revocation', 'tcb-info-dates', 'qe-identity-dates']);
    const early = await judgeTdx({ atMs: Date.parse('2025-06-19T09:00:00Z') });
    expect(early.failed).toEqual(['pck-revocation', 'tcb-info-dates', 'qe-identity-dates']);
  });

  it('revokes a PCK, the authority of PCKs and the key that signs documents', async () => {
    const revokedPck = list(platformAuthority.subject, { revoked: [pck.serialNumber] });
    expect((await judgeTdx({ collateral: editCollateral({ pck_crl: revokedPck }) })).failed).toEqual([
      'pck-revocation',
    ]);
    const revokedAuthority = list(root.subject, { revoked: [platformAuthority.serialNumber] });
    expect((await judgeTdx({ collateral: editCollateral({ root_ca_crl: revokedAuthority }) })).failed).toEqual([
      'pck-revocation',
    ]);
    const [signer] = splitPem(signersPem, 'CERTIFICATE').map(parseCertificate);
    const revokedSigner = list(root.subject, { revoked: [signer?.serialNumber ?? new Uint8Array()] });
    expect((await judgeTdx({ collateral: editCollateral({ root_ca_crl: revokedSigner }) })).failed).toEqual([
      'tcb-info-revocation',
      'qe-identity-revocation',
    ]);
  });

  it.each([
    ["the root's list", 'root_ca_crl', ''],
    ["the authority's list", 'pck_crl', ''],
    ['a list that can be read', 'pck_crl', '30'],
    ['a list of the right authority', 'pck_crl', list(commonName('Intel SGX PCK Processor CA'))],
    ['a list that says when it ends', 'pck_crl', list(platformAuthority.subject, { nextUpdateMs: null })],
  ])('fails without %s', async (_, key, value) => {
    expect((await judgeTdx({ collateral: editCollateral({ [key]: value }) })).failed).toContain('pck-revocation');
  });

  it('takes lists as PEM too', async () => {
    const der = encodeRevocationList({ name: platformAuthority.subject, privateKey: attacker.privateKey }, year);
    const pem = pemOf(der).replaceAll('CERTIFICATE', 'X509 CRL');
    expect((await judgeTdx({ collateral: editCollateral({ pck_crl: pem }) })).verdict).toBe('valid');
    expect((await judgeTdx({ collateral: editCollateral({ pck_crl: pem + pem }) })).failed).toContain('pck-revocation');
  });

  it.each(['tcb_info', 'qe_identity'])('has its %s from the key for it, and no other of Intel’s', async (document) => {
    const prefix = document.replace('_', '-');
    const bySelf = editCollateral({ [`${document}_issuer_chain`]: chainPem });
    expect((await judgeTdx({ collateral: bySelf })).failed).toEqual([`${prefix}-signer`]);
    const impostor = issue(
      { name: 'Intel SGX TCB Signing', keyUsage: KEY_USAGE.end },
      { ...attacker, name: root.subject },
    );
    const byImpostor = editCollateral({ [`${document}_issuer_chain`]: pemOf(impostor.certificate.der, root.der) });
    expect((await judgeTdx({ collateral: byImpostor, crypto: real })).failed).toContain(`${prefix}-chain`);
    const ownRoot = editCollateral({
      [`${document}_issuer_chain`]: pemOf(impostor.certificate.der, attacker.certificate.der),
    });
    expect((await judgeTdx({ collateral: ownRoot })).failed).toContain(`${prefix}-chain`);
  });

  it('is not read at all before its signature holds', async () => {
    const broken = editCollateral({ tcb_info: 'not JSON' });
    expect((await judgeTdx({ collateral: broken, crypto: real })).failed).toEqual(['tcb-info-signature']);
    expect((await judgeTdx({ collateral: broken })).failed).toEqual(['tcb-info']);
  });

  it.each([
    ['another platform', (json: Json) => Object.assign(json, { fmspc: '000000000000' })],
    ['another PCE', (json: Json) => Object.assign(json, { pceId: '0001' })],
    ['another version', (json: Json) => Object.assign(json, { version: 2 })],
    ['another kind', (json: Json) => Object.assign(json, { id: 'SGX' })],
    ['another kind of TCB', (json: Json) => Object.assign(json, { tcbType: 1 })],
    ['an unknown status', (json: Json) => Object.assign((json['tcbLevels'] as Json[])[0] ?? {}, { tcbStatus: 'Fine' })],
    ['no levels', (json: Json) => Object.assign(json, { tcbLevels: [] })],
  ])('with TCB info of %s fails', async (_, edit) => {
    const { failed, claims } = await judgeTdx({ collateral: editCollateral({ tcb_info: edit }) });
    expect(failed).toEqual(['tcb-info']);
    expect(claims?.tcb).toBeNull();
  });

  it.each([
    ['of SGX', { id: 'QE' }],
    ['of another version', { version: 1 }],
    ['with another signer', { mrsigner: '00'.repeat(32) }],
    ['with another product id', { isvprodid: 3 }],
    ['with other attributes', { attributes: `13${'00'.repeat(15)}` }],
    ['with another MISCSELECT', { miscselect: '01000000' }],
  ])('with a QE identity %s fails', async (_, edit) => {
    const { failed, claims } = await judgeTdx({
      collateral: editCollateral({ qe_identity: (json) => Object.assign(json, edit) }),
    });
    expect(failed).toEqual(['qe-identity']);
    expect(claims?.tcb).toBeNull();
  });

  it('with another TDX module fails', async () => {
    const change = (more: Json) => (json: Json) =>
      Object.assign(json, {
        tdxModuleIdentities: (json['tdxModuleIdentities'] as Json[]).map((one) => ({ ...one, ...more })),
      });
    for (const more of [{ mrsigner: '11'.repeat(48) }, { attributes: `01${'00'.repeat(7)}` }]) {
      expect((await judgeTdx({ collateral: editCollateral({ tcb_info: change(more) }) })).failed).toEqual([
        'tdx-module',
      ]);
    }
    const none = editCollateral({ tcb_info: (json) => Object.assign(json, { tdxModuleIdentities: [] }) });
    expect((await judgeTdx({ collateral: none })).failed).toEqual(['tdx-module', 'tcb']);
    expect((await judgeTdx({ quote: editBytes(tdx.quote, 48 + 112, 1) })).failed).toEqual(['tdx-module']);
    expect((await judgeTdx({ quote: editBytes(tdx.quote, 48 + 64, 1) })).failed).toEqual(['tdx-module']);
  });
});

describe('a policy', () => {
  const body = parseQuote(tdx.quote).body;
  if (body.kind !== 'tdx') throw new TypeError('it is a TD');
  const enclave = parseQuote(sgx.quote).body;
  if (enclave.kind !== 'sgx') throw new TypeError('it is an enclave');
  const other = '00'.repeat(48);

  it('that is missing leaves the code unchecked', async () => {
    expect(await judgeTdx({ policy: null })).toMatchObject({
      verdict: 'unchecked',
      unchecked: ['measurement'],
      failed: [],
    });
    expect(await judgeTdx({ policy: {} })).toMatchObject({
      verdict: 'unchecked',
      unchecked: ['measurement'],
      failed: [],
    });
    expect(await judgeTdx({ policy: { rtmr3: [body.rtmr3] } })).toMatchObject({ verdict: 'unchecked' });
  });

  it('allows measurements of a TD by list', async () => {
    expect(await judgeTdx({ policy: { mrTd: [other, body.mrTd], rtmr1: [body.rtmr1] } })).toMatchObject({
      verdict: 'valid',
    });
    for (const key of ['mrTd', 'rtmr0', 'rtmr3', 'mrSeam', 'mrConfigId', 'mrServiceTd'] as const) {
      const policy = { mrTd: [body.mrTd], [key]: ['11'.repeat(48)] };
      expect((await judgeTdx({ policy })).failed).toEqual(['measurement']);
    }
  });

  it('allows enclaves by measurement, or by signer and product', async () => {
    const accepted = { acceptedTcbStatuses: ['ConfigurationAndSWHardeningNeeded' as const] };
    const judgePolicy = async (policy: Exclude<SgxRequest['policy'], string | null>) =>
      judgeSgx({ policy: { ...accepted, ...policy } });
    const { mrEnclave, mrSigner, isvProdId, isvSvn } = enclave;
    expect(await judgePolicy({ mrEnclave: [mrEnclave] })).toMatchObject({ verdict: 'valid' });
    expect(await judgePolicy({ mrSigner: [mrSigner], isvProdId, minimumIsvSvn: isvSvn })).toMatchObject({
      verdict: 'valid',
    });
    expect(await judgePolicy({ mrSigner: [mrSigner] })).toMatchObject({ verdict: 'unchecked' });
    expect((await judgePolicy({ mrEnclave: ['00'.repeat(32)] })).failed).toEqual(['measurement']);
    expect((await judgePolicy({ mrSigner: ['00'.repeat(32)], isvProdId })).failed).toEqual(['measurement']);
    expect((await judgePolicy({ mrSigner: [mrSigner], isvProdId: isvProdId + 1 })).failed).toEqual(['measurement']);
    expect((await judgePolicy({ mrEnclave: [mrEnclave], minimumIsvSvn: isvSvn + 1 })).failed).toEqual([
      'policy-isv-svn',
    ]);
  });

  it('cannot allow debug', async () => {
    const quote = editBytes(tdx.quote, 48 + 120, 1);
    expect((await judgeTdx({ quote })).failed).toEqual(['policy-debug']);
    expect((await judgeTdx({ quote, policy: { mrTd: [body.mrTd] } })).failed).toEqual(['policy-debug']);
    expect((await judgeSgx({ quote: editBytes(sgx.quote, 48 + 48, 0x07) })).failed).toEqual(['policy-debug']);
  });

  it('may demand SEPT_VE_DISABLE, and allow migration, which is refused without it', async () => {
    const mrTd = [body.mrTd];
    const lenient = editBytes(tdx.quote, 48 + 123, 0);
    expect(await judgeTdx({ policy: { mrTd, requireSeptVeDisable: true } })).toMatchObject({ verdict: 'valid' });
    expect((await judgeTdx({ quote: lenient, policy: { mrTd, requireSeptVeDisable: true } })).failed).toEqual([
      'policy-sept-ve-disable',
    ]);
    const migratable = editBytes(tdx.quote, 48 + 123, 0x30);
    expect((await judgeTdx({ quote: migratable })).failed).toEqual(['policy-migration']);
    expect(await judgeTdx({ quote: migratable, policy: { mrTd, allowMigration: true } })).toMatchObject({
      verdict: 'valid',
    });
  });

  it('may accept a status, and demand that the collateral is of after a recovery', async () => {
    expect((await judgeSgx({ policy: 'waived' })).failed).toEqual(['tcb']);
    expect((await judgeSgx()).failed).toEqual([]);
    const mrTd = [body.mrTd];
    expect(await judgeTdx({ policy: { mrTd, minimumEvaluationDataNumber: 17 } })).toMatchObject({ verdict: 'valid' });
    expect((await judgeTdx({ policy: { mrTd, minimumEvaluationDataNumber: 18 } })).failed).toEqual([
      'policy-evaluation-data-number',
    ]);
  });

  it('goes with report data that are expected, with zeros behind them', async () => {
    const reportData = Uint8Array.from(Buffer.from(body.reportData, 'hex'));
    expect(await judgeTdx({ reportData })).toMatchObject({ verdict: 'valid' });
    expect((await judgeTdx({ reportData: reportData.subarray(0, 8) })).failed).toEqual(['report-data']);
    expect((await judgeTdx({ reportData: new Uint8Array(65) })).failed).toEqual(['report-data']);
    const short = Uint8Array.of(1, 2, 3);
    const quote = editBytes(tdx.quote, 48 + 520, ...short, ...new Uint8Array(61));
    expect(await judgeTdx({ quote, reportData: short })).toMatchObject({ verdict: 'valid' });
  });
});
