/** What AMD's key distribution service gives (AMD 57230, revision 0.51, section 4.1). */
import { areBytesEqual } from '../../../lib/bytes.ts';
import { decide } from '../../checks.ts';
import { TeeError } from '../../errors.ts';
import type { EvidenceCheck, EvidenceCrypto } from '../../interface.ts';
import { type Endorsement, parseEndorsement } from '../../sev-snp/endorsement.ts';
import { computeRevocationListUrl, computeVcekUrl } from '../../sev-snp/key-distribution.ts';
import { findPinnedCertificate } from '../../sev-snp/pinned-certificates.ts';
import type { Product } from '../../sev-snp/products.ts';
import type { SevSnpReport } from '../../sev-snp/report.ts';
import { areTcbsEqual, decodeTcb } from '../../sev-snp/tcb.ts';
import { parseCertificate } from '../../x509/certificate.ts';
import { verifyChain } from '../../x509/chain.ts';
import { parseRevocationList, verifyRevocationList } from '../../x509/revocation-list.ts';
import { REFRESH_AFTER_MS } from '../constants.ts';
import { assertPassed } from './assert-passed.ts';
import type { DocumentRequest } from './document-source.ts';

/** DER. It is of one chip at one TCB, both in the address, and does not change. Undefined if the report names no address. */
export function requestVcek(report: SevSnpReport, crypto: EvidenceCrypto): DocumentRequest<Uint8Array> | undefined {
  const what = 'the VCEK certificate';
  const url = report.signingKey === 'vcek' ? computeVcekUrl(report) : undefined;
  if (url === undefined) return undefined;
  return {
    what,
    url,
    chainHeader: null,
    refreshAfterMs: null,
    open: async ({ body }, atMs) => {
      const leaf = parseCertificate(body);
      const endorsement = parseEndorsement(leaf);
      const { product } = endorsement;
      const issuer = findPinnedCertificate(product, 'ask');
      const root = findPinnedCertificate(product, 'ark');
      const chain = await verifyChain({ leaf, intermediates: [issuer], root, atMs, crypto });
      assertPassed(what, [...chain, checkChip(report, endorsement)]);
      return body;
    },
  };
}

/** Whether a certificate is for the key that signed the report; hosts go on handing out those of firmware before an update. */
export function isEndorsedBy(report: SevSnpReport, certificate: Uint8Array): boolean {
  try {
    const endorsement = parseEndorsement(parseCertificate(certificate));
    if (endorsement.kind !== report.signingKey) return false;
    return endorsement.kind === 'vlek' || checkChip(report, endorsement).verdict === 'passed';
  } catch (error) {
    if (error instanceof TeeError) return false;
    throw error;
  }
}

/** The requester judges the same of it; what would fail there is not kept. */
function checkChip({ chipId, reportedTcb }: SevSnpReport, endorsement: Endorsement): EvidenceCheck {
  const { product, tcb } = endorsement;
  const hardwareId = endorsement.kind === 'vcek' ? endorsement.hardwareId : new Uint8Array();
  const reported = decodeTcb(product, reportedTcb);
  const isOfChip = hardwareId.length > 0 && areBytesEqual(chipId.subarray(0, hardwareId.length), hardwareId);
  const holds = isOfChip && reported !== undefined && areTcbsEqual(reported, tcb);
  return decide('chip', { holds, detail: `it is ${holds ? '' : 'not '}of the chip and TCB that the report names` });
}

/** DER, of the root of a product. */
export function requestAmdRevocationList(product: Product, crypto: EvidenceCrypto): DocumentRequest<Uint8Array> {
  const what = "the revocation list of AMD's root";
  return {
    what,
    url: computeRevocationListUrl(product),
    chainHeader: null,
    refreshAfterMs: REFRESH_AFTER_MS,
    open: async ({ body }, atMs) => {
      const root = findPinnedCertificate(product, 'ark');
      assertPassed(what, [await verifyRevocationList(parseRevocationList(body), root, { atMs, crypto })]);
      return body;
    },
  };
}
