/** What Intel's provisioning certification service gives (PCS API, version 4), or a PCCS in front of it. */
import type { z } from 'zod';
import { decodeUtf8, encodeHex } from '../../../lib/bytes.ts';
import { checkChain, parsePemChain } from '../../dcap/checks/check-chains.ts';
import { checkDocument, checkIssuer } from '../../dcap/checks/check-documents.ts';
import { parseRevocationListText } from '../../dcap/collateral/collateral.ts';
import { qeIdentitySchema } from '../../dcap/collateral/qe-identity.ts';
import { tcbInfoSchema } from '../../dcap/collateral/tcb-info.ts';
import { getIntelRoot } from '../../dcap/intel-root.ts';
import { TeeError } from '../../errors.ts';
import type { EvidenceCheck, EvidenceCrypto } from '../../interface.ts';
import { TAG } from '../../x509/constants.ts';
import { type RevocationList, verifyRevocationList } from '../../x509/revocation-list.ts';
import { REFRESH_AFTER_MS } from '../constants.ts';
import { assertPassed } from './assert-passed.ts';
import type { DocumentRequest } from './document-source.ts';
import type { VendorDocument } from './vendor-document.ts';

const INTEL_SERVICE = 'https://api.trustedservices.intel.com';
const INTEL_ROOT_LIST = 'https://certificates.trustedservices.intel.com/IntelSGXRootCA.der';

export interface IntelAddresses {
  /** Null: Intel's own service. */
  readonly service: string | null;
}

/** The text is as Intel signed it. */
export interface SignedText {
  readonly text: string;
  /** r || s, hex. */
  readonly signature: string;
  /** PEM. */
  readonly issuerChain: string;
}

interface Place extends IntelAddresses {
  readonly kind: 'tdx' | 'sgx';
}

export function requestTcbInfo(
  { kind, service, fmspc }: Place & { readonly fmspc: string },
  crypto: EvidenceCrypto,
): DocumentRequest<SignedText> {
  return requestSigned(
    {
      what: `Intel's TCB info of ${kind} platforms with FMSPC ${fmspc}`,
      url: `${baseOf(service)}/${kind}/certification/v4/tcb?fmspc=${fmspc}`,
      chainHeader: 'TCB-Info-Issuer-Chain',
      member: 'tcbInfo',
      prefix: 'tcb-info',
      schema: tcbInfoSchema,
    },
    crypto,
  );
}

export function requestQeIdentity({ kind, service }: Place, crypto: EvidenceCrypto): DocumentRequest<SignedText> {
  return requestSigned(
    {
      what: `the identity of Intel's quoting enclave of ${kind}`,
      url: `${baseOf(service)}/${kind}/certification/v4/qe/identity`,
      chainHeader: 'SGX-Enclave-Identity-Issuer-Chain',
      member: 'enclaveIdentity',
      prefix: 'qe-identity',
      schema: qeIdentitySchema,
    },
    crypto,
  );
}

/** DER, in hex. `authority` is which one issued the PCK certificate. */
export function requestPckRevocationList(
  { service, authority }: IntelAddresses & { readonly authority: 'platform' | 'processor' },
  crypto: EvidenceCrypto,
): DocumentRequest<string> {
  const what = `the revocation list of Intel's PCK ${authority} authority`;
  return {
    what,
    url: `${baseOf(service)}/sgx/certification/v4/pckcrl?ca=${authority}&encoding=der`,
    chainHeader: 'SGX-PCK-CRL-Issuer-Chain',
    refreshAfterMs: REFRESH_AFTER_MS,
    open: async (document, atMs) => {
      const chain = parsePemChain(what, requireChain(document));
      const list = openList(document.body);
      const checks = await checkChain(chain, { lists: null, atMs, crypto });
      const ofList = await verifyRevocationList(list, chain.leaf, { atMs, crypto });
      assertPassed(what, [...withoutRevocation(checks), ofList]);
      return encodeHex(list.der);
    },
  };
}

/** DER, in hex. */
export function requestRootRevocationList(
  { service }: IntelAddresses,
  crypto: EvidenceCrypto,
): DocumentRequest<string> {
  const what = "the revocation list of Intel's root";
  return {
    what,
    url: service === null ? INTEL_ROOT_LIST : `${baseOf(service)}/sgx/certification/v4/rootcacrl`,
    chainHeader: null,
    refreshAfterMs: REFRESH_AFTER_MS,
    open: async ({ body }, atMs) => {
      const list = openList(body);
      assertPassed(what, [await verifyRevocationList(list, getIntelRoot(), { atMs, crypto })]);
      return encodeHex(list.der);
    },
  };
}

function baseOf(service: string | null): string {
  return (service ?? INTEL_SERVICE).replace(/\/+$/u, '');
}

interface SignedPlace {
  readonly what: string;
  readonly url: string;
  readonly chainHeader: string;
  /** Of the JSON object that holds text and signature. */
  readonly member: 'tcbInfo' | 'enclaveIdentity';
  readonly prefix: 'tcb-info' | 'qe-identity';
  readonly schema: z.ZodType<{ readonly issueDate: number; readonly nextUpdate: number }>;
}

function requestSigned(place: SignedPlace, crypto: EvidenceCrypto): DocumentRequest<SignedText> {
  const { what, url, chainHeader, prefix, schema } = place;
  return {
    what,
    url,
    chainHeader,
    refreshAfterMs: REFRESH_AFTER_MS,
    open: async (document, atMs) => {
      const issuerChain = requireChain(document);
      const { text, signature } = splitSigned(place, document.body);
      const issuer = await checkIssuer(issuerChain, { lists: null, atMs, crypto });
      const { checks } = await checkDocument({ prefix, text, signature, schema }, { issuer, atMs, crypto });
      assertPassed(what, withoutRevocation(checks));
      return { text, signature, issuerChain };
    },
  };
}

/** Lists are documents of their own here; the requester judges them together. */
function withoutRevocation(checks: readonly EvidenceCheck[]): readonly EvidenceCheck[] {
  return checks.filter(({ name }) => !/(?:^|-)revocation$/u.test(name));
}

/** The text byte for byte: parsed and written again it would not be what was signed. */
function splitSigned({ what, member }: SignedPlace, body: Uint8Array) {
  const form = new RegExp(`^\\{"${member}":(\\{.*\\}),"signature":"([0-9A-Fa-f]{128})"\\}\\s*$`, 'su');
  const [, text, signature] = form.exec(new TextDecoder().decode(body)) ?? [];
  if (text !== undefined && signature !== undefined) return { text, signature };
  const reason = `it is not {"${member}":{…},"signature":"…"}`;
  throw new TeeError({ code: 'TEE_MALFORMED', what, offset: 0, reason });
}

/** DER as Intel gives it; a PCCS gives hex. */
function openList(body: Uint8Array): RevocationList {
  return parseRevocationListText(body[0] === TAG.sequence ? encodeHex(body) : decodeText(body));
}

function decodeText(body: Uint8Array): string {
  try {
    return decodeUtf8(body).trim();
  } catch (cause) {
    throw new TeeError({ code: 'TEE_MALFORMED', what: 'a revocation list', offset: 0, reason: 'not text' }, { cause });
  }
}

function requireChain({ issuerChain }: VendorDocument): string {
  if (issuerChain !== null) return issuerChain;
  throw new TeeError({ code: 'TEE_MALFORMED', what: 'a kept document', offset: 0, reason: 'it has no issuer chain' });
}
