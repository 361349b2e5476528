import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NodeEvidenceCrypto } from '../../../../src/tee/crypto/node-evidence-crypto.ts';
import { parseCollateral } from '../../../../src/tee/dcap/collateral/collateral.ts';
import { sgxPolicySchema, tdxPolicySchema } from '../../../../src/tee/dcap/policy.ts';
import { parseQuote } from '../../../../src/tee/dcap/quote/quote.ts';
import { verifyQuote } from '../../../../src/tee/dcap/verify-quote.ts';
import { TeeError } from '../../../../src/tee/errors.ts';
import { readIntelEvidence } from '../../../support/intel-vectors.ts';

const STEMS = ['tdx/tdx-v4-phala', 'tdx/tdx-v5-gotdx-signature-only', 'sgx/sgx-v3-phala'] as const;
const crypto = new NodeEvidenceCrypto();

function isParsed(parse: () => unknown): boolean {
  try {
    parse();
    return true;
  } catch (error) {
    if (error instanceof TeeError) return false;
    throw error;
  }
}

describe('a quote', () => {
  it('tells what was measured', () => {
    const { version, body } = parseQuote(readIntelEvidence('tdx/negative/tdx-v5-phala-outdated').quote);
    expect(version).toBe(5);
    expect(body).toMatchObject({ kind: 'tdx', isDebug: false, hasSeptVeDisable: true });
    if (body.kind === 'tdx') expect(body.teeTcbSvn2).toMatch(/^[0-9a-f]{32}$/u);
    const enclave = parseQuote(readIntelEvidence('sgx/negative/sgx-v3-occlum-debug').quote);
    expect(enclave).toMatchObject({ version: 3, body: { kind: 'sgx', isDebug: true } });
  });

  it.each(STEMS)('%s is refused when it is cut at any place before its padding', (stem) => {
    const { quote } = readIntelEvidence(stem);
    const end = quote.length - parseQuote(quote).padding.length;
    for (let length = 0; length < end; length++) {
      expect(isParsed(() => parseQuote(quote.subarray(0, length)))).toBe(false);
    }
    expect(isParsed(() => parseQuote(quote.subarray(0, end)))).toBe(true);
  });

  it('above its size is refused', () => {
    expect(() => parseQuote(new Uint8Array(32 * 1024 + 1))).toThrow(/at most/u);
  });

  it('of any bytes is parsed or refused, and gets a verdict that is not valid', async () => {
    const { quote, collateral } = readIntelEvidence('tdx/tdx-v4-phala');
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.nat(), async (bytes, at) => {
        isParsed(() => parseQuote(bytes));
        const changed = Uint8Array.from(quote);
        const start = at % (quote.length - bytes.length);
        changed.set(bytes, start);
        const request = { quote: changed, collateral, policy: 'waived' as const, atMs: Date.UTC(2025, 5, 26), crypto };
        const { verdict } = await verifyQuote({ kind: 'tdx', ...request });
        const isSame = bytes.every((byte, index) => quote[start + index] === byte);
        expect(verdict === 'valid').toBe(isSame);
      }),
      { numRuns: 40 },
    );
  });

  it('is not valid with any of a sample of bits flipped', async () => {
    const { quote, collateral } = readIntelEvidence('tdx/tdx-v4-phala');
    for (let step = 0; step < 60; step++) {
      const bit = (step * 7919 * 8 + step) % (quote.length * 8);
      const changed = Uint8Array.from(quote);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const request = { quote: changed, collateral, policy: 'waived' as const, atMs: Date.UTC(2025, 5, 26), crypto };
      expect((await verifyQuote({ kind: 'tdx', ...request })).verdict).toBe('invalid');
    }
  });
});

describe('collateral', () => {
  it('of any JSON is parsed or refused', () => {
    fc.assert(
      fc.property(fc.json(), fc.uint8Array({ maxLength: 100 }), (text, bytes) => {
        isParsed(() => parseCollateral(new TextEncoder().encode(text)));
        isParsed(() => parseCollateral(bytes));
      }),
      { numRuns: 100 },
    );
  });
});

describe('a policy', () => {
  it('takes hex of the right length in either case, and no setting that it does not know', () => {
    expect(tdxPolicySchema.parse({ mrTd: ['AB'.repeat(48)] })).toEqual({ mrTd: ['ab'.repeat(48)] });
    for (const policy of [
      { mrTd: [] },
      { mrTd: ['ab'] },
      { mrtd: ['ab'.repeat(48)] },
      { acceptedTcbStatuses: ['Revoked'] },
    ]) {
      expect(tdxPolicySchema.safeParse(policy).success).toBe(false);
    }
    for (const policy of [{ isvProdId: 70_000 }, { allowDebug: true }, { acceptedTcbStatuses: ['NotSupported'] }]) {
      expect(sgxPolicySchema.safeParse(policy).success).toBe(false);
    }
  });
});
