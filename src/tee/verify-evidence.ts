import { verifyQuote } from './dcap/verify-quote.ts';
import { TeeError } from './errors.ts';
import type { EvidenceCrypto, EvidenceKind, EvidenceVerification } from './interface.ts';
import type { EvidencePolicy } from './policy.ts';
import { verifySevSnp } from './sev-snp/verify-sev-snp.ts';
import { verifySimulated } from './simulated/verify-simulated.ts';
import { readPemText, splitDerOrPem } from './split-der-or-pem.ts';
import { verifyGpus } from './verify-gpus.ts';

/** Contents of files, as the vendors' tools write them. */
export interface EvidenceFiles {
  readonly evidence: Uint8Array;
  /** Each DER, or PEM of one or several. */
  readonly certificates?: readonly Uint8Array[];
  /** sev-snp: AMD's revocation list (DER or PEM). tdx, sgx: the collateral as a PCCS gives it (JSON). */
  readonly collateral?: Uint8Array;
  /** nvidia: reference manifests (XML). */
  readonly rims?: readonly Uint8Array[];
}

export interface EvidenceExpectation {
  /** nvidia: 32 bytes that the report has to answer. */
  readonly nonce?: Uint8Array;
  /** sev-snp, tdx, sgx, simulated: what the report has to carry; shorter than its field, it is padded with zeros. */
  readonly reportData?: Uint8Array;
  /** simulated: the network's public key, 32 bytes. The daemon has it from the definition of a test network alone. */
  readonly simulatedRoot?: Uint8Array;
}

export interface EvidenceRequest extends EvidenceFiles, EvidenceExpectation {
  /** Not given: which code runs is unchecked. 'none': left out, by the caller's own word. */
  readonly policy?: EvidencePolicy | 'none';
  readonly atMs: number;
  readonly crypto: EvidenceCrypto;
}

export type EvidenceInput = Exclude<keyof (EvidenceFiles & EvidenceExpectation), 'evidence'>;

interface EvidenceVerifier {
  /** What it looks at besides the evidence. */
  readonly inputs: readonly EvidenceInput[];
  verify(request: EvidenceRequest): Promise<EvidenceVerification<object>>;
}

export const EVIDENCE_VERIFIERS = {
  'sev-snp': {
    inputs: ['certificates', 'collateral', 'reportData'],
    verify: ({ certificates = [], collateral, policy, ...rest }) =>
      verifySevSnp({
        ...rest,
        certificates: certificates.flatMap((file) => splitDerOrPem(file, 'CERTIFICATE')),
        ...(collateral === undefined ? {} : { revocationLists: splitDerOrPem(collateral, 'X509 CRL') }),
        ...choosePolicy('sev-snp', policy),
      }),
  },
  tdx: {
    inputs: ['collateral', 'reportData'],
    verify: (request) =>
      verifyQuote({ kind: 'tdx', policy: chooseSection('tdx', request.policy), ...readQuote(request) }),
  },
  sgx: {
    inputs: ['collateral', 'reportData'],
    verify: (request) =>
      verifyQuote({ kind: 'sgx', policy: chooseSection('sgx', request.policy), ...readQuote(request) }),
  },
  nvidia: {
    inputs: ['certificates', 'rims', 'nonce'],
    verify: ({ evidence, certificates = [], rims = [], policy, ...rest }) =>
      verifyGpus({
        ...rest,
        report: evidence,
        certificates: joinTexts(certificates),
        rims,
        ...choosePolicy('nvidia', policy),
      }),
  },
  simulated: {
    inputs: ['reportData', 'simulatedRoot'],
    verify: ({ policy, ...rest }) => verifySimulated({ ...rest, ...choosePolicy('simulated', policy) }),
  },
} as const satisfies Record<EvidenceKind, EvidenceVerifier>;

/**
 * Judges the evidence by the rules of its kind. What is wrong with the evidence is in the verdict.
 * @throws TeeError for a certificate file or collateral that cannot be read, and a policy without a section of the kind
 */
export async function verifyEvidence(
  kind: EvidenceKind,
  request: EvidenceRequest,
): Promise<EvidenceVerification<object>> {
  const verifier: EvidenceVerifier = EVIDENCE_VERIFIERS[kind];
  return verifier.verify(request);
}

function readQuote({ evidence, collateral, atMs, crypto, reportData }: EvidenceRequest) {
  const given = { quote: evidence, collateral: collateral ?? null, atMs, crypto };
  return { ...given, ...(reportData === undefined ? {} : { reportData }) };
}

function choosePolicy<Kind extends keyof EvidencePolicy>(
  kind: Kind,
  policy: EvidencePolicy | 'none' | undefined,
): { readonly policy?: NonNullable<EvidencePolicy[Kind]> | 'none' } {
  return policy === undefined ? {} : { policy: policy === 'none' ? policy : findSection(kind, policy) };
}

/** As `verifyQuote` has it. */
function chooseSection<Kind extends keyof EvidencePolicy>(
  kind: Kind,
  policy: EvidencePolicy | 'none' | undefined,
): NonNullable<EvidencePolicy[Kind]> | 'waived' | null {
  if (policy === undefined) return null;
  return policy === 'none' ? 'waived' : findSection(kind, policy);
}

/** A policy that does not speak of a kind accepts none of it: an error, lest it look like no policy. */
function findSection<Kind extends keyof EvidencePolicy>(
  kind: Kind,
  policy: EvidencePolicy,
): NonNullable<EvidencePolicy[Kind]> {
  const section = policy[kind];
  if (section !== undefined) return section;
  throw new TeeError({ code: 'TEE_POLICY_INVALID', issues: [`it has no section '${kind}'`] });
}

function joinTexts(files: readonly Uint8Array[]): string {
  return files.map(readPemText).join('\n');
}
