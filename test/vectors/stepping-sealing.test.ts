import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { areBytesEqual, encodeHex } from '../../src/lib/bytes.ts';
import { sha256 } from '../../src/lib/cid.ts';
import { openBody, openPiece, sealBody, sealPiece } from '../../src/proofs/snapshot-seal.ts';

interface SealingCase {
  readonly case: string;
  readonly kind: 'piece' | 'body';
  readonly key: string;
  readonly digest: string;
  readonly plainBytes: number;
  readonly plain?: string;
  readonly sealed?: string;
  readonly start?: number;
  readonly sealedSha256?: string;
  readonly tag?: string;
}

const text = await readFile(new URL('stepping/sealing.json', import.meta.url), 'utf8');
const { cases } = JSON.parse(text) as { cases: readonly SealingCase[] };

const fromHex = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'));

function plainOf({ plain, start = 0, plainBytes }: SealingCase): Uint8Array {
  if (plain !== undefined) return fromHex(plain);
  return Uint8Array.from({ length: plainBytes }, (_, index) => (start + 7 * index) % 256);
}

describe('sealed pieces and bodies', () => {
  it('are all there', () => expect(cases).toHaveLength(7));

  it.each(cases.map((each) => [each.case, each] as const))('%s', (_name, each) => {
    const [key, digest, plain] = [fromHex(each.key), fromHex(each.digest), plainOf(each)];
    expect(encodeHex(sha256(plain))).toBe(each.digest);
    const sealed = each.kind === 'piece' ? sealPiece(key, digest, plain) : sealBody(key, plain);
    if (each.sealed !== undefined) expect(encodeHex(sealed)).toBe(each.sealed);
    else {
      expect(encodeHex(sha256(sealed))).toBe(each.sealedSha256);
      expect(encodeHex(sealed.subarray(-16))).toBe(each.tag);
    }
    const opened = each.kind === 'piece' ? openPiece(key, digest, sealed) : openBody(key, sealed);
    expect(opened.kind === 'opened' && areBytesEqual(opened.bytes, plain)).toBe(true);
  });
});
