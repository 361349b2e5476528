/**
 * Checks of the evidence of one attempt that need no judge of hardware: the requester's release, what the runtime data
 * names, and the signature of the attested key over the result (docs/confidential.md).
 */
import type { RuntimeData } from '../../../domain/confidential.ts';
import { JobId, LeaseId, type UnixMs } from '../../../domain/ids.ts';
import type { Job } from '../../../domain/job.ts';
import type { Lease } from '../../../domain/lease.ts';
import type { Receipt, ReceiptAttestation } from '../../../domain/receipt.ts';
import type { Signed } from '../../../domain/signed.ts';
import { verifyAttestedStatement } from '../../../proofs/attested-statement.ts';
import { CLOCK_SKEW_MS } from '../../constants.ts';
import type { OpenedAttempt } from '../../open-evidence.ts';
import { isResult } from '../accepted-result.ts';
import {
  type Check,
  type CheckCode,
  checkRules,
  checkSignature,
  type Rule,
  uncheckedCheck,
  valueOf,
} from '../check.ts';

export interface AttemptTerms {
  readonly job: Signed<Job>;
  readonly lease: Signed<Lease>;
  readonly receipt: Signed<Receipt>;
}

/** What begins the name of every check of SIMULATED evidence. */
export function nameChecks({ label, attestation }: OpenedAttempt): (what: string) => string {
  const isSimulated = attestation.kind === 'opened' && attestation.evidence.kind === 'simulated';
  return (what) => `${label}: ${isSimulated ? 'SIMULATED ' : ''}${what}`;
}

/** Every result of a confidential job has an attestation, and nothing else has one. */
export function checkClaim(attempt: OpenedAttempt, { job, receipt }: AttemptTerms): Check {
  const isConfidential = job.value.confidential !== undefined;
  const isClaimed = receipt.value.attestation !== undefined;
  const isDue = isConfidential && isResult(receipt);
  return checkRules(nameChecks(attempt)('attestation'), 'NOT_ATTESTED', [
    [isClaimed || !isDue, 'the job is confidential and its receipt has no attestation'],
    [!isClaimed || isConfidential, 'its receipt has an attestation and the job is not confidential'],
    [!isClaimed || isDue, 'it gave no result and its receipt has an attestation'],
    [
      isClaimed || attempt.release === null || isConfidential,
      'the file has a release for it and the job is not confidential',
    ],
  ]);
}

/** The requester says that it found this evidence valid, and when. */
export function checkRelease(attempt: OpenedAttempt, terms: AttemptTerms): readonly Check[] {
  const { release } = attempt;
  const { attestation } = terms.receipt.value;
  const name = nameChecks(attempt);
  if (attestation === undefined) return [];
  if (release === null)
    return [uncheckedCheck(name('release'), `the release of ${attempt.label} (${attestation.release})`)];
  const signature = checkSignature(name('release signature'), release, terms.job.value.requester);
  if (release.kind === 'refused') return [signature];
  const { id, value } = release.signed;
  return [
    signature,
    checkRules(name('release'), 'WRONG_RELEASE', [
      [id === attestation.release, 'the receipt names another release'],
      [value.evidence === attestation.evidence, 'it is for other evidence than the receipt names'],
      ...listPartyRules(value, terms),
    ]),
    checkRules(name('release times'), 'WRONG_TIME', listTimeRules(value.evaluatedAtMs, attempt, terms)),
  ];
}

