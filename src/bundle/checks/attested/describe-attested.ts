/** Evidence of confidential hardware in plain words. */
import type { TeeKind } from '../../../domain/capability.ts';
import type { Job } from '../../../domain/job.ts';
import type { Signed } from '../../../domain/signed.ts';
import { encodeHex } from '../../../lib/bytes.ts';
import { computeInputsDigest } from '../../../proofs/attested-statement.ts';
import { combineChecks, listNames, shortPeer } from '../check.ts';
import type { JudgedAttempt } from './judge-attempt.ts';

/** Begins every line about evidence that no hardware made. */
export const SIMULATED_WARNING = 'SIMULATED, no hardware';
export const SIMULATED_MARK = `${SIMULATED_WARNING}: `;

export const KIND_NAMES: Readonly<Record<TeeKind, string>> = {
  'sev-snp': 'AMD SEV-SNP',
  tdx: 'Intel TDX',
  sgx: 'Intel SGX',
  simulated: 'a SIMULATED environment',
};

/** One line for each attempt that states evidence, or should. */
export function describeAttested(job: Signed<Job>, attempts: readonly JudgedAttempt[]): string {
  const lines = attempts.map((judged) => describeAttempt(job.value, judged));
  return lines.length === 0
    ? `Nothing: no receipt for job '${job.value.name}' (${job.id}) can be read.`
    : lines.join('\n');
}

function describeAttempt(job: Job, judged: JudgedAttempt): string {
  const { attempt, terms, checks } = judged;
  const { label, attestation } = attempt;
  const provider = `provider ${shortPeer(terms.lease.value.provider)}`;
  if (terms.receipt.value.attestation === undefined) return `Of ${label}, by ${provider}, there is no evidence.`;
  if (attestation.kind !== 'opened') return `The evidence of ${label}, by ${provider}, cannot be read from this file.`;
  const mark = attestation.evidence.kind === 'simulated' ? SIMULATED_MARK : '';
  const verdict = combineChecks(checks).kind;
  if (verdict === 'invalid') return `${mark}The evidence of ${label}, by ${provider}, does not pass its checks.`;
  const lead = verdict === 'valid' ? '' : 'the file says, and not all of it is checked, that ';
  const claim = `${lead}${describeClaim(job, judged)}`;
  return `${mark}${mark === '' ? capitalise(claim) : claim}`;
}

function describeClaim(
  job: Job,
  { attempt: { attestation }, terms, evaluatedAtMs, measurements }: JudgedAttempt,
): string {
  if (attestation.kind !== 'opened') return '';
  const { kind, gpus } = attestation.evidence;
  const { sandbox } = attestation.runtimeData;
  const { value: receipt } = terms.receipt;
  const code =
    measurements.length === 0 ? 'code whose measurement is not read here' : `code with ${listCode(measurements)}`;
  const asOf =
    evaluatedAtMs === null ? 'at a time that is not known' : `as of ${new Date(evaluatedAtMs).toISOString()}`;
  return (
    `provider ${shortPeer(receipt.provider)} ran job '${job.name}' in ${KIND_NAMES[kind]}` +
    `${gpus === null ? '' : ' with NVIDIA GPUs in confidential mode'}: ${code}, accepted by the policy of the job ${asOf}, ` +
    `made a key for this attempt, and with it signed the result with output root ${receipt.outputRoot} ` +
    `for ${describeInputs(job)} (its own sandbox: isolation '${sandbox.isolation}', ${sandbox.instrumenter}).`
  );
}

function listCode(measurements: JudgedAttempt['measurements']): string {
  return listNames(measurements.map(({ name, value }) => `${name} ${value}`));
}

function describeInputs({ confidential }: Job): string {
  const commitments = confidential?.commitments ?? [];
  if (commitments.length === 0) return 'no inputs';
  const count = commitments.length === 1 ? 'the input' : `the ${commitments.length} inputs`;
  return `${count} that the job commits to (SHA-256 over the commitments: ${encodeHex(computeInputsDigest(commitments))})`;
}

function capitalise(text: string): string {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}
