/** Quotes of Intel's quoting enclaves: version 3 of SGX, versions 4 and 5 of TDX. */
import { encodeHex } from '../../../lib/bytes.ts';
import { TeeError } from '../../errors.ts';
import {
  ATTESTATION_KEY_TYPE,
  BODY_TD_REPORT_10,
  BODY_TD_REPORT_15,
  CERTIFICATION_PEM_CHAIN,
  CERTIFICATION_QE_REPORT,
  ENCLAVE_REPORT_BYTES,
  HEADER_BYTES,
  INTEL_QE_VENDOR,
  MAX_QUOTE_BYTES,
  PUBLIC_KEY_BYTES,
  SIGNATURE_BYTES,
  TD_REPORT_10_BYTES,
  TD_REPORT_15_BYTES,
  TEE_TYPE_SGX,
  TEE_TYPE_TDX,
} from '../constants.ts';
import { ByteCursor } from './byte-cursor.ts';
import { type EnclaveReport, readEnclaveReport } from './enclave-report.ts';
import { readTdReport, type TdReport } from './td-report.ts';

export interface Quote {
  readonly version: 3 | 4 | 5;
  readonly body: EnclaveReport | TdReport;
  /** Header and body: what the attestation key signed. */
  readonly signed: Uint8Array;
  /** r || s. */
  readonly signature: Uint8Array;
  /** x || y. */
  readonly attestationKey: Uint8Array;
  readonly qe: QuotingEnclave;
  /** What follows it: zeros up to the size of a buffer, or something that nobody signed. */
  readonly padding: Uint8Array;
}

export interface QuotingEnclave {
  readonly report: EnclaveReport;
  readonly reportBytes: Uint8Array;
  /** Of the report, by the PCK. */
  readonly signature: Uint8Array;
  readonly authenticationData: Uint8Array;
  /** Certificates of the PCK, PEM. */
  readonly chainPem: string;
}

/**
 * What is announced must be there in full; nothing but padding may follow.
 * @throws TeeError TEE_MALFORMED, TEE_TOO_LARGE
 */
export function parseQuote(bytes: Uint8Array): Quote {
  const what = 'the quote';
  if (bytes.length > MAX_QUOTE_BYTES) {
    throw new TeeError({ code: 'TEE_TOO_LARGE', what, sizeBytes: bytes.length, limitBytes: MAX_QUOTE_BYTES });
  }
  const cursor = new ByteCursor(what, bytes);
  const { version, teeType } = readHeader(cursor);
  const body = readBody(cursor, version, teeType);
  const signed = cursor.before();
  const signatureData = new ByteCursor("the quote's signature data", cursor.take(cursor.u32()));
  const padding = cursor.rest();
  const signature = signatureData.take(SIGNATURE_BYTES);
  const attestationKey = signatureData.take(PUBLIC_KEY_BYTES);
  return { version, body, signed, signature, attestationKey, padding, qe: readQuotingEnclave(signatureData, version) };
}

function readHeader(cursor: ByteCursor): { readonly version: Quote['version']; readonly teeType: number } {
  const version = cursor.u16();
  if (version !== 3 && version !== 4 && version !== 5) return cursor.fail(`version ${version} is not known here`);
  cursor.expect(cursor.u16() === ATTESTATION_KEY_TYPE, 'its attestation key is not ECDSA P-256');
  const teeType = cursor.u32();
  cursor.take(4);
  cursor.expect(encodeHex(cursor.take(16)) === INTEL_QE_VENDOR, "its quoting enclave is not Intel's");
  cursor.take(HEADER_BYTES - cursor.position);
  return { version, teeType };
}

function readBody(cursor: ByteCursor, version: Quote['version'], teeType: number): EnclaveReport | TdReport {
  if (version === 3) {
    cursor.expect(teeType === TEE_TYPE_SGX, `TEE type ${teeType} does not go with version 3, which is of SGX`);
    return readEnclaveReport(cursor.take(ENCLAVE_REPORT_BYTES));
  }
  cursor.expect(teeType === TEE_TYPE_TDX, `TEE type ${teeType} with version ${version}: only TDX is known here`);
  if (version === 4) return readTdReport(cursor.take(TD_REPORT_10_BYTES));
  const type = cursor.u16();
  const size = cursor.u32();
  const isKnown =
    (type === BODY_TD_REPORT_10 && size === TD_REPORT_10_BYTES) ||
    (type === BODY_TD_REPORT_15 && size === TD_REPORT_15_BYTES);
  cursor.expect(isKnown, `a body of type ${type} with ${size} bytes is not known here`);
  return readTdReport(cursor.take(size));
}

function readQuotingEnclave(signatureData: ByteCursor, version: Quote['version']): QuotingEnclave {
  const cursor = version === 3 ? signatureData : openQeCertification(signatureData);
  const reportBytes = cursor.take(ENCLAVE_REPORT_BYTES);
  const signature = cursor.take(SIGNATURE_BYTES);
  const authenticationData = cursor.take(cursor.u16());
  const type = cursor.u16();
  cursor.expect(
    type === CERTIFICATION_PEM_CHAIN,
    `certification data of type ${type}: only a PEM chain (5) is known here`,
  );
  const pem = cursor.take(cursor.u32());
  cursor.expect(cursor.remaining === 0, `${cursor.remaining} bytes too many`);
  return {
    report: readEnclaveReport(reportBytes),
    reportBytes,
    signature,
    authenticationData,
    chainPem: decodePem(cursor, pem),
  };
}

function openQeCertification(signatureData: ByteCursor): ByteCursor {
  const type = signatureData.u16();
  signatureData.expect(type === CERTIFICATION_QE_REPORT, `certification data of type ${type}, not of a QE report (6)`);
  const content = signatureData.take(signatureData.u32());
  signatureData.expect(signatureData.remaining === 0, `${signatureData.remaining} bytes too many`);
  return new ByteCursor("the quote's QE certification data", content);
}

/** ASCII, with or without the zero byte that ends a string in C. */
function decodePem(cursor: ByteCursor, pem: Uint8Array): string {
  const text = pem.at(-1) === 0 ? pem.subarray(0, -1) : pem;
  cursor.expect(
    text.every((byte) => byte > 0 && byte < 0x80),
    'its PEM chain is not ASCII',
  );
  return new TextDecoder().decode(text);
}
