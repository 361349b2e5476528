import { Keypair } from '@solana/web3.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AccountTable } from '../../../src/localnet/ledger/account-table.ts';
import { BlockQueue } from '../../../src/localnet/ledger/block-queue.ts';
import { computeBlockhash } from '../../../src/localnet/ledger/genesis.ts';
import type { BlockHeader } from '../../../src/localnet/ledger/interface.ts';
import { findProgramDataAddress } from '../../../src/localnet/ledger/program-address.ts';
import { StatusCache } from '../../../src/localnet/ledger/status-cache.ts';
import type { AccountState } from '../../../src/localnet/svm/interface.ts';
import { findProgramData, UPGRADEABLE_LOADER_ID } from '../../support/loader-instructions.ts';

const state = (lamports: number, owner = 'owner'): AccountState => ({
  lamports: BigInt(lamports),
  owner,
  data: new Uint8Array(),
  executable: false,
  rentEpoch: 0n,
});

describe('accounts at a slot', () => {
  it('are those of a chain that copied everything after each slot', () => {
    const change = fc.record({
      address: fc.constantFrom('a', 'b', 'c'),
      value: fc.option(fc.record({ lamports: fc.integer({ min: 1, max: 5 }), owner: fc.constantFrom('x', 'y') })),
      closes: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
        const table = new AccountTable();
        const copies: Map<string, AccountState>[] = [];
        const model = new Map<string, AccountState>();
        let slot = 0;
        for (const { address, value, closes } of changes) {
          const next = value === null ? undefined : state(value.lamports, value.owner);
          table.set(address, next, slot);
          if (next === undefined) model.delete(address);
          else model.set(address, next);
          if (!closes) continue;
          copies[slot] = new Map(model);
          slot += 1;
        }
        const oldest = Math.max(0, slot - 3);
        table.forgetUntil(oldest);
        for (let at = oldest; at < slot; at += 1) {
          const copy = copies[at] ?? new Map<string, AccountState>();
          for (const address of ['a', 'b', 'c']) expect(table.get(address, at)).toEqual(copy.get(address));
          for (const owner of ['x', 'y']) {
            const owned = [...table.ownedBy(owner, at)].map(([address]) => address).sort();
            expect(owned).toEqual([...copy].flatMap(([address, one]) => (one.owner === owner ? [address] : [])).sort());
          }
          expect(new Map(table.entries(at))).toEqual(copy);
        }
        for (const address of ['a', 'b', 'c']) expect(table.get(address)).toEqual(model.get(address));
      }),
      { numRuns: 300 },
    );
  });
});

describe('block hashes', () => {
  const header = (slot: number): BlockHeader => ({
    slot,
    blockhash: computeBlockhash(Keypair.generate().publicKey.toBase58(), slot, []),
    previousBlockhash: '',
    blockTime: 0,
    transactionCount: 0,
    totalTransactions: 0,
  });

  it('are valid from the block after them on, for 150 blocks', () => {
    const queue = new BlockQueue();
    const headers = Array.from({ length: 400 }, (_, slot) => header(slot));
    for (const one of headers) queue.push(one);
    const named = headers[200]?.blockhash ?? '';
    expect(queue.isValidIn(named, 200)).toBe(false);
    expect(queue.isValidIn(named, 201)).toBe(true);
    expect(queue.isValidIn(named, 350)).toBe(true);
    expect(queue.isValidIn(named, 351)).toBe(false);
    expect(queue.isValidIn('unknown', 201)).toBe(false);
  });

  it('are remembered for 512 blocks, newest first', () => {
    const queue = new BlockQueue();
    const headers = Array.from({ length: 600 }, (_, slot) => header(slot));
    for (const one of headers) queue.push(one);
    expect(queue.newest).toBe(headers[599]);
    expect(queue.at(88)).toBe(headers[88]);
    expect(queue.at(87)).toBeUndefined();
    expect(queue.slotOf(headers[87]?.blockhash ?? '')).toBeUndefined();
    expect(queue.newestFirst().map(({ slot }) => slot)).toEqual(Array.from({ length: 512 }, (_, index) => 599 - index));
  });

  it('follow from the block before, the slot and its transactions', () => {
    const previous = Keypair.generate().publicKey.toBase58();
    const signature = Keypair.generate().publicKey.toBase58();
    expect(computeBlockhash(previous, 1, [])).toBe(computeBlockhash(previous, 1, []));
    expect(
      new Set([
        computeBlockhash(previous, 1, []),
        computeBlockhash(previous, 2, []),
        computeBlockhash(previous, 1, [signature]),
      ]).size,
    ).toBe(3);
  });
});

describe('statuses', () => {
  it('are forgotten 300 slots later, not before', () => {
    const cache = new StatusCache();
    for (let slot = 0; slot < 10; slot += 1) cache.add(`s${slot}`, { slot, error: null });
    cache.forgetBefore(305);
    expect(cache.get('s4')).toBeUndefined();
    expect(cache.get('s5')).toEqual({ slot: 5, error: null });
  });
});

describe('program data', () => {
  it('are where @solana/web3.js finds them', () => {
    for (let count = 0; count < 20; count += 1) {
      const program = Keypair.generate().publicKey;
      expect(findProgramDataAddress(program.toBase58(), UPGRADEABLE_LOADER_ID.toBase58())).toBe(
        findProgramData(program).toBase58(),
      );
    }
  });
});
