import { computeChiSquareTail } from './chi-square.ts';

export interface GoodnessOfFit {
  readonly statistic: number;
  readonly degrees: number;
  /** The chance of a misfit as large as this one, or larger, if the expectation is true. */
  readonly p: number;
  readonly cells: readonly { readonly observed: number; readonly expected: number }[];
}

/** Fewest expected in a cell; those with fewer are pooled with the next (Cochran 1954, the usual rule). */
const LEAST_EXPECTED = 5;

/**
 * Pearson's chi-square test of counts by category against the chances of the categories, neighbouring cells pooled until
 * each expects at least five. Every parameter of the expectation is given, none estimated.
 */
export function testGoodnessOfFit(observed: readonly number[], chances: readonly number[]): GoodnessOfFit {
  const total = observed.reduce((sum, count) => sum + count, 0);
  const cells = poolCells(
    chances.map((chance, index) => ({ observed: observed[index] ?? 0, expected: chance * total })),
  );
  const statistic = cells.reduce((sum, cell) => sum + (cell.observed - cell.expected) ** 2 / cell.expected, 0);
  const degrees = cells.length - 1;
  return { statistic, degrees, p: degrees < 1 ? 1 : computeChiSquareTail(statistic, degrees), cells };
}

type Cell = GoodnessOfFit['cells'][number];

function poolCells(cells: readonly Cell[]): readonly Cell[] {
  const pooled: Cell[] = [];
  let open: Cell = { observed: 0, expected: 0 };
  for (const cell of cells) {
    open = { observed: open.observed + cell.observed, expected: open.expected + cell.expected };
    if (open.expected < LEAST_EXPECTED) continue;
    pooled.push(open);
    open = { observed: 0, expected: 0 };
  }
  // What is left over goes into the last cell.
  const last = pooled.pop() ?? { observed: 0, expected: 0 };
  return [...pooled, { observed: last.observed + open.observed, expected: last.expected + open.expected }];
}
