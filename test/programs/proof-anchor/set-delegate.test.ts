import { describe, expect, it } from 'vitest';
import { PROOF_ANCHOR_ERROR_CODES as CODES } from '../../../src/chain/generated/proof-anchor.ts';
import { ACCEPTED, LogRig, refused, withAccount, withAccounts, withLength } from '../../support/log-rig.ts';
import { addressOf, SYSTEM_PROGRAM } from '../../support/program-chain.ts';

const [OWNER, LOG] = [0, 1];

describe('set_delegate', () => {
  it('sets, replaces and takes away the delegate, and touches nothing else', () => {
    const rig = LogRig.created();
    rig.fill(3);
    const before = rig.state();
    for (const delegate of [addressOf(rig.delegate), addressOf(rig.stranger), SYSTEM_PROGRAM]) {
      expect(rig.attempt(rig.setDelegate(delegate), rig.owner)).toEqual(ACCEPTED);
      expect(rig.state()).toEqual({ ...before, delegate });
    }
    expect(rig.attempt(rig.append({}, rig.delegate), rig.delegate)).toEqual(refused(CODES.NotAuthorised));
  });

  it('is for the owner alone', () => {
    const rig = LogRig.created();
    expect(rig.attempt(rig.setDelegate(addressOf(rig.delegate)), rig.owner)).toEqual(ACCEPTED);
    for (const other of [rig.delegate, rig.stranger]) {
      expect(rig.attempt(rig.setDelegate(addressOf(rig.stranger), other), other)).toEqual(refused(CODES.NotAuthorised));
    }
    const unsigned = withAccount(rig.setDelegate(addressOf(rig.stranger)), OWNER, { isSigner: false });
    expect(rig.attempt(unsigned, rig.stranger)).toEqual(refused(CODES.MissingSignature));
  });

  it('refuses a log that is read-only, a missing account and data of another length', () => {
    const rig = LogRig.created();
    const instruction = rig.setDelegate(addressOf(rig.delegate));
    const readOnly = withAccount(instruction, LOG, { isWritable: false });
    expect(rig.attempt(readOnly, rig.owner)).toEqual(refused(CODES.NotWritable));
    for (const count of [0, 1]) {
      expect(rig.attempt(withAccounts(instruction, count), rig.owner)).toEqual(refused(CODES.NotEnoughAccounts));
    }
    for (const change of [-32, -1, 1]) {
      expect(rig.attempt(withLength(instruction, change), rig.owner)).toEqual(refused(CODES.InvalidInstruction));
    }
  });
});
