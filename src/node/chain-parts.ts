import { ChainBeacon } from '../beacon/chain-beacon.ts';
import { TimeBeacon } from '../beacon/computed-beacon.ts';
import type { Beacon } from '../beacon/interface.ts';
import type { AnchorReader, AnchorSource } from '../bundle/interface.ts';
import { AnchoringService } from '../chain/anchoring/anchoring-service.ts';
import { InclusionCheck } from '../chain/anchoring/inclusion-check.ts';
import { SolanaAnchorReader } from '../chain/anchoring/solana-anchor-reader.ts';
import { EndpointPool } from '../chain/endpoints/endpoint-pool.ts';
import type { CallOptions, ChainSigner } from '../chain/interface.ts';
import { JournalTransactionSender } from '../chain/journal/journal-transaction-sender.ts';
import { ChainBlockSource } from '../chain/reader/chain-block-source.ts';
import { DatabaseCursorStore, MemoryCursorStore } from '../chain/reader/cursor-store.ts';
import { SolanaChainReader } from '../chain/reader/solana-chain-reader.ts';
import { ExternalSigner } from '../chain/signers/external-signer.ts';
import { openKeypairFile } from '../chain/signers/keypair-file.ts';
import { KeypairSigner } from '../chain/signers/keypair-signer.ts';
import type { LoadedConfig } from '../config/load-config.ts';
import { type ChosenChain, resolveChain } from '../config/resolve-chain.ts';
import type { WalletKeySource } from '../identity/interface.ts';
import type { Clock } from '../lib/clock.ts';
import { hideUrlSecrets } from '../lib/endpoint-address.ts';
import type { Random } from '../lib/random.ts';
import type { ChainControl, NodeStatus } from '../rpc/interface.ts';
import type { ReceiptNotes } from '../scheduler/receipt-notes.ts';
import { ReceiptOutbox } from '../scheduler/receipt-outbox.ts';
import type { Database } from '../storage/interface.ts';
import type { Logger, MetricsRegistry } from '../telemetry/interface.ts';
import { NoopMetricsRegistry } from '../telemetry/noop-metrics.ts';
import { NoChain, NodeChain } from './chain-control.ts';

