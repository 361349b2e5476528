import type { QuoteRequest } from '../../src/tee/dcap/interface.ts';
import { parseQuote } from '../../src/tee/dcap/quote/quote.ts';
import { verifyQuote } from '../../src/tee/dcap/verify-quote.ts';
import { readIntelEvidence } from '../../test/support/intel-vectors.ts';
import type { FuzzTarget } from './interface.ts';

/** No byte of a quote is free: its signatures cover what means something, and the rest has one form. */
function createTarget(stem: string, at: string): FuzzTarget {
  const { kind, quote, collateral } = readIntelEvidence(stem);
  return {
    name: stem,
    evidence: quote,
    unsigned: [],
    paddingFrom: quote.length - parseQuote(quote).padding.length,
    verify: (changed, crypto) => {
      const request: QuoteRequest = {
        kind,
        quote: changed,
        collateral,
        policy: 'waived',
        atMs: Date.parse(at),
        crypto,
      };
      return verifyQuote(request);
    },
  };
}

export function listTdxTargets(): readonly FuzzTarget[] {
  return [
    createTarget('tdx/tdx-v4-phala', '2025-06-26T00:00:00Z'),
    createTarget('tdx/negative/tdx-v5-phala-outdated', '2026-02-20T00:00:00Z'),
  ];
}

export function listSgxTargets(): readonly FuzzTarget[] {
  return [createTarget('sgx/sgx-v3-phala', '2025-06-26T00:00:00Z')];
}
