import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { verifyInclusion } from '../../src/proofs/merkle.ts';
import { verifyConsistency } from '../../src/proofs/merkle-consistency.ts';

interface InclusionCase {
  readonly case: string;
  readonly leafIdx: string;
  readonly treeSize: string;
  readonly root: string | null;
  readonly leafHash: string | null;
  readonly proof: readonly (string | null)[] | null;
  readonly wantErr: boolean;
}

interface ConsistencyCase {
  readonly case: string;
  readonly size1: string;
  readonly size2: string;
  readonly root1: string | null;
  readonly root2: string | null;
  readonly proof: readonly (string | null)[] | null;
  readonly wantErr: boolean;
}

async function readCases<Case>(name: string): Promise<readonly Case[]> {
  const text = await readFile(new URL(`rfc6962-merkle/${name}.json`, import.meta.url), 'utf8');
  return (JSON.parse(text) as { cases: readonly Case[] }).cases;
}

const cases = await readCases<InclusionCase>('inclusion');
const consistencyCases = await readCases<ConsistencyCase>('consistency');

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

describe('RFC 6962 consistency proofs', () => {
  it('are all there', () => {
    expect(consistencyCases).toHaveLength(98);
    expect(consistencyCases.filter(({ wantErr }) => !wantErr)).toHaveLength(6);
  });

  it.each(consistencyCases.map((each) => [each.case, each] as const))('%s', (_name, each) => {
    const isValid = verifyConsistency({
      firstSize: BigInt(each.size1),
      firstRoot: decode(each.root1),
      secondSize: BigInt(each.size2),
      secondRoot: decode(each.root2),
      path: (each.proof ?? []).map(decode),
    });
    expect(isValid).toBe(!each.wantErr);
  });
});
