import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseMetricLine } from '../../../../src/sandbox/rounds/metric-lines.ts';

const NAME = fc.string({ minLength: 1, maxLength: 20 }).filter((name) => name !== 'step' && name !== '__proto__');
const VALUE = fc.double({ noDefaultInfinity: true, noNaN: true });

describe('parseMetricLine', () => {
  it('reads what JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.dictionary(NAME, VALUE, { minKeys: 1 }), fc.nat(), (values, step) => {
        const read = parseMetricLine(JSON.stringify({ step, ...values }));
        expect(new Map(read?.map(({ name, value }) => [name, value + 0]))).toEqual(
          new Map(Object.entries(values).map(([name, value]) => [name, value + 0])),
        );
        expect(read?.every((metric) => metric.step === step)).toBe(true);
      }),
    );
  });

  it('takes anything else for no metrics, and never throws', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (line) => {
        const read = parseMetricLine(line);
        expect(read === null || read.length > 0).toBe(true);
      }),
    );
  });

  it.each([
    '{"step": 1}',
    '{"loss": 1}',
    '{"step": -1, "loss": 1}',
    '{"step": 9007199254740993, "loss": 1}',
    '{"step": 1, "loss": "toString"}',
    '{"step": 1, "loss": null}',
    '{"step": 1, "": 1}',
    `{"step": 1, "${'n'.repeat(129)}": 1}`,
    String.raw`{"step": 1, "\ud800": 1}`,
  ])('refuses %s', (line) => {
    expect(parseMetricLine(line)).toBeNull();
  });

  it('has words for what JSON has no numbers for', () => {
    expect(parseMetricLine('{"step": 1, "a": "NaN", "b": "-Infinity"}')).toEqual([
      { name: 'a', value: Number.NaN, step: 1 },
      { name: 'b', value: Number.NEGATIVE_INFINITY, step: 1 },
    ]);
  });
});
