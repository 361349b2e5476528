import { areBytesEqual } from '../../../lib/bytes.ts';
import { describeError } from '../../../lib/errors.ts';
import { failed, unchecked } from '../../checks.ts';
import { TeeError } from '../../errors.ts';
import type { EvidenceCheck, EvidenceCrypto } from '../../interface.ts';
import { type Certificate, parseCertificate } from '../../x509/certificate.ts';
import { verifyChain } from '../../x509/chain.ts';
import { splitPem } from '../../x509/pem.ts';
import type { RevocationList } from '../../x509/revocation-list.ts';
import { getIntelRoot } from '../intel-root.ts';

export interface PemChain {
  readonly leaf: Certificate;
  readonly intermediates: readonly Certificate[];
}

/** Lists that could be read, or why they could not; null: no collateral was given. */
export type RevocationLists = readonly RevocationList[] | string | null;

/**
 * Leaf first, and Intel's root last: it has to be the pinned one, byte for byte, and is not taken from here.
 * @throws TeeError TEE_MALFORMED, TEE_TOO_LARGE
 */
export function parsePemChain(what: string, pem: string): PemChain {
  const fail = (reason: string): never => {
    throw new TeeError({ code: 'TEE_MALFORMED', what, offset: 0, reason });
  };
  const blocks = splitPem(pem, 'CERTIFICATE');
  const last = blocks.pop();
  if (last === undefined || blocks.length === 0) return fail('at least two certificates are needed');
  if (!areBytesEqual(last, getIntelRoot().der)) {
    return fail(`it ends with ${parseCertificate(last).subjectText}, which is not the pinned root`);
  }
  const [leaf, ...intermediates] = blocks.map(parseCertificate);
  if (leaf === undefined) return fail('it has no leaf');
  return { leaf, intermediates };
}

interface ChainContext {
  readonly lists: RevocationLists;
  readonly atMs: number;
  readonly crypto: EvidenceCrypto;
}

/** Checks `chain`, `validity` and `revocation`. */
export async function checkChain(
  chain: PemChain,
  { lists, atMs, crypto }: ChainContext,
): Promise<readonly EvidenceCheck[]> {
  const root = getIntelRoot();
  if (lists !== null && typeof lists !== 'string') {
    return verifyChain({ ...chain, root, atMs, crypto, revocation: { lists } });
  }
  const checks = await verifyChain({ ...chain, root, atMs, crypto, revocation: 'none' });
  const missing =
    lists === null ? unchecked('revocation', 'no revocation lists are given') : failed('revocation', lists);
  return [...checks, missing];
}

/** Runs `parse`; a TeeError becomes the check that failed. */
export function tryParse<Value>(
  name: string,
  parse: () => Value,
): { readonly value: Value } | { readonly check: EvidenceCheck } {
  try {
    return { value: parse() };
  } catch (error) {
    if (!(error instanceof TeeError)) throw error;
    return { check: failed(name, describeError(error)) };
  }
}

/** The common name, if the name has exactly one: Intel's names are unique only in it. */
export function hasCommonName(nameText: string, expected: readonly string[]): boolean {
  const names = nameText.split(', ').filter((part) => part.startsWith('CN='));
  return names.length === 1 && expected.some((name) => names[0] === `CN=${name}`);
}
