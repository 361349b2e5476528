import type { NetworkChain, NetworkDefinition } from '../domain/network-definition.ts';
import { hideUrlSecrets, isOnThisMachine } from '../lib/endpoint-address.ts';
import { ConfigError } from './errors.ts';
import type { NodeConfig } from './schema.ts';

export interface ChosenChain {
  readonly genesis: Extract<NetworkChain, { kind: 'solana' }>['genesis'];
  /** In order, each once; at least one. */
  readonly rpcUrls: readonly string[];
  readonly programs: Extract<NetworkChain, { kind: 'solana' }>['programs'];
}

export interface ChainSources {
  readonly config: Pick<NodeConfig, 'chain'>;
  readonly network: Pick<NetworkDefinition, 'id' | 'chain' | 'preset'>;
}

/** The chain of the network and who is asked about it; null on a network without one. @throws ConfigError CONFIG_NO_RPC_URL */
export function resolveChain({ config, network }: ChainSources): ChosenChain | null {
  const { chain } = network;
  if (chain.kind === 'none') return null;
  const rpcUrls = chooseUrls(config.chain.rpcUrls, chain.rpcUrls);
  if (rpcUrls.length === 0) throw new ConfigError({ code: 'CONFIG_NO_RPC_URL', network: network.id });
  return { genesis: chain.genesis, rpcUrls, programs: chain.programs };
}

/** The same endpoint twice is one: it would agree with itself. */
function chooseUrls(own: readonly string[], ofNetwork: readonly string[]): readonly string[] {
  const chosen = own.length > 0 ? own : ofNetwork;
  return [...new Set(chosen.map((text) => new URL(text).href))];
}

/** Plain sentences about what is weaker than it could be about the chain. */
export function collectChainRemarks({ config, network }: ChainSources): readonly string[] {
  if (network.chain.kind === 'none') {
    return config.chain.rpcUrls.length === 0
      ? []
      : [`chain.rpcUrls has no effect: the network ${network.id} has no chain.`];
  }
  const rpcUrls = chooseUrls(config.chain.rpcUrls, network.chain.rpcUrls);
  const remarks = rpcUrls
    .filter((url) => new URL(url).protocol === 'http:' && !isOnThisMachine(url))
    .map(
      (url) => `The RPC endpoint ${hideUrlSecrets(url)} is asked without TLS: whoever is in between can answer for it.`,
    );
  if (network.preset === 'production' && rpcUrls.length === 1) {
    remarks.push(
      'One RPC endpoint is believed on its word: name one of another operator too (chain.rpcUrls), so that two must agree.',
    );
  }
  return remarks;
}
