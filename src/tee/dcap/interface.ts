import type { EvidenceCrypto } from '../interface.ts';
import type { SgxPolicy, TdxPolicy } from './policy.ts';
import type { EnclaveReport } from './quote/enclave-report.ts';
import type { PlatformTcb } from './quote/pck-extension.ts';
import type { TdReport } from './quote/td-report.ts';
import type { TcbEvaluation } from './tcb/evaluate-tcb.ts';

interface CommonRequest {
  readonly quote: Uint8Array;
  /** JSON bundle (see `parseCollateral`); null: none was given, and the verdict cannot be `valid`. */
  readonly collateral: Uint8Array | null;
  /** Unix ms. Everything is judged as of then. */
  readonly atMs: number;
  readonly crypto: EvidenceCrypto;
  /** Expected report data, at most 64 bytes, zeros behind it. Not given: not compared. */
  readonly reportData?: Uint8Array;
}

/** Policy null: none was given, and `measurement` is unchecked. 'waived': which code runs is left out knowingly. */
export type QuoteRequest = CommonRequest &
  (
    | { readonly kind: 'tdx'; readonly policy: TdxPolicy | 'waived' | null }
    | { readonly kind: 'sgx'; readonly policy: SgxPolicy | 'waived' | null }
  );

export interface QuoteClaims {
  readonly quoteVersion: number;
  readonly body: TdReport | EnclaveReport;
  /** From the PCK certificate; null if it could not be read. */
  readonly platform: PlatformTcb | null;
  /** What Intel says of the platform; null unless the signatures of TCB info and QE identity hold. */
  readonly tcb: TcbEvaluation | null;
}

/** Names of the checks. Not all are part of every verification. */
export const QUOTE_CHECKS = [
  'format',
  'kind',
  'quote-signature',
  'attestation-key',
  'qe-report-signature',
  'pck-certificate',
  'pck-chain',
  'pck-validity',
  'pck-revocation',
  'collateral',
  'tcb-info-chain',
  'tcb-info-validity',
  'tcb-info-revocation',
  'tcb-info-signer',
  'tcb-info-signature',
  'tcb-info-dates',
  'qe-identity-chain',
  'qe-identity-validity',
  'qe-identity-revocation',
  'qe-identity-signer',
  'qe-identity-signature',
  'qe-identity-dates',
  'tcb-info',
  'qe-identity',
  'tdx-module',
  'tcb',
  'policy-debug',
  'policy-migration',
  'report-data',
  'measurement',
  'policy-evaluation-data-number',
  'policy-sept-ve-disable',
  'policy-isv-svn',
] as const;
