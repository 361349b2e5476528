/** Text with ANSI colours as an SVG picture of a terminal. */

const FONT_SIZE = 13;
const CHARACTER_WIDTH = 7.83;
const LINE_HEIGHT = 18;
const PADDING = 16;
const TITLE_HEIGHT = 34;
/** Characters in a line before it is broken. */
const COLUMNS = 124;

const BACKGROUND = '#1b1f27';
const FOREGROUND = '#d7dce5';
/** Select Graphic Rendition parameter → style; 22 and 39 undo weight and colour. */
const STYLES: Readonly<Record<string, string>> = {
  '1': 'font-weight:bold',
  '2': 'opacity:.55',
  '31': 'fill:#f07178',
  '32': 'fill:#a5d27c',
  '33': 'fill:#ffcb6b',
  '36': 'fill:#7fdbca',
};
const UNDONE: Readonly<Record<string, readonly string[]>> = { '22': ['1', '2'], '39': ['31', '32', '33', '36'] };

// oxlint-disable-next-line no-control-regex -- escape sequences begin with one
const ESCAPE = /\x1b\[([0-9;]*)([A-Za-z])/;

interface Run {
  readonly text: string;
  readonly styles: readonly string[];
}

export function stripAnsi(text: string): string {
  return text.replaceAll(new RegExp(ESCAPE, 'g'), '');
}

export function renderTerminalSvg(text: string, options: { readonly title: string }): string {
  const lines = text.split('\n').flatMap((line) => breakLine(parseRuns(line)));
  const width = Math.ceil(2 * PADDING + COLUMNS * CHARACTER_WIDTH);
  const height = TITLE_HEIGHT + lines.length * LINE_HEIGHT + PADDING;
  const rows = lines.map((runs, index) => renderLine(runs, TITLE_HEIGHT + (index + 0.75) * LINE_HEIGHT));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="${escapeXml(options.title)}">
<rect width="100%" height="100%" rx="8" fill="${BACKGROUND}"/>
<text x="${width / 2}" y="22" text-anchor="middle" fill="${FOREGROUND}" opacity=".6" font-family="sans-serif" font-size="12">${escapeXml(options.title)}</text>
<g font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace" font-size="${FONT_SIZE}" fill="${FOREGROUND}" xml:space="preserve">
${rows.join('\n')}
</g>
</svg>
`;
}

function parseRuns(line: string): readonly Run[] {
  const runs: Run[] = [];
  const active = new Set<string>();
  let rest = line;
  for (let match = ESCAPE.exec(rest); match !== null; match = ESCAPE.exec(rest)) {
    const [sequence, parameters = '', kind] = match;
    runs.push({ text: rest.slice(0, match.index), styles: [...active] });
    if (kind === 'm') for (const parameter of parameters.split(';')) applyParameter(active, parameter);
    rest = rest.slice(match.index + sequence.length);
  }
  return [...runs, { text: rest, styles: [...active] }].filter(({ text }) => text !== '');
}

function applyParameter(active: Set<string>, parameter: string): void {
  if (parameter === '' || parameter === '0') active.clear();
  for (const undone of UNDONE[parameter] ?? []) active.delete(undone);
  if (STYLES[parameter] !== undefined) active.add(parameter);
}

function breakLine(runs: readonly Run[]): readonly (readonly Run[])[] {
  const lines: Run[][] = [[]];
  let column = 0;
  for (const { text, styles } of runs) {
    const characters = Array.from(text);
    while (characters.length > 0) {
      const part = characters.splice(0, COLUMNS - column);
      lines.at(-1)?.push({ text: part.join(''), styles });
      column += part.length;
      if (column === COLUMNS && characters.length > 0) {
        lines.push([]);
        column = 0;
      }
    }
  }
  return lines;
}

function renderLine(runs: readonly Run[], y: number): string {
  const spans = runs.map(({ text, styles }) => {
    const style = styles.map((parameter) => STYLES[parameter]).join(';');
    return style === '' ? escapeXml(text) : `<tspan style="${style}">${escapeXml(text)}</tspan>`;
  });
  return `<text x="${PADDING}" y="${y}">${spans.join('')}</text>`;
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
