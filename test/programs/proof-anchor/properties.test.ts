import type { Keypair } from '@solana/web3.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  PROOF_ANCHOR_ERROR_CODES as CODES,
  computeLogSeeds,
  PROOF_ANCHOR_ERRORS,
} from '../../../src/chain/generated/proof-anchor.ts';
import type { ChainInstruction } from '../../../src/chain/interface.ts';
import { SolanaAddress } from '../../../src/domain/chain.ts';
import { buildBatch, buildLogTree, digestOf, LogRig } from '../../support/log-rig.ts';
import { addressOf, namedKey, SYSTEM_PROGRAM } from '../../support/program-chain.ts';

const CLOCK = SolanaAddress('SysvarC1ock11111111111111111111111111111111');

/** One rig for a whole property: nothing in it may change. */
function buildArena() {
  const rig = LogRig.created();
  const batch = buildBatch('batch', 21);
  rig.fill(3);
  rig.anchorBatch(batch);
  rig.send([rig.createLog(rig.stranger)], rig.stranger);
  const forged = addressOf(namedKey('forged'));
  const log = rig.chain.read(rig.log);
  if (log !== undefined) rig.chain.write(forged, log);
  rig.chain.advance();
  const addresses = [
    addressOf(rig.owner),
    addressOf(rig.delegate),
    addressOf(rig.stranger),
    rig.log,
    rig.logOf(rig.stranger),
    rig.logOf(rig.delegate),
    forged,
    SYSTEM_PROGRAM,
    CLOCK,
    rig.chain.program,
    addressOf(namedKey('nobody')),
  ];
  const valid: readonly ChainInstruction[] = [
    rig.createLog(rig.delegate),
    rig.append(),
    rig.setDelegate(addressOf(rig.delegate)),
    rig.verifyRecent(rig.recentProof(batch, 7, 3)),
    rig.verifyLogged(rig.loggedProof(batch, 7, 3)),
    rig.closeLog(),
  ];
  return { rig, addresses, valid };
}

function snapshot(rig: LogRig, addresses: readonly SolanaAddress[], payer: Keypair) {
  return addresses.filter((address) => address !== addressOf(payer)).map((address) => rig.chain.read(address));
}

/** Bytes that come close to an instruction: its own, changed, cut or prolonged; or noise behind its discriminator. */
function arbitraryData(valid: readonly ChainInstruction[]): fc.Arbitrary<Uint8Array> {
  const own = fc.constantFrom(...valid.map(({ data }) => data));
  const noise = fc.uint8Array({ maxLength: 700 });
  const changed = fc.tuple(own, fc.nat(), fc.integer({ min: 0, max: 255 })).map(([data, at, value]) => {
    return data.with(at % data.length, value);
  });
  const cut = fc.tuple(own, fc.nat()).map(([data, at]) => data.subarray(0, at % data.length));
  const behind = fc.tuple(own, noise).map(([data, bytes]) => Uint8Array.of(...data.subarray(0, 8), ...bytes));
  const longer = fc.tuple(own, noise).map(([data, bytes]) => Uint8Array.of(...data, ...bytes.subarray(0, 100)));
  return fc.oneof(own, noise, changed, cut, behind, longer);
}

