import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { renderSparkline, wrapText } from '../../../scripts/demo/screen.ts';

describe('renderSparkline', () => {
  it('draws the largest value at full height and falls with the values', () => {
    expect(renderSparkline([8, 4, 2, 0])).toBe('█▅▃▁');
  });

  it('shows the newest values', () => {
    const falling = Array.from({ length: 100 }, (_, index) => 100 - index);
    expect(renderSparkline(falling)).toHaveLength(24);
    expect(renderSparkline(falling).at(-1)).toBe('▁');
  });

  it('draws nothing for nothing', () => {
    expect(renderSparkline([])).toBe('');
  });
});

describe('wrapText', () => {
  it('keeps every word in order, and lines within the width unless one word is longer', () => {
    const words = fc.array(fc.stringMatching(/^[a-z]{1,12}$/), { minLength: 1 });
    fc.assert(
      fc.property(words, fc.integer({ min: 1, max: 40 }), (given, width) => {
        const lines = wrapText(given.join(' '), width);
        expect(lines.join(' ')).toBe(given.join(' '));
        for (const line of lines) expect(line.length <= width || !line.includes(' ')).toBe(true);
      }),
    );
  });
});
