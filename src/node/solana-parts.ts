import { ChainBeacon } from '../beacon/chain-beacon.ts';
import type { BeaconOptions } from '../beacon/options.ts';
import type { AnchorReader } from '../bundle/interface.ts';
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
import type { ChosenChain } from '../config/resolve-chain.ts';
import type { NodeConfig } from '../config/schema.ts';
import type { WalletKeySource } from '../identity/interface.ts';
import { hideUrlSecrets } from '../lib/endpoint-address.ts';
import { ReceiptOutbox } from '../scheduler/receipt-outbox.ts';
import { NoopMetricsRegistry } from '../telemetry/noop-metrics.ts';
import { NodeChain } from './chain-control.ts';
import type { ChainParts, ChainPartsModules } from './chain-parts.ts';

/** What a daemon on a network with a chain is told of it. */
interface SolanaChoice extends CallOptions {
  readonly config: NodeConfig;
  readonly rounds: BeaconOptions;
  readonly chosen: ChosenChain;
}

/** @throws ChainError CHAIN_SIGNER_FAILED, CHAIN_BAD_KEYPAIR_FILE */
export async function createSolanaParts(
  { config, rounds, chosen, signal }: SolanaChoice,
  modules: ChainPartsModules,
): Promise<ChainParts> {
  const { chain: settings } = config;
  const { signer, remarks } = await openSigner(settings, modules.identity, signal);
  await using stack = new AsyncDisposableStack();
  const pool = stack.use(new EndpointPool(modules, chosen));
  const cursors = new DatabaseCursorStore(modules, chosen);
  const reader = new SolanaChainReader({ ...modules, pool, cursors }, chosen);
  const sender = new JournalTransactionSender({ ...modules, pool, signer }, { ...settings, ...chosen });
  stack.defer(() => sender.stop());
  const anchoring = new AnchoringService(
    { ...modules, reader, sender },
    { program: chosen.programs.proofAnchor, keepMs: config.results.keepForMs, ...settings.anchor },
  );
  stack.defer(() => anchoring.stop());
  const outbox = new ReceiptOutbox({ ...modules, anchors: anchoring }, settings.anchor);
  stack.defer(() => outbox.stop());
  const beacon = stack.use(
    new ChainBeacon({ ...modules, blocks: new ChainBlockSource({ pool }, chosen) }, { ...rounds, ...chosen }),
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
  { signerCommand, keypairFile }: NodeConfig['chain'],
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