describe('whatever an instruction holds', () => {
  it('whoever is neither owner nor delegate changes nothing and gets a clean answer', () => {
    const { rig, addresses, valid } = buildArena();
    const account = fc.record({
      address: fc.constantFrom(...addresses),
      isWritable: fc.boolean(),
    });
    const payer = rig.chain.fund('payer');
    const before = snapshot(rig, addresses, payer);
    fc.assert(
      fc.property(
        arbitraryData(valid),
        fc.oneof(
          fc.array(account, { maxLength: 6 }),
          fc.constantFrom(...valid).map(({ accounts }) => accounts),
        ),
        fc.boolean(),
        (data, accounts, isPayerNamed) => {
          const named = accounts.map((entry) => ({ ...entry, isSigner: false }));
          const first = { address: addressOf(payer), isSigner: true, isWritable: true };
          const instruction = { program: rig.chain.program, accounts: isPayerNamed ? [first, ...named] : named, data };
          const { error } = rig.send([instruction], payer);
          const isVerified = error === null && named.some(({ address }) => address === rig.log);
          expect(isVerified || (typeof error === 'number' && error in PROOF_ANCHOR_ERRORS), `${error}`).toBe(true);
        },
      ),
      { numRuns: 1_500 },
    );
    expect(snapshot(rig, addresses, payer)).toEqual(before);
  });

  it('no proof is valid that differs from a valid one in a byte of what it claims', () => {
    const { rig, valid } = buildArena();
    const proofs = valid.slice(3, 5);
    fc.assert(
      fc.property(fc.constantFrom(...proofs), fc.nat(), fc.integer({ min: 1, max: 255 }), (proof, at, flip) => {
        const index = 8 + (at % (proof.data.length - 8));
        const data = proof.data.with(index, (proof.data[index] ?? 0) ^ flip);
        expect(rig.send([proof], rig.stranger).error).toBeNull();
        expect(rig.send([{ ...proof, data }], rig.stranger).error).toBeTypeOf('number');
      }),
      { numRuns: 400 },
    );
  });

  it('the log is what a model of it says after any sequence of calls', () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constant('append' as const),
        by: fc.nat(2),
        sizeError: fc.constantFrom(0n, 0n, 0n, 1n, 5n),
        batchSize: fc.constantFrom(1n, 9n, 0n, 2n ** 33n),
      }),
      fc.record({ kind: fc.constant('delegate' as const), by: fc.nat(2), to: fc.nat(2) }),
      fc.record({ kind: fc.constant('renew' as const), by: fc.nat(2) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const rig = LogRig.created();
        const people = [rig.owner, rig.delegate, rig.stranger];
        const person = (index: number): Keypair => people[index] ?? rig.owner;
        let delegate: SolanaAddress = SYSTEM_PROGRAM;
        let entries: { batchRoot: Uint8Array; batchSize: number }[] = [];
        for (const call of steps) {
          const by = person(call.by);
          const isOwner = by === rig.owner;
          if (call.kind === 'append') {
            const may = isOwner || addressOf(by) === delegate;
            const batchRoot = digestOf(`${entries.length}`);
            const expectedSize = BigInt(entries.length) + call.sizeError;
            const { error } = rig.send([rig.append({ batchRoot, expectedSize, batchSize: call.batchSize }, by)], by);
            expect(error).toBe(expectedAppend(may, call.sizeError, call.batchSize));
            if (error === null) entries.push({ batchRoot, batchSize: Number(call.batchSize) });
          } else if (call.kind === 'delegate') {
            const { error } = rig.send([rig.setDelegate(addressOf(person(call.to)), by)], by);
            expect(error).toBe(isOwner ? null : CODES.NotAuthorised);
            if (isOwner) delegate = addressOf(person(call.to));
          } else {
            const { error } = rig.send([rig.closeLog({ owner: by })], by);
            expect(error).toBe(isOwner ? null : CODES.NotAuthorised);
            if (!isOwner) continue;
            expect(rig.send([rig.createLog()], rig.owner).error).toBeNull();
            rig.chain.advance();
            entries = [];
            delegate = SYSTEM_PROGRAM;
          }
        }
        const { size, head, delegate: found, owner } = rig.state();
        expect({ size, found, owner }).toEqual({
          size: BigInt(entries.length),
          found: delegate,
          owner: addressOf(rig.owner),
        });
        if (entries.length > 0) expect(head).toEqual(buildLogTree(entries).root);
      }),
      { numRuns: 40 },
    );
  });
});

function expectedAppend(may: boolean, sizeError: bigint, batchSize: bigint): number | null {
  if (!may) return CODES.NotAuthorised;
  if (sizeError !== 0n) return CODES.SizeMismatch;
  return batchSize >= 1n && batchSize <= 2n ** 32n ? null : CODES.EmptyBatch;
}

describe('seeds', () => {
  it('are those that the program derives the address from', () => {
    const rig = LogRig.created();
    expect(computeLogSeeds(addressOf(rig.owner))).toEqual([
      Uint8Array.from(Buffer.from('log')),
      rig.owner.publicKey.toBytes(),
    ]);
  });
});