/** The evidence was made for this attempt, and nothing in it contradicts the receipt. */
export function checkRuntimeData(attempt: OpenedAttempt, terms: AttemptTerms): readonly Check[] {
  const { attestation, release } = attempt;
  const named = terms.receipt.value.attestation;
  const name = nameChecks(attempt);
  switch (attestation.kind) {
    case 'none':
      return [];
    case 'missing':
      return [uncheckedCheck(name('evidence'), `the evidence of ${attempt.label} (${attestation.blob})`)];
    case 'refused':
      return [checkRules(name('evidence'), 'WRONG_EVIDENCE', [[false, attestation.reason]])];
    case 'opened': {
      const { bytes, runtimeData } = attestation;
      const size = `it has ${bytes.length} bytes and the receipt states ${named?.evidenceSizeBytes}`;
      const evaluatedAtMs = release === null ? undefined : valueOf(release)?.evaluatedAtMs;
      return [
        checkRules(name('evidence'), 'WRONG_EVIDENCE', [[bytes.length === named?.evidenceSizeBytes, size]]),
        checkRules(name('runtime data parties'), 'WRONG_PARTIES', listPartyRules(runtimeData, terms)),
        checkRules(name('runtime data sandbox'), 'WRONG_ISOLATION', listSandboxRules(runtimeData, terms.receipt.value)),
        ...(evaluatedAtMs === undefined ? [] : [checkExpiry(name('runtime data expiry'), runtimeData, evaluatedAtMs)]),
        checkResultSignature(name('attested signature'), { runtimeData, named, terms }),
      ];
    }
    default:
      return attestation satisfies never;
  }
}

type Parties = Pick<RuntimeData, 'network' | 'job' | 'lease' | 'requester' | 'provider'>;

function listPartyRules(found: Parties, { job, lease }: AttemptTerms): readonly Rule[] {
  return [
    [found.network === job.value.network, "it is for another network than the job's"],
    [found.job === JobId(job.id), 'it is for another job'],
    [found.lease === LeaseId(lease.id), 'it is for another lease'],
    [found.requester === job.value.requester, "it names another requester than the job's"],
    [found.provider === lease.value.provider, 'it names another provider than the lease'],
  ];
}

/** Between what the provider has signed of its own times: the requester alone cannot date it back. */
function listTimeRules(
  evaluatedAtMs: UnixMs,
  attempt: OpenedAttempt,
  { lease, receipt }: AttemptTerms,
): readonly Rule[] {
  const acceptedAtMs = valueOf(attempt.acceptance)?.acceptedAtMs ?? lease.value.issuedAtMs;
  return [
    [evaluatedAtMs >= acceptedAtMs - CLOCK_SKEW_MS, 'the evidence was judged before the lease was accepted'],
    [
      evaluatedAtMs <= receipt.value.finishedAtMs + CLOCK_SKEW_MS,
      'the evidence was judged after the attempt had finished',
    ],
  ];
}

function listSandboxRules({ sandbox }: RuntimeData, { sandbox: stated, result }: Receipt): readonly Rule[] {
  return [
    [
      sandbox.isolation === stated.isolation,
      `its evidence names isolation '${sandbox.isolation}' and its receipt '${stated.isolation}'`,
    ],
    [
      sandbox.instrumenter === result.instrumenter,
      `its evidence names instrumenter ${sandbox.instrumenter} and its result ${result.instrumenter}`,
    ],
  ];
}

function checkExpiry(name: string, { expiresAtMs }: RuntimeData, evaluatedAtMs: UnixMs): Check {
  const code: CheckCode = 'WRONG_TIME';
  return checkRules(name, code, [[evaluatedAtMs < expiresAtMs, 'its keys had expired when the evidence was judged']]);
}

function checkResultSignature(
  name: string,
  {
    runtimeData: { nonce, signingKey },
    named,
    terms: { job, lease, receipt },
  }: {
    readonly runtimeData: RuntimeData;
    readonly named: ReceiptAttestation | undefined;
    readonly terms: AttemptTerms;
  },
): Check {
  const statement = {
    job: JobId(job.id),
    lease: LeaseId(lease.id),
    nonce,
    commitments: job.value.confidential?.commitments ?? [],
    outputRoot: receipt.value.outputRoot,
  };
  const holds = named !== undefined && verifyAttestedStatement(statement, { signingKey, signature: named.signature });
  const reason = 'it is not by the key that the evidence names, over this job, lease, nonce, inputs and output root';
  return checkRules(name, 'WRONG_ATTESTATION', [[holds, reason]]);
}
