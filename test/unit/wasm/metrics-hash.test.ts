import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { computeMetricsHash } from '../../../src/wasm/metrics-hash.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('computeMetricsHash', () => {
  it('is the hash of nothing for no metrics', () => {
    expect(hex(computeMetricsHash([]))).toBe(createHash('sha256').digest('hex'));
  });

  it('chains the hash before with u64 step, u32 length, name and big-endian binary64', () => {
    const metric = Buffer.from(
      '0000000000000007' + '00000004' + Buffer.from('loss').toString('hex') + '3fd0000000000000',
      'hex',
    );
    const chain = (head: Uint8Array): Buffer => createHash('sha256').update(head).update(metric).digest();
    const first = chain(createHash('sha256').digest());
    const one = { step: 7, name: 'loss', value: 0.25 };
    expect(hex(computeMetricsHash([one]))).toBe(hex(first));
    expect(hex(computeMetricsHash([one, one]))).toBe(hex(chain(first)));
  });

  it('takes every NaN for the same and keeps zeros apart', () => {
    const negativeNan = new Float64Array(new BigUint64Array([0xfff4_0000_0000_0001n]).buffer)[0] ?? 0;
    const of = (value: number): string => hex(computeMetricsHash([{ step: 1, name: 'x', value }]));
    expect(of(negativeNan)).toBe(of(Number.NaN));
    expect(of(-0)).not.toBe(of(0));
  });

  it('depends on order, and no two lists share their bytes', () => {
    const metric = fc.record({ step: fc.nat(), name: fc.string({ maxLength: 8 }), value: fc.double({ noNaN: true }) });
    fc.assert(
      fc.property(fc.array(metric, { maxLength: 4 }), fc.array(metric, { maxLength: 4 }), (a, b) => {
        const isEqual =
          JSON.stringify(a.map((m) => [m.step, m.name, Object.is(m.value, -0) ? '-0' : String(m.value)])) ===
          JSON.stringify(b.map((m) => [m.step, m.name, Object.is(m.value, -0) ? '-0' : String(m.value)]));
        expect(hex(computeMetricsHash(a)) === hex(computeMetricsHash(b))).toBe(isEqual);
      }),
    );
  });
});
