import { describe, expect, it } from 'vitest';
import { PROOF_ANCHOR_ERROR_CODES as CODES } from '../../../src/chain/generated/proof-anchor.ts';
import type { ChainInstruction } from '../../../src/chain/interface.ts';
import type { SolanaAddress } from '../../../src/domain/chain.ts';
import { type Attempt, buildBatch, digestOf, LogRig, refused, withAccount, withData } from '../../support/log-rig.ts';
import { addressOf, namedKey, SYSTEM_PROGRAM } from '../../support/program-chain.ts';

const VERSION_OFFSET = 8;
const BUMP_OFFSET = 9;
const OWNER_OFFSET = 16;

/** Every instruction on a log that exists, valid, with the place of the log among its accounts. */
function instructionsOf(rig: LogRig): readonly { readonly instruction: ChainInstruction; readonly log: number }[] {
  const batch = buildBatch('batch', 5);
  rig.anchorBatch(batch);
  return [
    { instruction: rig.append(), log: 1 },
    { instruction: rig.setDelegate(addressOf(rig.delegate)), log: 1 },
    { instruction: rig.verifyRecent(rig.recentProof(batch, 2, 0)), log: 0 },
    { instruction: rig.verifyLogged(rig.loggedProof(batch, 2, 0)), log: 0 },
    { instruction: rig.closeLog(), log: 1 },
  ];
}

function attemptAll(
  rig: LogRig,
  change: (all: ReturnType<typeof instructionsOf>) => readonly ChainInstruction[],
): Attempt[] {
  const all = instructionsOf(rig);
  return change(all).map((instruction) => {
    const signers = instruction.accounts.some(({ isSigner }) => isSigner) ? [rig.owner] : [rig.stranger];
    return rig.attempt(instruction, ...signers);
  });
}

function expectAllRefused(attempts: readonly Attempt[], code: number): void {
  expect(attempts).toEqual([1, 2, 3, 4, 5].map(() => refused(code)));
}

/** Takes the log somewhere else, or replaces what is there. */
function forgeAll(change: (rig: LogRig) => SolanaAddress): Attempt[] {
  const rig = LogRig.created();
  return attemptAll(rig, (all) => {
    const address = change(rig);
    return all.map(({ instruction, log }) => withAccount(instruction, log, { address }));
  });
}

describe('account of the log, in every instruction that uses one', () => {
  it('must belong to the program', () => {
    const attempts = forgeAll((rig) => {
      const account = rig.chain.read(rig.log);
      if (account !== undefined) rig.chain.write(rig.log, { ...account, owner: addressOf(namedKey('other program')) });
      return rig.log;
    });
    expectAllRefused(attempts, CODES.WrongProgramOwner);
  });

  it('must be there', () => {
    expectAllRefused(
      forgeAll((rig) => rig.logOf(rig.stranger)),
      CODES.WrongProgramOwner,
    );
    expectAllRefused(
      forgeAll(() => SYSTEM_PROGRAM)
        .slice(2, 4)
        .concat(forgeAll((rig) => addressOf(rig.stranger)).slice(0, 3)),
      CODES.WrongProgramOwner,
    );
  });

  it.each([-4992, -1, 1, 56])('must have its size, not %d bytes more', (change) => {
    const attempts = forgeAll((rig) => {
      const account = rig.chain.read(rig.log);
      if (account === undefined) throw new Error('no log');
      const data = new Uint8Array(account.data.length + change);
      data.set(account.data.subarray(0, data.length));
      rig.chain.write(rig.log, { ...account, data, lamports: account.lamports + 10_000_000n });
      return rig.log;
    });
    expectAllRefused(attempts, CODES.NotALog);
  });

  it('must have the discriminator and the version', () => {
    for (const offset of [0, 7, VERSION_OFFSET]) {
      for (const value of [0, 2]) {
        const attempts = forgeAll((rig) => {
          rig.forge((data) => data.fill(value, offset, offset + 1));
          return rig.log;
        });
        expectAllRefused(attempts, CODES.NotALog);
      }
    }
  });

  it('must be at the address of its owner', () => {
    const elsewhere = forgeAll((rig) => {
      const account = rig.chain.read(rig.log);
      const address = rig.logOf(rig.stranger);
      if (account !== undefined) rig.chain.write(address, account);
      return address;
    });
    expectAllRefused(elsewhere, CODES.WrongAddress);
    const otherOwner = forgeAll((rig) => {
      rig.forge((data) => data.set(rig.stranger.publicKey.toBytes(), OWNER_OFFSET));
      return rig.log;
    });
    expectAllRefused(otherOwner, CODES.WrongAddress);
    const otherBump = forgeAll((rig) => {
      rig.forge((data) => data.set([(data[BUMP_OFFSET] ?? 0) - 1], BUMP_OFFSET));
      return rig.log;
    });
    expectAllRefused(otherBump, CODES.WrongAddress);
  });
});

describe('instruction data', () => {
  it('must begin with a known discriminator', () => {
    const rig = LogRig.created();
    const instruction = rig.append();
    for (let length = 0; length < 8; length += 1) {
      const short = withData(instruction, instruction.data.subarray(0, length));
      expect(rig.attempt(short, rig.owner)).toEqual(refused(CODES.InvalidInstruction));
    }
    for (const unknown of [new Uint8Array(8), digestOf('unknown'), instruction.data.with(7, 0)]) {
      expect(rig.attempt(withData(instruction, unknown), rig.owner)).toEqual(refused(CODES.InvalidInstruction));
    }
  });
});
