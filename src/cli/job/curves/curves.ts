import { z } from 'zod';
import { EXIT_CODES } from '../../exit-codes.ts';
import { type CliOutput, defineCommand } from '../../interface.ts';
import { JOB_ARGUMENT, resolveJob } from '../resolve-job.ts';
import { CurveBook } from './curve-book.ts';
import { type ChartSize, renderCurve } from './render-curve.ts';

/** How often a chart is drawn anew while points come. */
const REDRAW_MS = 100;
/** Lines of a chart besides its plot. */
const CHART_FRAME_LINES = 3;
const LEAST_ROWS = 2;

export const jobCurves = defineCommand({
  name: 'job curves',
  summary: 'draw what a training job measures, such as its loss',
  details:
    'One chart for each metric, over the steps (training rounds) of the job. On a terminal --follow draws them anew as points come, until the job has ended. Where stdout is no terminal, each point is one line; with --json one line of JSON. Replicas measure the same: the first one that does is shown, unless --replica names another.',
  arguments: [JOB_ARGUMENT],
  options: z.strictObject({
    metric: z.array(z.string()).default([]).describe('draw this metric only; may be given again').meta({ short: 'm' }),
    follow: z.boolean().default(false).describe('go on until the job has ended').meta({ short: 'f' }),
    replica: z.int().min(0).optional().describe('of this replica, counted from 0'),
    rows: z.int().min(2).max(100).default(8).describe('lines of each chart'),
    ascii: z.boolean().default(false).describe('draw with ASCII characters alone'),
  }),
  examples: [
    { line: 'fogproof job curves latest --follow', does: 'Watch the newest job learn.' },
    { line: 'fogproof job curves latest --metric loss --json', does: 'Its loss as lines of JSON, for a script.' },
  ],
  run: async ({ arguments: [text = ''], options }, context) => {
    const { signal, output, environment } = context;
    await using client = await context.connect();
    const job = await resolveJob(client, text, signal);
    const book = new CurveBook({ names: options.metric, replica: options.replica });
    const isAscii = options.ascii || environment['TERM'] === 'dumb';
    const chart = new LiveChart(output, book, { rows: options.rows, isAscii });
    for await (const event of client.subscribe('job.subscribe', { job, follow: options.follow }, { signal })) {
      if (event.kind !== 'metric') continue;
      const point = book.add(event);
      if (point === undefined) continue;
      if (output.isTerminal) chart.update();
      else output.item(event, `step ${point.step}  ${event.name} ${event.value}`);
    }
    chart.finish();
    return EXIT_CODES.ok;
  },
});

/** The charts on a terminal: drawn anew while points come, and left standing at the end. */
class LiveChart {
  readonly #output: CliOutput;
  readonly #book: CurveBook;
  readonly #options: Pick<ChartSize, 'rows' | 'isAscii'>;
  #drawnAtMs = 0;

  constructor(output: CliOutput, book: CurveBook, options: Pick<ChartSize, 'rows' | 'isAscii'>) {
    this.#output = output;
    this.#book = book;
    this.#options = options;
  }

  update(): void {
    const nowMs = Date.now();
    if (nowMs - this.#drawnAtMs < REDRAW_MS) return;
    this.#drawnAtMs = nowMs;
    this.#output.progress(this.#renderFitting().join('\n'));
  }

  finish(): void {
    if (!this.#output.isTerminal) return;
    this.#output.progress('');
    const lines = this.#render();
    this.#output.result(null, () => (lines.length === 0 ? ['it has measured nothing yet'] : lines));
  }

  #render(rows = this.#options.rows): readonly string[] {
    const size = { ...this.#options, rows, columns: this.#output.columns - 1 };
    return this.#book.curves.flatMap((curve) => renderCurve(curve, size));
  }

  /** What is higher than the terminal cannot be drawn over: lower charts, and if need be fewer. */
  #renderFitting(): readonly string[] {
    const lines = this.#output.lines - 1;
    const rows = Math.floor(lines / Math.max(1, this.#book.curves.length)) - CHART_FRAME_LINES;
    return this.#render(Math.max(LEAST_ROWS, Math.min(this.#options.rows, rows))).slice(0, lines);
  }
}
