import { describe, expect, it } from 'vitest';
import { PROOF_ANCHOR_ERROR_CODES as CODES, type VerifyLoggedArgs } from '../../../src/chain/generated/proof-anchor.ts';
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
/** Discriminator, generation, entry, kind, digest, leaf index and batch size. */
const COUNT_OFFSET = 8 + 8 + 8 + 1 + 32 + 8 + 8;

function anchored() {
  const rig = LogRig.created();
  rig.fill(3);
  const batch = buildBatch('batch', 13);
  rig.anchorBatch(batch);
  rig.fill(5);
  const attempt = (args: VerifyLoggedArgs): Attempt => rig.attempt(rig.verifyLogged(args), rig.stranger);
  return { rig, batch, attempt, proof: rig.loggedProof(batch, 5, 3) };
}

describe('verify_logged', () => {
  it('accepts a leaf of every entry of logs of many sizes', () => {
    const rig = LogRig.created();
    const batches = Array.from({ length: 20 }, (_, index) => buildBatch(`batch ${index}`, index + 1));
    for (const batch of batches) {
      rig.anchorBatch(batch);
      rig.entries.forEach(({ batchSize }, entry) => {
        const at = batches[entry];
        if (at === undefined) throw new Error(`no batch ${entry}`);
        const proof = rig.loggedProof(at, (batchSize - 1) % 7, entry);
        const { error, returnData } = rig.send([rig.verifyLogged(proof)], rig.stranger);
        expect(error, `entry ${entry} of ${rig.entries.length}`).toBeNull();
        expect(returnData.length).toBe(0);
      });
    }
  });

  it('anchors 10,000 leaves in one transaction, and checks one of them while it is recent and when it is old', () => {
    const rig = LogRig.created();
    rig.fill(100);
    const batch = buildBatch('ten thousand', 10_000);
    rig.anchorBatch(batch);
    for (const index of [0, 4_321, 9_999]) {
      const recent = rig.recentProof(batch, index, 100);
      expect(rig.attempt(rig.verifyRecent(recent), rig.stranger)).toEqual(VALID);
    }
    rig.fill(70);
    for (const index of [0, 4_321, 9_999]) {
      const recent = rig.recentProof(batch, index, 100);
      expect(rig.attempt(rig.verifyRecent(recent), rig.stranger)).toEqual(refused(CODES.EntryNotInRing));
      const logged = rig.loggedProof(batch, index, 100);
      expect(rig.attempt(rig.verifyLogged(logged), rig.stranger)).toEqual(VALID);
      const forged = { ...logged, digest: digestOf('forged') };
      expect(rig.attempt(rig.verifyLogged(forged), rig.stranger)).toEqual(refused(CODES.InvalidProof));
    }
  });

  it('refuses a leaf that is not there, by any of its parts', () => {
    const { attempt, proof } = anchored();
    expect(attempt(proof)).toEqual(VALID);
    const forgeries: readonly Partial<VerifyLoggedArgs>[] = [
      { digest: digestOf('forged') },
      { kind: 2 },
      { leafIndex: 4n },
      { entry: 4n },
      // The same height, another size: the leaf of the log is made of root and size.
      { batchSize: 12n },
      { batchSize: 14n },
      { batchSize: 0n },
      { batchSize: 2n ** 64n - 1n },
      { path: proof.path.slice(1) },
      { path: proof.path.slice(0, -1) },
      { path: [...proof.path, digestOf('more')] },
      { path: [] },
      { logPath: proof.logPath.slice(1) },
      { logPath: proof.logPath.slice(0, -1) },
      { logPath: [...proof.logPath, digestOf('more')] },
      { logPath: [] },
      { path: proof.logPath, logPath: proof.path },
    ];
    for (const forgery of forgeries) {
      expect(attempt({ ...proof, ...forgery })).toEqual(refused(CODES.InvalidProof));
    }
  });

  it('refuses an entry that is not there yet', () => {
    const { attempt, proof } = anchored();
    for (const entry of [9n, 10n, 2n ** 64n - 1n]) {
      expect(attempt({ ...proof, entry })).toEqual(refused(CODES.EntryNotInRing));
    }
  });

  it('refuses a proof against a head of before', () => {
    const { rig, attempt, proof } = anchored();
    rig.fill(1);
    expect(attempt(proof)).toEqual(refused(CODES.InvalidProof));
  });

  it('knows two kinds of leaves', () => {
    const { attempt, proof } = anchored();
    for (const kind of [0, 3]) expect(attempt({ ...proof, kind })).toEqual(refused(CODES.InvalidLeafKind));
  });

  it('refuses another generation', () => {
    const { attempt, proof } = anchored();
    expect(attempt({ ...proof, generation: proof.generation + 1n })).toEqual(refused(CODES.WrongGeneration));
  });

  it('refuses a missing account, and data that are truncated, too long or lie about their length', () => {
    const { rig, proof } = anchored();
    const instruction = rig.verifyLogged(proof);
    expect(rig.attempt(withAccounts(instruction, 0), rig.stranger)).toEqual(refused(CODES.NotEnoughAccounts));
    for (let length = 8; length < instruction.data.length; length += 1) {
      const truncated = withLength(instruction, length - instruction.data.length);
      expect(rig.attempt(truncated, rig.stranger), `${length} bytes`).toEqual(refused(CODES.InvalidInstruction));
    }
    for (const change of [1, 32]) {
      expect(rig.attempt(withLength(instruction, change), rig.stranger)).toEqual(refused(CODES.InvalidInstruction));
    }
    const secondCount = COUNT_OFFSET + 4 + 32 * proof.path.length;
    for (const offset of [COUNT_OFFSET, secondCount]) {
      for (const count of [65_536, 2 ** 27, 2 ** 32 - 1]) {
        const data = instruction.data.slice();
        new DataView(data.buffer).setUint32(offset, count, true);
        expect(rig.attempt(withData(instruction, data), rig.stranger)).toEqual(refused(CODES.InvalidInstruction));
      }
    }
  });
});
