import { PublicKey } from '@solana/web3.js';
import { describe, expect, it } from 'vitest';
import { PROOF_ANCHOR_ERROR_CODES as CODES, LOG_BYTES } from '../../../src/chain/generated/proof-anchor.ts';
import { sha256 } from '../../../src/lib/cid.ts';
import { LogRig, refused, withAccount, withAccounts, withLength } from '../../support/log-rig.ts';
import { addressOf, SYSTEM_PROGRAM } from '../../support/program-chain.ts';

const [PAYER, OWNER, LOG, SYSTEM] = [0, 1, 2, 3];

describe('create_log', () => {
  it('makes an empty log at the canonical address of its owner', () => {
    const rig = new LogRig();
    const slot = rig.chain.advance();
    expect(rig.send([rig.createLog()], rig.owner).error).toBeNull();
    const seeds = [Buffer.from('log'), rig.owner.publicKey.toBytes()];
    const [, bump] = PublicKey.findProgramAddressSync(seeds, new PublicKey(rig.chain.program));
    const account = rig.chain.read(rig.log);
    expect(account?.owner).toBe(rig.chain.program);
    expect(account?.data.length).toBe(LOG_BYTES);
    expect(account?.lamports).toBe(rig.chain.rent(LOG_BYTES));
    expect(rig.state()).toMatchObject({
      version: 1,
      bump,
      reserved: new Uint8Array(6),
      owner: addressOf(rig.owner),
      delegate: SYSTEM_PROGRAM,
      generation: slot,
      size: 0n,
      head: sha256(),
    });
    expect(account?.data.subarray(128).every((byte) => byte === 0)).toBe(true);
  });

  it('lets somebody else pay the rent', () => {
    const rig = new LogRig();
    const before = rig.chain.lamports(addressOf(rig.owner));
    expect(rig.send([rig.createLog(rig.owner, rig.stranger)], rig.stranger, rig.owner).error).toBeNull();
    expect(rig.chain.lamports(addressOf(rig.owner))).toBe(before);
  });

  it.each([1n, 35_635_199n, 35_635_200n, 90_000_000n])('is not blocked by %d lamports at the address', (lamports) => {
    const rig = new LogRig();
    rig.chain.write(rig.log, { lamports, owner: SYSTEM_PROGRAM, data: new Uint8Array() });
    const before = rig.chain.lamports(addressOf(rig.stranger));
    expect(rig.send([rig.createLog(rig.owner, rig.stranger)], rig.delegate, rig.owner, rig.stranger).error).toBeNull();
    const rent = rig.chain.rent(LOG_BYTES);
    expect(rig.chain.lamports(rig.log)).toBe(lamports > rent ? lamports : rent);
    expect(before - rig.chain.lamports(addressOf(rig.stranger))).toBe(lamports > rent ? 0n : rent - lamports);
    expect(rig.state().size).toBe(0n);
  });

  it('refuses a log that is there already', () => {
    const rig = LogRig.created();
    expect(rig.attempt(rig.createLog(), rig.owner)).toEqual(refused(CODES.AlreadyExists));
    expect(rig.attempt(rig.createLog(rig.owner, rig.stranger), rig.stranger, rig.owner)).toEqual(
      refused(CODES.AlreadyExists),
    );
  });

  it('refuses without the signature of payer and owner', () => {
    const rig = new LogRig();
    const instruction = rig.createLog(rig.owner, rig.delegate);
    const payer = withAccount(instruction, PAYER, { isSigner: false });
    expect(rig.attempt(payer, rig.stranger, rig.owner)).toEqual(refused(CODES.MissingSignature));
    const owner = withAccount(instruction, OWNER, { isSigner: false });
    expect(rig.attempt(owner, rig.stranger, rig.delegate)).toEqual(refused(CODES.MissingSignature));
  });

  it('refuses a payer or a log that is read-only', () => {
    const rig = new LogRig();
    const instruction = rig.createLog(rig.owner, rig.delegate);
    const payer = withAccount(instruction, PAYER, { isWritable: false });
    expect(rig.attempt(payer, rig.stranger, rig.owner, rig.delegate)).toEqual(refused(CODES.NotWritable));
    const log = withAccount(instruction, LOG, { isWritable: false });
    expect(rig.attempt(log, rig.stranger, rig.owner, rig.delegate)).toEqual(refused(CODES.NotWritable));
  });

  it('refuses any other address than the canonical one of the owner', () => {
    const rig = new LogRig();
    const other = withAccount(rig.createLog(), LOG, { address: rig.logOf(rig.stranger) });
    expect(rig.attempt(other, rig.owner)).toEqual(refused(CODES.WrongAddress));
    const { bump } = findLowerAddress(rig);
    const lower = withAccount(rig.createLog(), LOG, { address: bump });
    expect(rig.attempt(lower, rig.owner)).toEqual(refused(CODES.WrongAddress));
    expect(rig.chain.read(bump)).toBeUndefined();
  });

  it('refuses another program in the place of the system program', () => {
    const rig = new LogRig();
    const other = withAccount(rig.createLog(), SYSTEM, { address: rig.chain.program });
    expect(rig.attempt(other, rig.owner)).toEqual(refused(CODES.WrongAddress));
  });

  it('refuses a missing account and surplus data', () => {
    const rig = new LogRig();
    for (const count of [0, 1, 2, 3]) {
      expect(rig.attempt(withAccounts(rig.createLog(), count), rig.owner)).toEqual(refused(CODES.NotEnoughAccounts));
    }
    expect(rig.attempt(withLength(rig.createLog(), 1), rig.owner)).toEqual(refused(CODES.InvalidInstruction));
  });

  it('fails, and takes nothing, if the payer cannot pay', () => {
    const rig = new LogRig();
    rig.chain.write(addressOf(rig.delegate), { lamports: 1_000_000n, owner: SYSTEM_PROGRAM, data: new Uint8Array() });
    expect(rig.attempt(rig.createLog(rig.owner, rig.delegate), rig.stranger, rig.owner, rig.delegate)).toEqual({
      // ResultWithNegativeLamports of the system program.
      error: 1,
      changed: false,
    });
    expect(rig.chain.lamports(addressOf(rig.delegate))).toBe(1_000_000n);
  });
});

/** An address of the same seeds with a bump below the canonical one. */
function findLowerAddress(rig: LogRig): { readonly bump: ReturnType<typeof addressOf> } {
  const seeds = [Buffer.from('log'), rig.owner.publicKey.toBytes()];
  const program = new PublicKey(rig.chain.program);
  const [, canonical] = PublicKey.findProgramAddressSync(seeds, program);
  for (let bump = canonical - 1; bump >= 0; bump -= 1) {
    try {
      return { bump: addressOf(PublicKey.createProgramAddressSync([...seeds, Buffer.of(bump)], program)) };
    } catch {
      // On the curve: the next one.
    }
  }
  throw new Error('no second address');
}
