import { describe, expect, it } from 'vitest';
import { PROOF_ANCHOR_ERROR_CODES as CODES } from '../../../src/chain/generated/proof-anchor.ts';
import { ACCEPTED, buildBatch, LogRig, refused, withAccount, withAccounts, withLength } from '../../support/log-rig.ts';
import { addressOf, SYSTEM_PROGRAM } from '../../support/program-chain.ts';

const [OWNER, LOG, DESTINATION] = [0, 1, 2];
const FEE = 5000n;

describe('close_log', () => {
  it('gives all lamports back, also those that were sent to it, and the account is gone', () => {
    const rig = LogRig.created();
    rig.fill(2);
    const account = rig.chain.read(rig.log);
    if (account !== undefined) rig.chain.write(rig.log, { ...account, lamports: account.lamports + 12_345n });
    const before = rig.chain.lamports(addressOf(rig.owner));
    const inside = rig.chain.lamports(rig.log);
    expect(rig.send([rig.closeLog()], rig.owner).error).toBeNull();
    expect(rig.chain.lamports(addressOf(rig.owner))).toBe(before + inside - FEE);
    expect(rig.chain.lamports(rig.log)).toBe(0n);
    expect(rig.chain.read(rig.log)?.data.length ?? 0).toBe(0);
  });

  it('pays to any destination', () => {
    const rig = LogRig.created();
    const before = rig.chain.lamports(addressOf(rig.stranger));
    const inside = rig.chain.lamports(rig.log);
    expect(rig.send([rig.closeLog({ destination: addressOf(rig.stranger) })], rig.owner).error).toBeNull();
    expect(rig.chain.lamports(addressOf(rig.stranger))).toBe(before + inside);
  });

  it('lets the log be made anew: empty, and of another generation', () => {
    const rig = LogRig.created();
    const batch = buildBatch('old', 4);
    rig.anchorBatch(batch);
    const old = rig.state();
    const proof = rig.recentProof(batch, 2, 0);
    const append = rig.append({ expectedSize: 0n });
    expect(rig.send([rig.closeLog()], rig.owner).error).toBeNull();
    expect(rig.send([rig.createLog()], rig.owner).error).toBeNull();
    expect(rig.state().size).toBe(0n);
    expect(rig.state().generation).toBeGreaterThan(old.generation);
    expect(rig.state().ring.every(({ batchSize }) => batchSize === 0n)).toBe(true);
    expect(rig.attempt(append, rig.owner)).toEqual(refused(CODES.WrongGeneration));
    expect(rig.attempt(rig.verifyRecent(proof), rig.stranger)).toEqual(refused(CODES.WrongGeneration));
    expect(rig.attempt(rig.closeLog({ generation: old.generation }), rig.owner)).toEqual(
      refused(CODES.WrongGeneration),
    );
  });

  it('can be closed and made anew in one transaction, and never gets a generation twice', () => {
    const rig = LogRig.created();
    const seen = new Set([rig.state().generation]);
    for (let round = 0; round < 5; round += 1) {
      rig.fill(1);
      const { error } = rig.send([rig.closeLog(), rig.createLog()], rig.owner);
      expect(error).toBeNull();
      expect(rig.state().size).toBe(0n);
      expect(seen.has(rig.state().generation)).toBe(false);
      seen.add(rig.state().generation);
      expect(rig.attempt(rig.closeLog(), rig.owner)).toEqual(refused(CODES.SameSlot));
      rig.chain.advance();
    }
  });

  it('does not happen in the slot of creation', () => {
    const rig = new LogRig();
    expect(rig.send([rig.createLog()], rig.owner).error).toBeNull();
    expect(rig.attempt(rig.closeLog(), rig.owner)).toEqual(refused(CODES.SameSlot));
    rig.chain.advance();
    expect(rig.attempt(rig.closeLog(), rig.owner)).toEqual(ACCEPTED);
  });

  it('is for the owner alone', () => {
    const rig = LogRig.created();
    expect(rig.attempt(rig.setDelegate(addressOf(rig.delegate)), rig.owner)).toEqual(ACCEPTED);
    for (const other of [rig.delegate, rig.stranger]) {
      expect(rig.attempt(rig.closeLog({ owner: other }), other)).toEqual(refused(CODES.NotAuthorised));
    }
    const unsigned = withAccount(rig.closeLog(), OWNER, { isSigner: false });
    expect(rig.attempt(unsigned, rig.stranger)).toEqual(refused(CODES.MissingSignature));
  });

  it('refuses another generation', () => {
    const rig = LogRig.created();
    const { generation } = rig.state();
    for (const other of [generation - 1n, generation + 1n]) {
      expect(rig.attempt(rig.closeLog({ generation: other }), rig.owner)).toEqual(refused(CODES.WrongGeneration));
    }
  });

  it('refuses a log or a destination that is read-only', () => {
    const rig = LogRig.created();
    const instruction = rig.closeLog({ destination: addressOf(rig.stranger) });
    const log = withAccount(instruction, LOG, { isWritable: false });
    expect(rig.attempt(log, rig.owner)).toEqual(refused(CODES.NotWritable));
    const destination = withAccount(instruction, DESTINATION, { isWritable: false });
    expect(rig.attempt(destination, rig.owner)).toEqual(refused(CODES.NotWritable));
  });

  it('refuses the log itself as the destination, and one whose balance would overflow', () => {
    const rig = LogRig.created();
    expect(rig.attempt(rig.closeLog({ destination: rig.log }), rig.owner)).toEqual(refused(CODES.InvalidDestination));
    const destination = addressOf(rig.stranger);
    const inside = rig.chain.lamports(rig.log);
    const lamports = 2n ** 64n - inside;
    rig.chain.write(destination, { lamports, owner: SYSTEM_PROGRAM, data: new Uint8Array() });
    expect(rig.attempt(rig.closeLog({ destination }), rig.owner)).toEqual(refused(CODES.InvalidDestination));
    expect(rig.chain.lamports(destination)).toBe(lamports);
  });

  it('refuses a missing account and data of another length', () => {
    const rig = LogRig.created();
    for (const count of [0, 1, 2]) {
      expect(rig.attempt(withAccounts(rig.closeLog(), count), rig.owner)).toEqual(refused(CODES.NotEnoughAccounts));
    }
    for (const change of [-8, -1, 1]) {
      expect(rig.attempt(withLength(rig.closeLog(), change), rig.owner)).toEqual(refused(CODES.InvalidInstruction));
    }
  });
});
