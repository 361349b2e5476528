/** What AMD certifies of a key that signs reports (AMD 57230, revision 0.51, table 10). */
import { TeeError } from '../errors.ts';
import type { Certificate } from '../x509/certificate.ts';
import { TAG } from '../x509/constants.ts';
import { DerReader, readSmallInteger } from '../x509/der.ts';
import { AMD_OIDS, CHIP_ID_BYTES, TURIN_CHIP_ID_BYTES } from './constants.ts';
import { findProductOfName, type Product } from './products.ts';
import { buildTcb, TCB_PLACES, type TcbVersion } from './tcb.ts';

interface EndorsementParts {
  readonly certificate: Certificate;
  readonly product: Product;
  readonly productName: string;
  readonly tcb: TcbVersion;
}

/** vcek: of one chip. vlek: of a cloud provider, loaded into its chips. */
export type Endorsement = EndorsementParts &
  (
    | { readonly kind: 'vcek'; readonly hardwareId: Uint8Array }
    | { readonly kind: 'vlek'; readonly cloudProvider: string }
  );

const WHAT = 'the VCEK or VLEK certificate';
/** Longest product name or provider name that is believed. */
const MAX_NAME_BYTES = 256;
/** Numbers of the patch levels' extensions. */
const EXTENSION_NUMBERS = [1, 2, 3, 4, 5, 6, 7, 8, 9] as const;

/** Whether it is one of AMD's for signing reports, as far as its extensions tell. */
export function isEndorsement(certificate: Certificate): boolean {
  return (
    certificate.findExtension(AMD_OIDS.hardwareId) !== undefined ||
    certificate.findExtension(AMD_OIDS.cloudProvider) !== undefined
  );
}

/** @throws TeeError TEE_MALFORMED */
export function parseEndorsement(certificate: Certificate): Endorsement {
  const productName = readName(certificate, AMD_OIDS.productName) ?? fail('it names no product');
  const product = findProductOfName(productName) ?? fail(`no such product: ${JSON.stringify(productName)}`);
  const parts = { certificate, product, productName, tcb: readTcb(certificate, product) };
  const hardwareId = certificate.findExtension(AMD_OIDS.hardwareId)?.value;
  const cloudProvider = readName(certificate, AMD_OIDS.cloudProvider);
  if (hardwareId !== undefined && cloudProvider === undefined) {
    const size = product === 'turin' ? TURIN_CHIP_ID_BYTES : CHIP_ID_BYTES;
    if (hardwareId.length !== size)
      fail(`its hardware id has ${hardwareId.length} bytes, ${productName}'s has ${size}`);
    return { kind: 'vcek', hardwareId, ...parts };
  }
  if (cloudProvider !== undefined && hardwareId === undefined) return { kind: 'vlek', cloudProvider, ...parts };
  return fail('it must name either a chip or a cloud provider');
}

/** Every patch level that the product does not have must be zero, as its byte in the report is reserved. */
function readTcb(certificate: Certificate, product: Product): TcbVersion {
  const places = TCB_PLACES[product];
  for (const number of EXTENSION_NUMBERS) {
    if (places.some(({ extension }) => extension === number)) continue;
    const level = readLevel(certificate, number);
    if (level !== undefined && level !== 0) fail(`its reserved patch level ${number} is ${level}`);
  }
  return buildTcb(
    product,
    ({ part, extension }) => readLevel(certificate, extension) ?? fail(`it has no level of ${part}`),
  );
}

function readLevel(certificate: Certificate, number: number): number | undefined {
  const found = certificate.findExtension(`${AMD_OIDS.securityPatchLevels}.${number}`);
  if (found === undefined) return undefined;
  const reader = new DerReader(WHAT, found.value);
  const level = readSmallInteger(reader);
  reader.assertEnd();
  return level <= 0xff ? level : fail(`its patch level ${number} is ${level}`);
}

/** IA5String. */
function readName(certificate: Certificate, oid: string): string | undefined {
  const found = certificate.findExtension(oid);
  if (found === undefined) return undefined;
  const reader = new DerReader(WHAT, found.value);
  const { content } = reader.read(TAG.ia5String);
  reader.assertEnd();
  if (content.length > MAX_NAME_BYTES || content.some((byte) => byte < 0x20 || byte > 0x7e))
    fail(`a name that is none (${oid})`);
  return String.fromCharCode(...content);
}

function fail(reason: string): never {
  throw new TeeError({ code: 'TEE_MALFORMED', what: WHAT, offset: 0, reason });
}
