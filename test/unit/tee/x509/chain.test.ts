import { describe, expect, it } from 'vitest';
import { NodeEvidenceCrypto } from '../../../../src/tee/crypto/node-evidence-crypto.ts';
import { type ChainRequest, verifyChain } from '../../../../src/tee/x509/chain.ts';
import {
  type CertificateSpec,
  createRevocationList,
  issue,
  KEY_USAGE,
  type Party,
  PKI_TIME_MS,
} from '../../../support/evidence-pki.ts';

const crypto = new NodeEvidenceCrypto();
const DAY_MS = 86_400_000;
const authority = { isAuthority: true, keyUsage: KEY_USAGE.authority };
const STRANGE = { oid: '1.2.3.4', critical: true, value: Uint8Array.of(5, 0) };

interface Overrides {
  readonly root?: Partial<CertificateSpec>;
  readonly middle?: Partial<CertificateSpec>;
  readonly leaf?: Partial<CertificateSpec>;
}

function createChain({ root: ofRoot, middle: ofMiddle, leaf: ofLeaf }: Overrides = {}) {
  const root = issue({ name: 'root', ...authority, ...ofRoot });
  const middle = issue({ name: 'middle', serial: 0x80, ...authority, ...ofMiddle }, root);
  const leaf = issue({ name: 'leaf', serial: 0x1234, keyUsage: KEY_USAGE.end, ...ofLeaf }, middle);
  return { root, middle, leaf };
}

type Chain = ReturnType<typeof createChain>;

const shared = createChain();

async function judge(chain: Chain, more: Partial<ChainRequest> = {}): Promise<Record<string, string>> {
  const checks = await verifyChain({
    leaf: chain.leaf.certificate,
    intermediates: [chain.middle.certificate],
    root: chain.root.certificate,
    atMs: PKI_TIME_MS,
    crypto,
    ...more,
  });
  return Object.fromEntries(checks.map(({ name, verdict }) => [name, verdict]));
}

const PASSED = { chain: 'passed', validity: 'passed' };

describe('a chain to a pinned root', () => {
  it('passes in any order, with what does not belong passed over', async () => {
    const stranger = createChain();
    const intermediates = [stranger.middle, stranger.root, shared.root, shared.middle].map(
      (party) => party.certificate,
    );
    expect(await judge(shared, { intermediates })).toEqual(PASSED);
  });

  it("fails below another root of the same name: the caller's root counts for nothing", async () => {
    const attacker = createChain();
    const intermediates = [attacker.middle.certificate, attacker.root.certificate];
    expect(await judge(shared, { leaf: attacker.leaf.certificate, intermediates })).toMatchObject({ chain: 'failed' });
  });

  it('fails without an intermediate', async () => {
    expect(await judge(shared, { intermediates: [] })).toEqual({ chain: 'failed', validity: 'unchecked' });
  });

  it('fails if the issuer has another name than the certificate says', async () => {
    const other = issue({ name: 'other', ...authority }, shared.root);
    const leaf = issue({ name: 'leaf' }, { name: shared.middle.name, privateKey: other.privateKey });
    const intermediates = [other.certificate, shared.middle.certificate];
    expect(await judge(shared, { leaf: leaf.certificate, intermediates })).toMatchObject({ chain: 'failed' });
  });

  const defects: readonly (readonly [string, Overrides])[] = [
    ['the issuer is no authority', { middle: { isAuthority: false } }],
    ['the root is no authority', { root: { isAuthority: false } }],
    ['the issuer may only sign lists', { middle: { keyUsage: KEY_USAGE.listsOnly } }],
    ['the root allows no authority below', { root: { pathLength: 0 } }],
    ['the leaf has an unknown critical extension', { leaf: { extensions: [STRANGE] } }],
    ['the issuer has an unknown critical extension', { middle: { extensions: [STRANGE] } }],
  ];
  it.each(defects)('fails where %s', async (_, overrides) => {
    expect(await judge(createChain(overrides))).toEqual({ chain: 'failed', validity: 'passed' });
  });

  it('passes with a path length that suffices, and with a critical extension that the caller knows', async () => {
    const chain = createChain({ root: { pathLength: 1 }, middle: { pathLength: 0 }, leaf: { extensions: [STRANGE] } });
    expect(await judge(chain, { knownCriticalExtensions: ['1.2.3.4'] })).toEqual(PASSED);
  });

  it('does not count an authority that renewed its own key against the path length', async () => {
    const root = issue({ name: 'root', ...authority, pathLength: 1 });
    const old = issue({ name: 'middle', ...authority }, root);
    const renewed = issue({ name: 'middle', ...authority }, old);
    const leaf = issue({ name: 'leaf' }, renewed);
    const intermediates = [renewed.certificate, old.certificate];
    expect(await judge({ root, middle: renewed, leaf }, { intermediates })).toEqual(PASSED);
  });

  it.each([
    ['before', -DAY_MS - 1000],
    ['after', DAY_MS + 1000],
    ['at no time', Number.NaN],
  ])('is not valid %s its time', async (_, shiftMs) => {
    expect(await judge(shared, { atMs: PKI_TIME_MS + shiftMs })).toEqual({ chain: 'passed', validity: 'failed' });
  });

  it.each(['root', 'middle', 'leaf'] as const)('is not valid with an expired %s', async (which) => {
    const chain = createChain({ [which]: { notAfterMs: PKI_TIME_MS - 1000 } });
    expect(await judge(chain)).toEqual({ chain: 'passed', validity: 'failed' });
  });

  it('gives up over a path that is too long, or with too many certificates to try', async () => {
    const parties: Party[] = [shared.root];
    for (let depth = 0; depth < 10; depth++)
      parties.push(issue({ name: `authority ${depth}`, ...authority }, parties.at(-1)));
    const leaf = issue({ name: 'leaf' }, parties.at(-1));
    const intermediates = parties.map((party) => party.certificate);
    expect(await judge(shared, { leaf: leaf.certificate, intermediates })).toMatchObject({ chain: 'failed' });
    const many = Array.from({ length: 17 }, () => shared.middle.certificate);
    expect(await judge(shared, { intermediates: many })).toMatchObject({ chain: 'failed' });
  });
});

