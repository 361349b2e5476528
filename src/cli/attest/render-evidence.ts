import { listMachineLimits } from '../../bundle/checks/attested/machine-limits.ts';
import type { CheckVerdict, EvidenceKind, EvidenceVerification } from '../../tee/interface.ts';
import { renderFields } from '../format.ts';

export const SIMULATED = 'SIMULATED, no hardware: for tests';
export const MARKS: Readonly<Record<CheckVerdict, string>> = { passed: '✓', failed: '✗', unchecked: '?' };

/** Longest value of a claim that is printed; `--json` has it whole. */
const MAX_VALUE_LENGTH = 200;

export interface JudgedFile {
  readonly file: string;
  /** Path, or why there is none. */
  readonly policy: string;
}

export function renderEvidence({ file, policy }: JudgedFile, verification: EvidenceVerification<object>): string[] {
  const { kind, verdict, evaluatedAtMs, checks, claims } = verification;
  const width = Math.max(0, ...checks.map(({ name }) => name.length));
  return [
    ...renderFields([
      ['file', file],
      ['kind', kind === 'simulated' ? SIMULATED : kind],
      ['judged at', new Date(evaluatedAtMs).toISOString()],
      ['policy', policy],
      ['verdict', kind === 'simulated' ? `${verdict.toUpperCase()}, ${SIMULATED}` : verdict.toUpperCase()],
    ]),
    '',
    ...checks.map(({ name, verdict: found, detail }) => `${MARKS[found]} ${name.padEnd(width)}  ${detail}`),
    ...(claims === null ? [] : ['', describeWorth(verdict), ...renderClaims(claims)]),
    ...renderLimits(listLimits(kind)),
  ];
}

/** What bundles say of the same evidence: what it never shows, whatever the verdict. */
export function listLimits(kind: EvidenceKind, { gpus = false } = {}): readonly string[] {
  return listMachineLimits(kind === 'nvidia' ? { kinds: [], gpus: true } : { kinds: [kind], gpus });
}

export function renderLimits(limits: readonly string[]): string[] {
  return ['', 'it does not claim', ...limits.map((limit) => `  - ${limit}`)];
}

export function describeWorth(verdict: EvidenceVerification<object>['verdict']): string {
  return verdict === 'valid' ? 'it says' : 'it says, which is not established';
}

export function renderClaims(claims: object): string[] {
  return renderFields(listClaims(claims, '').map(([name, value]) => [`  ${name}`, value] as const));
}

/** One row for each value, and for each group of figures; `policy.debug` for what is nested. */
function listClaims(claims: object, prefix: string): (readonly [string, string])[] {
  return Object.entries(claims).flatMap(([key, value]: [string, unknown]) => {
    const name = `${prefix}${key}`;
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return [[name, renderValue(value)] as const];
    const figures: [string, unknown][] = Object.entries(value);
    if (figures.some(([, figure]) => typeof figure !== 'number')) return listClaims(value, `${name}.`);
    return [[name, figures.map(([part, figure]) => `${part} ${String(figure)}`).join(', ')] as const];
  });
}

function renderValue(value: unknown): string {
  if (value === null || value === undefined) return 'not said';
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.map(renderValue).join(', ');
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > MAX_VALUE_LENGTH ? `${text.slice(0, MAX_VALUE_LENGTH - 1)}…` : text;
}
