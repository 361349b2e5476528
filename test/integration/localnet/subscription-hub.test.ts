import { Keypair } from '@solana/web3.js';
import { expect, it } from 'vitest';
import { buildAirdrop } from '../../../src/localnet/ledger/airdrop.ts';
import type { Ledger } from '../../../src/localnet/ledger/ledger.ts';
import { SubscriptionHub } from '../../../src/localnet/pubsub/subscription-hub.ts';
import { MemoryChainStore } from '../../../src/localnet/store/memory-chain-store.ts';
import { parseWireTransaction, type WireTransaction } from '../../../src/localnet/svm/wire-transaction.ts';
import { NoopLogger } from '../../../src/telemetry/noop-logger.ts';
import { openTestLedger } from '../../support/ledger.ts';

function airdrop(ledger: Ledger): WireTransaction {
  const { blockhash } = ledger.latestBlock('processed');
  const to = Keypair.generate().publicKey.toBase58();
  return parseWireTransaction(
    buildAirdrop({ faucetSeed: ledger.faucetSeed, to, lamports: 1_000_000n, blockhash, salt: 0 }),
  );
}

it('keeps what happens before the client knows the number of its subscription', async () => {
  const ledger = await openTestLedger(new MemoryChainStore());
  using hub = new SubscriptionHub({ ledger, logger: new NoopLogger() });
  const sent: string[] = [];
  using session = hub.open((text) => sent.push(text));
  const wire = airdrop(ledger);
  const request = (method: string, params: unknown[]) => ({ id: 1, method, params });
  const [first, second]: number[][] = [[], []];
  await session.call(request('signatureSubscribe', [wire.signature, { commitment: 'processed' }]), first ?? []);
  await session.call(request('logsSubscribe', ['all', { commitment: 'processed' }]), second ?? []);
  await ledger.submit(wire);
  expect([sent, hub.size]).toEqual([[], 2]);
  session.release(first ?? []);
  expect(sent.map((text) => JSON.parse(text) as unknown)).toMatchObject([
    { method: 'signatureNotification', params: { subscription: first?.[0], result: { value: { err: null } } } },
  ]);
  expect(hub.size).toBe(1);
  session.release(second ?? []);
  expect(sent).toHaveLength(2);
  await ledger.submit(airdrop(ledger));
  expect(sent).toHaveLength(3);
});
