/**
 * Layouts: Intel SGX ECDSA Quote Library Reference (DCAP), appendix A (quotes 3, 4, 5) and Intel TDX Module ABI
 * (TDREPORT). Integers are little-endian.
 */

/** A quote has 5 KiB; Linux gives up to 8 KiB with zeros behind it. */
export const MAX_QUOTE_BYTES = 32 * 1024;

/** A bundle has 20 KiB. */
export const MAX_COLLATERAL_BYTES = 2 * 1024 * 1024;

export const HEADER_BYTES = 48;
export const ENCLAVE_REPORT_BYTES = 384;
export const TD_REPORT_10_BYTES = 584;
export const TD_REPORT_15_BYTES = 648;

export const TEE_TYPE_SGX = 0x00;
export const TEE_TYPE_TDX = 0x81;

/** Of a quote of version 5. */
export const BODY_TD_REPORT_10 = 2;
export const BODY_TD_REPORT_15 = 3;

/** ECDSA P-256 with SHA-256. */
export const ATTESTATION_KEY_TYPE = 2;

/** Intel's quoting enclave. */
export const INTEL_QE_VENDOR = '939a7233f79c4ca9940a0db3957f0607';

export const SIGNATURE_BYTES = 64;
export const PUBLIC_KEY_BYTES = 64;

/** Certification data: a PEM chain, and the report of the quoting enclave with its own certification data. */
export const CERTIFICATION_PEM_CHAIN = 5;
export const CERTIFICATION_QE_REPORT = 6;

export const SVN_COMPONENTS = 16;

/** Intel's names of who signs what (PCK Certificate and CRL specification; PCS API, version 4). */
export const NAMES = {
  pck: 'Intel SGX PCK Certificate',
  pckAuthorities: ['Intel SGX PCK Platform CA', 'Intel SGX PCK Processor CA'],
  tcbSigning: 'Intel SGX TCB Signing',
} as const;

/** Levels, identities and advisories that a signed document may list. */
export const MAX_LIST_ENTRIES = 256;

/** SubjectPublicKeyInfo of a P-256 key, but for x || y. */
export const P256_KEY_PREFIX = '3059301306072a8648ce3d020106082a8648ce3d03010703420004';
