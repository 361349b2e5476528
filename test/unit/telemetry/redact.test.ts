import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IdentityError } from '../../../src/identity/errors.ts';
import { REDACTED_FIELDS, toPlainFields } from '../../../src/telemetry/redact.ts';

const SECRET = 'correct horse battery staple';

describe('fields of a log line', () => {
  it.each([...REDACTED_FIELDS])('never show what is under the name %s, however it is written', (name) => {
    const spellings = [
      name,
      name.toUpperCase(),
      `${name.slice(0, 2)}_${name.slice(2)}`,
      `${name.slice(0, 2)}-${name.slice(2)}`,
    ];
    for (const spelling of spellings) {
      const line = JSON.stringify(
        toPlainFields({ [spelling]: SECRET, a: { [spelling]: { deep: SECRET } }, list: [{ [spelling]: [SECRET] }] }),
      );
      expect(line).not.toContain(SECRET);
      expect(line).toContain('[redacted]');
    }
  });

  it('never show a secret inside an error or a map', () => {
    const error = new IdentityError({ code: 'IDENTITY_MISSING', path: '/x' });
    Object.assign(error.info, { passphrase: SECRET });
    const wrapped = new TypeError('outer', { cause: error });
    expect(JSON.stringify(toPlainFields({ error, wrapped }))).not.toContain(SECRET);
  });

  it('show errors by their code or their stack, bytes in hex and big integers as text', () => {
    const plain = toPlainFields({
      coded: new IdentityError({ code: 'IDENTITY_MISSING', path: '/x' }),
      defect: new TypeError('broke'),
      bytes: Uint8Array.of(1, 255),
      long: new Uint8Array(100),
      amount: 10n,
      when: new Map([['a', 1n]]),
    });
    expect(plain).toMatchObject({
      coded: { name: 'IdentityError', info: { code: 'IDENTITY_MISSING' } },
      defect: { message: 'broke', stack: expect.stringContaining('redact.test') },
      bytes: '01ff',
      long: `${'00'.repeat(16)}…`,
      amount: '10',
      when: [['a', '1']],
    });
    expect(plain).not.toHaveProperty('coded.stack');
  });

  it('stay bounded and can be written as JSON, whatever is given', () => {
    const circular: Record<string, unknown> = { text: 'x'.repeat(10_000), list: Array.from({ length: 5000 }, () => 1) };
    circular['self'] = circular;
    expect(JSON.stringify(toPlainFields(circular)).length).toBeLessThan(30_000);
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.anything({ withBigInt: true, withMap: true, withTypedArray: true })),
        (fields) => {
          expect(() => JSON.stringify(toPlainFields(fields))).not.toThrow();
        },
      ),
    );
  });
});
