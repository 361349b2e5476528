import type { NodeConfig } from '../config/schema.ts';
import { type IsolationLevel, satisfiesIsolation, type TeeKind } from '../domain/capability.ts';
import type { NetworkStatus } from '../network/interface.ts';
import type { NodeStatus } from '../rpc/interface.ts';

export interface RemarkFacts {
  readonly config: Pick<NodeConfig, 'provide'> & { readonly chain: Pick<NodeConfig['chain'], 'anchor'> };
  readonly network: Pick<NetworkStatus, 'isDegraded' | 'bootstrap'>;
  readonly chain: ChainFacts | null;
  /** Levels that work on this host. */
  readonly isolation: readonly IsolationLevel[];
  /** Own jobs that are not listed. */
  readonly unlisted: { readonly halted: number; readonly corrupt: number };
  /** Whose evidence this node shows; null: none. */
  readonly teeKind: TeeKind | null;
}

type Chain = NonNullable<NodeStatus['chain']>;

export interface ChainFacts extends Pick<Chain, 'isReachable' | 'cluster' | 'endpoints'> {
  readonly wallet: Pick<Chain['wallet'], 'address' | 'lamports'>;
}

/** Plain sentences about what is weaker than it could be, for `node status`. */
export function collectRemarks(facts: RemarkFacts): readonly string[] {
  const { config, network, isolation, chain, unlisted, teeKind } = facts;
  const remarks: string[] = [];
  if (teeKind === 'simulated') {
    remarks.push('Confidential hardware is SIMULATED here: whoever operates this machine can read what it is given.');
  }
  if (unlisted.halted > 0) {
    remarks.push(
      `Jobs that wait because what became of them cannot be written: ${unlisted.halted}. Is the disk full? They go on by themselves once it works.`,
    );
  }
  if (unlisted.corrupt > 0) {
    remarks.push(
      `Jobs that cannot be read, and are not listed: ${unlisted.corrupt}; run \`fogproof node repair --check\`.`,
    );
  }
  const { received, provided } = config.chain.anchor;
  if (chain !== null && (received || provided)) remarks.push(...collectAnchorRemarks(chain));
  if (network.isDegraded) {
    const reasons = network.bootstrap.map(({ address, reason }) => `${address} (${reason ?? 'no answer'})`);
    remarks.push(`No bootstrap peer answered; it goes on trying: ${reasons.join(', ')}.`);
  }
  if (!config.provide.enabled) return remarks;
  const { isolationForStrangers } = config.provide;
  if (isolation.length === 0) {
    remarks.push('No isolation level works on this host, so no jobs are taken; run `fogproof doctor`.');
  } else if (!isolation.some((level) => satisfiesIsolation(level, isolationForStrangers))) {
    remarks.push(
      `Strangers' jobs need the isolation level ${isolationForStrangers}, which does not work here; run \`fogproof doctor\`.`,
    );
  }
  if (isolationForStrangers === 'process') {
    remarks.push("Strangers' jobs may run at the level process, which is no boundary against an engine exploit.");
  }
  return remarks;
}

/** What keeps receipts off the chain. */
function collectAnchorRemarks({ isReachable, cluster, endpoints, wallet }: ChainFacts): readonly string[] {
  if (!isReachable && endpoints.length > 0 && endpoints.every(({ state }) => state === 'refused')) {
    return [
      'Every endpoint is on another chain than this network; receipts wait. If the chain was begun anew, so must the network be: `fogproof network create ID --rpc-url URL --replace`.',
    ];
  }
  if (!isReachable) return ['The chain does not answer; receipts wait.'];
  if (wallet.lamports !== 0n) return [];
  const source = cluster?.name === 'mainnet-beta' ? 'send it some' : '`fogproof wallet airdrop`, or send it some';
  return [`Nothing is anchored while the wallet ${wallet.address} has no SOL: ${source}.`];
}
