import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { renderSparkline, wrapText } from '../../../scripts/demo/screen.ts';

describe('renderSparkline', () => {
  it('draws orders of magnitude as equal steps, from the largest value to the smallest', () => {
    expect(renderSparkline([1000, 100, 10, 1])).toBe('█▆▃▁');
  });

  it('shows the whole course, first and last value included, in a fixed width', () => {
    const falling = Array.from({ length: 240 }, (_, index) => 2 ** -index);
    const drawn = renderSparkline(falling);
    expect(drawn).toHaveLength(24);
    expect([drawn.at(0), drawn.at(-1)]).toEqual(['█', '▁']);
  });

  it('draws nothing for nothing, and a line for what stays the same', () => {
    expect(renderSparkline([])).toBe('');
    expect(renderSparkline([3, 3])).toBe('▁▁');
  });
});

describe('wrapText', () => {
  it('keeps line breaks', () => {
    expect(wrapText('one two\nthree', 7)).toEqual(['one two', 'three']);
  });

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
