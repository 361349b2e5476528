/** What AMD's key distribution service gives (AMD 57230, revision 0.51, section 4.1). */
import type { EvidenceCrypto } from '../../interface.ts';
import { parseEndorsement } from '../../sev-snp/endorsement.ts';
import { computeRevocationListUrl } from '../../sev-snp/key-distribution.ts';
import { findPinnedCertificate } from '../../sev-snp/pinned-certificates.ts';
import type { Product } from '../../sev-snp/products.ts';
import { parseCertificate } from '../../x509/certificate.ts';
import { verifyChain } from '../../x509/chain.ts';
import { parseRevocationList, verifyRevocationList } from '../../x509/revocation-list.ts';
import { REFRESH_AFTER_MS } from '../constants.ts';
import { assertPassed } from './assert-passed.ts';
import type { DocumentRequest } from './document-source.ts';

/** DER. It is of one chip at one TCB, both in the address, and does not change. */
export function requestVcek(url: string, crypto: EvidenceCrypto): DocumentRequest<Uint8Array> {
  const what = 'the VCEK certificate';
  return {
    what,
    url,
    chainHeader: null,
    refreshAfterMs: null,
    open: async ({ body }, atMs) => {
      const leaf = parseCertificate(body);
      const { product } = parseEndorsement(leaf);
      const issuer = findPinnedCertificate(product, 'ask');
      const root = findPinnedCertificate(product, 'ark');
      assertPassed(what, await verifyChain({ leaf, intermediates: [issuer], root, atMs, crypto }));
      return body;
    },
  };
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
