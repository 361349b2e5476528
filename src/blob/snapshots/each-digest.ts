import { setImmediate } from 'node:timers/promises';
import { DIGESTS_AT_ONCE } from './constants.ts';
import { type DigestKey, toDigestKey } from './item-index.ts';
import { DIGEST_BYTES } from './pack-format.ts';

/** Calls `visit` for each digest of a list, and lets other work have its turn in between. */
export async function eachDigest(digests: Uint8Array, visit: (key: DigestKey, place: number) => void): Promise<void> {
  const count = Math.floor(digests.length / DIGEST_BYTES);
  for (let place = 0; place < count; place += 1) {
    if (place > 0 && place % DIGESTS_AT_ONCE === 0) await setImmediate();
    visit(toDigestKey(digests, place * DIGEST_BYTES), place);
  }
}
