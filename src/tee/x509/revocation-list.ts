/** X.509 certificate revocation lists (RFC 5280, section 5.1). */
import { areBytesEqual } from '../../lib/bytes.ts';
import { failed, passed } from '../checks.ts';
import type { EvidenceCheck, EvidenceCrypto, SignatureScheme } from '../interface.ts';
import type { Certificate } from './certificate.ts';
import { MAX_REVOCATION_LIST_BYTES, TAG } from './constants.ts';
import { DerReader, formatSerial, readIntegerBytes, readSmallInteger, readTime } from './der.ts';
import { listCritical, readExtensions } from './extensions.ts';
import { formatName } from './name.ts';
import { openSignedForm } from './signed-form.ts';

export interface RevocationList {
  readonly der: Uint8Array;
  readonly tbs: Uint8Array;
  /** DER of the name. */
  readonly issuer: Uint8Array;
  readonly issuerText: string;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number | null;
  /** Serial numbers as `formatSerial` writes them. */
  readonly revoked: ReadonlySet<string>;
  readonly scheme: SignatureScheme | null;
  readonly signature: Uint8Array;
  /** Of the list and of its entries. Each would change what the list means (delta, indirect or partial lists). */
  readonly criticalExtensions: readonly string[];
}

interface RevocationContext {
  readonly atMs: number;
  readonly crypto: EvidenceCrypto;
}

/** @throws TeeError TEE_MALFORMED, TEE_TOO_LARGE */
export function parseRevocationList(der: Uint8Array): RevocationList {
  const { form, body, algorithm } = openSignedForm('a revocation list', der, MAX_REVOCATION_LIST_BYTES);
  return { ...form, ...readList(body, algorithm) };
}

function readList(
  reader: DerReader,
  outerAlgorithm: Uint8Array,
): Omit<RevocationList, 'der' | 'tbs' | 'scheme' | 'signature'> {
  if (reader.nextTag === TAG.integer && readSmallInteger(reader) !== 1) reader.fail('only version 2 is known here');
  const algorithm = reader.read(TAG.sequence);
  if (!areBytesEqual(algorithm.whole, outerAlgorithm)) {
    reader.fail('the signature algorithm differs inside and outside', algorithm.offset);
  }
  const issuer = reader.read(TAG.sequence);
  const thisUpdateMs = readTime(reader);
  const isTime = reader.nextTag === TAG.utcTime || reader.nextTag === TAG.generalizedTime;
  const nextUpdateMs = isTime ? readTime(reader) : null;
  const entries = reader.readOptional(TAG.sequence);
  const { revoked, critical } = readEntries(entries === undefined ? undefined : reader.open(entries));
  const wrapped = reader.readOptional(TAG.explicit0);
  reader.assertEnd();
  if (wrapped !== undefined) {
    const inner = reader.open(wrapped);
    for (const oid of listCritical(readExtensions(inner))) critical.add(oid);
    inner.assertEnd();
  }
  return {
    issuer: issuer.whole,
    issuerText: formatName("a revocation list's issuer", issuer),
    thisUpdateMs,
    nextUpdateMs,
    revoked,
    criticalExtensions: [...critical],
  };
}

function readEntries(entries: DerReader | undefined) {
  const revoked = new Set<string>();
  const critical = new Set<string>();
  while (entries !== undefined && !entries.isAtEnd) {
    const entry = entries.enter(TAG.sequence);
    revoked.add(formatSerial(readIntegerBytes(entry)));
    readTime(entry);
    if (!entry.isAtEnd) for (const oid of listCritical(readExtensions(entry))) critical.add(oid);
    entry.assertEnd();
  }
  return { revoked, critical };
}

/**
 * Whether the list is this authority's and current. It says nothing of who is on it.
 * A list without a next update, or with a critical extension, is refused: nothing could tell what it leaves out.
 */
export async function verifyRevocationList(
  list: RevocationList,
  issuer: Certificate,
  { atMs, crypto }: RevocationContext,
): Promise<EvidenceCheck> {
  const name = 'revocation-list';
  const of = `the revocation list of ${issuer.subjectText}`;
  const defect = findDefect(list, issuer, atMs);
  if (defect !== undefined) return failed(name, `${of}: ${defect}`);
  const parts = { publicKey: issuer.publicKey, message: list.tbs, signature: list.signature };
  if (list.scheme === null || !(await crypto.verify(list.scheme, parts))) {
    return failed(name, `${of}: its signature is not that authority's`);
  }
  return passed(name, `${of} is signed by it and valid ${describeTimes(list)}`);
}

function findDefect(list: RevocationList, issuer: Certificate, atMs: number): string | undefined {
  if (!areBytesEqual(list.issuer, issuer.subject)) return `it is of ${list.issuerText}`;
  if (!issuer.mayHaveSignedCrls) return 'that authority may not sign revocation lists (key usage)';
  if (list.criticalExtensions.length > 0) return `unknown critical extensions ${list.criticalExtensions.join(', ')}`;
  if (list.nextUpdateMs === null) return 'it does not say when its next update is due';
  if (!(list.thisUpdateMs <= atMs && atMs <= list.nextUpdateMs)) {
    return `valid ${describeTimes(list)}, not at ${formatTime(atMs)}`;
  }
  return undefined;
}

function describeTimes({ thisUpdateMs, nextUpdateMs }: RevocationList): string {
  return `from ${formatTime(thisUpdateMs)} to ${nextUpdateMs === null ? 'an unknown time' : formatTime(nextUpdateMs)}`;
}

function formatTime(timeMs: number): string {
  return Math.abs(timeMs) <= 8.64e15 ? new Date(timeMs).toISOString() : 'no time';
}
