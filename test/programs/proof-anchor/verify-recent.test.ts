import { describe, expect, it } from 'vitest';
import {
  PROOF_ANCHOR_ERROR_CODES as CODES,
  decodeVerifyRecentResult,
  type VerifyRecentArgs,
} from '../../../src/chain/generated/proof-anchor.ts';
import { computeNodeHash } from '../../../src/proofs/merkle.ts';
import {
  type Attempt,
  buildBatch,
  digestOf,
  LogRig,
  refused,
  withAccounts,
  withData,
  withLength,
} from '../../support/log-rig.ts';

const VALID: Attempt = { error: null, changed: false };
/** Discriminator, generation, entry, kind, digest and leaf index. */
const COUNT_OFFSET = 8 + 8 + 8 + 1 + 32 + 8;

function anchored(size = 13) {
  const rig = LogRig.created();
  const batch = buildBatch('batch', size);
  rig.anchorBatch(batch);
  const attempt = (args: VerifyRecentArgs): Attempt => rig.attempt(rig.verifyRecent(args), rig.stranger);
  return { rig, batch, attempt };
}

describe('verify_recent', () => {
  it('accepts every leaf of batches of many sizes, and tells slot and time', () => {
    const rig = LogRig.created();
    const sizes = [1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 31, 33];
    const batches = sizes.map((size) => buildBatch(`batch of ${size}`, size));
    const slots = batches.map((batch, index) => {
      const slot = rig.chain.advance(1n, 1_700_000_000n + BigInt(index));
      rig.anchorBatch(batch);
      return slot;
    });
    batches.forEach((batch, entry) => {
      for (let index = 0; index < batch.tree.size; index += 1) {
        const { error, returnData } = rig.send([rig.verifyRecent(rig.recentProof(batch, index, entry))], rig.stranger);
        expect(error, `leaf ${index} of ${batch.tree.size}`).toBeNull();
        expect(decodeVerifyRecentResult(returnData)).toEqual({
          slot: slots[entry],
          unixTime: 1_700_000_000n + BigInt(entry),
        });
      }
    });
  });

  it('refuses a leaf that is not there, by any of its parts', () => {
    const { rig, batch, attempt } = anchored();
    const proof = rig.recentProof(batch, 5, 0);
    expect(attempt(proof)).toEqual(VALID);
    expect(attempt({ ...proof, digest: digestOf('forged') })).toEqual(refused(CODES.InvalidProof));
    expect(attempt({ ...proof, kind: 2 })).toEqual(refused(CODES.InvalidProof));
    expect(attempt({ ...proof, leafIndex: 4n })).toEqual(refused(CODES.InvalidProof));
    expect(attempt({ ...proof, path: [...proof.path].reverse() })).toEqual(refused(CODES.InvalidProof));
    expect(attempt({ ...proof, path: proof.path.slice(1) })).toEqual(refused(CODES.InvalidProof));
    expect(attempt({ ...proof, path: proof.path.slice(0, -1) })).toEqual(refused(CODES.InvalidProof));
    expect(attempt({ ...proof, path: [...proof.path, digestOf('more')] })).toEqual(refused(CODES.InvalidProof));
    expect(attempt({ ...proof, path: [] })).toEqual(refused(CODES.InvalidProof));
    expect(attempt({ ...proof, path: Array.from({ length: 29 }, () => digestOf('x')) })).toEqual(
      refused(CODES.InvalidProof),
    );
  });

  it('refuses an index that the batch does not have, though the path leads to the root', () => {
    const { rig, batch, attempt } = anchored(4);
    const proof = rig.recentProof(batch, 0, 0);
    for (const leafIndex of [4n, 8n, 2n ** 32n, 2n ** 64n - 4n]) {
      expect(attempt({ ...proof, leafIndex })).toEqual(refused(CODES.InvalidProof));
    }
  });

  it('refuses a path that is shorter than the tree is high, though it leads to the root', () => {
    const rig = LogRig.created();
    const batch = buildBatch('four', 4);
    rig.anchor({ batchRoot: batch.tree.root, batchSize: 8 });
    const proof = rig.recentProof(batch, 0, 0);
    expect(rig.attempt(rig.verifyRecent(proof), rig.stranger)).toEqual(refused(CODES.InvalidProof));
  });

  it('refuses a path that is longer than the tree is high, though it leads to the root', () => {
    const rig = LogRig.created();
    const batch = buildBatch('two', 2);
    const surplus = digestOf('surplus');
    rig.anchor({ batchRoot: computeNodeHash(surplus, batch.tree.root), batchSize: 2 });
    const proof = rig.recentProof(batch, 0, 0);
    const longer = { ...proof, path: [...proof.path, surplus] };
    expect(rig.attempt(rig.verifyRecent(longer), rig.stranger)).toEqual(refused(CODES.InvalidProof));
  });

  it('knows two kinds of leaves', () => {
    const { rig, batch, attempt } = anchored();
    for (const kind of [0, 3, 255]) {
      expect(attempt({ ...rig.recentProof(batch, 5, 0), kind })).toEqual(refused(CODES.InvalidLeafKind));
    }
    expect(attempt(rig.recentProof(batch, 9, 0))).toEqual(VALID);
    expect(rig.recentProof(batch, 9, 0).kind).toBe(2);
  });

  it('refuses a kind that is none even where the owner anchored such a leaf', () => {
    const rig = LogRig.created();
    const { leaves, tree } = buildBatch('odd', 1, 3);
    rig.anchorBatch({ leaves, tree });
    const proof = { ...rig.recentProof({ leaves, tree }, 0, 0), kind: 3 };
    expect(rig.attempt(rig.verifyRecent(proof), rig.stranger)).toEqual(refused(CODES.InvalidLeafKind));
  });

  it('refuses an entry that is not there yet', () => {
    const { rig, batch, attempt } = anchored();
    for (const entry of [1n, 2n, 64n, 2n ** 63n, 2n ** 64n - 1n]) {
      expect(attempt({ ...rig.recentProof(batch, 5, 0), entry })).toEqual(refused(CODES.EntryNotInRing));
    }
    // Entry 64 will stand where entry 0 stands now.
    rig.fill(63);
    expect(attempt({ ...rig.recentProof(batch, 5, 0), entry: 64n })).toEqual(refused(CODES.EntryNotInRing));
  });

  it('knows the last 64 entries and no older one', () => {
    const { rig, batch, attempt } = anchored();
    const proof = rig.recentProof(batch, 5, 0);
    rig.fill(63);
    expect(attempt(proof)).toEqual(VALID);
    const next = buildBatch('next', 13);
    rig.anchorBatch(next);
    expect(attempt(proof)).toEqual(refused(CODES.EntryNotInRing));
    expect(attempt(rig.recentProof(next, 5, 64))).toEqual(VALID);
    // Entry 64 stands where entry 0 stood.
    expect(attempt(rig.recentProof(next, 5, 0))).toEqual(refused(CODES.EntryNotInRing));
  });

  it('refuses another generation', () => {
    const { rig, batch, attempt } = anchored();
    const proof = rig.recentProof(batch, 5, 0);
    expect(attempt({ ...proof, generation: proof.generation - 1n })).toEqual(refused(CODES.WrongGeneration));
  });

  it('refuses a missing account, and data that are truncated, too long or lie about their length', () => {
    const { rig, batch } = anchored();
    const instruction = rig.verifyRecent(rig.recentProof(batch, 5, 0));
    expect(rig.attempt(withAccounts(instruction, 0), rig.stranger)).toEqual(refused(CODES.NotEnoughAccounts));
    for (let length = 8; length < instruction.data.length; length += 1) {
      const truncated = withLength(instruction, length - instruction.data.length);
      expect(rig.attempt(truncated, rig.stranger), `${length} bytes`).toEqual(refused(CODES.InvalidInstruction));
    }
    for (const change of [1, 32]) {
      expect(rig.attempt(withLength(instruction, change), rig.stranger)).toEqual(refused(CODES.InvalidInstruction));
    }
    for (const count of [0, 3, 5, 65_536, 2 ** 27, 2 ** 32 - 1]) {
      const data = instruction.data.slice();
      new DataView(data.buffer).setUint32(COUNT_OFFSET, count, true);
      expect(rig.attempt(withData(instruction, data), rig.stranger)).toEqual(refused(CODES.InvalidInstruction));
    }
  });
});
