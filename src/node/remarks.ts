import type { NodeConfig } from '../config/schema.ts';
import { type IsolationLevel, satisfiesIsolation } from '../domain/capability.ts';
import type { NetworkStatus } from '../network/interface.ts';

export interface RemarkFacts {
  readonly config: Pick<NodeConfig, 'provide'>;
  readonly network: Pick<NetworkStatus, 'isDegraded' | 'bootstrap'>;
  /** Levels that work on this host. */
  readonly isolation: readonly IsolationLevel[];
}

/** Plain sentences about what is weaker than it could be, for `node status`. */
export function collectRemarks({ config, network, isolation }: RemarkFacts): readonly string[] {
  const remarks: string[] = [];
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
