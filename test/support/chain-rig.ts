import { SystemProgram } from '@solana/web3.js';
import { EndpointPool } from '../../src/chain/endpoints/endpoint-pool.ts';
import type { ChainInstruction, ChainSigner, TransactionIntent } from '../../src/chain/interface.ts';
import { JournalTransactionSender } from '../../src/chain/journal/journal-transaction-sender.ts';
import type { EndpointPoolOptions, JournalOptions } from '../../src/chain/options.ts';
import { MemoryCursorStore } from '../../src/chain/reader/cursor-store.ts';
import { SolanaChainReader } from '../../src/chain/reader/solana-chain-reader.ts';
import { KeypairSigner } from '../../src/chain/signers/keypair-signer.ts';
import { type BlockHash, encodeBase58, SolanaAddress } from '../../src/domain/chain.ts';
import { encodeUtf8 } from '../../src/lib/bytes.ts';
import { type Clock, SystemClock } from '../../src/lib/clock.ts';
import type { Database } from '../../src/storage/interface.ts';
import type { Logger } from '../../src/telemetry/interface.ts';
import { NoopLogger } from '../../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../src/telemetry/noop-metrics.ts';
import { MemoryDatabase } from './memory-database.ts';

export const WALLET = new KeypairSigner({ seed: new Uint8Array(32).fill(3), description: 'a test' });
export const RECEIVER = SolanaAddress(encodeBase58(new Uint8Array(32).fill(5)));

/** Waits are short, so that a test of a failure does not wait for real ones. */
export const QUICK: Partial<EndpointPoolOptions> = {
  timeoutMs: 400,
  roundBackoffMs: 5,
  backoffMs: 10,
  backoffMaxMs: 50,
};

export interface PoolParts {
  readonly clock?: Clock;
  readonly logger?: Logger;
}

export function createPool(
  urls: readonly string[],
  genesis: BlockHash,
  { clock = new SystemClock(), logger = new NoopLogger(), ...options }: PoolParts & Partial<EndpointPoolOptions> = {},
): EndpointPool {
  const metrics = new NoopMetricsRegistry();
  return new EndpointPool({ clock, logger, metrics }, { ...QUICK, ...options, rpcUrls: urls, genesis });
}

export function createReader(pool: EndpointPool, genesis: BlockHash, cursors = new MemoryCursorStore()) {
  return new SolanaChainReader(
    { pool, cursors, clock: new SystemClock(), logger: new NoopLogger(), metrics: new NoopMetricsRegistry() },
    { genesis, follow: { sweepMs: 60_000, pollMs: 10, reconnectMs: 10 } },
  );
}

export interface SenderParts extends Partial<JournalOptions> {
  readonly database?: Database;
  readonly signer?: ChainSigner;
  readonly clock?: Clock;
}

export function createSender(pool: EndpointPool, genesis: BlockHash, parts: SenderParts = {}) {
  const { database = new MemoryDatabase(), signer = WALLET, clock = new SystemClock(), ...options } = parts;
  return new JournalTransactionSender(
    { pool, signer, database, clock, logger: new NoopLogger(), metrics: new NoopMetricsRegistry() },
    {
      maxPriorityFee: 1_000,
      pollMs: 8,
      rebroadcastMs: 20,
      surveyMs: 10,
      retryMs: 5,
      retryMaxMs: 20,
      ...options,
      genesis,
    },
  );
}

export function transferInstruction(lamports: bigint, from = WALLET.address, to = RECEIVER): ChainInstruction {
  const data = new Uint8Array(12);
  const view = new DataView(data.buffer);
  view.setUint32(0, 2, true);
  view.setBigUint64(4, lamports, true);
  return {
    program: SolanaAddress(SystemProgram.programId.toBase58()),
    accounts: [
      { address: from, isSigner: true, isWritable: true },
      { address: to, isSigner: false, isWritable: true },
    ],
    data,
  };
}

export function programInstruction(program: SolanaAddress, text: string | Uint8Array): ChainInstruction {
  return { program, accounts: [], data: typeof text === 'string' ? encodeUtf8(text) : text };
}

export function transferIntent(key: string, lamports = 1_000_000n): TransactionIntent {
  return {
    key,
    purpose: `transfer ${lamports}`,
    instructions: [transferInstruction(lamports)],
    computeUnitLimit: 5_000,
  };
}
