import type { EvidenceCheck, EvidenceVerdict, EvidenceVerification } from '../../tee/interface.ts';
import type { TeeFinding } from '../../tee/produce/detect-producer.ts';
import { renderFields } from '../format.ts';
import { describeWorth, MARKS, renderClaims, renderLimits, SIMULATED } from './render-evidence.ts';

interface ShownSelfTest {
  readonly verdict: EvidenceVerdict;
  readonly kind: string | null;
  readonly policy: string | null;
  readonly findings: readonly TeeFinding[];
  readonly verification: EvidenceVerification<object> | null;
  readonly gpus: EvidenceVerification<object> | null;
  readonly failure: { readonly code: string; readonly message: string; readonly hint: string } | null;
  readonly sizes: {
    readonly reportBytes: number;
    readonly certificates: number;
    readonly collateralBytes: number;
    readonly manifests: number;
  } | null;
  readonly saved: readonly string[];
  /** Of the kind of evidence; none without. */
  readonly doesNotClaim: readonly string[];
}

export function renderSelfTest(test: ShownSelfTest): string[] {
  const { findings, verification, gpus, failure, sizes, saved } = test;
  const places = findings.map(({ what, place, isThere, detail }): EvidenceCheck => {
    return { name: what, verdict: isThere ? 'passed' : 'unchecked', detail: `${place}: ${detail}` };
  });
  return [
    ...renderFields([
      ['hardware', test.kind === 'simulated' ? SIMULATED : (test.kind ?? 'none found')],
      ['policy', test.policy ?? 'none given: which code runs is not judged'],
      ['verdict', describeVerdict(test)],
    ]),
    '',
    ...renderChecks(places),
    ...(failure === null ? [] : ['', `✗ ${failure.message} [${failure.code}]`, `  → ${failure.hint}`]),
    ...(sizes === null ? [] : ['', `${test.kind === 'simulated' ? 'SIMULATED ' : ''}${describeSizes(sizes)}`]),
    ...(verification === null ? [] : ['', ...renderChecks(verification.checks)]),
    ...(gpus === null ? [] : ['', 'GPUs', ...renderChecks(gpus.checks)]),
    ...renderWorth(verification),
    ...(verification === null ? [] : renderLimits(test.doesNotClaim)),
    ...(saved.length === 0 ? [] : ['', 'saved', ...saved.map((path) => `  ${path}`)]),
  ];
}

function renderWorth(verification: EvidenceVerification<object> | null): string[] {
  if (verification === null || verification.claims === null) return [];
  return ['', describeWorth(verification.verdict), ...renderClaims(verification.claims)];
}

function describeVerdict({ verdict, kind, failure }: ShownSelfTest): string {
  if (kind === null) return 'UNCHECKED: this machine cannot show evidence; it takes no confidential jobs';
  if (failure !== null) return 'FAILED: no evidence could be made';
  return kind === 'simulated' ? `${verdict.toUpperCase()}, ${SIMULATED}` : verdict.toUpperCase();
}

function describeSizes({ reportBytes, certificates, collateralBytes, manifests }: NonNullable<ShownSelfTest['sizes']>) {
  const of = `report of ${reportBytes} bytes, ${certificates} certificates, collateral of ${collateralBytes} bytes`;
  return manifests === 0 ? of : `${of}, ${manifests} manifests of GPUs`;
}

function renderChecks(checks: readonly EvidenceCheck[]): string[] {
  const width = Math.max(0, ...checks.map(({ name }) => name.length));
  return checks.map(({ name, verdict, detail }) => `${MARKS[verdict]} ${name.padEnd(width)}  ${detail}`);
}
