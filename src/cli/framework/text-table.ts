import { sanitizeLine } from './terminal-text.ts';

const GAP = '  ';
/** Cells that hold figures (with a unit, perhaps) stand to the right. */
const FIGURE = /^[-+]?[\d.,]+( ?[a-zA-Z%]{1,4})?$/;

/** Columns aligned under their heads, two blanks apart, nothing drawn. */
export function renderTable(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const body = rows.map((row) => head.map((_, column) => sanitizeLine(row[column] ?? '')));
  const columns = head.map((title, column) => {
    const cells = body.map((row) => row[column] ?? '');
    const isFigures = cells.length > 0 && cells.every((cell) => cell === '' || cell === '-' || FIGURE.test(cell));
    return { isFigures, width: Math.max(...[title, ...cells].map(widthOf)) };
  });
  return [head, ...body].map((row) =>
    columns
      .map(({ isFigures, width }, column) => alignCell(row[column] ?? '', width, isFigures ? 'right' : 'left'))
      .join(GAP)
      .trimEnd(),
  );
}

function alignCell(cell: string, width: number, side: 'left' | 'right'): string {
  const blanks = ' '.repeat(Math.max(0, width - widthOf(cell)));
  return side === 'right' ? blanks + cell : cell + blanks;
}

function widthOf(text: string): number {
  return Array.from(text).length;
}
