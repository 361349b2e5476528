/** Addresses of AMD's key distribution service (AMD 57230, revision 0.51, section 4.1). */
import { encodeHex } from '../../lib/bytes.ts';
import { TURIN_CHIP_ID_BYTES } from './constants.ts';
import { findProductOfCpu, nameProduct, type Product } from './products.ts';
import { isZero, type SevSnpReport } from './report.ts';
import { decodeTcb, TCB_PLACES } from './tcb.ts';

const SERVICE = 'https://kdsintf.amd.com';

const PARAMETERS = {
  fmc: 'fmcSPL',
  bootLoader: 'blSPL',
  tee: 'teeSPL',
  snp: 'snpSPL',
  microcode: 'ucodeSPL',
} as const;

/** Where the VCEK certificate of a report is; undefined if the report does not tell. */
export function computeVcekUrl(report: SevSnpReport): string | undefined {
  const product = report.cpu === null ? undefined : findProductOfCpu(report.cpu);
  const tcb = product === undefined ? undefined : decodeTcb(product, report.reportedTcb);
  if (product === undefined || tcb === undefined || isZero(report.chipId)) return undefined;
  const chipId = encodeHex(report.chipId.subarray(0, product === 'turin' ? TURIN_CHIP_ID_BYTES : undefined));
  const levels = TCB_PLACES[product].map(({ part }) => `${PARAMETERS[part]}=${tcb[part] ?? 0}`);
  return `${SERVICE}/vcek/v1/${nameProduct(product)}/${chipId}?${levels.join('&')}`;
}

/** Where the revocation list of AMD's root of a product is. */
export function computeRevocationListUrl(product: Product): string {
  return `${SERVICE}/vcek/v1/${nameProduct(product)}/crl`;
}
