/** Offline verification of the in-toto export. Browser-capable: nothing here or below imports from node:. */
import { peerIdFromString } from '@libp2p/peer-id';
import type { VerificationVerdict } from '../domain/assurance.ts';
import { PeerKey } from '../domain/ids.ts';
import { type Check, combineChecks, uncheckedCheck, VALID } from './checks/check.ts';
import { type DsseEnvelope, type DsseSignature, parseDsse, verifyDsse } from './dsse.ts';
import { IN_TOTO_PAYLOAD_TYPE, parseStatement, readClaims, type Statement, type StatementClaims } from './in-toto.ts';

export interface InTotoVerification {
  readonly verdict: VerificationVerdict['kind'];
  /** PeerId whose key signed the statement, if a signature holds. */
  readonly signer: string | null;
  readonly checks: readonly Check[];
  readonly predicateType: string;
  readonly subjects: Statement['subject'];
  /** What the signer says it found; null if the signature does not hold or the predicate is of another kind. */
  readonly claims: StatementClaims | null;
  readonly notProven: readonly string[];
}

/**
 * Verifies the signature of an in-toto export. Without `signer` the key is the one that the file itself names.
 * @throws BundleError for what is no DSSE envelope with an in-toto statement
 */
export async function verifyInToto(
  bytes: Uint8Array,
  options: { readonly signer?: PeerKey } = {},
): Promise<InTotoVerification> {
  const envelope = parseDsse(bytes);
  const statement = parseStatement(envelope.payload);
  const accepted = await verifyDsse(envelope, (signature, message) => isSignedBy(signature, message, options.signer));
  const signer = options.signer ?? accepted[0]?.keyId ?? null;
  const claims = accepted.length > 0 ? (readClaims(statement) ?? null) : null;
  const checks = [
    checkSignature(envelope, accepted.length > 0, options.signer),
    checkPayloadType(envelope.payloadType),
    checkPredicate(claims),
  ];
  return {
    verdict: combineChecks(checks).kind,
    signer: accepted.length > 0 ? signer : null,
    checks,
    predicateType: statement.predicateType,
    subjects: statement.subject,
    claims,
    notProven: listNotProven(options.signer, claims),
  };
}

/** The key is the expected signer's, else the one that `keyid` names: a PeerId holds its Ed25519 key. */
async function isSignedBy(
  { keyId, signature }: DsseSignature,
  message: Uint8Array,
  expected: PeerKey | undefined,
): Promise<boolean> {
  const peer = expected ?? parsePeer(keyId);
  if (peer === undefined || signature.length !== 64) return false;
  return (await peerIdFromString(peer).publicKey?.verify(message, signature)) === true;
}

function parsePeer(keyId: string | undefined): PeerKey | undefined {
  try {
    return keyId === undefined ? undefined : PeerKey(keyId);
  } catch {
    return undefined;
  }
}

function checkSignature(envelope: DsseEnvelope, isAccepted: boolean, expected: PeerKey | undefined): Check {
  if (isAccepted) return { name: 'statement signature', verdict: VALID };
  const names = envelope.signatures.map(({ keyId }) => keyId ?? 'no key named').join(', ');
  const reason = `no signature of ${expected ?? 'a key that the file names'} holds (signatures: ${names || 'none'})`;
  return { name: 'statement signature', verdict: { kind: 'invalid', code: 'WRONG_SIGNER', reason } };
}

function checkPayloadType(payloadType: string): Check {
  const name = 'payload type';
  if (payloadType === IN_TOTO_PAYLOAD_TYPE) return { name, verdict: VALID };
  const reason = `it is '${payloadType}' and must be '${IN_TOTO_PAYLOAD_TYPE}'`;
  return { name, verdict: { kind: 'invalid', code: 'WRONG_TYPE', reason } };
}

function checkPredicate(claims: StatementClaims | null): Check {
  const name = 'predicate';
  if (claims === null)
    return { name, verdict: { kind: 'unchecked', missing: 'a signed predicate of a kind known here' } };
  switch (claims.verdict) {
    case 'valid':
      return { name, verdict: VALID };
    case 'unchecked':
      return uncheckedCheck(name, `what its signer lacked as well: ${listMissing(claims)}`);
    case 'invalid': {
      const reason = 'its signer says that the evidence did not pass';
      return { name, verdict: { kind: 'invalid', code: 'STATED_INVALID', reason } };
    }
    default:
      return claims.verdict satisfies never;
  }
}

function listMissing({ assurances }: StatementClaims): string {
  const missing = assurances.flatMap(({ assurance, verdict }) =>
    verdict.kind === 'unchecked' ? [`${assurance}: ${verdict.missing}`] : [],
  );
  return missing.join('; ') || 'it does not say what';
}

function listNotProven(expected: PeerKey | undefined, claims: StatementClaims | null): readonly string[] {
  return [
    "That the evidence passes: this file holds one party's signed summary and not the evidence. Verify the bundle file itself for that.",
    ...(expected === undefined
      ? [
          'That the signer is whom you expect: its key is the one in the file. Name the key that you trust with --signer.',
        ]
      : []),
    'That your copies of the files are these: compare their SHA-256 with the subjects; those of a confidential job are of the sealed files.',
    ...(claims?.notProven ?? []),
  ];
}
