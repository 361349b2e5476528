import type { BundleVerification } from '../../bundle/interface.ts';
import type { InTotoVerification } from '../../bundle/verify-in-toto.ts';
import type { AssuranceReport, VerificationVerdict } from '../../domain/assurance.ts';
import { plural, renderFields } from '../format.ts';
import { wrapText } from './wrap-text.ts';

export function renderVerification(path: string, verification: BundleVerification): string[] {
  const { job, outcome, verdict, assurances, notProven } = verification;
  return [
    ...renderFields([
      ['file', path],
      ['job', job.id === '' ? 'unknown: its signature does not hold' : `${job.name} (${job.id})`],
      ['requester', job.requester === '' ? undefined : `${job.requester}, network ${job.network}`],
      ['outcome', outcome],
      ['verdict', `${verdict.toUpperCase()}${markSimulated(assurances.some(({ isSimulated }) => isSimulated))}`],
    ]),
    ...assurances.flatMap(renderAssurance),
    ...renderNotProven(notProven),
  ];
}

export function renderInToto(path: string, verification: InTotoVerification): string[] {
  const { verdict, signer, subjects, claims, checks, predicateType, notProven } = verification;
  return [
    ...renderFields([
      ['file', path],
      ['statement by', signer ?? 'nobody: no signature holds'],
      ['predicate', predicateType],
      ['verdict', `${verdict.toUpperCase()}${markSimulated(claims?.assurances.some((found) => found.isSimulated))}`],
    ]),
    '',
    'about',
    ...subjects.map(({ name, digest }) => `  ${name ?? 'unnamed'}  ${listDigests(digest)}`),
    ...(claims === null ? [] : ['', 'its signer says']),
    ...(claims?.assurances ?? []).flatMap(({ assurance, statement, verdict: found, isSimulated }) =>
      renderField(
        `${assurance}:`,
        [`${found.kind.toUpperCase()}, as its signer found${markSimulated(isSimulated)}`, ...statement.split('\n')],
        2,
      ),
    ),
    '',
    ...renderChecks(checks, 0),
    ...renderNotProven(notProven),
  ];
}

export function listDigests(digest: Readonly<Record<string, string>>): string {
  return Object.entries(digest)
    .map(([algorithm, value]) => `${algorithm}:${value}`)
    .join(' ');
}

/** Nobody who reads the verdict alone may take it for one on hardware. */
function markSimulated(isSimulated: boolean | undefined): string {
  return isSimulated === true ? ' (with SIMULATED evidence: no hardware)' : '';
}

function renderAssurance(report: AssuranceReport): string[] {
  return [
    '',
    `${report.assurance}: ${report.verdict.kind.toUpperCase()}${markSimulated(report.isSimulated)}`,
    ...renderField('statement', report.statement.split('\n'), 2),
    ...renderField('by', report.by, 2),
    ...renderField('assumes', report.assumes, 2),
    ...renderField('does not claim', report.doesNotClaim, 2),
    ...renderChecks(report.checks, 2),
  ];
}

/** How many checks passed, and each that did not with its reason. */
function renderChecks(checks: AssuranceReport['checks'], indent: number): string[] {
  const passed = checks.filter(({ verdict }) => verdict.kind === 'valid').length;
  const others = checks.filter(({ verdict }) => verdict.kind !== 'valid');
  return renderField(
    'checks',
    [
      `${passed} of ${plural(checks.length, 'check')} passed`,
      ...others.map(({ name, verdict }) => renderCheck(name, verdict)),
    ],
    indent,
  );
}

function renderCheck(name: string, verdict: VerificationVerdict): string {
  switch (verdict.kind) {
    case 'valid':
      return `${name}: valid`;
    case 'invalid':
      return `${name}: INVALID (${verdict.code}): ${verdict.reason}`;
    case 'unchecked':
      return `${name}: UNCHECKED, missing: ${verdict.missing}`;
    default:
      return verdict satisfies never;
  }
}

const LABEL_WIDTH = 16;

function renderField(label: string, texts: readonly string[], indent: number): string[] {
  const blank = ' '.repeat(indent + LABEL_WIDTH);
  return texts.flatMap((text, index) =>
    wrapText(text, { first: index === 0 ? `${' '.repeat(indent)}${label}`.padEnd(blank.length) : blank, rest: blank }),
  );
}

function renderNotProven(notProven: readonly string[]): string[] {
  return [
    '',
    'not proven by this file',
    ...notProven.flatMap((text) => wrapText(text, { first: '  - ', rest: '    ' })),
  ];
}
