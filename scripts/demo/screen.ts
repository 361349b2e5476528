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

/** The newest values as bars, the largest of all values at full height. */
export function renderSparkline(values: readonly number[]): string {
  const largest = Math.max(...values, Number.MIN_VALUE);
  return values
    .slice(-SPARKLINE_WIDTH)
    .map((value) => BARS[Math.min(BARS.length - 1, Math.floor((value / largest) * BARS.length))] ?? ' ')
    .join('');
}

/** Text in a column of a width, broken between words. */
export function wrapText(text: string, width: number): readonly string[] {
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
