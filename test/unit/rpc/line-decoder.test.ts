import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DecodedLine, LineDecoder } from '../../../src/rpc/line-decoder.ts';

const MAX = 64;

/** Cuts bytes into chunks at the given places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set(places.map((place) => place % (bytes.length + 1))), bytes.length].toSorted((a, b) => a - b);
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}

/** What the decoder must give, computed the slow way. */
function expectLines(bytes: Buffer): DecodedLine[] {
  const lines: DecodedLine[] = [];
  for (let start = 0; ; ) {
    const end = bytes.indexOf(0x0a, start);
    const line = bytes.subarray(start, end === -1 ? bytes.length : end);
    if (line.length > MAX) lines.push({ kind: 'too-long' });
    else if (end !== -1) {
      const body = line.at(-1) === 0x0d ? line.subarray(0, -1) : line;
      const text = body.toString('utf8');
      const isUtf8 = Buffer.from(text).equals(body);
      if (body.length > 0) lines.push(isUtf8 ? { kind: 'line', text } : { kind: 'malformed' });
    }
    if (end === -1) return lines;
    start = end + 1;
  }
}

describe('LineDecoder', () => {
  it('gives the same lines however the bytes are cut', () => {
    const lines = fc.array(fc.string({ unit: 'binary', maxLength: 20 }).map((text) => text.replaceAll(/[\n\r]/g, '')));
    fc.assert(
      fc.property(lines, fc.array(fc.nat()), (texts, places) => {
        const bytes = Buffer.from(texts.map((text) => `${text}\n`).join(''));
        const decoder = new LineDecoder(MAX * 2);
        const found = cut(bytes, places).flatMap((chunk) => decoder.push(chunk));
        expect(found).toEqual(texts.filter((text) => text !== '').map((text) => ({ kind: 'line', text })));
      }),
    );
  });

  it('tells garbage and what is too long apart, and never holds more than a line', () => {
    const noise = fc.uint8Array({ maxLength: 400 });
    const newlines = fc.array(fc.nat(), { maxLength: 8 });
    fc.assert(
      fc.property(noise, newlines, fc.array(fc.nat()), (noisy, breaks, places) => {
        const bytes = Buffer.from(noisy);
        for (const at of breaks) if (bytes.length > 0) bytes[at % bytes.length] = 0x0a;
        const decoder = new LineDecoder(MAX);
        const found: DecodedLine[] = [];
        for (const chunk of cut(bytes, places)) {
          found.push(...decoder.push(chunk));
          expect(decoder.heldBytes).toBeLessThanOrEqual(MAX);
        }
        expect(found).toEqual(expectLines(bytes));
      }),
    );
  });

  it('goes on after a line that is too long, which it reports once', () => {
    const decoder = new LineDecoder(8);
    const found = ['123456789', 'more', 'more\nok', '\n'].flatMap((text) => decoder.push(Buffer.from(text)));
    expect(found).toEqual([{ kind: 'too-long' }, { kind: 'line', text: 'ok' }]);
  });

  it('takes a line that comes byte by byte without holding a buffer for each', () => {
    const decoder = new LineDecoder(100_000);
    const text = 'x'.repeat(50_000);
    const found = Array.from(`${text}\n`).flatMap((character) => decoder.push(Buffer.from(character)));
    expect(found).toEqual([{ kind: 'line', text }]);
    expect(decoder.heldBytes).toBe(0);
  });
});
