import type { Verdict } from '../../lib/verdict.ts';

/** One row of the table of verdicts. `penalty` counts against who passed the message on; what is ignored costs nothing. */
export interface VerdictRule {
  readonly kind: 'ignore' | 'reject';
  readonly penalty: number;
  readonly meaning: string;
}
export type VerdictTable = Readonly<Record<string, VerdictRule>>;

export type Refusal = Exclude<Verdict, { readonly kind: 'accept' }>;

/** The verdict that a table gives for one of its codes. */
export function refuseBy<Table extends VerdictTable>(table: Table, code: keyof Table & string): Refusal {
  const rule: VerdictRule | undefined = table[code];
  if (rule === undefined) throw new TypeError(`no rule is called ${code}`);
  return rule.kind === 'reject' ? { kind: 'reject', code, penalty: rule.penalty } : { kind: 'ignore', code };
}
