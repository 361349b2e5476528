import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toJsonForm } from '../../../src/rpc/json-form.ts';
import { METHOD_SCHEMAS } from '../../../src/rpc/schema/table.ts';

/** True if JSON.stringify would lose or refuse something in it. */
function holdsBytesOrAmounts(value: unknown): boolean {
  if (typeof value === 'bigint' || value instanceof Uint8Array) return true;
  return typeof value === 'object' && value !== null && Object.values(value).some(holdsBytesOrAmounts);
}

describe('the JSON of a value', () => {
  it('holds bytes as base64 and large integers as text, at any depth', () => {
    const bytes = new Uint8Array([1, 2, 3]);
    expect(toJsonForm({ a: [{ b: bytes, c: 2n ** 64n }], d: null, e: 'x', f: 1.5, g: Buffer.from(bytes) })).toEqual({
      a: [{ b: 'AQID', c: '18446744073709551616' }],
      d: null,
      e: 'x',
      f: 1.5,
      g: 'AQID',
    });
  });

  it('of any plain data survives JSON unchanged', () => {
    const anything = fc.anything({ withBigInt: true, withTypedArray: false, withNullPrototype: false });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.json().map((text) => JSON.parse(text) as unknown),
          anything,
        ),
        (value) => {
          const form = toJsonForm(value);
          expect(holdsBytesOrAmounts(form)).toBe(false);
        },
      ),
    );
    fc.assert(
      fc.property(fc.json(), (text) => {
        const value = JSON.parse(text) as unknown;
        expect(JSON.stringify(toJsonForm(value))).toBe(JSON.stringify(value));
      }),
    );
  });
});

describe('methods', () => {
  it.each(Object.entries(METHOD_SCHEMAS))('%s is converted if, and only if, its result needs it', (_, schema) => {
    const needsIt = holdsBytesOrAmounts(schema.result.parse(schema.example.result));
    expect(schema.isConverted === true).toBe(needsIt);
  });
});
