import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeChunk, encodeChunk } from '../../../src/node/backup/entry-chunk.ts';
import { decodeTarHeader, encodeTarHeader, isSafeName, TAR_BLOCK_BYTES } from '../../../src/node/backup/tar-header.ts';

const RUNS = { numRuns: 200 };
const part = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,20}$/);

describe('a header of an archive', () => {
  it('is read as it was written, for sizes over 8 GiB too', () => {
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), fc.maxSafeNat(), (parts, sizeBytes) => {
        const entry = { name: parts.join('/'), sizeBytes };
        expect(decodeTarHeader(encodeTarHeader(entry, 1_790_000_000_000))).toEqual(entry);
      }),
      RUNS,
    );
  });

  it('is refused once a bit of it was changed, and where it is anything but a file below the folder', () => {
    const header = encodeTarHeader({ name: 'home/blobs/ab/x', sizeBytes: 7 }, 0);
    for (let offset = 0; offset < TAR_BLOCK_BYTES; offset += 1) {
      const changed = header.slice();
      changed[offset] = (changed[offset] ?? 0) ^ 0x04;
      expect(decodeTarHeader(changed), String(offset)).toBeUndefined();
    }
    for (const name of ['../x', 'a/../b', '/etc/passwd', 'a//b', './a', 'a/', 'a\\b', '', 'x'.repeat(101), 'a/./b']) {
      expect(isSafeName(name), name).toBe(false);
      if (name.length <= 100) expect(decodeTarHeader(encodeTarHeader({ name, sizeBytes: 1 }, 0)), name).toBeUndefined();
    }
  });

  it('is not taken for one where it is garbage, a link or a device', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 512, maxLength: 512 }), (block) => {
        if (block.some((byte) => byte !== 0)) expect(decodeTarHeader(block)).toBeUndefined();
      }),
      RUNS,
    );
    expect(decodeTarHeader(new Uint8Array(512))).toBe('end');
    for (const kind of '123456xgLK') {
      const header = Buffer.from(encodeTarHeader({ name: 'home/x', sizeBytes: 0 }, 0));
      header.write(kind, 156, 'latin1');
      header.write('        ', 148, 'latin1');
      const sum = header.reduce((total, byte) => total + byte, 0);
      header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
      expect(decodeTarHeader(header), kind).toBeUndefined();
    }
  });
});

describe('a chunk of entries', () => {
  it('is read as it was written, and never throws on garbage', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.string(), fc.uint8Array())), fc.uint8Array(), (entries, garbage) => {
        const decoded = decodeChunk(encodeChunk(entries));
        expect(decoded?.map(([key, value]) => [key, value.slice()])).toEqual(entries);
        decodeChunk(garbage);
      }),
      RUNS,
    );
    expect(decodeChunk(Uint8Array.of(0, 0, 0, 9, 0, 0, 0, 0, 1))).toBeUndefined();
  });
});
