import type { AnchorLeaf } from '../../src/domain/anchor.ts';
import { encodeUtf8 } from '../../src/lib/bytes.ts';
import { sha256 } from '../../src/lib/cid.ts';

/** The known set: leaf `number` of a run. Every fifth is a checkpoint root. */
export function createLeaf(seed: number, number: number): AnchorLeaf {
  return {
    kind: number % 5 === 4 ? 'checkpoint' : 'receipt',
    digest: sha256(encodeUtf8(`fogproof crash test ${seed}/${number}`)),
  };
}

/** mulberry32: the same numbers for the same seed. */
export function seededRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}
