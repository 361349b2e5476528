import { createHash } from 'node:crypto';
import { encodeAnchorLeaf } from '../src/domain/anchor.ts';
import { HASH_BYTES, MerkleTree, verifyInclusion, writeLeafHash } from '../src/proofs/merkle.ts';
import { computeConsistencyPath, verifyConsistency } from '../src/proofs/merkle-consistency.ts';
import { MerkleFrontier } from '../src/proofs/merkle-stream.ts';
import { atMost, type BenchRow, percentile } from './rows.ts';

/** The batch that the design, section 11, speaks of. */
const LEAVES = 100_000;
const REPEATS = 7;
const CHECKS = 20_000;

function makeDigests(): Uint8Array[] {
  return Array.from({ length: LEAVES }, (_, index) => {
    return new Uint8Array(createHash('sha256').update(String(index)).digest());
  });
}

function measureMs(task: () => void): number {
  task();
  const samples: number[] = [];
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    const startMs = performance.now();
    task();
    samples.push(performance.now() - startMs);
  }
  return percentile(samples, 0.5);
}

function hashLeaves(digests: readonly Uint8Array[]): Uint8Array {
  const flat = new Uint8Array(digests.length * HASH_BYTES);
  digests.forEach((digest, index) => {
    writeLeafHash(flat, index * HASH_BYTES, encodeAnchorLeaf({ kind: 'receipt', digest }));
  });
  return flat;
}

/** What the same number of hashes costs alone, as this runtime's own hashing gives them. */
function hashPlainly(): void {
  const input = new Uint8Array(65);
  for (let index = 0; index < 2 * LEAVES; index++) createHash('sha256').update(input).digest();
}

function sliceHash(flat: Uint8Array, index: number): Uint8Array {
  return flat.slice(index * HASH_BYTES, (index + 1) * HASH_BYTES);
}

function measureChecks(flat: Uint8Array, tree: MerkleTree): { readonly proveUs: number; readonly checkUs: number } {
  const indexes = Array.from({ length: CHECKS }, (_, each) => (each * 7_919) % LEAVES);
  const proveMs = measureMs(() => {
    for (const index of indexes) tree.computeInclusionPath(index);
  });
  const proofs = indexes.map((index) => ({
    leafHash: sliceHash(flat, index),
    index: BigInt(index),
    size: BigInt(LEAVES),
    path: tree.computeInclusionPath(index),
    root: tree.root,
  }));
  const checkMs = measureMs(() => {
    for (const proof of proofs) if (!verifyInclusion(proof)) throw new TypeError('a proof of this tree must hold');
  });
  return { proveUs: (proveMs * 1000) / CHECKS, checkUs: (checkMs * 1000) / CHECKS };
}

function measureConsistencyUs(tree: MerkleTree, flat: Uint8Array): number {
  const firstSize = 65_537;
  const proof = {
    firstSize: BigInt(firstSize),
    firstRoot: new MerkleTree(flat.slice(0, firstSize * HASH_BYTES)).root,
    secondSize: BigInt(LEAVES),
    secondRoot: tree.root,
    path: computeConsistencyPath(tree, firstSize),
  };
  const checkMs = measureMs(() => {
    for (let check = 0; check < CHECKS / 10; check++) {
      if (!verifyConsistency(proof)) throw new TypeError('a proof of this tree must hold');
    }
  });
  return (checkMs * 1000) / (CHECKS / 10);
}

export async function benchMerkle(): Promise<readonly BenchRow[]> {
  const digests = makeDigests();
  const flat = hashLeaves(digests);
  const tree = new MerkleTree(flat);
  const baseline = { name: '200,000 createHash', value: measureMs(hashPlainly) };
  const buildMs = measureMs(() => new MerkleTree(hashLeaves(digests)));
  const streamMs = measureMs(() => {
    const frontier = new MerkleFrontier();
    for (let index = 0; index < LEAVES; index++) frontier.append(sliceHash(flat, index));
  });
  const { proveUs, checkUs } = measureChecks(flat, tree);
  return [
    {
      name: 'Merkle: batch of 100,000 receipts, leaves and tree',
      value: buildMs,
      unit: 'ms',
      baseline,
      goal: atMost(300),
      floor: atMost(1000),
    },
    { name: 'Merkle: 100,000 leaves appended to a frontier', value: streamMs, unit: 'ms' },
    { name: 'Merkle: inclusion path of one of 100,000', value: proveUs, unit: 'µs' },
    {
      name: 'Merkle: inclusion proof check, one of 100,000',
      value: checkUs,
      unit: 'µs',
      goal: atMost(20),
      floor: atMost(50),
    },
    { name: 'Merkle: consistency proof check', value: measureConsistencyUs(tree, flat), unit: 'µs' },
  ];
}
