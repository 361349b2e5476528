import type { Chart, Series } from '../interface.ts';

const WIDTH = 640;
const HEIGHT = 300;
const MARGIN = { left: 64, right: 16, top: 36, bottom: 64 } as const;
const COLOURS = ['#2b6cb0', '#c05621', '#2f855a', '#805ad5'] as const;
const TICKS = 5;
const FONT = 'font-family="sans-serif" font-size="11" fill="#2d3748"';

interface Frame {
  x(value: number): number;
  y(value: number): number;
  readonly bandwidth: number;
}

/** Charts one below the other. The same charts give the same bytes. */
export function renderSvg(charts: readonly Chart[]): string {
  const drawn = charts.map((chart, index) => `<g transform="translate(0 ${index * HEIGHT})">${renderChart(chart)}</g>`);
  const height = HEIGHT * charts.length;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">
<rect width="100%" height="100%" fill="#ffffff"/>
${drawn.join('\n')}
</svg>
`;
}

function renderChart(chart: Chart): string {
  const points = chart.series.flatMap((series) => series.points);
  const xs = points.map(([x]) => x);
  const ys = points.map(([, y]) => y);
  const [lowest, highest] = [Math.min(...xs), Math.max(...xs)];
  const top = Math.max(...ys, 0) || 1;
  const inner = { width: WIDTH - MARGIN.left - MARGIN.right, height: HEIGHT - MARGIN.top - MARGIN.bottom };
  const steps = chart.kind === 'bars' ? highest - lowest + 1 : highest - lowest || 1;
  const frame: Frame = {
    x: (value) => MARGIN.left + ((value - lowest + (chart.kind === 'bars' ? 0.5 : 0)) / steps) * inner.width,
    y: (value) => MARGIN.top + inner.height * (1 - value / top),
    bandwidth: inner.width / steps,
  };
  const draw = chart.kind === 'bars' ? drawBars : drawLine;
  return [
    text(chart.title, { x: MARGIN.left, y: 20, more: 'font-weight="bold"' }),
    ...drawAxes(frame, { top, xs: pickTicks(lowest, highest, chart.kind) }),
    text(chart.xLabel, { x: MARGIN.left + inner.width / 2, y: HEIGHT - 30, more: 'text-anchor="middle"' }),
    text(chart.yLabel, {
      x: 0,
      y: 0,
      more: `text-anchor="middle" transform="translate(14 ${HEIGHT / 2 - 14}) rotate(-90)"`,
    }),
    ...chart.series.flatMap((series, index) => [
      draw({ series, index, count: chart.series.length, frame }),
      drawLegend(series.name, index),
    ]),
  ].join('\n');
}

function pickTicks(lowest: number, highest: number, kind: Chart['kind']): readonly number[] {
  const step = kind === 'bars' ? Math.max(1, Math.ceil((highest - lowest) / 20)) : (highest - lowest) / TICKS || 1;
  const ticks: number[] = [];
  for (let value = lowest; value <= highest + step / 1000; value += step) ticks.push(value);
  return ticks;
}

function drawAxes(frame: Frame, { top, xs }: { readonly top: number; readonly xs: readonly number[] }): string[] {
  const base = frame.y(0);
  const ys = Array.from({ length: TICKS + 1 }, (_, index) => (top * index) / TICKS);
  return [
    ...ys.flatMap((value) => [
      `<line x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${round(frame.y(value))}" y2="${round(frame.y(value))}" stroke="#e2e8f0"/>`,
      text(shorten(value), { x: MARGIN.left - 6, y: frame.y(value) + 4, more: 'text-anchor="end"' }),
    ]),
    ...xs.map((value) => text(shorten(value), { x: frame.x(value), y: base + 16, more: 'text-anchor="middle"' })),
  ];
}

interface Drawing {
  readonly series: Series;
  readonly index: number;
  readonly count: number;
  readonly frame: Frame;
}

function drawBars({ series, index, count, frame }: Drawing): string {
  const width = (frame.bandwidth * 0.8) / count;
  return series.points
    .map(([x, y]) => {
      const left = frame.x(x) - frame.bandwidth * 0.4 + index * width;
      const height = frame.y(0) - frame.y(y);
      return `<rect x="${round(left)}" y="${round(frame.y(y))}" width="${round(width)}" height="${round(height)}" fill="${COLOURS[index % COLOURS.length]}"/>`;
    })
    .join('');
}

function drawLine({ series, index, frame }: Drawing): string {
  const path = series.points.map(([x, y]) => `${round(frame.x(x))},${round(frame.y(y))}`).join(' ');
  return `<polyline points="${path}" fill="none" stroke="${COLOURS[index % COLOURS.length]}" stroke-width="2"/>`;
}

function drawLegend(name: string, index: number): string {
  const x = MARGIN.left + index * 190;
  const y = HEIGHT - 10;
  return `<rect x="${x}" y="${y - 9}" width="10" height="10" fill="${COLOURS[index % COLOURS.length]}"/>${text(name, { x: x + 15, y, more: '' })}`;
}

function text(
  content: string,
  { x, y, more }: { readonly x: number; readonly y: number; readonly more: string },
): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  return `<text x="${round(x)}" y="${round(y)}" ${FONT} ${more}>${escaped}</text>`;
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function shorten(value: number): string {
  return String(Number(value.toPrecision(3)));
}
