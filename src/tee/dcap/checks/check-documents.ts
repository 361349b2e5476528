/** TCB info and QE identity: JSON that Intel's TCB signing key signed, verified over the very bytes. */
import type { z } from 'zod';
import { areBytesEqual, encodeUtf8 } from '../../../lib/bytes.ts';
import { decide, failed, passed, unchecked } from '../../checks.ts';
import type { EvidenceCheck, EvidenceCrypto } from '../../interface.ts';
import { parseJson } from '../collateral/collateral.ts';
import { NAMES } from '../constants.ts';
import { decodeHex } from '../hex.ts';
import { getIntelRoot } from '../intel-root.ts';
import {
  checkChain,
  hasCommonName,
  type PemChain,
  parsePemChain,
  type RevocationLists,
  tryParse,
} from './check-chains.ts';

interface SignedDocument<Schema extends z.ZodType> {
  /** `tcb-info` or `qe-identity`. */
  readonly prefix: string;
  readonly text: string;
  /** r || s, hex. */
  readonly signature: string;
  readonly schema: Schema;
}

interface DocumentContext {
  /** Of its own issuer chain. */
  readonly issuer: CheckedIssuer;
  readonly atMs: number;
  readonly crypto: EvidenceCrypto;
}

type CheckedIssuer =
  | { readonly chain: PemChain; readonly checks: readonly EvidenceCheck[] }
  | { readonly failure: string };

interface IssuerContext {
  readonly lists: RevocationLists;
  readonly atMs: number;
  readonly crypto: EvidenceCrypto;
}

export interface CheckedDocument<Value> {
  readonly checks: readonly EvidenceCheck[];
  /** Null unless Intel's signature holds, by a chain to the pinned root. */
  readonly value: Value | null;
}

interface Dated {
  readonly issueDate: number;
  readonly nextUpdate: number;
}

/** The issuer of a document, checked for itself: both documents have the same as a rule. */
export async function checkIssuer(pem: string, context: IssuerContext): Promise<CheckedIssuer> {
  const chain = tryParse('chain', () => parsePemChain('the chain of its issuer', pem));
  if ('check' in chain) return { failure: chain.check.detail };
  return { chain: chain.value, checks: await checkChain(chain.value, context) };
}

/** Parsed only once its signature held. */
export async function checkDocument<Schema extends z.ZodType<Dated>>(
  document: SignedDocument<Schema>,
  context: DocumentContext,
): Promise<CheckedDocument<z.output<Schema>>> {
  const { prefix, text, schema } = document;
  const { issuer } = context;
  if ('failure' in issuer) {
    const checks = [failed(`${prefix}-chain`, issuer.failure), unchecked(prefix, 'it has no issuer')];
    return { checks, value: null };
  }
  const proofs = [
    ...issuer.checks.map((check) => ({ ...check, name: `${prefix}-${check.name}` })),
    checkSigner(prefix, issuer.chain),
    await checkSignature(document, issuer.chain, context.crypto),
  ];
  const needed = [`${prefix}-chain`, `${prefix}-signer`, `${prefix}-signature`];
  if (proofs.some(({ name, verdict }) => needed.includes(name) && verdict !== 'passed')) {
    return { checks: [...proofs, unchecked(prefix, "it is not Intel's")], value: null };
  }
  const parsed = tryParse(prefix, () => parseJson(prefix, encodeUtf8(text), schema));
  if ('check' in parsed) return { checks: [...proofs, parsed.check], value: null };
  return { checks: [...proofs, checkDates(prefix, parsed.value, context.atMs)], value: parsed.value };
}

/** Any key below the root would do otherwise, that of a platform too. */
function checkSigner(prefix: string, { leaf, intermediates }: PemChain): EvidenceCheck {
  const isDirect = intermediates.length === 0 && areBytesEqual(leaf.issuer, getIntelRoot().subject);
  const holds = isDirect && hasCommonName(leaf.subjectText, [NAMES.tcbSigning]);
  return decide(`${prefix}-signer`, {
    holds,
    detail: `${leaf.subjectText} is ${holds ? '' : 'not '}${NAMES.tcbSigning}, issued by Intel's root itself`,
  });
}

async function checkSignature(
  { prefix, text, signature }: SignedDocument<z.ZodType>,
  { leaf }: PemChain,
  crypto: EvidenceCrypto,
): Promise<EvidenceCheck> {
  const holds = await crypto.verify('ecdsa-p256-sha256', {
    publicKey: leaf.publicKey,
    message: encodeUtf8(text),
    signature: decodeHex('a signature', signature),
  });
  const name = `${prefix}-signature`;
  return decide(name, {
    holds,
    detail: `its ${text.length} characters are ${holds ? '' : 'not '}signed by ${leaf.subjectText}`,
  });
}

function checkDates(prefix: string, { issueDate, nextUpdate }: Dated, atMs: number): EvidenceCheck {
  const name = `${prefix}-dates`;
  const times = `from ${new Date(issueDate).toISOString()} to ${new Date(nextUpdate).toISOString()}`;
  if (!(issueDate <= atMs && atMs <= nextUpdate))
    return failed(name, `it is valid ${times}, not at the time of evaluation`);
  return passed(name, `it is valid ${times}`);
}
