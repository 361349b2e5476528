import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TerminalOutput } from '../../../src/cli/framework/terminal-output.ts';
import { CurveBook } from '../../../src/cli/job/curves/curve-book.ts';
import { renderCurve } from '../../../src/cli/job/curves/render-curve.ts';

const point = (step: number, value: number) => ({ step, value });
const size = { columns: 40, rows: 4, isAscii: true };

describe('renderCurve', () => {
  it('draws what falls from left to right', () => {
    const points = Array.from({ length: 28 }, (_, step) => point(step, 27 - step));
    expect(renderCurve({ name: 'loss', points }, { ...size, columns: 33 })).toEqual([
      'loss  0 at step 27 (28 points)',
      '27 +*****',
      '   |     *********',
      '   |              *********',
      ' 0 +                       *****',
      '   +----------------------------',
      '    0                         27',
    ]);
  });

  it('draws a line through what lies far apart, and a flat one where nothing changes', () => {
    const far = renderCurve({ name: 'a', points: [point(0, 0), point(10, 1)] }, { ...size, rows: 2 });
    expect(far.slice(1, 3).join('').replaceAll(/[^*]/g, '').length).toBeGreaterThanOrEqual(36);
    const flat = renderCurve({ name: 'a', points: [point(0, 5), point(10, 5)] }, { ...size, rows: 3 });
    expect(flat[2]).toContain('*'.repeat(30));
  });

  it('says what cannot be drawn', () => {
    expect(renderCurve({ name: 'a', points: [point(3, 0.125)] }, size)).toEqual(['a  0.125 at step 3 (1 point)']);
    const strange = [point(1, 1), point(2, Number.NaN), point(3, Number.POSITIVE_INFINITY)];
    expect(renderCurve({ name: 'a', points: strange }, size)).toEqual([
      'a  Infinity at step 3 (3 points, 2 values not finite)',
    ]);
  });

  it('keeps to the width and height that it is given, whatever the values are', () => {
    const values = fc.array(fc.tuple(fc.nat({ max: 2 ** 50 }), fc.double()), { minLength: 2, maxLength: 50 });
    fc.assert(
      fc.property(values, fc.integer({ min: 30, max: 200 }), fc.boolean(), (pairs, columns, isAscii) => {
        const points = pairs.map(([step, value]) => point(step, value)).toSorted((a, b) => a.step - b.step);
        const [, ...chart] = renderCurve({ name: 'n', points }, { columns, rows: 5, isAscii });
        expect([0, 7]).toContain(chart.length);
        for (const line of chart.slice(0, -1)) expect(Array.from(line).length).toBeLessThanOrEqual(columns);
        expect(chart.slice(0, 5).join('').trim() === '').toBe(chart.length === 0);
      }),
    );
  });

  it('uses the dots of braille where it may', () => {
    const points = [point(0, 0), point(1, 1)];
    const chart = renderCurve({ name: 'a', points }, { columns: 14, rows: 1, isAscii: false });
    expect(chart[1]).toMatch(/^1 ┤[\u2800-\u28ff]{10}$/);
  });
});

describe('CurveBook', () => {
  const metric = (name: string, step: number, value: string, replica = 0) => ({ name, step, value, replica });

  it('shows one replica, the last word on a step, and the names that were asked for', () => {
    const book = new CurveBook({ names: ['loss'], replica: undefined });
    for (const each of [
      metric('loss', 1, '3', 1),
      metric('loss', 1, '9', 0),
      metric('other', 1, '1', 1),
      metric('loss', 2, '2', 1),
      metric('loss', 1, '2.5', 1),
    ]) {
      book.add(each);
    }
    expect(book.curves).toEqual([{ name: 'loss', points: [point(1, 2.5), point(2, 2)] }]);
  });

  it('reads the words of metrics for what is no finite number', () => {
    const book = new CurveBook({ names: [], replica: 0 });
    expect(book.add(metric('a', 1, 'NaN'))).toEqual(point(1, Number.NaN));
    expect(book.add(metric('a', 2, '-Infinity'))).toEqual(point(2, Number.NEGATIVE_INFINITY));
  });
});

describe('progress of several lines', () => {
  it('is taken back whole before anything else is written', () => {
    let text = '';
    const sink = { write: (part: string) => (text += part), isTTY: true, columns: 20 };
    const output = new TerminalOutput(
      { stdout: sink, stderr: sink },
      { isJson: false, isQuiet: false, hasColors: false },
    );
    output.progress('one\ntwo\nthree');
    text = '';
    output.progress('four');
    expect(text).toBe(`${'\r\u001b[2K'}${'\u001b[1A\r\u001b[2K'.repeat(2)}four`);
    output.progress('a\nb');
    text = '';
    output.finish();
    expect(text).toBe('\r\u001b[2K\u001b[1A\r\u001b[2K');
  });
});
