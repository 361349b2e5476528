/** Quotes and collateral of test/vectors/attestation, and what must come of them. */
import { existsSync, readFileSync } from 'node:fs';
import type { QuoteRequest } from '../../src/tee/dcap/interface.ts';

export interface IntelVector {
  /** Relative to the vectors' folder, without extension. */
  readonly stem: string;
  readonly at: string;
  /** With the code waived and `UpToDate` alone accepted. */
  readonly verdict: 'valid' | 'invalid' | 'unchecked';
  readonly status: string | null;
  /** Names of the checks that fail. */
  readonly failed: readonly string[];
}

const vector = (stem: string, at: string, more: Partial<IntelVector> = {}): IntelVector => ({
  stem,
  at,
  verdict: 'invalid',
  status: 'UpToDate',
  failed: [],
  ...more,
});

const JUNE = '2025-06-26T00:00:00Z';
const OCTOBER = '2025-10-20T00:00:00Z';
const AUGUST = '2025-08-20T00:00:00Z';

export const INTEL_VECTORS: readonly IntelVector[] = [
  vector('tdx/tdx-v4-phala', JUNE, { verdict: 'valid' }),
  vector('tdx/tdx-v4-gcp-cos113', OCTOBER, { verdict: 'valid' }),
  vector('tdx/tdx-v4-azure-trustee', OCTOBER, { status: 'OutOfDate', failed: ['tcb'] }),
  // 39 bytes of somebody's source code follow the quote; its platform is older than every level.
  vector('tdx/tdx-v4-gotdx-spr-e4', '2023-06-20T00:00:00Z', { status: 'NotSupported', failed: ['format', 'tcb'] }),
  vector('tdx/tdx-v5-gotdx-signature-only', '2026-06-01T00:00:00Z', { verdict: 'unchecked', status: null }),
  vector('tdx/negative/tdx-v5-phala-outdated', '2026-02-20T00:00:00Z', { status: 'NotSupported', failed: ['tcb'] }),
  vector('tdx/negative/tdx-v4-tamper-reportdata', JUNE, { failed: ['quote-signature'] }),
  vector('tdx/negative/tdx-v4-tamper-mrtd', JUNE, { failed: ['quote-signature'] }),
  vector('tdx/negative/tdx-v4-tamper-quotesig', JUNE, { failed: ['quote-signature'] }),
  vector('tdx/negative/tdx-v4-tamper-qereport', JUNE, { failed: ['qe-report-signature'] }),
  vector('tdx/negative/tdx-v4-collateral-tcbinfo-edited', JUNE, { status: null, failed: ['tcb-info-signature'] }),
  vector('tdx/negative/tdx-v4-collateral-crl-badsig', JUNE, { failed: ['pck-revocation'] }),
  vector('tdx/negative/tdx-v4-collateral-crl-attacker-empty', JUNE, { failed: ['pck-revocation'] }),
  vector('tdx/negative/tdx-v4-collateral-crl-missing', JUNE, {
    failed: ['pck-revocation', 'tcb-info-revocation', 'qe-identity-revocation'],
  }),
  vector('sgx/sgx-v3-phala', JUNE, { status: 'ConfigurationAndSWHardeningNeeded', failed: ['tcb'] }),
  vector('sgx/sgx-v3-automata-onchain-test', AUGUST, { status: 'SWHardeningNeeded', failed: ['tcb'] }),
  vector('sgx/negative/sgx-v3-occlum-debug', AUGUST, { status: 'OutOfDate', failed: ['tcb', 'policy-debug'] }),
  vector('sgx/negative/sgx-v3-tamper-mrenclave', JUNE, {
    status: 'ConfigurationAndSWHardeningNeeded',
    failed: ['quote-signature', 'tcb'],
  }),
];

const folder = new URL('../vectors/attestation/', import.meta.url);

export interface IntelEvidence {
  readonly kind: QuoteRequest['kind'];
  readonly quote: Uint8Array;
  readonly collateral: Uint8Array | null;
}

export function readIntelEvidence(stem: string): IntelEvidence {
  const collateral = new URL(`${stem}.collateral.json`, folder);
  return {
    kind: stem.startsWith('tdx/') ? 'tdx' : 'sgx',
    quote: new Uint8Array(readFileSync(new URL(`${stem}.quote.bin`, folder))),
    collateral: existsSync(collateral) ? new Uint8Array(readFileSync(collateral)) : null,
  };
}
