import { Keypair } from '@solana/web3.js';
import { describe, expect, it } from 'vitest';
import { buildAirdrop } from '../../../src/localnet/ledger/airdrop.ts';
import type { LedgerListener } from '../../../src/localnet/ledger/interface.ts';
import type { Ledger } from '../../../src/localnet/ledger/ledger.ts';
import type { ChainStore, StoreChange } from '../../../src/localnet/store/interface.ts';
import { MemoryChainStore } from '../../../src/localnet/store/memory-chain-store.ts';
import { parseWireTransaction, type WireTransaction } from '../../../src/localnet/svm/wire-transaction.ts';
import { openTestLedger } from '../../support/ledger.ts';

/** Writes wait until they are let through; each that must reach the disk is counted. */
class GatedStore implements ChainStore {
  readonly #memory = new MemoryChainStore();
  gate: Promise<void> = Promise.resolve();
  durable = 0;

  get(key: string): Promise<Uint8Array | undefined> {
    return this.#memory.get(key);
  }

  range(range: Parameters<ChainStore['range']>[0]): AsyncIterable<readonly [string, Uint8Array]> {
    return this.#memory.range(range);
  }

  async write(changes: readonly StoreChange[], options: { readonly durable?: boolean } = {}): Promise<void> {
    await this.gate;
    if (options.durable === true) this.durable += 1;
    await this.#memory.write(changes);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

function airdrop(ledger: Ledger, lamports = 1_000_000n, to = Keypair.generate().publicKey.toBase58()): WireTransaction {
  const { blockhash } = ledger.latestBlock('processed');
  return parseWireTransaction(buildAirdrop({ faucetSeed: ledger.faucetSeed, to, lamports, blockhash, salt: 0 }));
}

describe('a transaction', () => {
  it('is acknowledged when it is on disk, and neither told nor confirmed before', async () => {
    const store = new GatedStore();
    const ledger = await openTestLedger(store);
    const heard: string[] = [];
    const listener: LedgerListener = {
      onTransaction: ({ record }) => heard.push(record.wire.signature),
      onSlot: () => {},
      onCommitment: (commitment, slot) => heard.push(`${commitment} ${slot}`),
    };
    using _ = ledger.listen(listener);
    const gate = Promise.withResolvers<void>();
    store.gate = gate.promise;
    const durable = store.durable;
    const wire = airdrop(ledger);
    let isAcknowledged = false;
    const submitted = ledger.submit(wire).then((submission) => {
      isAcknowledged = true;
      return submission;
    });
    const slot = ledger.slotAt('processed');
    const advanced = ledger.advance();
    await new Promise((resolve) => setImmediate(resolve));
    expect([isAcknowledged, heard, ledger.recentStatus(wire.signature)]).toEqual([false, [], undefined]);
    expect(ledger.slotAt('confirmed')).toBeLessThan(slot);
    expect(ledger.check(wire)).toBe('AlreadyProcessed');
    gate.resolve();
    expect((await submitted).kind).toBe('executed');
    await advanced;
    expect(store.durable).toBe(durable + 1);
    expect(heard).toEqual([wire.signature, `confirmed ${slot}`, `finalized ${slot - 1}`]);
    expect(ledger.recentStatus(wire.signature)).toEqual({ slot, error: null });
    expect(ledger.commitmentOf(slot)).toBe('confirmed');
  });

  it('is never acknowledged after the disk failed, nor is any other', async () => {
    const store = new GatedStore();
    const ledger = await openTestLedger(store);
    store.gate = Promise.reject(new Error('no space left'));
    const wire = airdrop(ledger);
    await expect(ledger.submit(wire)).rejects.toThrow('no space left');
    store.gate = Promise.resolve();
    expect(ledger.recentStatus(wire.signature)).toBeUndefined();
    await expect(ledger.submit(airdrop(ledger))).rejects.toThrow('no space left');
    expect(ledger.failure).toBeDefined();
  });

  it('of a block that a crash cut off is there again, in a block of the same hash', async () => {
    const store = new MemoryChainStore();
    const first = await openTestLedger(store);
    const wires = [airdrop(first), airdrop(first, 2_000_000n)];
    for (const wire of wires) await first.submit(wire);
    const slot = first.slotAt('processed');
    // Nothing closes the block: the process is gone.
    const second = await openTestLedger(store);
    await first.advance();
    expect(second.commitmentOf(slot)).toBe('finalized');
    for (const wire of wires) {
      expect(second.recentStatus(wire.signature)).toEqual({ slot, error: null });
      expect(second.check(wire)).toBe('AlreadyProcessed');
    }
    expect((await second.history.header(slot))?.blockhash).toBe(first.recentHeader(slot)?.blockhash);
    expect((await second.history.transactionsOf(slot)).map(({ wire }) => wire.signature)).toEqual(
      wires.map(({ signature }) => signature),
    );
    expect(second.totalTransactions).toBe(2);
  });
});
