import { isUtf8 } from 'node:buffer';

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;

export type DecodedLine =
  | { readonly kind: 'line'; readonly text: string }
  /** Longer than the limit: dropped to its end without being held. */
  | { readonly kind: 'too-long' }
  /** Not UTF-8. */
  | { readonly kind: 'malformed' };

/** First size of the buffer for an unfinished line, bytes. */
const FIRST_CAPACITY = 4096;

/**
 * Splits a byte stream into lines of UTF-8. Holds at most `maxLineBytes` (and as much again while it grows) whatever
 * arrives, also byte by byte. Empty lines are skipped; a last line without its newline is never given out.
 */
export class LineDecoder {
  readonly #maxLineBytes: number;
  #held = Buffer.alloc(0);
  #heldBytes = 0;
  #isSkipping = false;

  constructor(maxLineBytes: number) {
    this.#maxLineBytes = maxLineBytes;
  }

  /** Bytes set aside for an unfinished line. */
  get heldBytes(): number {
    return this.#held.length;
  }

  push(chunk: Buffer): DecodedLine[] {
    const lines: DecodedLine[] = [];
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      const line = this.#finish(chunk.subarray(start, end));
      if (line !== undefined) lines.push(line);
      start = end + 1;
    }
    if (start < chunk.length && !this.#hold(chunk.subarray(start))) lines.push({ kind: 'too-long' });
    return lines;
  }

  /** False if this rest makes the line too long, which is reported once, here; its end is then skipped. */
  #hold(rest: Buffer): boolean {
    if (this.#isSkipping) return true;
    const length = this.#heldBytes + rest.length;
    if (length > this.#maxLineBytes) {
      this.#reset();
      this.#isSkipping = true;
      return false;
    }
    if (length > this.#held.length) this.#grow(length);
    rest.copy(this.#held, this.#heldBytes);
    this.#heldBytes = length;
    return true;
  }

  #grow(length: number): void {
    const capacity = Math.min(this.#maxLineBytes, Math.max(FIRST_CAPACITY, 2 * this.#held.length, length));
    const larger = Buffer.allocUnsafeSlow(capacity);
    this.#held.copy(larger, 0, 0, this.#heldBytes);
    this.#held = larger;
  }

  #finish(tail: Buffer): DecodedLine | undefined {
    if (this.#isSkipping) {
      this.#isSkipping = false;
      return undefined;
    }
    if (this.#heldBytes + tail.length > this.#maxLineBytes) {
      this.#reset();
      return { kind: 'too-long' };
    }
    const whole = this.#heldBytes === 0 ? tail : Buffer.concat([this.#held.subarray(0, this.#heldBytes), tail]);
    this.#reset();
    const line = whole.at(-1) === CARRIAGE_RETURN ? whole.subarray(0, -1) : whole;
    if (line.length === 0) return undefined;
    return isUtf8(line) ? { kind: 'line', text: line.toString('utf8') } : { kind: 'malformed' };
  }

  #reset(): void {
    this.#held = Buffer.alloc(0);
    this.#heldBytes = 0;
  }
}
