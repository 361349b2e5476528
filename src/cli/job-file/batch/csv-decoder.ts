/** Characters of one record, and values in it, at most. */
const MAX_RECORD_CHARS = 1024 * 1024;
const MAX_VALUES = 1024;

export interface CsvRecord {
  /** Where it begins, from 1. */
  readonly line: number;
  readonly values: readonly string[];
}

export class RowFileProblem extends TypeError {
  readonly line: number;

  constructor(line: number, message: string) {
    super(message);
    this.line = line;
  }
}

/**
 * CSV as RFC 4180 has it (section 2): values between commas, quoted where they hold commas, quotes or line ends, a quote in
 * them doubled. Lines may end with LF alone; empty lines are left out. Takes text in pieces of any size.
 */
export class CsvDecoder {
  #state: 'begin' | 'plain' | 'quoted' | 'quote-seen' = 'begin';
  #value = '';
  #values: string[] = [];
  #chars = 0;
  #line = 1;
  #recordLine = 1;

  /** @throws RowFileProblem */
  *push(text: string): Generator<CsvRecord> {
    for (const char of text) {
      this.#chars += 1;
      if (this.#chars > MAX_RECORD_CHARS) throw new RowFileProblem(this.#recordLine, 'the record is too long');
      const record = this.#take(char);
      if (char === '\n') this.#line += 1;
      if (record !== undefined) yield record;
      if (this.#chars === 0) this.#recordLine = this.#line;
    }
  }

  /** After the last piece. @throws RowFileProblem */
  *end(): Generator<CsvRecord> {
    if (this.#state === 'quoted') throw new RowFileProblem(this.#recordLine, 'a quote is opened and never closed');
    const record = this.#endRecord();
    if (record !== undefined) yield record;
  }

  #take(char: string): CsvRecord | undefined {
    if (this.#state === 'quoted') {
      if (char === '"') this.#state = 'quote-seen';
      else this.#value += char;
      return undefined;
    }
    if (char === '\n') return this.#endRecord();
    if (char === ',') this.#endValue();
    else if (char === '"') this.#takeQuote();
    // A CR ends a line together with the LF after it.
    else if (char !== '\r') this.#takePlain(char);
    return undefined;
  }

  #takeQuote(): void {
    if (this.#state === 'plain')
      throw new RowFileProblem(this.#line, 'a quote stands inside a value that does not begin with one');
    if (this.#state === 'quote-seen') this.#value += '"';
    this.#state = 'quoted';
  }

  #takePlain(char: string): void {
    if (this.#state === 'quote-seen')
      throw new RowFileProblem(this.#line, 'text stands behind the closing quote of a value');
    this.#state = 'plain';
    this.#value += char;
  }

  #endValue(): void {
    this.#values.push(this.#value);
    if (this.#values.length > MAX_VALUES) throw new RowFileProblem(this.#line, `it has more than ${MAX_VALUES} values`);
    this.#value = '';
    this.#state = 'begin';
  }

  #endRecord(): CsvRecord | undefined {
    this.#chars = 0;
    if (this.#values.length === 0 && this.#state === 'begin') return undefined;
    this.#endValue();
    const record = { line: this.#recordLine, values: this.#values };
    this.#values = [];
    return record;
  }
}
