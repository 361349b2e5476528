import { TimeBeacon } from '../beacon/computed-beacon.ts';
import type { Beacon } from '../beacon/interface.ts';
import type { AnchorReader, AnchorSource } from '../bundle/interface.ts';
import type { CallOptions } from '../chain/interface.ts';
import type { LoadedConfig } from '../config/load-config.ts';
import { resolveChain } from '../config/resolve-chain.ts';
import type { WalletKeySource } from '../identity/interface.ts';
import type { Clock } from '../lib/clock.ts';
import type { Random } from '../lib/random.ts';
import type { ChainControl, NodeStatus } from '../rpc/interface.ts';
import type { ReceiptNotes } from '../scheduler/receipt-notes.ts';
import type { Database } from '../storage/interface.ts';
import type { Logger, MetricsRegistry } from '../telemetry/interface.ts';
import { NoChain } from './chain-control.ts';

export interface ChainPartsModules {
  readonly identity: WalletKeySource;
  readonly database: Database;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: MetricsRegistry;
}

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
  // A daemon without a chain loads nothing of this.
  const { createSolanaParts } = await import('./solana-parts.ts');
  return await createSolanaParts({ config: loaded.config, rounds: describeRounds(loaded), chosen, signal }, modules);
}

function describeRounds({ network }: LoadedConfig) {
  const { beaconRoundMs, epochRounds } = network.parameters;
  return { networkId: network.id, roundMs: beaconRoundMs, epochRounds };
}

function createTimeOnly(loaded: LoadedConfig, modules: ChainPartsModules): ChainParts {
  return {
    control: new NoChain({ network: loaded.network.id }),
    beacon: new TimeBeacon(modules, describeRounds(loaded)),
    anchors: null,
    anchorReader: null,
    receiptNotes: null,
    remarks: [],
    start: async () => {},
    describe: async () => null,
    [Symbol.asyncDispose]: async () => {},
  };
}
