import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  parseAmount,
  parseChildren,
  parseKilobytes,
  parsePressure,
  parseStat,
} from '../../../../src/sandbox/host/parse-proc.ts';
import { ProcHostCapacity } from '../../../../src/sandbox/host/proc-host-capacity.ts';

const MEMINFO = 'MemTotal:       16384000 kB\nMemFree:         1000 kB\nMemAvailable:    8192000 kB\n';
const V2 = { limit: 'memory.max', usage: 'memory.current', reclaimable: 'inactive_file' };

function capacityOf(files: Readonly<Record<string, string>>, groups: readonly string[] = []): ProcHostCapacity {
  return new ProcHostCapacity(
    { folder: '/', pid: 7 },
    { read: async (path) => files[path] ?? '', groups: groups.map((folder) => ({ folder, files: V2 })) },
  );
}

describe('texts of the kernel', () => {
  it('are read as they are written', () => {
    expect(parseKilobytes(MEMINFO, 'MemAvailable')).toBe(8_192_000 * 1024);
    expect(parseKilobytes('RssAnon:\t     52 kB\n', 'RssAnon')).toBe(52 * 1024);
    expect(parseAmount('1073741824\n')).toBe(2 ** 30);
    expect(parseAmount('max\n')).toBeNull();
    expect(parseStat('anon 5\ninactive_file 4096\n', 'inactive_file')).toBe(4096);
    expect(parsePressure('some avg10=12.50 avg60=1.00 avg300=0.10 total=5\nfull avg10=0.00 avg60=0 total=0\n')).toBe(
      12.5,
    );
    expect(parseChildren('12 34 56 ', 2)).toEqual([12, 34]);
  });

  it('give nothing or a figure, whatever is in them', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.constantFrom('', 'MemTotal: ', 'some avg10='), (text, start) => {
        const whole = start + text;
        for (const figure of [parseKilobytes(whole, 'MemTotal'), parseAmount(whole), parsePressure(whole)]) {
          expect(figure === null || figure >= 0).toBe(true);
        }
        expect(parseChildren(whole, 4).length).toBeLessThanOrEqual(4);
      }),
    );
  });
});

describe('the capacity of a host', () => {
  it('is what the machine has where no group limits it', async () => {
    using capacity = capacityOf({ '/proc/meminfo': MEMINFO });
    expect(await capacity.measure()).toMatchObject({
      memory: { limitBytes: 16_384_000 * 1024, availableBytes: 8_192_000 * 1024, childrenBytes: 0 },
      cpuPressure: null,
    });
  });

  it('is what the tightest group leaves, what the kernel would give back included', async () => {
    const files = {
      '/proc/meminfo': MEMINFO,
      '/g/memory.max': 'max',
      '/g/memory.current': '5',
      '/g/a/memory.max': `${2 ** 30}`,
      '/g/a/memory.current': `${2 ** 29}`,
      '/g/a/memory.stat': `inactive_file ${2 ** 20}\n`,
    };
    using capacity = capacityOf(files, ['/g/a', '/g']);
    const { memory } = await capacity.measure();
    expect(memory).toMatchObject({ limitBytes: 2 ** 30, availableBytes: 2 ** 29 + 2 ** 20 });
  });

  it('counts children and theirs', async () => {
    const files = {
      '/proc/7/task/7/children': '8 9',
      '/proc/8/status': 'Name:\tbwrap\nRssAnon:\t     100 kB\n',
      '/proc/8/task/8/children': '10',
      '/proc/10/status': 'RssAnon:\t     1000 kB\n',
    };
    using capacity = capacityOf(files);
    expect((await capacity.measure()).memory.childrenBytes).toBe(1_100 * 1024);
  });
});
