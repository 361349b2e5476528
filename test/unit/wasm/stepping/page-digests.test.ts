import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PAGE_BYTES } from '../../../../src/wasm/constants.ts';
import { PageDigests } from '../../../../src/wasm/stepping/page-digests.ts';

const digestOf = (memory: Uint8Array): string => {
  const digests: string[] = [];
  for (let start = 0; start < memory.length; start += PAGE_BYTES) {
    digests.push(
      createHash('sha256')
        .update(memory.subarray(start, start + PAGE_BYTES))
        .digest('hex'),
    );
  }
  return digests.join('');
};

describe('PageDigests', () => {
  it.each([0, 1, 2, 16_384])('has the digest of every page, with a copy of at most %i of them', (maxShadowPages) => {
    const write = fc.record({ at: fc.nat({ max: 6 * PAGE_BYTES - 1 }), value: fc.constantFrom(0, 0, 1, 2) });
    const round = fc.record({ growth: fc.nat({ max: 2 }), writes: fc.array(write, { maxLength: 4 }) });
    fc.assert(
      fc.property(fc.array(round, { minLength: 1, maxLength: 5 }), (rounds) => {
        const pages = new PageDigests(maxShadowPages);
        let memory = new Uint8Array(PAGE_BYTES);
        for (const { growth, writes } of rounds) {
          const before = new Uint8Array(memory.length + growth * PAGE_BYTES);
          before.set(memory);
          memory = before;
          for (const { at, value } of writes) if (at < memory.length) memory[at] = value;
          pages.update(memory, () => {});
          expect(Buffer.from(pages.digests.view).toString('hex')).toBe(digestOf(memory));
        }
      }),
      { numRuns: 25 },
    );
  });

  it('tells the pages that are new or have changed, and no others', () => {
    const pages = new PageDigests();
    const memory = new Uint8Array(4 * PAGE_BYTES);
    const changes = (): number[] => {
      const found: number[] = [];
      pages.update(memory, (page) => found.push(page));
      return found;
    };
    memory[3 * PAGE_BYTES + 9] = 1;
    expect(changes()).toEqual([0, 1, 2, 3]);
    expect(changes()).toEqual([]);
    memory[2 * PAGE_BYTES - 1] = 1;
    memory[3 * PAGE_BYTES] = 5;
    expect(changes()).toEqual([1, 3]);
    memory[2 * PAGE_BYTES - 1] = 0;
    expect(changes()).toEqual([1]);
    expect(changes()).toEqual([]);
  });
});