describe('revocation', () => {
  const ofRoot = createRevocationList(shared.root);
  const ofMiddle = createRevocationList(shared.middle);
  const outcome = async (...lists: readonly (typeof ofRoot)[]) =>
    (await judge(shared, { revocation: { lists } }))['revocation'];

  it('passes with a list of each issuer, and is left out if that was asked for', async () => {
    expect(await outcome(ofRoot, ofMiddle)).toBe('passed');
    expect(await judge(shared, { revocation: 'none' })).toEqual(PASSED);
  });

  it('fails without a list of each issuer', async () => {
    expect(await outcome()).toBe('failed');
    expect(await outcome(ofRoot)).toBe('failed');
    expect(await outcome(ofMiddle)).toBe('failed');
  });

  it('fails for a revoked leaf and for a revoked intermediate', async () => {
    const revokedLeaf = createRevocationList(shared.middle, {
      revoked: [Uint8Array.of(9), shared.leaf.certificate.serialNumber],
    });
    const revokedMiddle = createRevocationList(shared.root, { revoked: [shared.middle.certificate.serialNumber] });
    expect(await outcome(ofRoot, revokedLeaf)).toBe('failed');
    expect(await outcome(revokedMiddle, ofMiddle)).toBe('failed');
    // A good list beside it does not help.
    expect(await outcome(ofRoot, ofMiddle, revokedLeaf)).toBe('failed');
  });

  it("does not take another issuer's list for the revoked one", async () => {
    const elsewhere = createRevocationList(shared.root, { revoked: [shared.leaf.certificate.serialNumber] });
    expect(await outcome(elsewhere, ofMiddle)).toBe('passed');
  });

  const faults: readonly (readonly [string, Parameters<typeof createRevocationList>[1]])[] = [
    ['from the future', { thisUpdateMs: PKI_TIME_MS + 1000 }],
    ['stale', { nextUpdateMs: PKI_TIME_MS - 1000 }],
    ['without a next update', { nextUpdateMs: null }],
    ['that is a delta', { extensions: [{ oid: '2.5.29.27', critical: true, value: Uint8Array.of(2, 1, 1) }] }],
    [
      'with an entry of another issuer',
      {
        revoked: [Uint8Array.of(9)],
        entryExtensions: [{ oid: '2.5.29.29', critical: true, value: Uint8Array.of(5, 0) }],
      },
    ],
  ];
  it.each(faults)('fails with a list %s', async (_, spec) => {
    expect(await outcome(ofRoot, createRevocationList(shared.middle, spec))).toBe('failed');
  });

  it('fails with a list that somebody else signed in the name of the issuer', async () => {
    const attacker = issue({ name: 'middle', ...authority });
    expect(await outcome(ofRoot, createRevocationList(attacker))).toBe('failed');
  });

  it('fails with a list of an issuer that may not sign lists', async () => {
    const chain = createChain({ middle: { keyUsage: KEY_USAGE.certificatesOnly } });
    const lists = [createRevocationList(chain.root), createRevocationList(chain.middle)];
    expect(await judge(chain, { revocation: { lists } })).toMatchObject({ chain: 'passed', revocation: 'failed' });
  });

  it('fails with more lists than are read', async () => {
    expect(await outcome(...Array.from({ length: 17 }, () => ofRoot))).toBe('failed');
  });
});
