import { accepted, failed, unchecked } from '../checks.ts';
import { TeeError } from '../errors.ts';
import type { EvidenceCheck } from '../interface.ts';
import type { Certificate } from '../x509/certificate.ts';
import { verifyChain } from '../x509/chain.ts';
import { parseRevocationList, type RevocationList } from '../x509/revocation-list.ts';
import { MAX_REVOCATION_LISTS } from './constants.ts';
import type { SevSnpRequest } from './interface.ts';
import { computeRevocationListUrl } from './key-distribution.ts';
import type { Product } from './products.ts';

/** Of a key that signs reports. */
export interface Issuers {
  readonly product: Product;
  readonly issuer: Certificate;
  readonly root: Certificate;
}

type RevocationRequest = Pick<SevSnpRequest, 'revocationLists' | 'policy' | 'atMs' | 'crypto'>;

const NAME = 'revocation';

/**
 * AMD's root lists the signing authorities that it revoked. VCEKs and VLEKs have serial number 0: they cannot be
 * listed, and are overtaken by a higher TCB instead. The authorities are pinned here, but only the list tells of one
 * that was revoked since.
 */
export async function judgeRevocation(
  request: RevocationRequest,
  { issuer, root, product }: Issuers,
): Promise<readonly EvidenceCheck[]> {
  const { revocationLists: given = [], atMs, crypto } = request;
  if (given.length === 0) return [judgeMissingLists(request, product)];
  const lists = parseLists(given);
  if ('verdict' in lists) return [lists];
  const checks = await verifyChain({ leaf: issuer, intermediates: [], root, atMs, crypto, revocation: { lists } });
  return checks.filter(({ name }) => name === NAME);
}

/** Where there is no certificate whose authority could be looked up. */
export function judgeMissingChain(request: RevocationRequest, product: Product | undefined): EvidenceCheck {
  const { revocationLists: given = [] } = request;
  return given.length === 0 ? judgeMissingLists(request, product) : unchecked(NAME, 'there is no chain to judge');
}

function judgeMissingLists({ policy }: RevocationRequest, product: Product | undefined): EvidenceCheck {
  const where = product === undefined ? '' : ` (${computeRevocationListUrl(product)})`;
  const missing = `no revocation list of AMD's root came with the report${where}`;
  if (policy !== undefined && policy !== 'none' && policy.acceptUnchecked.includes(NAME))
    return accepted(NAME, missing);
  return unchecked(NAME, `${missing}: give it along, or a policy that says acceptUnchecked: [${NAME}]`);
}

function parseLists(given: readonly Uint8Array[]): readonly RevocationList[] | EvidenceCheck {
  if (given.length > MAX_REVOCATION_LISTS) {
    return failed(NAME, `${given.length} lists are given; at most ${MAX_REVOCATION_LISTS} are read`);
  }
  try {
    return given.map((der) => parseRevocationList(der));
  } catch (error) {
    if (error instanceof TeeError) return failed(NAME, error.message);
    throw error;
  }
}
