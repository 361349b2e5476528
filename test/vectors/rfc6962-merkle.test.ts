import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { verifyInclusion } from '../../src/proofs/merkle.ts';

interface InclusionCase {
  readonly case: string;
  readonly leafIdx: string;
  readonly treeSize: string;
  readonly root: string | null;
  readonly leafHash: string | null;
  readonly proof: readonly (string | null)[] | null;
  readonly wantErr: boolean;
}

const file = new URL('rfc6962-merkle/inclusion.json', import.meta.url);
const { cases } = JSON.parse(await readFile(file, 'utf8')) as { cases: readonly InclusionCase[] };

const decode = (text: string | null): Uint8Array => new Uint8Array(Buffer.from(text ?? '', 'base64'));

describe('RFC 6962 inclusion proofs', () => {
  it('are all there', () => {
    expect(cases).toHaveLength(98);
    expect(cases.filter(({ wantErr }) => !wantErr)).toHaveLength(6);
  });

  it.each(cases.map((each) => [each.case, each] as const))('%s', (_name, each) => {
    const isValid = verifyInclusion({
      leafHash: decode(each.leafHash),
      index: BigInt(each.leafIdx),
      size: BigInt(each.treeSize),
      path: (each.proof ?? []).map(decode),
      root: decode(each.root),
    });
    expect(isValid).toBe(!each.wantErr);
  });
});
