import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { NodeEvidenceCrypto } from '../../src/tee/crypto/node-evidence-crypto.ts';
import { WebEvidenceCrypto } from '../../src/tee/crypto/web-evidence-crypto.ts';
import { getIntelRoot } from '../../src/tee/dcap/intel-root.ts';
import { QUOTE_CHECKS } from '../../src/tee/dcap/interface.ts';
import { verifyQuote } from '../../src/tee/dcap/verify-quote.ts';
import { INTEL_VECTORS, readIntelEvidence } from '../support/intel-vectors.ts';

const folder = new URL('attestation/', import.meta.url);
const crypto = new NodeEvidenceCrypto();

interface IndependentResult {
  readonly tech: string;
  readonly name: string;
  readonly sha256: string;
  readonly tcbStatus: string;
  readonly independent: {
    readonly fmspc: string;
    readonly debug: boolean;
    readonly septVeDisable?: boolean;
    readonly platformTcb: readonly [string, string, readonly string[]] | null;
    readonly qeTcb: readonly [number, string];
  };
}

const independent = JSON.parse(
  readFileSync(new URL('intel-vectors.json', folder), 'utf8'),
) as readonly IndependentResult[];

async function verify(stem: string, at: string) {
  return verifyQuote({ ...readIntelEvidence(stem), policy: 'waived', atMs: Date.parse(at), crypto });
}

describe("Intel's quotes", () => {
  it('are all in the table', () => {
    const files = ['tdx', 'tdx/negative', 'sgx', 'sgx/negative'].flatMap((part) =>
      readdirSync(new URL(part, folder))
        .filter((name) => name.endsWith('.quote.bin'))
        .map((name) => `${part}/${name.replace('.quote.bin', '')}`),
    );
    expect(INTEL_VECTORS.map(({ stem }) => stem).toSorted()).toEqual(files.toSorted());
  });

  it.each(INTEL_VECTORS)('$stem: $verdict, $status', async ({ stem, at, verdict, status, failed }) => {
    const result = await verify(stem, at);
    expect(result.checks.filter((check) => check.verdict === 'failed').map(({ name }) => name)).toEqual(failed);
    const names = result.checks.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    expect(QUOTE_CHECKS).toEqual(expect.arrayContaining(names));
    expect(result.verdict).toBe(verdict);
    expect(result.claims?.tcb?.status ?? null).toBe(status);
  });

  it.each(independent)('$tech/$name: the same findings as another implementation', async ({ tech, name, ...other }) => {
    const stem = `${tech}/${name}`;
    const { quote } = readIntelEvidence(stem);
    expect(createHash('sha256').update(quote).digest('hex')).toBe(other.sha256);
    const at = INTEL_VECTORS.find((vector) => vector.stem === stem)?.at ?? '';
    const { claims } = await verify(stem, at);
    expect(claims?.platform?.fmspc).toBe(other.independent.fmspc);
    expect(claims?.body.isDebug).toBe(other.independent.debug);
    if (claims?.body.kind === 'tdx') expect(claims.body.hasSeptVeDisable).toBe(other.independent.septVeDisable);
    if (claims?.tcb === null || claims === null) return;
    expect(claims.tcb.status).toBe(other.tcbStatus.replace('(no level)', ''));
    expect(claims.tcb.qeStatus).toBe(other.independent.qeTcb[1]);
    const [status, date, advisories] = other.independent.platformTcb ?? ['NotSupported', null, []];
    expect(claims.tcb.platformStatus).toBe(status);
    expect(claims.tcb.levelDateMs).toBe(date === null ? null : Date.parse(date));
    expect(claims.tcb.advisoryIds).toEqual(expect.arrayContaining([...advisories]));
  });

  it('have the same outcome with the crypto of a browser', async () => {
    const web = new WebEvidenceCrypto({ subtle: globalThis.crypto.subtle });
    for (const { stem, at, verdict } of INTEL_VECTORS.slice(0, 4)) {
      const request = { ...readIntelEvidence(stem), policy: 'waived' as const, atMs: Date.parse(at), crypto: web };
      expect((await verifyQuote(request)).verdict).toBe(verdict);
    }
  });

  it('lead to the root that is pinned', () => {
    const file = new Uint8Array(readFileSync(new URL('intel-roots/IntelSGXRootCA.der', folder)));
    expect(getIntelRoot().der).toEqual(file);
    const fingerprint = createHash('sha256').update(file).digest('hex');
    expect(fingerprint).toBe('44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3');
  });
});
