import pc from 'picocolors';
import { DemoFailure } from './stage.ts';

const BARS = '▁▂▃▄▅▆▇█';
const SPARKLINE_WIDTH = 24;

export interface Claim {
  readonly statement: string;
  readonly isTrue: boolean;
}

/** What the demo prints: phases with their times, commands, claims with their outcome, and one live area. */
export class Screen {
  readonly #isTerminal: boolean;
  readonly #startedAtMs = performance.now();
  readonly #phases: { readonly title: string; readonly seconds: number }[] = [];
  readonly #claims: Claim[] = [];
  #liveLines = 0;

  constructor(isTerminal: boolean) {
    this.#isTerminal = isTerminal;
  }

  get claims(): readonly Claim[] {
    return this.#claims;
  }

  get phases(): readonly { readonly title: string; readonly seconds: number }[] {
    return this.#phases;
  }

  elapsedSeconds(): number {
    return (performance.now() - this.#startedAtMs) / 1000;
  }

  line(text = ''): void {
    this.#endLive();
    process.stdout.write(`${text}\n`);
  }

  /** A command line as a person would type it. */
  command(line: string): void {
    this.line(`  ${pc.dim('$')} ${pc.cyan(line)}`);
  }

  async phase<Value>(title: string, run: () => Promise<Value>): Promise<Value> {
    this.line();
    this.line(pc.bold(`${this.#phases.length + 1}. ${title}`));
    const startedAtMs = performance.now();
    const value = await run();
    const seconds = (performance.now() - startedAtMs) / 1000;
    this.#phases.push({ title, seconds });
    this.line(pc.dim(`  ${seconds.toFixed(1)} s`));
    return value;
  }

  /** Records and prints whether something claimed is so. Use `require` where nothing makes sense without it. */
  claim(statement: string, isTrue: boolean): void {
    this.#claims.push({ statement, isTrue });
    this.line(isTrue ? `  ${pc.green('✓')} ${statement}` : `  ${pc.red('✗')} ${pc.red(`NOT SO: ${statement}`)}`);
  }

  require(statement: string, isTrue: boolean): void {
    this.claim(statement, isTrue);
    if (!isTrue) throw new DemoFailure(`cannot go on: not so: ${statement}`);
  }

  /** Lines redrawn in place on a terminal. Elsewhere nothing: callers print milestones with `line`. */
  live(lines: readonly string[]): void {
    if (!this.#isTerminal) return;
    const back = this.#liveLines > 0 ? `\x1b[${this.#liveLines}A` : '';
    process.stdout.write(`${back}${lines.map((line) => `\x1b[2K${line}\n`).join('')}`);
    this.#liveLines = lines.length;
  }

  get isTerminal(): boolean {
    return this.#isTerminal;
  }

  #endLive(): void {
    this.#liveLines = 0;
  }
}

/** Values over time as a row of bars, on a logarithmic scale: a loss falls by orders of magnitude. */
export function renderSparkline(values: readonly number[]): string {
  const logarithms = resample(values, SPARKLINE_WIDTH).map((value) => Math.log(Math.max(value, Number.MIN_VALUE)));
  const lowest = Math.min(...logarithms);
  const range = Math.max(...logarithms) - lowest;
  return logarithms
    .map((value) => BARS[range === 0 ? 0 : Math.round(((value - lowest) / range) * (BARS.length - 1))] ?? ' ')
    .join('');
}

/** At most `width` of the values, evenly spread, with the first and the last. */
function resample(values: readonly number[], width: number): readonly number[] {
  if (values.length <= width) return values;
  return Array.from({ length: width }, (_, at) => values[Math.round((at * (values.length - 1)) / (width - 1))] ?? 0);
}

/** Text in a column of a width, broken between words; its own line breaks stay. */
export function wrapText(text: string, width: number): readonly string[] {
  return text.split('\n').flatMap((paragraph) => wrapParagraph(paragraph, width));
}

function wrapParagraph(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
