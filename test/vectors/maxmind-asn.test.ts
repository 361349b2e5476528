import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NetworkError } from '../../src/network/errors.ts';
import { collectSystemGroups } from '../../src/network/neighbours/candidates/address-groups.ts';
import { MmdbAutonomousSystems } from '../../src/network/neighbours/candidates/mmdb-autonomous-systems.ts';

const FILE = 'GeoLite2-ASN-Test.mmdb';
const bytes = readFileSync(join(import.meta.dirname, 'maxmind-asn', FILE));
const systems = MmdbAutonomousSystems.parse(bytes, FILE);

/** Every occurrence of a name in the file by another one of its length. */
function rename(name: string, other: string): Buffer {
  return Buffer.from(bytes.toString('latin1').replaceAll(name, other), 'latin1');
}

function findFault(file: Uint8Array): string | null {
  try {
    MmdbAutonomousSystems.parse(file, FILE);
    return null;
  } catch (error) {
    if (!(error instanceof NetworkError) || error.info.code !== 'NETWORK_BAD_ASN_DATABASE') throw error;
    return error.info.reason;
  }
}

describe("MaxMind's test table of autonomous systems", () => {
  it('is the file that its page names', () => {
    const hash = createHash('sha256').update(bytes).digest('hex');
    expect(hash).toBe('75901b98ed6e58d3bd41af9985044b747a7ec0be1369f930c24f5e044427181a');
  });

  it.each([
    ['1.0.0.255', 15_169],
    ['1.128.0.0', 1221],
    ['1.160.0.0', null],
    ['12.81.92.0', 7018],
    ['12.83.255.255', 7018],
    ['35.255.0.1', null],
    ['35.127.255.255', 237],
    ['2001:8000::1', 1221],
    ['2600:7ff:ffff::', 237],
    ['203.0.113.7', null],
    ['2001:db8::1', null],
  ])('says of %s that its system is %s', (ip, system) => {
    expect(systems.find(ip)).toBe(system);
  });

  it('knows no system of what is no address', () => {
    for (const text of ['', 'example.org', '1.0.0', '1.0.0.0/24', '1.0.0.999', '2600::g', ':::']) {
      expect(systems.find(text), text).toBeNull();
    }
  });

  it('makes groups of multiaddrs, one for each system', () => {
    const addresses = [
      '/ip4/35.1.2.3/tcp/4717',
      '/ip6/2600::1/tcp/4717',
      '/ip6/::ffff:1.128.0.9/tcp/4717',
      '/ip4/203.0.113.7/tcp/4717',
      '/dns4/example.org/tcp/4717',
    ];
    expect(collectSystemGroups(addresses, systems)).toEqual([
      { kind: 'asn', key: 'AS237' },
      { kind: 'asn', key: 'AS1221' },
    ]);
  });

  it('is refused when cut off, changed in its layout, or not of autonomous systems', () => {
    expect(findFault(bytes)).toBeNull();
    expect(findFault(new Uint8Array())).toContain('no MaxMind DB file');
    expect(findFault(Buffer.from('autonomous_system_number,network\n'.repeat(100)))).toContain('no MaxMind DB file');
    expect(findFault(bytes.subarray(0, 9_000))).toContain('no MaxMind DB file');
    expect(findFault(bytes.subarray(4_000))).toContain('damaged');
    expect(findFault(rename('binary_format_major_version', 'binary_format_minor_versioN'))).toContain('version 2');
    expect(findFault(rename('autonomous_system_number', 'geographical_region_name'))).toContain("but 'GeoLite2-ASN'");
  });

  it('never makes a lookup throw, whatever is damaged', () => {
    const changes = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 400 });
    const lookups = fc.array(fc.oneof(fc.ipV4(), fc.ipV6()), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(changes, lookups, (changed, ips) => {
        const file = Buffer.from(bytes);
        for (const [offset, value] of changed) file[offset] = value;
        if (findFault(file) !== null) return;
        const damaged = MmdbAutonomousSystems.parse(file, FILE);
        for (const ip of [...ips, '35.1.2.3', '2600::1']) {
          const system = damaged.find(ip);
          expect(system === null || Number.isInteger(system)).toBe(true);
        }
      }),
      { numRuns: 40 },
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 500 }), (garbage) => findFault(garbage) !== null));
  });
});
