import { readFile, writeFile } from 'node:fs/promises';
import { type BenchRow, computeRatio, formatBound, formatNumber } from './rows.ts';

const HEAD = `# Benchmarks

Written by \`npm run bench -- NAME... --report docs/reports/benchmarks.md\`, one benchmark after the other on a machine that did little else.
Ratios are against a baseline of the same run: figures of different machines do not compare. Goals and floors are the design's.
`;

export interface BenchPart {
  /** Of the benchmark. */
  readonly name: string;
  readonly machine: string;
  readonly rows: readonly BenchRow[];
}

/** Puts the part of one benchmark into a page, in place of what the page has of it; the parts stay in the order of their names. */
export async function putIntoReport(path: string, part: BenchPart): Promise<void> {
  const parts = splitParts(await readFile(path, 'utf8').catch(() => ''));
  parts.set(part.name, renderPart(part));
  const ordered = [...parts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, text]) => text);
  await writeFile(path, `${[HEAD, ...ordered].join('\n')}`);
}

function splitParts(page: string): Map<string, string> {
  const [, ...parts] = page.split(/^## /mu);
  return new Map(parts.map((text) => [text.split('\n', 1)[0] ?? '', `## ${text.trimEnd()}\n`]));
}

function renderPart({ name, machine, rows }: BenchPart): string {
  const lines = rows.map((row) => {
    const ratio = computeRatio(row);
    const against = ratio === undefined ? '' : `${formatNumber(ratio)} × ${row.baseline?.name}`;
    const bounds = [row.goal, row.floor].map((bound) => formatBound(row, bound).replace(/ +/u, ' '));
    return `| ${row.name} | ${formatNumber(row.value)} ${row.unit} | ${against} | ${bounds.join(' | ')} |`;
  });
  return [
    `## ${name}`,
    '',
    `${new Date().toISOString().slice(0, 10)}, ${machine}.`,
    '',
    '| figure | value | against the baseline of the run | goal | floor |',
    '|---|---|---|---|---|',
    ...lines,
    '',
  ].join('\n');
}
