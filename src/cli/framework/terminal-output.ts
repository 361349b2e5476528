import picocolors from 'picocolors';
import type { CliOutput } from '../interface.ts';
import { fitWidth, sanitizeText } from './terminal-text.ts';
import { renderTable } from './text-table.ts';

/** The part of a stream that output needs. */
export interface TextSink {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
}

export interface TerminalOutputOptions {
  readonly isJson: boolean;
  readonly isQuiet: boolean;
  readonly hasColors: boolean;
}

const CLEAR_LINE = '\r\u001b[2K';
const LINE_UP = '\u001b[1A';
const DEFAULT_COLUMNS = 80;
const DEFAULT_LINES = 24;

/** Results on stdout; notes and progress for a person on stderr. All text is made safe for a terminal here. */
export class TerminalOutput implements CliOutput {
  readonly #stdout: TextSink;
  readonly #stderr: TextSink;
  readonly #options: TerminalOutputOptions;
  readonly #colors: ReturnType<typeof picocolors.createColors>;
  #progress = '';
  #drawnLines = 0;

  constructor(modules: { readonly stdout: TextSink; readonly stderr: TextSink }, options: TerminalOutputOptions) {
    this.#stdout = modules.stdout;
    this.#stderr = modules.stderr;
    this.#options = options;
    this.#colors = picocolors.createColors(options.hasColors);
  }

  get isJson(): boolean {
    return this.#options.isJson;
  }

  get isInteractive(): boolean {
    return this.#stderr.isTTY === true && !this.#options.isJson && !this.#options.isQuiet;
  }

  get isTerminal(): boolean {
    return this.#stdout.isTTY === true && !this.#options.isJson;
  }

  get columns(): number {
    return this.#stdout.columns ?? this.#stderr.columns ?? DEFAULT_COLUMNS;
  }

  get lines(): number {
    return this.#stdout.rows ?? this.#stderr.rows ?? DEFAULT_LINES;
  }

  result(value: unknown, render: () => readonly string[]): void {
    if (this.isJson) this.#print(this.#stdout, toJson(value, 2));
    else for (const line of render()) this.#print(this.#stdout, sanitizeText(line));
  }

  item(value: unknown, text: string): void {
    this.#print(this.#stdout, this.isJson ? toJson(value) : sanitizeText(text));
  }

  note(text: string): void {
    if (this.isJson || this.#options.isQuiet) return;
    this.#print(this.#stderr, this.#colors.dim(sanitizeText(text)));
  }

  progress(text: string): void {
    if (!this.isInteractive) return;
    if (text === '') return this.finish();
    this.#progress = text;
    this.#drawProgress();
  }

  table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
    return renderTable(head, rows);
  }

  /** Takes the progress away. */
  finish(): void {
    this.#clearProgress();
    this.#progress = '';
  }

  #print(sink: TextSink, text: string): void {
    this.#clearProgress();
    sink.write(`${text}\n`);
    this.#drawProgress();
  }

  #clearProgress(): void {
    if (this.#drawnLines > 0) this.#stderr.write(CLEAR_LINE + (LINE_UP + CLEAR_LINE).repeat(this.#drawnLines - 1));
    this.#drawnLines = 0;
  }

  /** In one write, so that nothing flickers. */
  #drawProgress(): void {
    if (this.#progress === '') return;
    const columns = (this.#stderr.columns ?? DEFAULT_COLUMNS) - 1;
    const lines = sanitizeText(this.#progress)
      .split('\n')
      .map((line) => fitWidth(line, columns));
    const clear = CLEAR_LINE + (LINE_UP + CLEAR_LINE).repeat(Math.max(0, this.#drawnLines - 1));
    this.#stderr.write(clear + lines.map((line) => this.#colors.cyan(line)).join('\n'));
    this.#drawnLines = lines.length;
  }
}

/** Integers beyond 2^53 - 1 as decimal strings, bytes as base64. */
export function toJson(value: unknown, indent?: number): string {
  const replace = function (this: Readonly<Record<string, unknown>>, key: string, plain: unknown): unknown {
    const original = this[key];
    if (typeof original === 'bigint') return original.toString();
    return original instanceof Uint8Array ? Buffer.from(original).toString('base64') : plain;
  };
  return JSON.stringify(value, replace, indent) ?? 'null';
}
