import { readFile } from 'node:fs/promises';
import { AnchoringService } from '../../src/chain/anchoring/anchoring-service.ts';
import type { AnchoringOptions } from '../../src/chain/anchoring/options.ts';
import { EndpointPool } from '../../src/chain/endpoints/endpoint-pool.ts';
import type { ChainReader, TransactionSender } from '../../src/chain/interface.ts';
import { JournalTransactionSender } from '../../src/chain/journal/journal-transaction-sender.ts';
import { DatabaseCursorStore } from '../../src/chain/reader/cursor-store.ts';
import { SolanaChainReader } from '../../src/chain/reader/solana-chain-reader.ts';
import { KeypairSigner } from '../../src/chain/signers/keypair-signer.ts';
import { type BlockHash, computeLocalProgramAddress, type SolanaAddress } from '../../src/domain/chain.ts';
import { SystemClock } from '../../src/lib/clock.ts';
import type { GenesisProgram } from '../../src/localnet/interface.ts';
import type { Database } from '../../src/storage/interface.ts';
import { NoopLogger } from '../../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../src/telemetry/noop-metrics.ts';

export const PROOF_ANCHOR = computeLocalProgramAddress('proof-anchor');
const ARTIFACTS = process.env['FOGPROOF_PROGRAMS_DIR'];

/** The built program, as a local chain has it from its first slot. */
export async function readProofAnchor(): Promise<GenesisProgram> {
  const folder = new URL('../../programs/artifacts/', import.meta.url);
  const path = ARTIFACTS === undefined ? new URL('proof_anchor.so', folder) : `${ARTIFACTS}/proof_anchor.so`;
  return { name: 'proof-anchor', address: PROOF_ANCHOR, bytes: new Uint8Array(await readFile(path)) };
}

export interface AnchoringNode extends AsyncDisposable {
  readonly service: AnchoringService;
  readonly reader: ChainReader;
  readonly sender: TransactionSender;
  readonly wallet: SolanaAddress;
}

export interface AnchoringNodeOptions {
  readonly rpcUrl: string;
  readonly genesis: BlockHash;
  /** 32 bytes of the wallet. */
  readonly seed: Uint8Array;
  readonly anchoring?: Partial<AnchoringOptions>;
}

/** A chain client as the daemon builds it: endpoints, journal, anchoring, all started. */
export async function startAnchoringNode(database: Database, options: AnchoringNodeOptions): Promise<AnchoringNode> {
  const { genesis, seed, rpcUrl } = options;
  await using stack = new AsyncDisposableStack();
  const shared = {
    database,
    clock: new SystemClock(),
    logger: new NoopLogger(),
    metrics: new NoopMetricsRegistry(),
  };
  const signer = new KeypairSigner({ seed, description: 'of a test' });
  const pool = stack.use(new EndpointPool(shared, { rpcUrls: [rpcUrl], genesis }));
  const reader = new SolanaChainReader(
    { ...shared, pool, cursors: new DatabaseCursorStore(shared, { genesis }) },
    { genesis },
  );
  const sender = stack.use(
    new JournalTransactionSender({ ...shared, pool, signer }, { genesis, maxPriorityFee: 0, pollMs: 20, retryMs: 50 }),
  );
  const service = new AnchoringService(
    { ...shared, reader, sender },
    { program: PROOF_ANCHOR, maxReceipts: 10_000, maxWaitMs: 60_000, retryFirstMs: 50, ...options.anchoring },
  );
  stack.defer(() => service.stop());
  await sender.start();
  await service.start(new AbortController().signal);
  const owned = stack.move();
  return {
    service,
    reader,
    sender,
    wallet: signer.address,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
