/** Certification paths (RFC 5280, section 6.1) to a root that is pinned here, as far as vendors' chains need them. */
import { areBytesEqual } from '../../lib/bytes.ts';
import { failed, passed, unchecked } from '../checks.ts';
import type { EvidenceCheck, EvidenceCrypto } from '../interface.ts';
import type { Certificate } from './certificate.ts';
import { MAX_CANDIDATES, MAX_PATH_CERTIFICATES, OID } from './constants.ts';
import { formatSerial } from './der.ts';
import { type RevocationList, verifyRevocationList } from './revocation-list.ts';

export interface ChainRequest {
  readonly leaf: Certificate;
  /** In any order; what does not belong is passed over. A root among them counts for nothing. */
  readonly intermediates: readonly Certificate[];
  /** Pinned by us: never from the caller's bytes. */
  readonly root: Certificate;
  readonly atMs: number;
  readonly crypto: EvidenceCrypto;
  /** With lists, every issuer of the path needs one: fail closed. */
  readonly revocation?: 'none' | { readonly lists: readonly RevocationList[] };
  /** Beyond basic constraints and key usage. */
  readonly knownCriticalExtensions?: readonly string[];
}

type Path = readonly Certificate[];

/**
 * Checks `chain` (signatures, names, CA flag, path length, key usage, critical extensions), `validity` (each certificate
 * at `atMs`) and, if it was asked for, `revocation`.
 */
export async function verifyChain(request: ChainRequest): Promise<readonly EvidenceCheck[]> {
  const found = await findPath(request);
  const wantsRevocation = request.revocation !== undefined && request.revocation !== 'none';
  if (!found.isComplete) {
    const rest = wantsRevocation ? ['validity', 'revocation'] : ['validity'];
    return [failed('chain', found.reason), ...rest.map((name) => unchecked(name, 'there is no chain to judge'))];
  }
  const { path } = found;
  return [
    checkPath(path, request),
    checkValidity(path, request.atMs),
    ...(wantsRevocation ? [await checkRevocation(path, request)] : []),
  ];
}

type FoundPath =
  | { readonly isComplete: true; readonly path: Path }
  | { readonly isComplete: false; readonly reason: string };

/** From the leaf up. A certificate follows only if its key verifies the one below it. */
async function findPath({ leaf, intermediates, root, crypto }: ChainRequest): Promise<FoundPath> {
  if (intermediates.length > MAX_CANDIDATES) {
    return {
      isComplete: false,
      reason: `${intermediates.length} certificates are given; at most ${MAX_CANDIDATES} are tried`,
    };
  }
  const path: Certificate[] = [leaf];
  while (path.length <= MAX_PATH_CERTIFICATES) {
    const current = path.at(-1) ?? leaf;
    const candidates = [root, ...intermediates.filter((candidate) => !path.includes(candidate))];
    const named = candidates.filter(({ subject }) => areBytesEqual(subject, current.issuer));
    const issuer = await findSigner(current, named, crypto);
    if (issuer === undefined) return { isComplete: false, reason: explainMissingIssuer(current, named, root) };
    path.push(issuer);
    if (issuer === root) return { isComplete: true, path };
  }
  return { isComplete: false, reason: `no pinned root within ${MAX_PATH_CERTIFICATES} certificates` };
}

async function findSigner(
  { scheme, tbs, signature }: Certificate,
  candidates: Path,
  crypto: EvidenceCrypto,
): Promise<Certificate | undefined> {
  if (scheme === null) return undefined;
  for (const candidate of candidates) {
    if (await crypto.verify(scheme, { publicKey: candidate.publicKey, message: tbs, signature })) return candidate;
  }
  return undefined;
}

function explainMissingIssuer(current: Certificate, named: Path, root: Certificate): string {
  if (current.scheme === null) return `${current.subjectText} is signed with an algorithm that is not accepted`;
  if (named.length > 0) return `the signature of ${current.subjectText} is not of ${current.issuerText}`;
  return `no certificate of ${current.issuerText}, which issued ${current.subjectText}, is given; the pinned root is ${root.subjectText}`;
}

function checkPath(path: Path, { knownCriticalExtensions = [] }: ChainRequest): EvidenceCheck {
  const known: readonly string[] = [OID.basicConstraints, OID.keyUsage, ...knownCriticalExtensions];
  const defects = path.flatMap((certificate, index) => {
    const strange = certificate.criticalExtensions.filter((oid) => !known.includes(oid));
    const reasons = strange.map((oid) => `unknown critical extension ${oid}`);
    if (index > 0) reasons.push(...listIssuerDefects(certificate, path.slice(1, index)));
    return reasons.map((reason) => `${certificate.subjectText}: ${reason}`);
  });
  if (defects.length > 0) return failed('chain', defects.join('; '));
  return passed('chain', `${path.map(({ subjectText }) => subjectText).join(' < ')} (pinned)`);
}

function listIssuerDefects(issuer: Certificate, authoritiesBelow: Path): readonly string[] {
  // RFC 5280, section 4.2.1.9: certificates that an authority issued to itself do not count.
  const below = authoritiesBelow.filter(({ subject, issuer: by }) => !areBytesEqual(subject, by)).length;
  return [
    ...(issuer.isAuthority ? [] : ['it is no certificate authority']),
    ...(issuer.mayHaveSigned ? [] : ['it may not sign certificates (key usage)']),
    ...(issuer.pathLength !== null && below > issuer.pathLength
      ? [`${below} authorities are below it and it allows ${issuer.pathLength}`]
      : []),
  ];
}

function checkValidity(path: Path, atMs: number): EvidenceCheck {
  const defects = path
    .filter(({ notBeforeMs, notAfterMs }) => !(notBeforeMs <= atMs && atMs <= notAfterMs))
    .map(
      ({ subjectText, notBeforeMs, notAfterMs }) =>
        `${subjectText} is valid from ${iso(notBeforeMs)} to ${iso(notAfterMs)}`,
    );
  if (defects.length > 0) return failed('validity', `not at the time of evaluation: ${defects.join('; ')}`);
  const untilMs = Math.min(...path.map(({ notAfterMs }) => notAfterMs));
  return passed(
    'validity',
    `all ${path.length} certificates are valid at the time of evaluation, until ${iso(untilMs)}`,
  );
}

async function checkRevocation(path: Path, { revocation, atMs, crypto }: ChainRequest): Promise<EvidenceCheck> {
  const lists = revocation === undefined || revocation === 'none' ? [] : revocation.lists;
  if (lists.length > MAX_CANDIDATES) {
    return failed('revocation', `${lists.length} revocation lists are given; at most ${MAX_CANDIDATES} are read`);
  }
  for (const [index, issuer] of path.slice(1).entries()) {
    const own = lists.filter(({ issuer: name }) => areBytesEqual(name, issuer.subject));
    if (own.length === 0) return failed('revocation', `no revocation list of ${issuer.subjectText} is given`);
    for (const list of own) {
      const check = await verifyRevocationList(list, issuer, { atMs, crypto });
      if (check.verdict !== 'passed') return failed('revocation', check.detail);
      const subject = path[index];
      if (subject !== undefined && list.revoked.has(formatSerial(subject.serialNumber))) {
        return failed('revocation', `${subject.subjectText} (serial ${formatSerial(subject.serialNumber)}) is revoked`);
      }
    }
  }
  return passed(
    'revocation',
    `none of the ${path.length - 1} certificates below the root is on its issuer's current list`,
  );
}

function iso(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
