import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeNpy } from '../../../src/lib/npy.ts';
import { compareFiles } from '../../../src/proofs/compare-files.ts';

const f32 = (...values: number[]): Uint8Array => new Uint8Array(new Float32Array(values).buffer);
const f64 = (...values: number[]): Uint8Array => new Uint8Array(new Float64Array(values).buffer);
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const allow = (element: 'f32' | 'f64' | 'text', absolute = '0', relative = '0') => ({ element, absolute, relative });

describe('compareFiles', () => {
  it('tells equal bytes at once, whatever they are', () => {
    expect(compareFiles(text('x'), text('x'), allow('f64'))).toEqual({ kind: 'identical' });
  });

  it.each([
    ['an absolute tolerance, just kept', f64(1), f64(1.5), allow('f64', '0.5'), 'within'],
    ['an absolute tolerance, just passed', f64(1), f64(1.5), allow('f64', '0.4999'), 'beyond'],
    ['a relative tolerance, just kept', f64(100), f64(99), allow('f64', '0', '0.01'), 'within'],
    ['a relative tolerance, just passed', f64(100), f64(98.9), allow('f64', '0', '0.01'), 'beyond'],
    ['both together', f64(100), f64(98.5), allow('f64', '0.5', '1e-2'), 'within'],
    ['no tolerance', f32(1), f32(1 + 2 ** -23), allow('f32'), 'beyond'],
    ['zeros of two signs', f64(0), f64(-0), allow('f64'), 'within'],
    ['a NaN beside a number', f64(Number.NaN), f64(1), allow('f64', '1e9', '1'), 'beyond'],
    ['NaNs of two kinds', f64(Number.NaN, 1), f64(Number.NaN, 1.1), allow('f64', '1'), 'within'],
    ['an infinity beside a number', f32(Number.POSITIVE_INFINITY), f32(1), allow('f32', '1e9', '1'), 'beyond'],
    ['infinities of two signs', f32(Infinity), f32(-Infinity), allow('f32', '1e9', '1'), 'beyond'],
    ['numbers in text', text('loss 0.5,1e-3\n'), text('loss 0.5001;1.0e-3'), allow('text', '1e-3'), 'within'],
    ['numbers in text, passed', text('0.5'), text('0.6'), allow('text', '1e-3'), 'beyond'],
    ['nan in text', text('nan'), text('NaN'), allow('text'), 'within'],
    ['other words', text('loss 1'), text('cost 1'), allow('text', '1'), 'incomparable'],
    ['a word more', text('1 2'), text('1 2 3'), allow('text', '1'), 'incomparable'],
    ['bytes that are no text', Uint8Array.of(0xff), text('1'), allow('text'), 'incomparable'],
    ['another length', f32(1), f32(1, 2), allow('f32', '1'), 'incomparable'],
    ['half an element', Uint8Array.of(1, 2, 3), Uint8Array.of(1, 2, 4), allow('f32', '1'), 'incomparable'],
  ] as const)('judges %s', (...[, a, b, comparison, kind]) => {
    expect(compareFiles(a, b, comparison).kind).toBe(kind);
    expect(compareFiles(b, a, comparison).kind).toBe(kind);
  });

  it('names the element that is farthest off', () => {
    expect(compareFiles(f64(1, 2, 3), f64(1, 2.5, 3.1), allow('f64', '0.2'))).toMatchObject({
      kind: 'beyond',
      elements: 3,
      largest: { index: 1, a: '2', b: '2.5', share: 2.5 },
    });
  });

  it('agrees with the definition, element by element', () => {
    const number = fc.double({ noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(number, number, fc.nat(1000), fc.nat(1000), (a, b, absolute, relative) => {
        const comparison = allow('f64', String(absolute), `${relative}e-3`);
        const isAllowed = Math.abs(a - b) <= absolute + (relative / 1000) * Math.max(Math.abs(a), Math.abs(b));
        const { kind } = compareFiles(f64(a), f64(b), comparison);
        const isNear = Math.abs(a - b) > (absolute + (relative / 1000) * Math.max(Math.abs(a), Math.abs(b))) * 0.999999;
        if (!isAllowed) expect(kind).toBe('beyond');
        else if (!isNear) expect(['identical', 'within']).toContain(kind);
      }),
    );
  });

  it('never throws, whatever the bytes', () => {
    fc.assert(
      fc.property(
        fc.uint8Array(),
        fc.uint8Array(),
        fc.constantFrom('f32' as const, 'f64' as const, 'text' as const),
        (a, b, element) => {
          expect(['identical', 'within', 'beyond', 'incomparable']).toContain(
            compareFiles(a, b, allow(element, '1')).kind,
          );
        },
      ),
    );
  });
});

describe('arrays of NumPy', () => {
  const tolerance = { element: 'npy', absolute: '0.5', relative: '0' } as const;
  const floats = (type: 'float32' | 'float64', shape: readonly number[], values: readonly number[]): Uint8Array => {
    const elements = type === 'float32' ? Float32Array.from(values) : Float64Array.from(values);
    return encodeNpy({ type, shape, bytes: new Uint8Array(elements.buffer) });
  };
  const bytes = (values: readonly number[]): Uint8Array =>
    encodeNpy({ type: 'uint8', shape: [values.length], bytes: Uint8Array.from(values) });

  it.each(['float32', 'float64'] as const)('of %s are compared by their elements', (type) => {
    const file = floats(type, [2], [1, 2]);
    expect(compareFiles(file, floats(type, [2], [1, 2]), tolerance)).toEqual({ kind: 'identical' });
    const near = compareFiles(file, floats(type, [2], [1, 2.25]), tolerance);
    expect(near).toMatchObject({ kind: 'within', elements: 2, largest: { index: 1, a: '2', b: '2.25', share: 0.5 } });
    expect(compareFiles(file, floats(type, [2], [1, 3]), tolerance).kind).toBe('beyond');
  });

  it('of other types and shapes, of whole numbers, and what is none have to be identical', () => {
    const file = floats('float32', [2], [1, 2]);
    const others = [
      floats('float32', [2, 1], [1, 2]),
      floats('float64', [2], [1, 2]),
      Uint8Array.of(1),
      new Uint8Array(file.length),
    ];
    for (const other of others) expect(compareFiles(file, other, tolerance).kind).toBe('incomparable');
    expect(compareFiles(bytes([1, 2]), bytes([1, 3]), tolerance)).toMatchObject({ kind: 'incomparable' });
    expect(compareFiles(bytes([1, 2]), bytes([1, 2]), tolerance)).toEqual({ kind: 'identical' });
  });
});
