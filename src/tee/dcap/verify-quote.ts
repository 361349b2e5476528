/**
 * A quote of TDX or SGX, judged as Intel's quote verification library does (QuoteVerifier.cpp): from the quote's
 * signature to the platform's key, from there to Intel's root, and the platform's TCB against Intel's documents.
 */
import { decide, failed, judgeChecks, passed, unchecked } from '../checks.ts';
import type { EvidenceCheck, EvidenceVerification } from '../interface.ts';
import {
  checkChain,
  hasCommonName,
  type PemChain,
  parsePemChain,
  type RevocationLists,
  tryParse,
} from './checks/check-chains.ts';
import { type CheckedDocument, checkDocument, checkIssuer } from './checks/check-documents.ts';
import { checkDebug, checkPolicy, checkReportData } from './checks/check-policy.ts';
import { checkAttestationKey, checkQeReportSignature, checkQuoteSignature } from './checks/check-signatures.ts';
import { checkModule, checkQeIdentity, checkTcbInfo, checkTcbStatus } from './checks/check-tcb.ts';
import { type Collateral, parseCollateral, parseRevocationListText } from './collateral/collateral.ts';
import { type QeIdentity, qeIdentitySchema } from './collateral/qe-identity.ts';
import { type TcbInfo, tcbInfoSchema } from './collateral/tcb-info.ts';
import { NAMES } from './constants.ts';
import type { QuoteClaims, QuoteRequest } from './interface.ts';
import { type PlatformTcb, parsePckExtension } from './quote/pck-extension.ts';
import { parseQuote, type Quote } from './quote/quote.ts';
import { evaluateTcb, type TcbEvaluation } from './tcb/evaluate-tcb.ts';

/** Never throws for what it is given: bytes that cannot be parsed are a check that failed. */
export async function verifyQuote(request: QuoteRequest): Promise<EvidenceVerification<QuoteClaims>> {
  const parsed = tryParse('format', () => parseQuote(request.quote));
  if ('check' in parsed) return conclude(request, [parsed.check], null);
  const quote = parsed.value;
  const given = openCollateral(request.collateral);
  const lists = openRevocationLists(given.collateral);
  const certificate = await checkPlatformCertificate(quote, lists, request);
  const documents = await checkDocuments(given.collateral, lists, request);
  const { tcbInfo, qeIdentity } = documents;
  const tcb = evaluate(quote, { tcbInfo, qeIdentity, platform: certificate.platform, kind: request.kind });
  const checks = [
    checkFormat(quote),
    decide('kind', {
      holds: quote.body.kind === request.kind,
      detail: `it is of ${quote.body.kind}, expected ${request.kind}`,
    }),
    await checkQuoteSignature(quote, request.crypto),
    await checkAttestationKey(quote, request.crypto),
    ...certificate.checks,
    given.check,
    ...documents.checks,
    ...(tcbInfo === null ? [] : [checkTcbInfo(tcbInfo, request.kind, certificate.platform)]),
    ...(qeIdentity === null ? [] : [checkQeIdentity(qeIdentity, request.kind, quote.qe.report)]),
    ...(tcbInfo === null || quote.body.kind !== 'tdx' ? [] : [checkModule(quote.body, tcbInfo)]),
    checkTcbStatus(tcb, typeof request.policy === 'object' ? request.policy?.acceptedTcbStatuses : undefined),
    checkDebug(quote.body),
    ...(request.reportData === undefined ? [] : [checkReportData(quote.body, request.reportData)]),
    ...checkPolicy(request, quote.body, tcb),
  ];
  return conclude(request, checks, {
    quoteVersion: quote.version,
    body: quote.body,
    platform: certificate.platform,
    tcb,
  });
}

function checkFormat({ version, padding }: Quote): EvidenceCheck {
  const holds = padding.every((byte) => byte === 0);
  const behind = padding.length === 0 ? 'nothing' : `${padding.length} bytes, ${holds ? 'all' : 'not all'} zero`;
  return decide('format', { holds, detail: `a quote of version ${version} and behind it ${behind}` });
}

function conclude(
  { kind, atMs }: QuoteRequest,
  checks: readonly EvidenceCheck[],
  claims: QuoteClaims | null,
): EvidenceVerification<QuoteClaims> {
  return { kind, verdict: judgeChecks(checks), evaluatedAtMs: atMs, checks, claims };
}

interface CertificateFindings {
  readonly checks: readonly EvidenceCheck[];
  readonly platform: PlatformTcb | null;
}

/** The PCK certificate: whose platform it is, Intel's chain to it, and its signature of the quoting enclave's report. */
async function checkPlatformCertificate(
  quote: Quote,
  lists: RevocationLists,
  { atMs, crypto }: QuoteRequest,
): Promise<CertificateFindings> {
  const chain = tryParse('pck-chain', () => parsePemChain("the quote's certificates", quote.qe.chainPem));
  if ('check' in chain) {
    const absent = unchecked('qe-report-signature', 'there is no PCK certificate');
    return { checks: [absent, chain.check], platform: null };
  }
  const extension = tryParse('pck-certificate', () => parsePckExtension(chain.value.leaf));
  const platform = 'check' in extension ? null : extension.value;
  return {
    checks: [
      await checkQeReportSignature(quote, chain.value.leaf, crypto),
      'check' in extension ? extension.check : checkPckNames(chain.value, extension.value),
      ...(await checkChain(chain.value, { lists, atMs, crypto })).map((check) => ({
        ...check,
        name: `pck-${check.name}`,
      })),
    ],
    platform,
  };
}

