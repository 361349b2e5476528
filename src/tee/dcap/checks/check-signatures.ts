import { areBytesEqual, concatBytes } from '../../../lib/bytes.ts';
import { decide } from '../../checks.ts';
import type { EvidenceCheck, EvidenceCrypto } from '../../interface.ts';
import type { Certificate } from '../../x509/certificate.ts';
import { P256_KEY_PREFIX } from '../constants.ts';
import { decodeHex } from '../hex.ts';
import type { Quote } from '../quote/quote.ts';

const QE_REPORT_DATA_OFFSET = 320;

/** The attestation key signed header and body. */
export async function checkQuoteSignature(quote: Quote, crypto: EvidenceCrypto): Promise<EvidenceCheck> {
  const publicKey = concatBytes(decodeHex('a key prefix', P256_KEY_PREFIX), quote.attestationKey);
  const parts = { publicKey, message: quote.signed, signature: quote.signature };
  const holds = await crypto.verify('ecdsa-p256-sha256', parts);
  return decide('quote-signature', {
    holds,
    detail: `the signature of the quote's ${quote.signed.length} bytes is ${holds ? '' : 'not '}of the attestation key in it`,
  });
}

/** The quoting enclave made that key: its report data is SHA-256(attestation key || authentication data) and zeros. */
export async function checkAttestationKey(quote: Quote, crypto: EvidenceCrypto): Promise<EvidenceCheck> {
  const bound = concatBytes(quote.attestationKey, quote.qe.authenticationData);
  const expected = concatBytes(await crypto.digest('SHA-256', bound), new Uint8Array(32));
  const holds = areBytesEqual(quote.qe.reportBytes.subarray(QE_REPORT_DATA_OFFSET), expected);
  return decide('attestation-key', {
    holds,
    detail: `the quoting enclave's report data ${holds ? 'is' : 'is not'} the hash of the attestation key`,
  });
}

/** The platform's provisioning key signed the quoting enclave's report. */
export async function checkQeReportSignature(
  { qe }: Quote,
  pck: Certificate,
  crypto: EvidenceCrypto,
): Promise<EvidenceCheck> {
  const parts = { publicKey: pck.publicKey, message: qe.reportBytes, signature: qe.signature };
  const holds = await crypto.verify('ecdsa-p256-sha256', parts);
  return decide('qe-report-signature', {
    holds,
    detail: `the quoting enclave's report is ${holds ? '' : 'not '}signed by the key that the PCK certificate names`,
  });
}