export interface ChainPartsModules {
  readonly identity: WalletKeySource;
  readonly database: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

const UNUSED_RPC_URLS =
  'RPC endpoints are configured, and this network has no chain: nothing is asked of them, nothing is anchored.';

/** Everything of the daemon that has to do with a chain. */
export interface ChainParts extends AsyncDisposable {
  readonly control: ChainControl;
  readonly beacon: Beacon;
  /** Null on a network without a chain, as the others below. */
  readonly anchors: AnchorSource | null;
  readonly anchorReader: AnchorReader | null;
  readonly receiptNotes: ReceiptNotes | null;
  readonly remarks: readonly string[];
  /** Needs no endpoint: what the chain is asked for is tried again until one answers. */
  start(signal: AbortSignal): Promise<void>;
  describe(): Promise<NodeStatus['chain']>;
}

/** @throws ConfigError CONFIG_NO_RPC_URL, ChainError CHAIN_SIGNER_FAILED, CHAIN_BAD_KEYPAIR_FILE */
export async function createChainParts(
  loaded: LoadedConfig,
  modules: ChainPartsModules,
  { signal }: CallOptions,
): Promise<ChainParts> {
  const chosen = resolveChain(loaded);
  if (chosen === null) return createTimeOnly(loaded, modules);
  const opened = await openSigner(loaded.config.chain, modules.identity, signal);
  return await createSolana(loaded, { ...modules, ...opened }, chosen);
}

function rounds({ network }: LoadedConfig) {
  const { beaconRoundMs, epochRounds } = network.parameters;
  return { networkId: network.id, roundMs: beaconRoundMs, epochRounds };
}

function createTimeOnly(loaded: LoadedConfig, modules: ChainPartsModules): ChainParts {
  return {
    control: new NoChain({ network: loaded.network.id }),
    beacon: new TimeBeacon(modules, rounds(loaded)),
    anchors: null,
    anchorReader: null,
    receiptNotes: null,
    remarks: loaded.config.chain.rpcUrls.length === 0 ? [] : [UNUSED_RPC_URLS],
    start: async () => {},
    describe: async () => null,
    [Symbol.asyncDispose]: async () => {},
  };
}

async function createSolana(
  loaded: LoadedConfig,
  modules: ChainPartsModules & OpenedSigner,
  chosen: ChosenChain,
): Promise<ChainParts> {
  const { chain: settings } = loaded.config;
  const { signer, remarks } = modules;
  await using stack = new AsyncDisposableStack();
  const pool = stack.use(new EndpointPool(modules, chosen));
  const cursors = new DatabaseCursorStore(modules, chosen);
  const reader = new SolanaChainReader({ ...modules, pool, cursors }, chosen);
  const sender = new JournalTransactionSender({ ...modules, pool, signer }, { ...settings, ...chosen });
  stack.defer(() => sender.stop());
  const anchoring = new AnchoringService(
    { ...modules, reader, sender },
    { program: chosen.programs.proofAnchor, keepMs: loaded.config.results.keepForMs, ...settings.anchor },
  );
  stack.defer(() => anchoring.stop());
  const outbox = new ReceiptOutbox({ ...modules, anchors: anchoring }, settings.anchor);
  stack.defer(() => outbox.stop());
  const beacon = stack.use(
    new ChainBeacon({ ...modules, blocks: new ChainBlockSource({ pool }, chosen) }, { ...rounds(loaded), ...chosen }),
  );
  const inclusion = new InclusionCheck({ ...modules, anchoring, reader, sender });
  const control = new NodeChain({ reader, signer, anchoring, inclusion, outbox });
  const anchorReader = createAnchorReader({ ...modules, stack }, chosen);
  const owned = stack.move();
  return {
    control,
    beacon,
    anchors: anchoring,
    anchorReader,
    receiptNotes: outbox,
    remarks,
    start: async (signal) => {
      await sender.start();
      await anchoring.start(signal);
      outbox.start();
      await beacon.start({ signal });
    },
    describe: () => control.describe(),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** For the verdict of an export: each endpoint is asked apart from the others, about this chain alone. */
function createAnchorReader(
  modules: Pick<ChainPartsModules, 'clock' | 'logger'> & { readonly stack: AsyncDisposableStack },
  { genesis, rpcUrls }: ChosenChain,
): AnchorReader {
  const { stack, clock, logger } = modules;
  // What the daemon itself asks is counted; these questions repeat it.
  const shared = { clock, logger, metrics: new NoopMetricsRegistry() };
  const endpoints = rpcUrls.map((url) => {
    const pool = stack.use(new EndpointPool(shared, { rpcUrls: [url], genesis }));
    const reader = new SolanaChainReader({ ...shared, pool, cursors: new MemoryCursorStore() }, { genesis });
    return { url: hideUrlSecrets(url), reader };
  });
  return new SolanaAnchorReader({ openEndpoints: (wanted) => (wanted === genesis ? endpoints : []) });
}

interface OpenedSigner {
  readonly signer: ChainSigner;
  readonly remarks: readonly string[];
}

/** An external program before a file before the identity. */
async function openSigner(
  { signerCommand, keypairFile }: LoadedConfig['config']['chain'],
  identity: WalletKeySource,
  signal: AbortSignal,
): Promise<OpenedSigner> {
  if (signerCommand.length > 0) {
    return { signer: await ExternalSigner.open({ command: signerCommand }, { signal }), remarks: [] };
  }
  if (keypairFile !== null) return await openKeypairFile(keypairFile);
  const seed = identity.deriveWalletKey();
  return { signer: new KeypairSigner({ seed, description: 'derived from the identity' }), remarks: [] };
}
