import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { egressSchema, parseEgressHost, parseEgressPattern } from '../../../src/domain/egress.ts';

describe('hosts that a job may connect to', () => {
  it.each([
    ['pypi.org:443', { host: 'pypi.org', port: 443 }],
    ['Files.PythonHosted.org:8443', { host: 'files.pythonhosted.org', port: 8443 }],
    ['192.0.2.7:80', { host: '192.0.2.7', port: 80 }],
    ['[2001:DB8::1]:443', { host: '2001:db8::1', port: 443 }],
    ['_service.example.org:1', { host: '_service.example.org', port: 1 }],
  ])('takes %s', (text, host) => expect(parseEgressHost(text)).toEqual(host));

  it.each([
    'pypi.org',
    'pypi.org:0',
    'pypi.org:65536',
    'pypi.org:0443',
    'pypi.org:443/simple',
    'https://pypi.org:443',
    'user@pypi.org:443',
    '*.pypi.org:443',
    'localhost:80',
    '-a.example:80',
    '2001:db8::1:443',
    '[192.0.2.7]:80',
    '256.1.1.1:80',
    '0x7f.1:80',
    '2130706433:80',
    'a b.example:80',
    'example.org.:443',
    '',
  ])('refuses %s', (text) => expect(parseEgressHost(text)).toBeUndefined());

  it('reads a host as it was written, whatever is in it', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 40 }), fc.nat(70_000), (name, port) => {
        const host = parseEgressHost(`${name}:${port}`);
        if (host === undefined) return;
        expect(host.port).toBe(port);
        expect(name.toLowerCase().replace(/^\[|\]$/g, '')).toBe(host.host);
        expect(host.host).toMatch(/^[a-z0-9._:-]+$/);
      }),
    );
  });

  it('are one to 32', () => {
    expect(egressSchema.safeParse({ hosts: [] }).success).toBe(false);
    const hosts = Array.from({ length: 33 }, (_, index) => `h${index}.example:443`);
    expect(egressSchema.safeParse({ hosts }).success).toBe(false);
    expect(egressSchema.safeParse({ hosts: hosts.slice(1) }).success).toBe(true);
  });
});

describe('what an operator allows', () => {
  it.each([
    ['pypi.org:443', 'pypi.org:443', true],
    ['PyPI.org:443', 'pypi.org:443', true],
    ['pypi.org:443', 'pypi.org:80', false],
    ['pypi.org:443', 'www.pypi.org:443', false],
    ['*.pypi.org:443', 'www.pypi.org:443', true],
    ['*.pypi.org:443', 'a.b.pypi.org:443', true],
    ['*.pypi.org:443', 'pypi.org:443', false],
    ['*.pypi.org:443', 'evilpypi.org:443', false],
    ['*:443', 'example.org:443', true],
    ['*:443', '192.0.2.7:443', true],
    ['*:443', 'example.org:80', false],
    ['[2001:db8::1]:443', '[2001:DB8::1]:443', true],
  ])('%s and a job that lists %s: %s', (pattern, wanted, isAllowed) => {
    const host = parseEgressHost(wanted);
    expect(host).toBeDefined();
    expect(host !== undefined && parseEgressPattern(pattern)?.(host)).toBe(isAllowed);
  });

  it.each(['*', '**:443', '*.:443', '*.*.org:443', 'a.*.org:443', '*:99999', '*.org'])('refuses %s', (pattern) =>
    expect(parseEgressPattern(pattern)).toBeNull(),
  );
});
