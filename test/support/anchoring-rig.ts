import { AnchoringService } from '../../src/chain/anchoring/anchoring-service.ts';
import type { AnchoringOptions } from '../../src/chain/anchoring/options.ts';
import type { AnchorService } from '../../src/chain/interface.ts';
import { type AnchorLeaf, encodeAnchorLeaf } from '../../src/domain/anchor.ts';
import { encodeBase58, SolanaAddress } from '../../src/domain/chain.ts';
import { encodeUtf8 } from '../../src/lib/bytes.ts';
import { sha256 } from '../../src/lib/cid.ts';
import { computeLeafHash, verifyInclusion } from '../../src/proofs/merkle.ts';
import type { Database } from '../../src/storage/interface.ts';
import { NoopLogger } from '../../src/telemetry/noop-logger.ts';
import { NoopMetricsRegistry } from '../../src/telemetry/noop-metrics.ts';
import { ManualClock } from './manual-clock.ts';
import { MemoryChain, PROGRAM } from './memory-chain.ts';
import { MemoryChainReader, MemoryJournal, MemorySender } from './memory-chain-client.ts';
import { MemoryDatabase } from './memory-database.ts';

export const WALLET = SolanaAddress(encodeBase58(new Uint8Array(32).fill(5)));
export const STRANGER = SolanaAddress(encodeBase58(new Uint8Array(32).fill(6)));

export const NEVER = new AbortController().signal;

export function receiptLeaf(name: string | number): AnchorLeaf {
  return { kind: 'receipt', digest: sha256(encodeUtf8(`receipt ${name}`)) };
}

export function checkpointLeaf(name: string | number): AnchorLeaf {
  return { kind: 'checkpoint', digest: sha256(encodeUtf8(`checkpoint ${name}`)) };
}

export function receiptLeaves(count: number, from = 0): AnchorLeaf[] {
  return Array.from({ length: count }, (_, index) => receiptLeaf(from + index));
}

export interface AnchoringRig {
  readonly service: AnchoringService;
  readonly chain: MemoryChain;
  readonly reader: MemoryChainReader;
  readonly journal: MemoryJournal;
  readonly clock: ManualClock;
  readonly database: MemoryDatabase;
  /** The process dies and another takes up what is on disk, in the journal and on the chain. */
  restart(): Promise<AnchoringRig>;
  /** The same home on another chain: journals are kept by chain. */
  moveTo(chain: MemoryChain, more?: Pick<RigOptions, 'isOff'>): Promise<AnchoringRig>;
}

interface Survivors {
  readonly chain: MemoryChain;
  readonly journal: MemoryJournal;
  readonly clock: ManualClock;
  readonly database: MemoryDatabase;
}

export type RigOptions = Partial<AnchoringOptions> & {
  readonly lamports?: bigint;
  /** The chain does not answer at first. */
  readonly isOff?: boolean;
};

export async function createRig(options: RigOptions = {}): Promise<AnchoringRig> {
  const chain = new MemoryChain();
  chain.balances.set(WALLET, options.lamports ?? 10_000_000_000n);
  const journal = new MemoryJournal(chain, WALLET);
  return await startRig({ chain, journal, clock: new ManualClock(), database: new MemoryDatabase() }, options);
}

async function startRig(survivors: Survivors, options: RigOptions): Promise<AnchoringRig> {
  const { chain, journal, clock, database } = survivors;
  const reader = new MemoryChainReader(chain);
  const { lamports: _, isOff = false, ...anchoring } = options;
  reader.isReachable = !isOff;
  const service = createService({ ...survivors, reader, database }, anchoring);
  await service.start(NEVER);
  return {
    service,
    chain,
    reader,
    journal,
    clock,
    database,
    moveTo: async (next, more = {}) => {
      const copy = database.clone();
      await service.stop();
      if (!next.balances.has(WALLET)) next.balances.set(WALLET, 10_000_000_000n);
      const journal = new MemoryJournal(next, WALLET);
      return await startRig({ chain: next, journal, clock, database: copy }, { ...options, ...more });
    },
    restart: async () => {
      const copy = database.clone();
      await service.stop();
      return await startRig({ chain, journal, clock, database: copy }, options);
    },
  };
}

export function createService(
  parts: Pick<Survivors, 'journal' | 'clock'> & { readonly reader: MemoryChainReader; readonly database: Database },
  options: Partial<AnchoringOptions> = {},
): AnchoringService {
  return new AnchoringService(
    {
      database: parts.database,
      reader: parts.reader,
      sender: new MemorySender(parts.journal),
      clock: parts.clock,
      logger: new NoopLogger(),
      metrics: new NoopMetricsRegistry(),
    },
    { program: PROGRAM, maxReceipts: 10_000, maxWaitMs: 60_000, ...options },
  );
}

/** Whether the service's proof of a receipt leads to an entry that its chain has. */
export async function isProven(service: AnchorService, chain: MemoryChain, leaf: AnchorLeaf): Promise<boolean> {
  const anchor = await service.proof(leaf.digest);
  if (anchor === undefined) return false;
  const log = chain.logs.get(SolanaAddress(encodeBase58(anchor.log)));
  const entry = log?.generation === anchor.generation ? log.entries[anchor.entry] : undefined;
  return (
    verifyInclusion({
      leafHash: computeLeafHash(encodeAnchorLeaf(leaf)),
      index: BigInt(anchor.leafIndex),
      size: BigInt(anchor.batchSize),
      path: anchor.path,
      root: anchor.batchRoot,
    }) &&
    Buffer.compare(entry?.batchRoot ?? new Uint8Array(), anchor.batchRoot) === 0 &&
    entry?.slot === anchor.slot
  );
}