/** A certificate of Intel's for another purpose is none of a platform. */
function checkPckNames({ leaf, intermediates }: PemChain, { fmspc, pceSvn }: PlatformTcb): EvidenceCheck {
  const name = 'pck-certificate';
  if (!hasCommonName(leaf.subjectText, [NAMES.pck])) return failed(name, `${leaf.subjectText} is not ${NAMES.pck}`);
  if (!hasCommonName(leaf.issuerText, NAMES.pckAuthorities) || intermediates.length !== 1) {
    return failed(
      name,
      `it is issued by ${leaf.issuerText}, not by ${NAMES.pckAuthorities.join(' or ')} below the root`,
    );
  }
  return passed(name, `of a platform with FMSPC ${fmspc}, PCESVN ${pceSvn}`);
}

interface GivenCollateral {
  readonly check: EvidenceCheck;
  readonly collateral: Collateral | 'malformed' | null;
}

function openCollateral(bytes: Uint8Array | null): GivenCollateral {
  if (bytes === null) {
    const detail = 'none was given: revocation and the state of the platform are not known';
    return { check: unchecked('collateral', detail), collateral: null };
  }
  const parsed = tryParse('collateral', () => parseCollateral(bytes));
  if ('check' in parsed) return { check: parsed.check, collateral: 'malformed' };
  return {
    check: passed('collateral', 'a bundle of TCB info, QE identity and revocation lists'),
    collateral: parsed.value,
  };
}

function openRevocationLists(collateral: GivenCollateral['collateral']): RevocationLists {
  if (collateral === null) return null;
  if (collateral === 'malformed') return 'the collateral is malformed';
  if (collateral.root_ca_crl === '') return "the collateral lacks the root CA's revocation list";
  if (collateral.pck_crl === '') return "the collateral lacks the PCK CA's revocation list";
  const parsed = tryParse('lists', () => [collateral.root_ca_crl, collateral.pck_crl].map(parseRevocationListText));
  return 'check' in parsed ? parsed.check.detail : parsed.value;
}

interface DocumentFindings {
  readonly checks: readonly EvidenceCheck[];
  readonly tcbInfo: TcbInfo | null;
  readonly qeIdentity: QeIdentity | null;
}

async function checkDocuments(
  collateral: GivenCollateral['collateral'],
  lists: RevocationLists,
  { atMs, crypto }: QuoteRequest,
): Promise<DocumentFindings> {
  if (collateral === null || collateral === 'malformed') {
    const checks = ['tcb-info', 'qe-identity'].map((name) => unchecked(name, 'there is no collateral to read'));
    return { checks, tcbInfo: null, qeIdentity: null };
  }
  const { tcb_info_issuer_chain: tcbChain, qe_identity_issuer_chain: qeChain } = collateral;
  const tcbIssuer = await checkIssuer(tcbChain, { lists, atMs, crypto });
  const qeIssuer = qeChain === tcbChain ? tcbIssuer : await checkIssuer(qeChain, { lists, atMs, crypto });
  const tcbInfo: CheckedDocument<TcbInfo> = await checkDocument(
    {
      prefix: 'tcb-info',
      text: collateral.tcb_info,
      signature: collateral.tcb_info_signature,
      schema: tcbInfoSchema,
    },
    { issuer: tcbIssuer, atMs, crypto },
  );
  const qeIdentity: CheckedDocument<QeIdentity> = await checkDocument(
    {
      prefix: 'qe-identity',
      text: collateral.qe_identity,
      signature: collateral.qe_identity_signature,
      schema: qeIdentitySchema,
    },
    { issuer: qeIssuer, atMs, crypto },
  );
  return { checks: [...tcbInfo.checks, ...qeIdentity.checks], tcbInfo: tcbInfo.value, qeIdentity: qeIdentity.value };
}

interface EvaluationParts {
  readonly kind: QuoteRequest['kind'];
  readonly platform: PlatformTcb | null;
  readonly tcbInfo: TcbInfo | null;
  readonly qeIdentity: QeIdentity | null;
}

/** Null where a part of it is missing or is of another platform or kind: what would come out is of nothing that is there. */
function evaluate(quote: Quote, { kind, platform, tcbInfo, qeIdentity }: EvaluationParts): TcbEvaluation | null {
  if (platform === null || tcbInfo === null || qeIdentity === null || quote.body.kind !== kind) return null;
  if (checkTcbInfo(tcbInfo, kind, platform).verdict !== 'passed') return null;
  if (checkQeIdentity(qeIdentity, kind, quote.qe.report).verdict !== 'passed') return null;
  return evaluateTcb({ quote, platform, tcbInfo, qeIdentity });
}
