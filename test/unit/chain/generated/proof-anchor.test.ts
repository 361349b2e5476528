import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ChainError } from '../../../../src/chain/errors.ts';
import {
  APPENDED_BYTES,
  APPENDED_DISCRIMINATOR,
  decodeAppend,
  decodeAppended,
  decodeLog,
  decodeProofAnchorInstruction,
  decodeVerifyRecentResult,
  encodeAppend,
  encodeCloseLog,
  encodeCreateLog,
  encodeSetDelegate,
  encodeVerifyLogged,
  encodeVerifyRecent,
  LOG_BYTES,
  LOG_DISCRIMINATOR,
} from '../../../../src/chain/generated/proof-anchor.ts';
import { encodeBase58, SolanaAddress } from '../../../../src/domain/chain.ts';

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const address = bytes32.map((key) => SolanaAddress(encodeBase58(key)));
const path = fc.array(bytes32, { maxLength: 32 });
const leaf = { generation: u64, entry: u64, kind: fc.nat(255), digest: bytes32, leafIndex: u64 };

describe('instructions of proof-anchor', () => {
  it('are decoded to what they were encoded from', () => {
    const program = fc.sample(address, 1)[0] ?? SolanaAddress('11111111111111111111111111111111');
    const close = { owner: address, log: address, destination: address };
    const any = fc.oneof(
      fc.record({ payer: address, owner: address, log: address }).map((accounts) => {
        return { instruction: encodeCreateLog(program, accounts), wanted: { kind: 'createLog', accounts } };
      }),
      fc
        .tuple(
          fc.record({ authority: address, log: address }),
          fc.record({ generation: u64, expectedSize: u64, batchRoot: bytes32, batchSize: u64 }),
        )
        .map(([accounts, args]) => {
          return { instruction: encodeAppend(program, accounts, args), wanted: { kind: 'append', accounts, args } };
        }),
      fc
        .tuple(fc.record({ owner: address, log: address }), fc.record({ delegate: address }))
        .map(([accounts, args]) => {
          return {
            instruction: encodeSetDelegate(program, accounts, args),
            wanted: { kind: 'setDelegate', accounts, args },
          };
        }),
      fc.tuple(fc.record({ log: address }), fc.record({ ...leaf, path })).map(([accounts, args]) => {
        return {
          instruction: encodeVerifyRecent(program, accounts, args),
          wanted: { kind: 'verifyRecent', accounts, args },
        };
      }),
      fc
        .tuple(fc.record({ log: address }), fc.record({ ...leaf, batchSize: u64, path, logPath: path }))
        .map(([accounts, args]) => {
          return {
            instruction: encodeVerifyLogged(program, accounts, args),
            wanted: { kind: 'verifyLogged', accounts, args },
          };
        }),
      fc.tuple(fc.record(close), fc.record({ generation: u64 })).map(([accounts, args]) => {
        return { instruction: encodeCloseLog(program, accounts, args), wanted: { kind: 'closeLog', accounts, args } };
      }),
    );
    fc.assert(
      fc.property(any, fc.nat(), ({ instruction, wanted }, cut) => {
        expect(instruction.program).toBe(program);
        expect(decodeProofAnchorInstruction(instruction)).toEqual(wanted);
        const { accounts, data } = instruction;
        const shorter = { accounts, data: data.subarray(0, cut % data.length) };
        expect(() => decodeProofAnchorInstruction(shorter)).toThrow(ChainError);
        const longer = { accounts, data: Uint8Array.of(...data, 0) };
        expect(() => decodeProofAnchorInstruction(longer)).toThrow(ChainError);
        const fewer = { data, accounts: accounts.slice(0, 0) };
        expect(() => decodeProofAnchorInstruction(fewer)).toThrow(ChainError);
      }),
    );
  });

  it('say who signs and what is written', () => {
    const one = SolanaAddress('11111111111111111111111111111112');
    const two = SolanaAddress('11111111111111111111111111111113');
    const args = { generation: 1n, expectedSize: 2n, batchRoot: new Uint8Array(32).fill(3), batchSize: 4n };
    const { accounts, data } = encodeAppend(one, { authority: one, log: two }, args);
    expect(accounts).toEqual([
      { address: one, isSigner: true, isWritable: false },
      { address: two, isSigner: false, isWritable: true },
    ]);
    expect(Buffer.from(data).toString('hex')).toBe(
      `957812deece158cb${'0100000000000000'}${'0200000000000000'}${'03'.repeat(32)}${'0400000000000000'}`,
    );
  });

  it('are refused as garbage with a coded error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (data) => {
        expect(() => decodeProofAnchorInstruction({ accounts: [], data })).toThrow(ChainError);
        expect(() => decodeAppend({ accounts: [], data })).toThrow(ChainError);
      }),
    );
  });
});

describe('account and event of proof-anchor', () => {
  it('have a fixed size and a discriminator', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5_100 }), (noise) => {
        expect(() => decodeLog(noise)).toThrow(ChainError);
        expect(() => decodeAppended(noise)).toThrow(ChainError);
        if (noise.length !== 16) expect(() => decodeVerifyRecentResult(noise)).toThrow(ChainError);
        const isLog = noise.length === LOG_BYTES - 8;
        if (!isLog) expect(() => decodeLog(Uint8Array.of(...LOG_DISCRIMINATOR, ...noise))).toThrow(ChainError);
      }),
    );
  });

  it('are read at the offsets of the contract', () => {
    const data = new Uint8Array(LOG_BYTES);
    const view = new DataView(data.buffer);
    data.set(LOG_DISCRIMINATOR);
    data.set([1, 254], 8);
    data.fill(7, 16, 48);
    view.setBigUint64(80, 123n, true);
    view.setBigUint64(88, 456n, true);
    data.fill(9, 96, 128);
    data.fill(11, 128 + 32 * 39, 1408);
    const last = 1408 + 56 * 63;
    data.fill(13, last, last + 32);
    view.setBigUint64(last + 32, 10n, true);
    view.setBigUint64(last + 40, 11n, true);
    view.setBigInt64(last + 48, -12n, true);
    const log = decodeLog(data);
    expect(log).toMatchObject({ version: 1, bump: 254, generation: 123n, size: 456n });
    expect(log.owner).toBe(encodeBase58(new Uint8Array(32).fill(7)));
    expect(log.head).toEqual(new Uint8Array(32).fill(9));
    expect(log.frontier[39]).toEqual(new Uint8Array(32).fill(11));
    expect(log.ring[63]).toEqual({ batchRoot: new Uint8Array(32).fill(13), batchSize: 10n, slot: 11n, unixTime: -12n });
  });

  it('an event is read field by field', () => {
    const data = new Uint8Array(APPENDED_BYTES);
    data.set(APPENDED_DISCRIMINATOR);
    data.fill(1, 8, 40);
    data.fill(2, 128, 160);
    expect(decodeAppended(data)).toMatchObject({ entry: 0n, head: new Uint8Array(32).fill(2) });
  });
});
